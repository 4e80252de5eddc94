from __future__ import annotations

import pytest

from moorage.base.addresses import Addresses, Registry

DEFAULT = Registry("111111111111", "us-east-1")
ALIASED = Registry("222222222222", "eu-west-1")
OTHER = Registry("333333333333", "home-1")
ADDRESSES = Addresses(
    DEFAULT,
    "localhost:5050",
    aliases={"team.example": ALIASED, "444444444444.dkr.ecr.home-1.amazonaws.com": ALIASED},
    secure_host="localhost:5443",
    domain="registry.example",
)
ECR = "222222222222.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("host", "registry"),
    [
        ("team.example", ALIASED),
        ("team.example:5443", ALIASED),
        ("444444444444.dkr.ecr.home-1.amazonaws.com", ALIASED),
        (ECR, ALIASED),
        (f"{ECR}:8443", ALIASED),
        ("333333333333.dkr-ecr.home-1.on.aws", OTHER),
        ("333333333333.home-1.registry.example", OTHER),
        ("333333333333.home-1.registry.example:5443", OTHER),
        ("x.333333333333.home-1.registry.example", DEFAULT),
        ("333333333333.home-1.registry.example.evil.example", DEFAULT),
        ("333333333333.home-1.registry-example", DEFAULT),
        ("registry.example", DEFAULT),
        ("localhost:5050", DEFAULT),
        ("127.0.0.1", DEFAULT),
        ("[::1]:5050", DEFAULT),
        ("", DEFAULT),
    ],
)
def test_host_means_its_alias_then_its_shape_then_the_own_domain_then_the_default(
    host: str, registry: Registry
) -> None:
    assert ADDRESSES.registry_at(host) == registry


@pytest.mark.parametrize(
    ("registry", "asked_at", "secure", "endpoint"),
    [
        (DEFAULT, "localhost:5050", False, "http://localhost:5050"),
        (DEFAULT, "localhost:5443", True, "https://localhost:5443"),
        (ALIASED, "localhost:5443", True, "https://team.example:5443"),
        (OTHER, "localhost:5443", True, "https://333333333333.home-1.registry.example:5443"),
        (OTHER, "localhost", True, "https://333333333333.home-1.registry.example"),
        (ALIASED, "api.ecr.eu-west-1.amazonaws.com", True, f"https://{ECR}"),
        (ALIASED, "api.ecr.eu-west-1.amazonaws.com:443", False, f"https://{ECR}"),
        (ALIASED, "api.ecr.eu-west-1.amazonaws.com:8443", True, f"https://{ECR}:8443"),
    ],
)
def test_proxy_endpoint_has_the_scheme_and_port_of_the_caller(
    registry: Registry, asked_at: str, secure: bool, endpoint: str
) -> None:
    assert ADDRESSES.proxy_endpoint(registry, asked_at, secure) == endpoint
    assert ADDRESSES.repository_uri(registry, "a/b", asked_at, secure) == f"{endpoint.partition('//')[2]}/a/b"


@pytest.mark.parametrize(
    ("asked_at", "secure", "url"),
    [
        ("127.0.0.1:5050", False, "http://127.0.0.1:5050"),
        ("127.0.0.1:5443", True, "https://127.0.0.1:5443"),
        (ECR, False, f"https://{ECR}"),
        ("", False, "http://localhost:5050"),
        ("", True, "https://localhost:5443"),
    ],
)
def test_base_url_stays_where_the_caller_is(asked_at: str, secure: bool, url: str) -> None:
    assert ADDRESSES.base_url(asked_at, secure) == url


@pytest.mark.parametrize("asked_at", [f"{ECR}:evil", f"{ECR}:123456", f"{ECR}:"])
def test_port_that_is_none_is_not_repeated(asked_at: str) -> None:
    assert ADDRESSES.repository_uri(ALIASED, "a", asked_at).partition("/")[0] == ECR
