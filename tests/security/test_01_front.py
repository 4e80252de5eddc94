"""Without credentials nothing but the challenge is served: no path, method or form of a request leads further."""

from __future__ import annotations

import pytest

from .calling import Caller, serialized
from .operations import KNOWN, UNSIGNED
from .places import Account

PATHS = [
    "/.env",
    "/.git/config",
    "/_layers/",
    "/_layers/x",
    "/admin",
    "/api/v2.0/projects",
    "/debug/pprof/",
    "/index.html",
    "/metrics",
    "/token",
    "/v1/_ping",
    "/v2/_catalog",
    "/v2/_nothing",
    "/v2/a/b/c/tags/list",
    "/v2/x/manifests/latest",
    "/v3/",
    "//",
    "/%2e%2e/root.key",
    "/../root.key",
    "/moorage.db",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_is_served_to_who_has_no_credentials(nobody: Caller, path: str) -> None:
    for method in METHODS:
        answer = nobody.v2(method, path, None if method in ("GET", "HEAD") else b"")
        assert answer.status in (400, 401, 403, 404, 405), (method, path, answer)
        if path.startswith("/v2/"):
            assert answer.status in (401, 405), (method, path, answer)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_the_api_has_two_methods(nobody: Caller, method: str) -> None:
    assert nobody.v2(method, "/", b"").code == "MethodNotAllowedException"


def test_an_operation_that_nobody_signs_is_one_whose_credentials_are_in_it() -> None:
    assert {f"sts.{name}" for name in ("AssumeRoleWithSAML", "AssumeRoleWithWebIdentity")} == UNSIGNED
    assert {str(named) for named in KNOWN} >= UNSIGNED


@pytest.mark.parametrize("name", sorted(UNSIGNED))
def test_an_unsigned_operation_gives_nothing_for_nothing(nobody: Caller, a: Account, name: str) -> None:
    role = a.role(f"front-{name.partition('With')[2].lower()}")
    members = {"RoleArn": role, "RoleSessionName": "run-1", "WebIdentityToken": "a.b.c"}
    if name.endswith("SAML"):
        members = {
            "RoleArn": role,
            "PrincipalArn": f"arn:aws:iam::{a.id}:saml-provider/x",
            "SAMLAssertion": "YQ==",
        }

    answer = nobody.call(name, **members)

    assert answer.status in (400, 403)
    assert b"SecretAccessKey" not in answer.body


def test_another_operation_does_not_pass_under_the_name_of_an_unsigned_one(nobody: Caller) -> None:
    """Two names in one request: neither first nor last makes a signature needless."""
    free = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
    for text in (
        f"{free}&Action=GetCallerIdentity",
        f"Action=GetCallerIdentity&{free}",
        f"{free}&Version=2010-05-08&Action=ListUsers",
        f"Action=ListUsers&Version=2010-05-08&{free}",
        f"{free}&Action=GetCallerIdentity&Action=AssumeRoleWithWebIdentity",
    ):
        for headers in (
            [("content-type", "application/x-www-form-urlencoded")],
            [("content-type", "application/x-amz-json-1.1")],
            [],
        ):
            answer = nobody.send("sts", text.encode(), headers)
            assert answer.status in (400, 403), text
            assert b"<Arn>" not in answer.body
            assert b"<Users>" not in answer.body


def test_a_target_and_a_form_at_once_are_one_request(nobody: Caller, a: Account) -> None:
    """The form of an unsigned operation with the target of another."""
    form = b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
    target = ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")
    assert nobody.send("ecr", form, [target]).code == "MissingAuthenticationTokenException"
    body, headers = serialized("ecr", "DescribeRepositories", {})
    query = "/?Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
    answer = a.door.ask("POST", query, [("host", a.door.host), *headers], body)
    assert answer.code == "MissingAuthenticationTokenException"
