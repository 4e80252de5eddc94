"""Who called, as AWS CloudTrail writes it (`userIdentity`). Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moorage.access.principals import Principal
from moorage.base.clock import SECOND


def user_identity(principal: Principal) -> dict[str, Any]:
    """Of the caller; the secret of no credential is known here."""
    if principal.kind == "anonymous":
        return {"type": "Unknown", "principalId": "", "accountId": ""}
    identity: dict[str, Any] = {
        "type": _type(principal),
        "principalId": principal.user_id,
        "arn": principal.arn,
        "accountId": principal.account,
        "accessKeyId": principal.access_key_id,
    }
    if principal.kind == "user":
        identity["userName"] = principal.name
    if principal.session is not None:
        identity["sessionContext"] = _session(principal)
    return identity


def username(principal: Principal) -> str:
    """What a record is found by: the user's name, the session's of a role, `root`."""
    if principal.kind == "role":
        return principal.session.name if principal.session else principal.name
    return principal.name or principal.kind


def _type(principal: Principal) -> str:
    return {"root": "Root", "user": "IAMUser", "role": "AssumedRole", "anonymous": "Unknown"}[principal.kind]


def _session(principal: Principal) -> dict[str, Any]:
    assert principal.session is not None  # the caller looked
    context: dict[str, Any] = {
        "attributes": {"creationDate": _moment(principal.session.issued), "mfaAuthenticated": "false"}
    }
    if principal.kind == "role":
        context["sessionIssuer"] = {
            "type": "Role",
            "principalId": principal.id,
            "arn": principal.role_arn,
            "accountId": principal.account,
            "userName": principal.name,
        }
    if principal.session.source_identity:
        context["sourceIdentity"] = principal.session.source_identity
    if principal.session.provider:
        context["webIdFederationData"] = {"federatedProvider": principal.session.provider, "attributes": {}}
    return context


def _moment(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"
