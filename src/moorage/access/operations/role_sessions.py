"""What the ways to assume a role share, once it is known that the caller may."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.access.call import Call
from moorage.access.identities import managed
from moorage.access.identities.entity import Entity
from moorage.access.operations import documents
from moorage.access.session_tags import SessionTags
from moorage.access.sessions import SessionRequest, Temporary
from moorage.aws.shapes.sts import AssumedRoleUser, Credentials, PolicyDescriptorType
from moorage.base.clock import SECOND
from moorage.base.errors.requests import Validation

DEFAULT_S = 3_600
_POLICIES_MAX = 10


async def begin(call: Call, role: Entity, request: SessionRequest) -> Temporary:
    """Raise `Validation`, `MalformedPolicyDocument` or `PackedPolicyTooLarge`."""
    if request.seconds > role.session_s:
        raise Validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    if request.policy:
        documents.check(request.policy, "identity")
    for arn in request.policy_arns:
        if await managed.document(call.db, role.account, arn) is None:
            raise Validation(f"Policy {arn} does not exist or is not attachable.")
    return await call.services.sessions.issue(request, call.now)


def context_of(
    name: str, asked: Sequence[tuple[str, str]], tags: SessionTags, source_identity: str
) -> dict[str, str | tuple[str, ...]]:
    """The condition keys of a role being assumed (service authorization reference of STS)."""
    context: dict[str, str | tuple[str, ...]] = {"sts:rolesessionname": name}
    if source_identity:
        context["sts:sourceidentity"] = source_identity
    if asked:
        context["aws:tagkeys"] = tuple(key for key, _ in asked)
        context |= {f"aws:requesttag/{key.lower()}": value for key, value in asked}
    if tags.transitive:
        context["sts:transitivetagkeys"] = tags.transitive
    return context


def actions(first: str, tags: SessionTags, source_identity: str) -> list[str]:
    """All that must be allowed: what a session inherits counts as what it asks for."""
    needed = [first]
    if tags.tags:
        needed.append("sts:TagSession")
    if source_identity:
        needed.append("sts:SetSourceIdentity")
    return needed


def policy_arns(listed: Sequence[PolicyDescriptorType] | None) -> tuple[str, ...]:
    """Raise `Validation`."""
    arns = tuple(descriptor.arn for descriptor in listed or () if descriptor.arn is not None)
    if len(arns) > _POLICIES_MAX:
        raise Validation(f"At most {_POLICIES_MAX} managed policies can be given for a session.")
    return arns


def credentials_of(temporary: Temporary) -> Credentials:
    return Credentials(
        access_key_id=temporary.access_key_id,
        secret_access_key=temporary.secret,
        session_token=temporary.token,
        expiration=float(temporary.expires // SECOND),
    )


def user_of(role: Entity, name: str) -> AssumedRoleUser:
    return AssumedRoleUser(
        assumed_role_id=f"{role.id}:{name}",
        arn=f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{name}",
    )


def packed_size(temporary: Temporary) -> int | None:
    """In percent; nothing if nothing was packed."""
    return temporary.packed_percent or None
