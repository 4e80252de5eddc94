"""Roles that are handed to the service: may the caller hand it over (iam:PassRole), and may the service use it so?"""

from __future__ import annotations

from collections.abc import Sequence

from moorage.access.assuming import RoleArn
from moorage.access.authorize import authorize
from moorage.access.authorizer import Context
from moorage.access.call import Call
from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Entity
from moorage.access.policies.compile import compile_policy
from moorage.access.policies.decide import Asked, Caller, PolicySet, decide
from moorage.access.policies.document import MalformedPolicy
from moorage.access.principals import Session, principal_of
from moorage.base.clock import HOUR
from moorage.base.errors.requests import Validation

ECR = "ecr.amazonaws.com"
PULL_THROUGH_CACHE = "pullthroughcache.ecr.amazonaws.com"
_SESSION = "moorage"


async def check_passing(call: Call, arn: str, account: str) -> None:
    """Raise `Validation` for what is no role of `account`, `AccessDenied` where the caller may not pass it on.

    Whether the role is there, and what it may do, counts when it is used.
    """
    if RoleArn.parse(arn).account != account:
        raise Validation(f"The role {arn} must be of the account of the registry, {account}")
    await authorize(call, "iam:PassRole", arn, {"iam:passedtoservice": ECR})


async def why_unusable(
    call: Call, arn: str, services: Sequence[str], actions: Sequence[str], resource: str, context: Context
) -> str:
    """What keeps one of `services` from doing `actions` with the role; empty for nothing."""
    named = RoleArn.parse(arn)
    role = await entities.find(call.db, named.account, "role", named.name)
    if role is None or role.arn != arn:
        return "has a role that does not exist"
    if not any(_trusts(role, service) for service in services):
        return f"has a role that does not trust {services[0]}"
    session = Session(name=_SESSION, issued=call.now, expires=call.now + HOUR)
    principal = principal_of(role, f"service:{role.id}", session)
    for action in actions:
        decision = await call.services.authorizer.decide(
            principal, action, resource, call.account, call.around, context
        )
        if not decision.allowed:
            return f"has a role that may not do {action} there"
    return ""


def _trusts(role: Entity, service: str) -> bool:
    try:
        trust = compile_policy(role.trust_policy, "trust", source=role.arn)
    except MalformedPolicy:
        return False
    caller = Caller(kind="service", account="", arn=service, service=service)
    asked = Asked(caller, "sts:AssumeRole", role.arn, role.account, {})
    return decide(asked, PolicySet(resource=(trust,), resource_must_allow=True)).allowed
