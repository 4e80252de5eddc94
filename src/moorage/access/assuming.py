"""May somebody begin a session of a role? Its trust policy must allow it, and what speaks for the caller.

A role that is not there, one whose path is another and one that does not trust the caller are refused alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from moorage.access.authorizer import Context
from moorage.access.call import Call
from moorage.access.grants import Grants
from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Entity
from moorage.access.policies.compile import Policy, compile_policy
from moorage.access.policies.document import MalformedPolicy
from moorage.base.errors.requests import Validation

_ROLE = re.compile(r"arn:aws:iam::(?P<account>[0-9]{12}):role/(?:[\x21-\x7e]*/)?(?P<name>[\w+=,.@-]{1,64})")


@dataclass(frozen=True, slots=True)
class RoleArn:
    account: str
    name: str
    text: str

    @classmethod
    def parse(cls, text: str) -> RoleArn:
        """Raise `Validation`."""
        match = _ROLE.fullmatch(text)
        if match is None:
            raise Validation(f"{text} is invalid")
        return cls(match["account"], match["name"], text)


@dataclass(frozen=True, slots=True)
class Refused:
    action: str
    """The first that is not allowed."""


async def role_for(
    call: Call, arn: RoleArn, actions: Sequence[str], context: Context, grants: Grants | None = None
) -> Entity | Refused:
    """The role, if the caller may do all of `actions` (`sts:AssumeRole`, `sts:TagSession`) on it.

    `grants` stands for what is stored about the caller.
    """
    role = await entities.find(call.db, arn.account, "role", arn.name)
    trust = _trust(role) if role is not None and role.arn == arn.text else ()
    for action in actions:
        decision = await call.services.authorizer.decide(
            call.principal, action, arn.text, call.account, call.around, context, trust=trust, grants=grants
        )
        if role is None or not decision.allowed:
            return Refused(action)
    return role or Refused(actions[0])


def _trust(role: Entity) -> tuple[Policy, ...]:
    """As it is stored, with the ids of the principals of its account. One that cannot be read trusts nobody."""
    try:
        return (compile_policy(role.trust_policy, "trust", source=role.arn),)
    except MalformedPolicy:
        return ()
