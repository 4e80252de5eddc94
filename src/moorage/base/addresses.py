"""Which registry a host name means, and how a registry is called in answers (decisions, 12).

The default account and region answer on whatever name the client reached us by (`localhost:5050`); any other pair has
an alias or its ECR-shaped name. On an ECR-shaped host everything printed is ECR-shaped and https, because Amazon's
credential helper refuses other names.
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

    def registry_at(self, host: str) -> Registry:
        """`host` is a Host header, with or without port."""
        name = host.rpartition(":")[0] if ":" in host else host
        alias = self.aliases.get(name)
        if alias is not None:
            return alias
        match = _ECR_HOST.fullmatch(name)
        return Registry(match["account"], match["region"]) if match else self.default

    def repository_uri(self, registry: Registry, name: str, asked_at: str) -> str:
        return f"{self._host_of(registry, asked_at)}/{name}"

    def proxy_endpoint(self, registry: Registry, asked_at: str) -> str:
        """The URL for `docker login`."""
        host = self._host_of(registry, asked_at)
        return f"{'https' if _is_ecr_shaped(host) else 'http'}://{host}"

    def base_url(self, asked_at: str) -> str:
        """The scheme and host under which the caller reached us: download URLs stay there."""
        return f"{'https' if _is_ecr_shaped(asked_at) else 'http'}://{asked_at or self.default_host}"

    def _host_of(self, registry: Registry, asked_at: str) -> str:
        if _is_ecr_shaped(asked_at):
            return _ecr_host(registry)
        if registry == self.default:
            return self.default_host
        for host, target in self.aliases.items():
            if target == registry:
                return host
        return _ecr_host(registry)


def _ecr_host(registry: Registry) -> str:
    return f"{registry.account}.dkr.ecr.{registry.region}.amazonaws.com"


def _is_ecr_shaped(host: str) -> bool:
    name = host.partition(":")[0]
    return bool(_ECR_HOST.fullmatch(name) or _ECR_API_HOST.fullmatch(name)) and not name.endswith(
        ".localhost"
    )
