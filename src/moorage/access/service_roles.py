"""Roles that are handed to the service: may the caller hand it over (iam:PassRole), and may the service use it so?

Services have roles of their own besides, the service-linked ones, which are made when they are first needed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from moorage.access.assuming import RoleArn
from moorage.access.authorize import authorize, denied
from moorage.access.authorizer import Context
from moorage.access.call import Call
from moorage.access.grants import account_of
from moorage.access.identities import entity as entities
from moorage.access.identities import service_linked
from moorage.access.identities.entity import Entity
from moorage.access.policies.compile import compile_policy
from moorage.access.policies.decide import Asked, Caller, PolicySet, decide
from moorage.access.policies.document import MalformedPolicy
from moorage.access.principals import Principal, Session, principal_of
from moorage.base.clock import HOUR
from moorage.base.errors.requests import Validation

ECR = "ecr.amazonaws.com"
PULL_THROUGH_CACHE = "pullthroughcache.ecr.amazonaws.com"
_SESSION = "moorage"
_HAND_OVER = "iam:PassRole"


@dataclass(frozen=True, slots=True)
class Unusable:
    """What keeps a service from a role."""

    reason: str


async def check_passing(call: Call, arn: str, account: str, elsewhere: str = "") -> None:
    """Raise `Validation` for what is no role of `account`, `AccessDenied` where the caller may not pass it on.

    Whether the role is there, and what it may do, counts when it is used. `elsewhere` is an account of another
    installation, whose roles may be passed as well: nothing is stored here about them, so that only the caller's own
    policies have a say.
    """
    role, context = RoleArn.parse(arn), {"iam:passedtoservice": ECR}
    if role.account == account:
        await authorize(call, _HAND_OVER, arn, context)
        return
    if role.account != elsewhere:
        raise Validation(f"The role {arn} must be of the account of the registry, {account}")
    statement = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": _HAND_OVER, "Resource": arn}
    agrees = compile_policy(json.dumps({"Version": "2012-10-17", "Statement": [statement]}), "registry")
    decision = await call.services.authorizer.decide(
        call.principal, _HAND_OVER, arn, call.account, call.around, context, instead=(agrees,)
    )
    if not decision.allowed:
        raise denied(call, _HAND_OVER, arn, decision)


async def why_unusable(
    call: Call, arn: str, services: Sequence[str], actions: Sequence[str], resource: str, context: Context
) -> str:
    """What keeps one of `services` from doing `actions` with the role; empty for nothing."""
    principal = await assumed_by_service(call, arn, services, resource)
    if isinstance(principal, Unusable):
        return principal.reason
    for action in actions:
        decision = await call.services.authorizer.decide(
            principal, action, resource, call.account, call.around, context
        )
        if not decision.allowed:
            return f"has a role that may not do {action} there"
    return ""


async def assumed_by_service(
    call: Call, arn: str, services: Sequence[str], source: str
) -> Principal | Unusable:
    """A session of the role, if that trusts one of `services` on behalf of `source`.

    `source` is the ARN of what the service acts for. A trust policy that asks for it, or for its account
    (`aws:SourceArn`, `aws:SourceAccount`), is not used for others.
    """
    named = RoleArn.parse(arn)
    role = await entities.find(call.db, named.account, "role", named.name)
    if role is None or role.arn != arn:
        return Unusable("has a role that does not exist")
    context = {"aws:sourcearn": source, "aws:sourceaccount": account_of(source)}
    trusted = next((service for service in services if _trusts(role, service, context)), None)
    if trusted is None:
        return Unusable(f"has a role that does not trust {services[0]}")
    session = Session(name=_SESSION, issued=call.now, expires=call.now + HOUR)
    return principal_of(role, f"service:{role.id}", session)


def service_linked_arn(account: str, service: str) -> str:
    return f"arn:aws:iam::{account}:role/aws-service-role/{service}/{service_linked.SERVICES[service].role}"


async def ensure_service_linked(call: Call, account: str, service: str, *, caller_needs_right: bool) -> None:
    """Make the role of a service in an account, if it is not there. Raise `AccessDenied`."""
    name = service_linked.SERVICES[service].role
    if await entities.find(call.db, account, "role", name) is not None:
        return
    if caller_needs_right:
        arn = service_linked_arn(account, service)
        await authorize(call, "iam:CreateServiceLinkedRole", arn, {"iam:awsservicename": service})
    async with call.services.epochs.changing(account) as tx:
        if await entities.find(tx, account, "role", name) is None:
            await service_linked.create(tx, account, service, call.now)


def _trusts(role: Entity, service: str, context: Context) -> bool:
    try:
        trust = compile_policy(role.trust_policy, "trust", source=role.arn)
    except MalformedPolicy:
        return False
    caller = Caller(kind="service", account="", arn=service, service=service)
    asked = Asked(caller, "sts:AssumeRole", role.arn, role.account, context)
    return decide(asked, PolicySet(resource=(trust,), resource_must_allow=True)).allowed
