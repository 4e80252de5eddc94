"""What the claims of a web identity mean to policies: condition keys, session tags, source identity. Pure.

Sources: IAM user guide, "Available keys for AWS OIDC federation", and STS user guide, "Passing session tags using
AssumeRoleWithWebIdentity".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from moorage.access.web_identity.token import WebIdentity
from moorage.base.errors.identities import IDPRejectedClaim

Context = Mapping[str, str | tuple[str, ...]]

_TAGS = "https://aws.amazon.com/tags"
_SOURCE_IDENTITY = "https://aws.amazon.com/source_identity"
_VALUES_MAX, _VALUE_MAX = 64, 2_048

_OF_ALL = ("azp", "email", "oaud")
# Claims of well-known providers that a trust policy may ask for besides; of others only those above.
_OF_ISSUER: Mapping[str, tuple[str, ...]] = {
    "accounts.google.com": ("google/organization_number", "hd"),
    "agent.buildkite.com": (
        "agent_id",
        "build_branch",
        "build_commit",
        "build_tag",
        "job_id",
        "organization_id",
        "organization_slug",
        "pipeline_id",
        "pipeline_slug",
        "step_key",
    ),
    "gitlab.com": (
        "deployment_tier",
        "environment",
        "namespace_id",
        "namespace_path",
        "pipeline_source",
        "project_id",
        "project_path",
        "project_visibility",
        "ref",
        "ref_path",
        "ref_protected",
        "ref_type",
        "user_login",
    ),
    "oidc.circleci.com": ("oidc.circleci.com/project-id", "oidc.circleci.com/vcs-ref"),
    "token.actions.githubusercontent.com": (
        "actor",
        "actor_id",
        "base_ref",
        "enterprise_id",
        "environment",
        "event_name",
        "head_ref",
        "job_workflow_ref",
        "ref",
        "ref_type",
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "repository_visibility",
        "runner_environment",
        "workflow",
        "workflow_ref",
    ),
}


@dataclass(frozen=True, slots=True)
class Carried:
    """What a token asks to go into the session."""

    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: tuple[str, ...] = ()
    source_identity: str = ""


def condition_keys(provider: str, identity: WebIdentity) -> Context:
    """In lower case; `provider` is its host and path, `token.actions.githubusercontent.com`.

    `aud` is the audience that was accepted, never all that the token lists.
    """
    keys: dict[str, str | tuple[str, ...]] = {
        f"{provider}:aud": identity.audience,
        f"{provider}:sub": identity.subject,
    }
    references = identity.claims.get("amr")
    if isinstance(references, list) and references and all(isinstance(name, str) for name in references):
        keys[f"{provider}:amr"] = tuple(references[:_VALUES_MAX])
    for name in (*_OF_ALL, *_OF_ISSUER.get(provider.partition("/")[0].lower(), ())):
        value = identity.claims.get(name)
        if isinstance(value, str) and len(value) <= _VALUE_MAX:
            keys[f"{provider}:{name.rpartition('/')[2]}"] = value
    return {name.lower(): value for name, value in keys.items()}


def carried(identity: WebIdentity) -> Carried:
    """Raise `IDPRejectedClaim` for a claim that is not as it should be: what was meant is not known."""
    source = identity.claims.get(_SOURCE_IDENTITY, "")
    if not isinstance(source, str):
        raise IDPRejectedClaim("The claim of the source identity is not a string")
    claim = identity.claims.get(_TAGS, {})
    if not isinstance(claim, dict):
        raise _bad_tags()
    tags, transitive = claim.get("principal_tags", {}), claim.get("transitive_tag_keys", [])
    if not isinstance(tags, dict) or not isinstance(transitive, list):
        raise _bad_tags()
    if not all(isinstance(key, str) for key in transitive):
        raise _bad_tags()
    return Carried({key: _only(value) for key, value in tags.items()}, tuple(transitive), source)


def _only(value: Any) -> str:
    """Each tag is a list of one value."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    raise _bad_tags()


def _bad_tags() -> IDPRejectedClaim:
    return IDPRejectedClaim("The claim of session tags is not as it should be")
