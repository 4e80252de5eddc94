"""URLs that are asked for: one spelling of each, so that what is checked is what is connected to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, cast

from moorage.remote.errors import RemoteRefused

Scheme = Literal["http", "https"]

LONGEST = 8_192
_PORTS: dict[Scheme, int] = {"http": 80, "https": 443}
_PRIVILEGED = 1_024  # below it only the two above: nobody serves HTTP on the port of SMTP

_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!$-;=@-\[\]_a-z~]*)?"  # visible ASCII without "#<>?\^`{|}
    r"(?:\?(?P<query>[!$-;=?-\[\]_a-z~]*))?"
)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Url:
    scheme: Scheme
    host: str
    """A name in lower case, or an address without brackets."""
    port: int
    path: str
    query: str

    @classmethod
    def parse(cls, text: str, schemes: frozenset[Scheme]) -> Url:
        """Raise `RemoteRefused` for another scheme, a user, a fragment, and all but one way to write a host."""
        if len(text) > LONGEST:
            raise RemoteRefused(f"the URL is longer than {LONGEST} characters")
        match = _URL.fullmatch(text)
        if match is None:
            raise RemoteRefused("this is not a plain URL of HTTP (no user, no fragment, ASCII only)")
        scheme = cast(Scheme, match["scheme"])
        if scheme not in schemes:
            raise RemoteRefused(f"{scheme} URLs are not asked for here")
        port = int(match["port"]) if match["port"] else _PORTS[scheme]
        if port not in _PORTS.values() and not _PRIVILEGED <= port < 65_536:
            raise RemoteRefused(f"port {port} is not for HTTP")
        return cls(scheme, _host(match["host"]), port, match["path"] or "/", match["query"] or "")

    @property
    def origin(self) -> tuple[Scheme, str, int]:
        return self.scheme, self.host, self.port

    @property
    def is_literal(self) -> bool:
        """The host is an address."""
        return ":" in self.host or _NUMBER.fullmatch(self.host.rpartition(".")[2]) is not None

    @property
    def authority(self) -> str:
        """As the `Host` header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}" + (f"?{self.query}" if self.query else "")


def is_host_name(text: str) -> bool:
    """A DNS name in lower case that nobody takes for a number."""
    return (
        len(text) <= 253
        and _NAME.fullmatch(text) is not None
        and not _NUMBER.fullmatch(text.rpartition(".")[2])
    )


def _host(text: str) -> str:
    """2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1 to a resolver: an address has four plain decimal numbers."""
    name = text.lower()
    if is_host_name(name):
        return name
    try:
        if name.startswith("["):
            return str(IPv6Address(name[1:-1]))
        return str(IPv4Address(name))
    except ValueError:
        raise RemoteRefused(f"'{text[:64]}' is not a host name or a plainly written address") from None
