"""The registries that a pull through cache rule can be for. Pure (ECR API reference, CreatePullThroughCacheRule).

Amazon knows those of the table. A private registry of Amazon ECR is one of this installation, which may have names of
its own too, or of another that the operator has a peer for. Any other registry can be named by its host, with a port
and `http://` or `https://` before it if need be, and has no name of its own. What may be connected to is decided when
it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from moorage.aws.shapes.ecr import UpstreamRegistry
from moorage.base.addresses import Addresses, Registry
from moorage.base.errors.requests import Validation
from moorage.base.errors.upstream import UnsupportedUpstreamRegistry
from moorage.remote.errors import RemoteRefused
from moorage.remote.urls import Url

Needs = Literal["nothing", "secret", "role"]


@dataclass(frozen=True, slots=True)
class Upstream:
    name: UpstreamRegistry | None
    """None for a registry that Amazon does not know."""
    host: re.Pattern[str]
    needs: Needs = "nothing"
    takes_secret: bool = True


def _host(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text))


ECR: UpstreamRegistry = "ecr"
_ECR_HOST = re.compile(
    r"[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.[a-z0-9][a-z0-9-]{1,24}\."
    r"(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|on\.aws|on\.amazonwebservices\.com\.cn)"
)
KNOWN = (
    Upstream("azure-container-registry",  re.compile(r"[a-z0-9]{5,50}\.azurecr\.io"), "secret"),
    Upstream("chainguard",                _host("cgr.dev"),                           "secret"),
    Upstream("docker-hub",                _host("registry-1.docker.io"),              "secret"),
    Upstream(ECR,                         _ECR_HOST,                                  "role", takes_secret=False),
    Upstream("ecr-public",                _host("public.ecr.aws")),
    Upstream("github-container-registry", _host("ghcr.io"),                           "secret"),
    Upstream("gitlab-container-registry", _host("registry.gitlab.com"),               "secret"),
    Upstream("k8s",                       _host("registry.k8s.io")),
    Upstream("quay",                      _host("quay.io")),
)  # fmt: skip
_ANY = re.compile(r".*")


def upstream_of(url: str, name: str | None, addresses: Addresses) -> Upstream:
    """The registry at `url`, which must be the one that `name` says. `addresses` has our own names.

    Raise `UnsupportedUpstreamRegistry` for what is no registry's address, `Validation` for one that is not `name`'s.
    """
    for known in KNOWN:
        is_own = known.name == ECR and private_registry(url, addresses) is not None
        if is_own or known.host.fullmatch(url.removeprefix("https://")):
            if name not in (None, known.name):
                raise Validation(f"The URL '{url}' is that of the upstream registry {known.name}, not {name}")
            return known
    if name is not None:
        raise Validation(f"The URL '{url[:256]}' is not one of the upstream registry {name}")
    try:
        parsed = Url.parse(url if "://" in url else f"https://{url}", frozenset({"http", "https"}))
    except RemoteRefused as error:
        raise UnsupportedUpstreamRegistry(
            f"The upstream registry '{url[:256]}' is not supported: {error}"
        ) from None
    if parsed.path != "/" or parsed.query:
        raise UnsupportedUpstreamRegistry(
            f"The upstream registry '{url[:256]}' is not supported: give its host, and nothing after it"
        )
    return Upstream(None, _ANY)


def private_registry(url: str, addresses: Addresses) -> Registry | None:
    """Account and region of a private registry, by its ECR-shaped name or one of our own; None for what is none."""
    return addresses.registry_named(_host_in(url))


def named(name: str) -> Upstream:
    """By the name that a rule has stored; empty for a registry that Amazon does not know."""
    return next((known for known in KNOWN if known.name == name), Upstream(None, _ANY))


def _host_in(url: str) -> str:
    return url.rpartition("://")[2]
