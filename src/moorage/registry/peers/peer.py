"""Registries of other installations, and of Amazon itself: where each is, and who we are there.

`[[replication_peers]]` of the configuration are pushed to, `[[upstream_peers]]` are pulled from.
"""

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
    credentials: Path
    """A file as the AWS CLI has it, with an access key of the other installation."""
    url: str = ""
    """Of its API, its STS and its registry, as far as they have no name of their own: https, or http to what `networks`
    names. Empty for Amazon's, whose names follow from account and region."""
    sts_url: str = ""
    registry_url: str = ""
    role_arn: str = ""
    """A role there that is assumed with the key; empty if the key is to act by itself."""
    networks: str = ""
    """Networks and host names where the peer may be though not public."""
    ca_file: Path | None = None
    """Certificate authorities of the peer, besides the system's."""
    sources: str = ""
    """Accounts here, with commas, that may use it; empty for the default account only."""

    @classmethod
    def parse(cls, table: Any, setting: str, number: int, folder: Path) -> Peer:
        """Paths are relative to `folder`. Raise `PeerMisconfigured`."""
        where = f"{setting}[{number}]"
        if not isinstance(table, dict):
            raise PeerMisconfigured(f"{where} has to be a table: [[{setting}]]")
        unknown = sorted(table.keys() - {item.name for item in dataclasses.fields(cls)})
        if unknown:
            raise PeerMisconfigured(f"{where}: there is no setting called {', '.join(unknown)}")
        for name, value in table.items():
            if not isinstance(value, str):
                raise PeerMisconfigured(f"{where}: {name} is {value!r}: it has to be text")
        for name in ("account", "region", "credentials"):
            if not table.get(name):
                raise PeerMisconfigured(f"{where}: {name} is missing")
        paths: dict[str, Any] = {"credentials": folder / table["credentials"]}
        if table.get("ca_file"):
            paths["ca_file"] = folder / table["ca_file"]
        peer = cls(**{**table, **paths})
        peer._check(where)
        return peer

    def serves(self, account: str, default: str) -> bool:
        """Whoever may write rules could otherwise act with the operator's key."""
        return account in (self.sources.replace(",", " ").split() or [default])

    @property
    def registry(self) -> Registry:
        return Registry(self.account, self.region)

    @property
    def rules(self) -> Rules:
        """Of the client that goes there, and nowhere else."""
        return Rules(
            allowed=Allowed.parse(self.networks),
            schemes=self.schemes,
            ca_file=self.ca_file,
            total_s=_TOTAL_S,
            redirects=0,
        )

    @property
    def api(self) -> Url:
        return self._parsed(self.url or f"https://api.ecr.{self._amazon}")

    @property
    def sts(self) -> Url:
        return self._parsed(self.sts_url or self.url or f"https://sts.{self._amazon}")

    @property
    def door(self) -> Url:
        """Of its registry."""
        return self._parsed(self.registry_url or self.url or f"https://{self.account}.dkr.ecr.{self._amazon}")

    @property
    def name(self) -> str:
        return f"{self.account}/{self.region} at {self.api.authority}"

    @property
    def _amazon(self) -> str:
        return f"{self.region}.amazonaws.com" + (".cn" if self.region.startswith("cn-") else "")

    def _parsed(self, url: str) -> Url:
        return Url.parse(url, self.schemes)

    @property
    def schemes(self) -> frozenset[Scheme]:
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
            for url in (self.api, self.sts, self.door):
                if url.path != "/" or url.query:
                    raise PeerMisconfigured(f"{where}: {url} has something after the host")
        except (ValueError, RemoteRefused) as error:
            raise PeerMisconfigured(f"{where}: {error}") from None


def peers_in(value: Any, setting: str, folder: Path) -> tuple[Peer, ...]:
    """Of the file; raise `PeerMisconfigured`."""
    if not isinstance(value, list):
        raise PeerMisconfigured(f"{setting} has to be a list of tables: [[{setting}]]")
    if len(value) > MOST:
        raise PeerMisconfigured(f"{setting} has {len(value)} tables: at most {MOST}")
    peers = tuple(Peer.parse(table, setting, number, folder) for number, table in enumerate(value, 1))
    registries = [peer.registry for peer in peers]
    if len(set(registries)) < len(registries):
        raise PeerMisconfigured(f"two {setting} are of one account and region")
    return peers
