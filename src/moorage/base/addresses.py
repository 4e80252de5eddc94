"""Which registry a host name means, and how a registry is called in answers (decisions, 12).

The default account and region answer on whatever name the client reached us by (`localhost:5050`); any other pair has
an alias, a name under a domain of our own (`123456789012.eu-west-1.registry.example`) or its ECR-shaped name. On an
ECR-shaped host everything printed is ECR-shaped and https, because Amazon's credential helper refuses other names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_ECR_HOST = re.compile(
    r"(?P<account>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9][a-z0-9-]{1,24})\."
    r"(?P<suffix>amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|on\.aws|on\.amazonwebservices\.com\.cn|localhost)"
)
_ECR_API_HOST = re.compile(
    r"(?:api\.)?ecr(?:-fips)?\.[a-z0-9-]{2,25}\.(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|api\.aws)"
)

_OWN_NAME = re.compile(r"(?P<account>[0-9]{12})\.(?P<region>[a-z0-9][a-z0-9-]{1,24})")


@dataclass(frozen=True, slots=True)
class Registry:
    account: str
    region: str


@dataclass(frozen=True, slots=True)
class Addresses:
    default: Registry
    default_host: str
    """`host:port` that clients on this machine use, `localhost:5050`."""
    aliases: Mapping[str, Registry] = field(default_factory=dict)
    """Host names without port."""
    secure_host: str = ""
    """What `default_host` is for callers over TLS; the same if empty."""
    domain: str = ""
    """Of our own: each registry is `ACCOUNT.REGION.DOMAIN`."""

    def registry_at(self, host: str) -> Registry:
        """`host` is a Host header, with or without port."""
        return self._registry_called(_name_of(host)) or self.default

    def registry_named(self, host: str) -> Registry | None:
        """The registry of ours that a name and port can only mean; None for all that may be somebody else's."""
        if host in (self.default_host, self.secure_host):
            return self.default
        own_ports = (_port_of(self.default_host), _port_of(self.secure_host))
        return self._registry_called(_name_of(host)) if _port_of(host) in ("", *own_ports) else None

    def repository_uri(self, registry: Registry, name: str, asked_at: str, secure: bool = False) -> str:
        return f"{self._host_of(registry, asked_at, secure)}/{name}"

    def proxy_endpoint(self, registry: Registry, asked_at: str, secure: bool = False) -> str:
        """The URL for `docker login`."""
        host = self._host_of(registry, asked_at, secure)
        return f"{_scheme(host, secure)}://{host}"

    def base_url(self, asked_at: str, secure: bool = False) -> str:
        """The scheme and host under which the caller reached us: download URLs stay there."""
        host = asked_at or self._default_host(secure)
        return f"{_scheme(host, secure)}://{host}"

    def _registry_called(self, name: str) -> Registry | None:
        alias = self.aliases.get(name)
        if alias is not None:
            return alias
        match = _ECR_HOST.fullmatch(name)
        if match is None and self.domain and name.endswith("." + self.domain):
            match = _OWN_NAME.fullmatch(name[: -len(self.domain) - 1])
        return Registry(match["account"], match["region"]) if match else None

    def _host_of(self, registry: Registry, asked_at: str, secure: bool) -> str:
        if _is_ecr_shaped(asked_at):
            return _ecr_host(registry) + _port_of(asked_at)
        if registry == self.default:
            return self._default_host(secure)
        for host, target in self.aliases.items():
            if target == registry:
                return host + _port_of(asked_at)
        if self.domain:
            return f"{registry.account}.{registry.region}.{self.domain}{_port_of(asked_at)}"
        return _ecr_host(registry)

    def _default_host(self, secure: bool) -> str:
        return self.secure_host or self.default_host if secure else self.default_host


def _scheme(host: str, secure: bool) -> str:
    """Who is asked for an ECR-shaped name has a proxy with a certificate before it, if TLS does not end here."""
    return "https" if secure or _is_ecr_shaped(host) else "http"


def _ecr_host(registry: Registry) -> str:
    return f"{registry.account}.dkr.ecr.{registry.region}.amazonaws.com"


def _is_ecr_shaped(host: str) -> bool:
    name = _name_of(host)
    return bool(_ECR_HOST.fullmatch(name) or _ECR_API_HOST.fullmatch(name)) and not name.endswith(
        ".localhost"
    )


def _name_of(host: str) -> str:
    return host.rpartition(":")[0] if ":" in host else host


def _port_of(host: str) -> str:
    """With its colon; nothing if there is none. It is the client's to send: digits only are repeated."""
    _, colon, port = host.rpartition(":")
    is_said = colon and port != "443" and port.isascii() and port.isdecimal() and len(port) <= 5
    return colon + port if is_said else ""
