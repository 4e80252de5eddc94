"""Which addresses may be connected to. Pure: names are resolved elsewhere.

Whoever sets an upstream registry, a webhook or an identity provider could otherwise reach what only this machine
reaches: its own services, its neighbours, the metadata service of a cloud.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from moorage.remote.errors import RemoteRefused
from moorage.remote.urls import is_host_name

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's registries of special-purpose addresses. Kept here: what Python's `is_global` says differs by version.
_NOT_PUBLIC_4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "metadata"),  # Azure's; public by its number, and reached from inside only
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_PUBLIC_6 = IPv6Network("2000::/3")  # all that was ever given out as global unicast
_NOT_PUBLIC_6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("2001::/23", "reserved"),  # Teredo and other ways to say an IPv4 address
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "reserved"),  # 6to4
        ("3fff::/20", "documentation"),
    )
)
_LOOPBACK_6 = IPv6Address("::1")
_PRIVATE_6 = IPv6Network("fc00::/7")
_TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64: the last four bytes are an IPv4 address

_MAY_BE_A_HOST_S = frozenset({"loopback", "private", "shared"})


@dataclass(frozen=True, slots=True)
class Allowed:
    """What one client may reach besides the public Internet.

    A name in `hosts` may have private and loopback addresses. Link-local ones (where metadata services are), and all
    others that are not public, are reached only where `networks` has them.
    """

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Allowed:
        """`10.0.0.0/8, fd12::/64, idp.corp.example`; raise ValueError with what is wrong."""
        networks, hosts = [], set()
        for part in text.replace(",", " ").split():
            if is_host_name(part.lower()):
                hosts.add(part.lower())
                continue
            try:
                networks.append(ip_network(part))
            except ValueError:
                raise ValueError(f"'{part}' is neither a network in CIDR form nor a host name") from None
        return cls(tuple(networks), frozenset(hosts))


def check_address(text: str, host: str, allowed: Allowed) -> Address:
    """The address to connect to for `host`; raise `RemoteRefused`. `text` is what a resolver gave."""
    try:
        address = _plain(ip_address(text))
    except ValueError:
        raise RemoteRefused(f"'{text}' is not an address") from None
    kind = kind_of(address)
    if kind == "public" or any(address in network for network in allowed.networks):
        return address
    if host in allowed.hosts and kind in _MAY_BE_A_HOST_S:
        return address
    raise RemoteRefused(f"{host} has the address {address}, which is {kind}")


def kind_of(address: Address) -> str:
    """`public`, or what it is instead."""
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _NOT_PUBLIC_4 if address in network), "public")
    if address == _LOOPBACK_6:
        return "loopback"
    if address in _PRIVATE_6:
        return "private"
    if address in _TRANSLATED:
        return kind_of(IPv4Address(address.packed[-4:]))
    if address.is_link_local:
        return "link-local"
    if address not in _PUBLIC_6:
        return "multicast" if address.is_multicast else "reserved"
    return next((kind for network, kind in _NOT_PUBLIC_6 if address in network), "public")


def _plain(address: Address) -> Address:
    """IPv4 that is written as IPv6 is IPv4. A zone names an interface of ours: no address of others has one."""
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None:
        raise ValueError("a zone")
    return address.ipv4_mapped or address
