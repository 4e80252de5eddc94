"""What the values of conditions mean: numbers, dates, truth, addresses, bytes. None is what cannot be read."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?")
_DATE = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})(?:[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?(?P<zone>[Zz]|[+-][0-9]{2}:?[0-9]{2})?)?)?)?"
)
_EPOCH = re.compile(r"-?[0-9]{1,16}(?:\.[0-9]{1,9})?")
_MILLISECONDS_FROM = 100_000_000_000  # as seconds that is the year 5138
_MICRO = timedelta(microseconds=1)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MAPPED = 96
"""The bits before the IPv4 address in ::ffff:10.0.0.1."""


def number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=1_024)
def moment(text: str) -> int | None:
    """Microseconds since 1970, of a date in one of W3C's forms, or of seconds since then (milliseconds, if huge)."""
    found = _DATE.fullmatch(text)
    if found is None:
        return _since_epoch(text)
    try:
        date = datetime(
            int(found["year"]),
            int(found["month"] or 1),
            int(found["day"] or 1),
            int(found["hour"] or 0),
            int(found["minute"] or 0),
            int(found["second"] or 0),
            int((found["fraction"] or "0").ljust(6, "0")[:6]),
            UTC,
        )
        return (date - _BEGINNING) // _MICRO - _offset(found["zone"])
    except ValueError:
        return None


def _since_epoch(text: str) -> int | None:
    if not _EPOCH.fullmatch(text):
        return None
    seconds = Decimal(text)
    if abs(seconds) >= _MILLISECONDS_FROM:
        seconds /= 1_000
    return int(seconds * 1_000_000)


def _offset(zone: str | None) -> int:
    """Microseconds; a time without a zone is UTC's."""
    if zone is None or zone in "Zz":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return (minutes if zone[0] == "+" else -minutes) * 60_000_000


def truth(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def octets(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Network:
    version: int
    prefix: int
    """The address without the bits of the host."""
    host_bits: int

    def has(self, version: int, address: int) -> bool:
        return version == self.version and address >> self.host_bits == self.prefix


@lru_cache(maxsize=4_096)
def address(text: str) -> tuple[int, int] | None:
    """The version of an address and its number. ::ffff:10.0.0.1 is 10.0.0.1."""
    if "%" in text:
        return None
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    plain = _unmapped(parsed)
    return plain.version, int(plain)


def network(text: str) -> Network | None:
    """Of 10.0.0.0/8 or 10.1.2.3."""
    if "%" in text:
        return None
    try:
        parsed = ip_network(text, strict=False)
    except ValueError:
        return None
    base = parsed.network_address
    bits = parsed.max_prefixlen - parsed.prefixlen
    if parsed.version == 6 and parsed.prefixlen >= _MAPPED:
        base = _unmapped(base)
    return Network(base.version, int(base) >> bits, bits)


def _unmapped(parsed: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(parsed, "ipv4_mapped", None) or parsed
