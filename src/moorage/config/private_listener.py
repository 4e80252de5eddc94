"""The tables `[[listeners]]`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeVar

from moorage.config.addresses import is_address
from moorage.config.invalid import InvalidSettings

Network = IPv4Network | IPv6Network
Value = TypeVar("Value", bool, int, str)

_LISTENER_NAME = re.compile(r"[a-z0-9-]{1,32}")
_TOML_WORDS = {bool: "true or false", int: "a whole number", str: "text"}


@dataclass(frozen=True, slots=True)
class PrivateListener:
    """A way in of its own, which private endpoints refer to by its name. One thing makes it trusted: its address, its
    socket file, a client certificate, or a proxy.
    """

    name: str
    listen: str = ""
    """HOST:PORT, or"""
    unix: Path | None = None
    """a socket file."""
    tls: bool = False
    client_ca: Path | None = None
    """Who must have signed the certificate of a client."""
    allow_uids: tuple[int, ...] = ()
    """Users that may connect to the socket file; without any, its own mode decides."""
    proxy_protocol: bool = False
    """Each connection begins with a PROXY header, version 2, and comes from `trusted_proxies`."""
    trusted_proxies: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, table: Any, number: int) -> PrivateListener:
        """Raise `InvalidSettings`."""
        where = f"listeners[{number}]"
        if not isinstance(table, dict):
            raise InvalidSettings(f"{where} has to be a table: [[listeners]]")
        unknown = sorted(table.keys() - {item.name for item in dataclasses.fields(cls)})
        if unknown:
            raise InvalidSettings(f"{where}: there is no setting called {', '.join(unknown)}")
        name = _typed(table, "name", str, where)
        if not _LISTENER_NAME.fullmatch(name):
            raise InvalidSettings(f"{where}: name is '{name}': 1 to 32 characters a-z, 0-9 and -")
        where = f"listener {name}"
        unix, client_ca = _typed(table, "unix", str, where), _typed(table, "client_ca", str, where)
        listener = cls(
            name=name,
            listen=_typed(table, "listen", str, where),
            unix=Path(unix) if unix else None,
            tls=_typed(table, "tls", bool, where),
            client_ca=Path(client_ca) if client_ca else None,
            allow_uids=tuple(_items(table, "allow_uids", int, where)),
            proxy_protocol=_typed(table, "proxy_protocol", bool, where),
            trusted_proxies=tuple(
                _network(text, where) for text in _items(table, "trusted_proxies", str, where)
            ),
        )
        listener.check()
        return listener

    def check(self) -> None:
        where = f"listener {self.name}"
        is_unix = self.unix is not None
        wrong = (
            (bool(self.listen) == is_unix, "give listen or unix, and not both"),
            (bool(self.listen) and not is_address(self.listen), f"listen is '{self.listen}': HOST:PORT"),
            (is_unix and self.tls, "a socket file has no tls"),
            (is_unix and self.proxy_protocol, "proxy_protocol needs listen: a socket file has no address"),
            (bool(self.allow_uids) and not is_unix, "allow_uids needs unix"),
            (self.client_ca is not None and not self.tls, "client_ca needs tls = true"),
            (
                self.client_ca is not None and self.proxy_protocol,
                "client_ca and proxy_protocol: one of them is to be trusted",
            ),
            (
                self.proxy_protocol != bool(self.trusted_proxies),
                "proxy_protocol needs trusted_proxies, and they it",
            ),
        )
        for is_wrong, says in wrong:
            if is_wrong:
                raise InvalidSettings(f"{where}: {says}")


def _typed(table: Mapping[str, Any], name: str, kind: type[Value], where: str) -> Value:
    value = table.get(name, kind())
    if type(value) is not kind:
        raise InvalidSettings(f"{where}: {name} is {value!r}: it has to be {_TOML_WORDS[kind]}")
    return value


def _items(table: Mapping[str, Any], name: str, kind: type[Value], where: str) -> list[Value]:
    values = table.get(name, [])
    if not isinstance(values, list) or any(type(value) is not kind for value in values):
        raise InvalidSettings(f"{where}: {name} is {values!r}: it has to be a list, each {_TOML_WORDS[kind]}")
    return values


def _network(text: str, where: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise InvalidSettings(f"{where}: trusted_proxies: {error}") from None
