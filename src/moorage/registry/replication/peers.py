"""`[[replication_peers]]` of the configuration: registries of other installations, as replication rules name them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moorage.base.addresses import Registry
from moorage.base.names import is_account_id, is_region
from moorage.remote.addresses import Allowed
from moorage.remote.errors import RemoteRefused
from moorage.remote.rules import Rules
from moorage.remote.urls import Scheme, Url

MOST = 25
_TOTAL_S = 300.0  # for one request; a layer is sent in many


class PeerMisconfigured(Exception):
    """Says which peer is wrong, and what it should be."""


@dataclass(frozen=True, slots=True)
class Peer:
    account: str
    region: str
    url: str
    """Of its API, and of its registry if that has no name of its own: https, or http to what `networks` names."""
    credentials: Path
    """A file as the AWS CLI has it, with an access key of the other installation."""
    registry_url: str = ""
    role_arn: str = ""
    """A role there that is assumed with the key; empty if the key is to push by itself."""
    networks: str = ""
    """Networks and host names where the peer may be though not public."""
    ca_file: Path | None = None
    """Certificate authorities of the peer, besides the system's."""
    sources: str = ""
    """Accounts here, with commas, that may replicate to it; empty for the default account only."""

    @classmethod
    def parse(cls, table: Any, number: int, folder: Path) -> Peer:
        """Paths are relative to `folder`. Raise `PeerMisconfigured`."""
        where = f"replication_peers[{number}]"
        if not isinstance(table, dict):
            raise PeerMisconfigured(f"{where} has to be a table: [[replication_peers]]")
        unknown = sorted(table.keys() - {item.name for item in dataclasses.fields(cls)})
        if unknown:
            raise PeerMisconfigured(f"{where}: there is no setting called {', '.join(unknown)}")
        for name, value in table.items():
            if not isinstance(value, str):
                raise PeerMisconfigured(f"{where}: {name} is {value!r}: it has to be text")
        for name in ("account", "region", "url", "credentials"):
            if not table.get(name):
                raise PeerMisconfigured(f"{where}: {name} is missing")
        paths: dict[str, Any] = {"credentials": folder / table["credentials"]}
        if table.get("ca_file"):
            paths["ca_file"] = folder / table["ca_file"]
        peer = cls(**{**table, **paths})
        peer._check(where)
        return peer

    def serves(self, account: str, default: str) -> bool:
        """Whoever may write rules could otherwise push with the operator's key."""
        return account in (self.sources.replace(",", " ").split() or [default])

    @property
    def registry(self) -> Registry:
        return Registry(self.account, self.region)

    @property
    def rules(self) -> Rules:
        """Of the client that goes there, and nowhere else."""
        return Rules(
            allowed=Allowed.parse(self.networks),
            schemes=self._schemes,
            ca_file=self.ca_file,
            total_s=_TOTAL_S,
            redirects=0,
        )

    @property
    def api(self) -> Url:
        return Url.parse(self.url, self._schemes)

    @property
    def door(self) -> Url:
        """Of its registry."""
        return Url.parse(self.registry_url or self.url, self._schemes)

    @property
    def _schemes(self) -> frozenset[Scheme]:
        """http goes through nobody's hands but those of a network of one's own."""
        return frozenset({"http", "https"}) if self.networks else frozenset({"https"})

    def _check(self, where: str) -> None:
        if not is_account_id(self.account):
            raise PeerMisconfigured(f"{where}: account is '{self.account}': an account id has 12 digits")
        if not is_region(self.region):
            raise PeerMisconfigured(f"{where}: region is '{self.region}': 2 to 25 characters a-z, 0-9 and -")
        for account in self.sources.replace(",", " ").split():
            if not is_account_id(account):
                raise PeerMisconfigured(f"{where}: sources has '{account}': an account id has 12 digits")
        try:
            Allowed.parse(self.networks)
            for url in (self.api, self.door):
                if url.path != "/" or url.query:
                    raise PeerMisconfigured(f"{where}: {url} has something after the host")
        except (ValueError, RemoteRefused) as error:
            raise PeerMisconfigured(f"{where}: {error}") from None


def peers_in(value: Any, folder: Path) -> tuple[Peer, ...]:
    """Of the file; raise `PeerMisconfigured`."""
    if not isinstance(value, list):
        raise PeerMisconfigured("replication_peers has to be a list of tables: [[replication_peers]]")
    if len(value) > MOST:
        raise PeerMisconfigured(f"replication_peers has {len(value)} tables: at most {MOST}")
    peers = tuple(Peer.parse(table, number, folder) for number, table in enumerate(value, 1))
    registries = [peer.registry for peer in peers]
    if len(set(registries)) < len(registries):
        raise PeerMisconfigured("two replication peers are of one account and region")
    return peers
