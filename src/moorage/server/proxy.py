"""The PROXY header, version 2: what a trusted balancer says of the connection that it passes on.

Layout: 12 bytes of signature; version and command; family and transport; two bytes of length; addresses; then values
of {type, two bytes of length, bytes}. Amazon's load balancer adds the id of a private endpoint as one of them.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
HEADER_BYTES_MAX = 4_096  # of a balancer; the format would allow 64 KiB
_FIXED = struct.Struct("!12sBBH")
_VALUE = struct.Struct("!BH")
_VERSION = 0x20
_LOCAL, _PROXY = 0x0, 0x1
_ADDRESS_BYTES = {0x0: 0, 0x1: 12, 0x2: 36, 0x3: 216}  # by family: none, IPv4, IPv6, Unix
_SSL, _AWS = 0x20, 0xEA
_CLIENT_SSL = 0x01
_VPCE_ID = 0x01
_ENDPOINT = re.compile(rb"[A-Za-z0-9-]{1,64}")


class ProxyHeaderRefused(Exception):
    """What came is not the header; nothing of the connection is to be believed."""


@dataclass(frozen=True, slots=True)
class Proxied:
    """`address` is "" where the balancer speaks for itself (its health check), or says of no address."""

    size: int
    """Bytes of the header."""
    address: str = ""
    secure: bool = False
    vpce: str = ""


def parse(data: bytes) -> Proxied | None:
    """The header at the start of `data`; None while it may still become one. Raise `ProxyHeaderRefused`."""
    if data[: len(SIGNATURE)] != SIGNATURE[: len(data)]:
        raise ProxyHeaderRefused("there is no PROXY header of version 2")
    if len(data) < _FIXED.size:
        return None
    _, version, kind, length = _FIXED.unpack_from(data)
    command, family = version & 0x0F, kind >> 4
    if version & 0xF0 != _VERSION or command > _PROXY or family not in _ADDRESS_BYTES or kind & 0x0F > 2:
        raise ProxyHeaderRefused("the PROXY header has an unknown version, command or family")
    size = _FIXED.size + length
    if size > HEADER_BYTES_MAX:
        raise ProxyHeaderRefused(f"the PROXY header is longer than {HEADER_BYTES_MAX} bytes")
    if len(data) < size:
        return None
    if command == _LOCAL:
        return Proxied(size)
    rest = data[_FIXED.size : size]
    if len(rest) < _ADDRESS_BYTES[family]:
        raise ProxyHeaderRefused("the PROXY header is shorter than its addresses")
    values = _values(rest[_ADDRESS_BYTES[family] :])
    return Proxied(size, _address(family, rest), _is_secure(values), _endpoint(values))


def _address(family: int, rest: bytes) -> str:
    """Of the client: the first of the two."""
    if family == 0x1:
        return str(IPv4Address(rest[:4]))
    if family == 0x2:
        address = IPv6Address(rest[:16])
        return str(address.ipv4_mapped or address)
    return ""


def _values(data: bytes) -> dict[int, bytes]:
    """The first of each type: a second one may have been added by somebody behind the balancer."""
    values: dict[int, bytes] = {}
    while data:
        if len(data) < _VALUE.size:
            raise ProxyHeaderRefused("the PROXY header ends in the middle of a value")
        kind, length = _VALUE.unpack_from(data)
        value = data[_VALUE.size : _VALUE.size + length]
        if len(value) < length:
            raise ProxyHeaderRefused("the PROXY header ends in the middle of a value")
        values.setdefault(kind, value)
        data = data[_VALUE.size + length :]
    return values


def _is_secure(values: dict[int, bytes]) -> bool:
    value = values.get(_SSL)
    if value is None:
        return False
    if len(value) < 5:
        raise ProxyHeaderRefused("the PROXY header's TLS value is too short")
    return bool(value[0] & _CLIENT_SSL)


def _endpoint(values: dict[int, bytes]) -> str:
    value = values.get(_AWS)
    if value is None or not value or value[0] != _VPCE_ID:
        return ""
    if not _ENDPOINT.fullmatch(value[1:]):
        raise ProxyHeaderRefused("the PROXY header's endpoint id is none")
    return value[1:].decode()
