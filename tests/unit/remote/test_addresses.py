from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.remote.addresses import Allowed, check_address, kind_of
from moorage.remote.errors import RemoteRefused

NOTHING = Allowed()


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "100.128.0.1"]
)
def test_a_public_address_is_reached(address: str) -> None:
    assert str(check_address(address, "example.com", NOTHING)) == address


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("0.0.0.0", "unspecified"),
        ("10.1.2.3", "private"),
        ("100.64.0.1", "shared"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("168.63.129.16", "metadata"),
        ("169.254.169.254", "link-local"),
        ("169.254.170.2", "link-local"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("198.18.0.1", "benchmarking"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("::", "reserved"),
        ("::1", "loopback"),
        ("::7f00:1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:1::1", "reserved"),
        ("2001::1", "reserved"),
        ("2001:db8::1", "documentation"),
        ("2002:7f00:1::", "reserved"),
        ("fd00:ec2::254", "private"),
        ("fe80::1", "link-local"),
        ("fec0::1", "reserved"),
        ("ff02::1", "multicast"),
    ],
)
def test_what_is_not_public_is_refused_by_its_kind(address: str, kind: str) -> None:
    with pytest.raises(RemoteRefused, match=f"which is {kind}$"):
        check_address(address, "example.com", NOTHING)


@pytest.mark.parametrize("text", ["fe80::1%eth0", "example.com", "127.1", "", "0x7f000001"])
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    with pytest.raises(RemoteRefused):
        check_address(text, "example.com", NOTHING)


def test_a_network_that_is_allowed_is_reached_in_either_spelling() -> None:
    allowed = Allowed.parse("10.0.0.0/8, fd12::/64")

    assert str(check_address("10.1.2.3", "idp.example", allowed)) == "10.1.2.3"
    assert str(check_address("::ffff:10.1.2.3", "idp.example", allowed)) == "10.1.2.3"
    assert str(check_address("fd12::7", "idp.example", allowed)) == "fd12::7"
    with pytest.raises(RemoteRefused):
        check_address("192.168.0.1", "idp.example", allowed)


def test_a_host_that_is_allowed_may_be_private_but_never_the_metadata_service() -> None:
    allowed = Allowed.parse("IdP.corp.example")

    assert str(check_address("10.1.2.3", "idp.corp.example", allowed)) == "10.1.2.3"
    assert str(check_address("::1", "idp.corp.example", allowed)) == "::1"
    for address in ("169.254.169.254", "168.63.129.16", "0.0.0.0", "224.0.0.1", "fe80::1"):
        with pytest.raises(RemoteRefused):
            check_address(address, "idp.corp.example", allowed)
    with pytest.raises(RemoteRefused):
        check_address("10.1.2.3", "other.corp.example", allowed)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "*.example.com", "10.0.0.0/33", "https://idp"])
def test_a_list_that_names_neither_networks_nor_hosts_says_which_entry(text: str) -> None:
    with pytest.raises(ValueError, match="neither a network"):
        Allowed.parse(f"10.0.0.0/8,{text}")


@given(st.ip_addresses(v=4))
def test_python_calls_no_address_local_that_is_public_here(address: IPv4Address) -> None:
    if kind_of(address) == "public":
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_an_address_of_ipv4_in_ipv6_is_as_good_as_itself(address: IPv4Address) -> None:
    mapped = f"::ffff:{address}"

    if kind_of(address) == "public":
        assert check_address(mapped, "example.com", NOTHING) == address
    else:
        with pytest.raises(RemoteRefused):
            check_address(mapped, "example.com", NOTHING)
    assert kind_of(ip_address(f"64:ff9b::{address}")) == kind_of(address)
