"""Claims as condition keys and session tags."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.access.web_identity.claims import Carried, carried, condition_keys
from moorage.access.web_identity.token import WebIdentity
from moorage.base.errors.identities import IDPRejectedClaim

TAGS = "https://aws.amazon.com/tags"


def identity(**claims: Any) -> WebIdentity:
    return WebIdentity("https://idp.example", "somebody", "client", claims)


def test_every_provider_fills_audience_and_subject() -> None:
    keys = condition_keys("idp.example/Realm", identity(aud=["client", "other"], repository="a/b"))

    assert keys == {"idp.example/realm:aud": "client", "idp.example/realm:sub": "somebody"}


def test_claims_that_are_no_strings_fill_nothing() -> None:
    keys = condition_keys("idp.example", identity(azp=7, email=["a"], amr="mfa"))

    assert set(keys) == {"idp.example:aud", "idp.example:sub"}
    assert condition_keys("idp.example", identity(amr=["authenticated", 7])).keys() == keys.keys()


def test_authentication_methods_are_a_list() -> None:
    assert condition_keys("idp.example", identity(amr=["a", "b"]))["idp.example:amr"] == ("a", "b")


@pytest.mark.parametrize(
    ("provider", "claim", "key"),
    [
        ("token.actions.githubusercontent.com", "job_workflow_ref", "job_workflow_ref"),
        ("token.actions.githubusercontent.com/octo-org", "repository_id", "repository_id"),
        ("gitlab.com", "namespace_path", "namespace_path"),
        ("agent.buildkite.com", "pipeline_slug", "pipeline_slug"),
        ("oidc.circleci.com/org/1-2", "oidc.circleci.com/project-id", "project-id"),
    ],
)
def test_well_known_providers_fill_their_own_keys(provider: str, claim: str, key: str) -> None:
    assert condition_keys(provider, identity(**{claim: "x"}))[f"{provider}:{key}"] == "x"
    assert f"evil.example:{key}" not in condition_keys("evil.example", identity(**{claim: "x"}))


def test_a_claim_cannot_stand_for_audience_or_subject() -> None:
    keys = condition_keys("oidc.circleci.com/org/1", identity(**{"x/sub": "admin", "x/aud": "other"}))

    assert keys["oidc.circleci.com/org/1:sub"] == "somebody"
    assert keys["oidc.circleci.com/org/1:aud"] == "client"


def test_tags_and_source_identity_come_with_the_token() -> None:
    claim = {"principal_tags": {"Team": ["a"], "Stage": ["b"]}, "transitive_tag_keys": ["Team"]}

    assert carried(identity()) == Carried()
    assert carried(identity(**{TAGS: claim, "https://aws.amazon.com/source_identity": "alice"})) == Carried(
        {"Team": "a", "Stage": "b"}, ("Team",), "alice"
    )


@pytest.mark.parametrize(
    "claim",
    [
        "text",
        {"principal_tags": []},
        {"principal_tags": {"a": "b"}},
        {"principal_tags": {"a": []}},
        {"principal_tags": {"a": ["b", "c"]}},
        {"principal_tags": {"a": [7]}},
        {"transitive_tag_keys": "a"},
        {"transitive_tag_keys": [7]},
    ],
)
def test_a_claim_of_tags_in_another_form_is_refused(claim: object) -> None:
    with pytest.raises(IDPRejectedClaim):
        carried(identity(**{TAGS: claim}))


def test_a_source_identity_that_is_no_string_is_refused() -> None:
    with pytest.raises(IDPRejectedClaim):
        carried(identity(**{"https://aws.amazon.com/source_identity": ["alice"]}))
