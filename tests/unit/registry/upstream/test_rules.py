"""Which rule a repository comes under, and what it is called upstream."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moorage.base.addresses import Addresses, Registry
from moorage.base.errors.requests import Validation
from moorage.base.errors.upstream import UnsupportedUpstreamRegistry
from moorage.registry.upstream import rules
from moorage.registry.upstream.known import ECR, KNOWN, private_registry, upstream_of
from moorage.registry.upstream.rules import Rule

from ..memory import in_memory
from ..registry import ACCOUNT, REGION, MemoryRegistry

HERE = Registry(ACCOUNT, REGION)
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:ecr-pullthroughcache/hub-AbCdEf"
ADDRESSES = Addresses(
    HERE, "localhost:5050", {"team.example": HERE}, secure_host="localhost:5443", domain="registry.example"
)


def rule(prefix: str, upstream_prefix: str = "ROOT") -> Rule:
    return Rule(HERE, prefix, upstream_prefix, prefix, "quay", "quay.io", "", "", 0, None)


@pytest.mark.parametrize(
    ("prefix", "upstream_prefix", "repository", "upstream"),
    [
        ("ecr-public", "ROOT",         "ecr-public/my-app/image1", "my-app/image1"),
        ("ROOT",       "ROOT",         "my-app/image1",            "my-app/image1"),
        ("team-a",     "team-a",       "team-a/myapp/image1",      "team-a/myapp/image1"),
        ("my-app",     "upstream-app", "my-app/image1",            "upstream-app/image1"),
        ("a/b",        "c/d",          "a/b/e",                    "c/d/e"),
        ("my-app",     "ROOT",         "my-application/image1",    None),
        ("my-app",     "ROOT",         "my-app",                   None),
    ],
)  # fmt: skip
def test_prefixes_are_mapped_as_in_the_user_guide(
    prefix: str, upstream_prefix: str, repository: str, upstream: str | None
) -> None:
    assert rule(prefix, upstream_prefix).name_upstream(repository) == upstream


@in_memory
async def test_the_closest_prefix_wins_and_root_is_for_the_rest(registry: MemoryRegistry) -> None:
    for prefix in ("hub", "hub/team", "ROOT"):
        await rules.create(registry.db, rule(prefix))

    found = {
        name: matched.prefix
        for name in ("hub/app", "hub/team/app", "hub/teams/app", "hub", "other/app")
        if (matched := await rules.matching(registry.db, HERE, name)) is not None
    }

    assert found == {
        "hub/app": "hub",
        "hub/team/app": "hub/team",
        "hub/teams/app": "hub",
        "hub": "ROOT",
        "other/app": "ROOT",
    }


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "ecr"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws",        "ecr"),
        ("cgr.dev",                                      "chainguard"),
        ("ghcr.io",                                      "github-container-registry"),
        ("https://quay.io",                              "quay"),
        ("myown.azurecr.io",                             "azure-container-registry"),
        ("public.ecr.aws",                               "ecr-public"),
        ("registry-1.docker.io",                         "docker-hub"),
        ("registry.gitlab.com",                          "gitlab-container-registry"),
        ("registry.k8s.io",                              "k8s"),
        ("registry.example",                             None),
        ("http://localhost:5000",                        None),
        ("docker.io",                                    None),
        ("ghcr.io.evil.example",                         None),
    ],
)  # fmt: skip
def test_a_registry_is_known_by_its_whole_host(url: str, name: str | None) -> None:
    assert upstream_of(url, None, ADDRESSES).name == name


def test_every_name_of_the_model_is_known() -> None:
    assert len({known.name for known in KNOWN}) == 9


@pytest.mark.parametrize(
    "url", ["", "quay.io/x", "a b", "user@quay.io", "ftp://quay.io", "http://127.1", "https://x?y", "x:99999"]
)
def test_what_is_no_address_of_a_registry_is_refused(url: str) -> None:
    with pytest.raises(UnsupportedUpstreamRegistry):
        upstream_of(url, None, ADDRESSES)


@pytest.mark.parametrize(("url", "name"), [("quay.io", "k8s"), ("registry.example", "quay")])
def test_name_and_address_must_agree(url: str, name: str) -> None:
    with pytest.raises(Validation):
        upstream_of(url, name, ADDRESSES)


@pytest.mark.parametrize(
    ("url", "registry"),
    [
        ("210987654321.dkr.ecr.eu-west-1.amazonaws.com", Registry("210987654321", "eu-west-1")),
        ("https://210987654321.dkr.ecr.eu-west-1.amazonaws.com", Registry("210987654321", "eu-west-1")),
        ("210987654321.eu-west-1.registry.example", Registry("210987654321", "eu-west-1")),
        ("210987654321.eu-west-1.registry.example:5443", Registry("210987654321", "eu-west-1")),
        ("http://localhost:5050", HERE),
        ("team.example:5050", HERE),
    ],
)
def test_private_registries_are_named_as_amazon_or_this_installation_calls_them(
    url: str, registry: Registry
) -> None:
    assert upstream_of(url, None, ADDRESSES).name == ECR
    assert private_registry(url, ADDRESSES) == registry


@pytest.mark.parametrize(
    "url", ["localhost", "localhost:5051", "team.example:5051", "127.0.0.1:5050", "registry.example"]
)
def test_a_name_with_the_port_of_somebody_else_is_not_ours(url: str) -> None:
    assert upstream_of(url, None, ADDRESSES).name is None
    assert private_registry(url, ADDRESSES) is None


@in_memory
async def test_credentials_that_were_checked_for_one_registry_are_not_given_to_another(
    registry: MemoryRegistry,
) -> None:
    await rules.create(registry.db, rule("hub"))
    checked = await rules.find(registry.db, HERE, "hub")
    await rules.delete(registry.db, HERE, "hub")
    await rules.create(registry.db, replace(rule("hub"), upstream="", url="registry.example"))

    assert await rules.set_credentials(registry.db, checked, SECRET, "", registry.now) is None

    assert (await rules.find(registry.db, HERE, "hub")).credential_arn == ""
