from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.server.proxy import HEADER_BYTES_MAX, SIGNATURE, Proxied, ProxyHeaderRefused, parse

IPV4 = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + struct.pack("!HH", 40_000, 443)
IPV6 = bytes.fromhex("20010db8000000000000000000000007") + bytes(16) + struct.pack("!HH", 40_000, 443)
MAPPED = bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 7]) + bytes(16) + struct.pack("!HH", 1, 2)


def value(kind: int, content: bytes) -> bytes:
    return struct.pack("!BH", kind, len(content)) + content


def header(rest: bytes, version: int = 0x21, kind: int = 0x11) -> bytes:
    return SIGNATURE + struct.pack("!BBH", version, kind, len(rest)) + rest


ENDPOINT = value(0xEA, b"\x01vpce-0123456789abcdef0")


@pytest.mark.parametrize(
    ("kind", "addresses", "address"),
    [
        (0x11, IPV4, "192.0.2.7"),
        (0x12, IPV4, "192.0.2.7"),
        (0x21, IPV6, "2001:db8::7"),
        (0x21, MAPPED, "192.0.2.7"),
        (0x31, bytes(216), ""),
        (0x00, b"", ""),
    ],
)
def test_header_of_each_family_gives_the_clients_address(kind: int, addresses: bytes, address: str) -> None:
    data = header(addresses + ENDPOINT, kind=kind)

    assert parse(data + b"GET /") == Proxied(len(data), address, vpce="vpce-0123456789abcdef0")


def test_local_command_gives_no_address_and_no_endpoint() -> None:
    data = header(IPV4 + ENDPOINT, version=0x20)

    assert parse(data) == Proxied(len(data))


@pytest.mark.parametrize(("flags", "is_secure"), [(0x01, True), (0x03, True), (0x00, False), (0x06, False)])
def test_tls_at_the_proxy_is_what_its_flag_says(flags: int, is_secure: bool) -> None:
    found = parse(header(IPV4 + value(0x20, bytes([flags, 0, 0, 0, 0]))))

    assert found is not None
    assert found.secure is is_secure


def test_endpoint_of_a_second_value_does_not_count() -> None:
    found = parse(header(IPV4 + ENDPOINT + value(0xEA, b"\x01vpce-of-somebody-else")))

    assert found is not None
    assert found.vpce == "vpce-0123456789abcdef0"


@pytest.mark.parametrize("content", [b"", b"\x02vpce-1"])
def test_values_of_other_subtypes_are_no_endpoint(content: bytes) -> None:
    found = parse(header(IPV4 + value(0xEA, content)))

    assert found is not None
    assert found.vpce == ""


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 443\r\n",
        b"\x16\x03\x01",
        header(IPV4, version=0x11),
        header(IPV4, version=0x22),
        header(IPV4, kind=0x41),
        header(IPV4, kind=0x13),
        header(IPV4[:-1]),
        header(IPV4 + b"\xea\x00"),
        header(IPV4 + b"\xea\x00\x05\x01vpc"),
        header(IPV4 + value(0xEA, b"\x01vpce_1")),
        header(IPV4 + value(0xEA, b"\x01")),
        header(IPV4 + value(0xEA, b"\x01" + b"a" * 65)),
        header(IPV4 + value(0x20, b"\x01")),
        header(bytes(HEADER_BYTES_MAX)),
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(ProxyHeaderRefused):
        parse(data)


def test_header_that_is_too_long_is_refused_before_it_has_come() -> None:
    with pytest.raises(ProxyHeaderRefused):
        parse(SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 0xFFFF))


@given(st.integers(0, 60))
def test_header_that_comes_in_parts_is_waited_for(size: int) -> None:
    whole = header(IPV4 + ENDPOINT)

    found = parse(whole[:size])

    assert (found is None) is (size < len(whole))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_header_or_refused(rest: bytes) -> None:
    for data in (rest, SIGNATURE + rest, header(rest), header(IPV4 + rest)):
        try:
            found = parse(data)
        except ProxyHeaderRefused:
            continue
        assert found is None or found.size <= len(data)


@given(st.data())
def test_one_byte_that_is_other_never_makes_another_header(data: st.DataObject) -> None:
    whole = bytearray(header(IPV4 + ENDPOINT))
    where = data.draw(st.integers(0, 15))
    whole[where] ^= data.draw(st.integers(1, 255))

    try:
        found = parse(bytes(whole))
    except ProxyHeaderRefused:
        return

    assert found is None or found.vpce in ("", "vpce-0123456789abcdef0")
