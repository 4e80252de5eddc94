"""May they? What the stages of a call and the operations ask; the answer is the authorizer's."""

from __future__ import annotations

from collections.abc import Iterable

from moorage.access.authorizer import IMAGE_TAG, Context
from moorage.access.call import Call
from moorage.access.grants import account_of
from moorage.access.policies.decide import Decision
from moorage.access.policies.denial import because
from moorage.base.errors.access import AccessDenied

_AS_BEFORE = Decision(allowed=True)


async def authorize(call: Call, action: str, resource: str, context: Context | None = None) -> None:
    """Raise `AccessDenied` unless the caller may do `action` (`ecr:PutImage`) on `resource` (an ARN, or `*`).

    `context` has what the request itself says: condition keys in lower case.
    """
    decision = await decision_on(call, action, resource, context)
    if not decision.allowed:
        raise denied(call, action, resource, decision)


async def allows(call: Call, action: str, resource: str, context: Context | None = None) -> bool:
    """Whether `authorize` would let it pass, for a decision inside an operation (a mount's source)."""
    return (await decision_on(call, action, resource, context)).allowed


async def authorize_tags(call: Call, action: str, resource: str, tags: Iterable[str]) -> None:
    """What reaches an image by its digest reaches it under all of its tags, if any policy asks for the tag."""
    for tag in tags:
        await authorize(call, action, resource, {IMAGE_TAG: tag})


def asks_for_tag(call: Call, action: str, resource: str) -> bool:
    return call.services.authorizer.asks_for_tag(call.principal, action, resource, call.around)


async def decision_on(call: Call, action: str, resource: str, context: Context | None = None) -> Decision:
    authorizer = call.services.authorizer
    tag = (context or {}).get(IMAGE_TAG, "")
    if authorizer.remembered(call.principal, action, resource, call.around, str(tag)):
        return _AS_BEFORE
    return await authorizer.decide(call.principal, action, resource, call.account, call.around, context)


def denied(call: Call, action: str, resource: str, decision: Decision) -> AccessDenied:
    is_own = account_of(resource) in ("", call.principal.account)
    names_source = call.limits.names_denying_policy and is_own
    return AccessDenied(
        principal=call.principal.arn,
        action=action,
        resource=resource,
        because=because(decision, action, names_source=names_source),
    )
