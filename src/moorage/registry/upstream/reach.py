"""Which upstream registries may be connected to, and over which of two clients.

Those that Amazon names are on the public Internet, and their client reaches nothing else. Others are opted into by the
operator, by name: only their client may go to private networks, and speak plain HTTP where the operator wrote so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from moorage.base.errors.upstream import UpstreamUnavailable
from moorage.remote.addresses import Allowed
from moorage.remote.errors import RemoteRefused
from moorage.remote.rules import Rules
from moorage.remote.urls import Scheme, Url

_SCHEMES: frozenset[Scheme] = frozenset({"http", "https"})
_IDLE_S = 30.0
_REDIRECTS = 5
_CONNECTIONS = 32

# Where else a registry sends for tokens than to itself.
REALMS = {
    "https://registry-1.docker.io": frozenset({"https://auth.docker.io"}),
    "https://registry.gitlab.com":  frozenset({"https://gitlab.com"}),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reach:
    """What the operator allows."""

    hosts: dict[str, str] = field(default_factory=dict)
    """HOST or HOST:PORT to the origin, `http://localhost:5000`, of upstream registries that Amazon does not name."""
    allowed: Allowed = field(default_factory=Allowed)
    ca_file: Path | None = None

    @classmethod
    def parse(cls, hosts: str, networks: str, ca_file: Path | None = None) -> Reach:
        """Of the settings; raise ValueError with what is wrong."""
        origins = {}
        for text in hosts.replace(",", " ").split():
            try:
                url = _url(text)
            except RemoteRefused as error:
                raise ValueError(f"'{text}': {error}") from None
            if url.path != "/" or url.query:
                raise ValueError(f"'{text}' has something after the host")
            origins[url.authority] = origin_of(url)
        names = frozenset(Url.parse(origin, _SCHEMES).host for origin in origins.values())
        found = Allowed.parse(networks)
        return cls(origins, Allowed(found.networks, found.hosts | names), ca_file)

    @property
    def named_rules(self) -> Rules:
        """For the registries that Amazon names."""
        return rules_for(Allowed(), frozenset({"https"}), self.ca_file)

    @property
    def other_rules(self) -> Rules:
        return rules_for(self.allowed, _SCHEMES, self.ca_file)

    def origin(self, url: str, *, is_named: bool) -> str:
        """Of a rule's upstream registry. Raise `UpstreamUnavailable` for one that nobody opted into."""
        try:
            parsed = _url(url)
        except RemoteRefused as error:
            raise UpstreamUnavailable(upstream=url, reason=str(error)) from None
        opted = self.hosts.get(parsed.authority)
        if opted is not None and ("://" not in url or origin_of(parsed) == opted):
            return opted
        if is_named and parsed.scheme == "https":
            return origin_of(parsed)
        raise UpstreamUnavailable(
            upstream=url, reason="whoever runs this registry has not opted into it (upstream_hosts)"
        )

    def is_opted(self, origin: str) -> bool:
        return origin in self.hosts.values()


def rules_for(allowed: Allowed, schemes: frozenset[Scheme], ca_file: Path | None) -> Rules:
    """Of a client that pulls."""
    return Rules(
        allowed=allowed,
        schemes=schemes,
        ca_file=ca_file,
        idle_s=_IDLE_S,
        total_s=None,  # of a layer; what is short has a limit of its own
        redirects=_REDIRECTS,
        across_origins=True,
        connections=_CONNECTIONS,
    )


def origin_of(url: Url) -> str:
    return f"{url.scheme}://{url.authority}"


def _url(text: str) -> Url:
    return Url.parse(text if "://" in text else f"https://{text}", _SCHEMES)
