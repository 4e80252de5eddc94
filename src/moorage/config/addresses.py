"""HOST:PORT, and names of hosts."""

from __future__ import annotations

import re

_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def host_and_port(address: str) -> tuple[str, int]:
    """Of a HOST:PORT that was checked."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(colon and host) and port.isascii() and port.isdecimal() and int(port) < 65_536


def is_domain(text: str) -> bool:
    """In lower case, without port."""
    return _DOMAIN.fullmatch(text) is not None
