"""May they? One pure function over everything that has a say.

The steps are those of Amazon's guide, "Policy evaluation logic", and of its table for requests inside one account:

1.  `sts:GetCallerIdentity` is always allowed.
2.  An explicit deny wins, wherever it stands.
3.  Every level of service control policies must allow (who has no account, and service-linked roles, are not asked).
4.  The endpoint's policy must allow, if the request came through one.
5.  The resource's policies: how directly do they grant it?
6.  Services, the anonymous, and those of an identity provider have nothing but such grants.
7.  From another account, or where the resource's policy must allow (trust and key policies), no grant is a refusal.
8.  A direct grant inside the account is enough: neither identity policies nor boundary nor session policy are asked.
9.  Identity policies must allow, unless the resource's policy grants it to the caller's role in the same account.
    Root needs none. A federated session has them only through a session policy.
10. A permissions boundary must allow, then the session policies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from moorage.access.policies.asked import Asked, Caller
from moorage.access.policies.compile import Policy, Statement
from moorage.access.policies.principals import Grant

__all__ = ["Asked", "Caller", "Decision", "Layer", "PolicySet", "decide"]

Layer = Literal["identity", "resource", "boundary", "session", "scp", "rcp", "endpoint", "trust"]
Levels = tuple[tuple[Policy, ...], ...]
Found = tuple[Policy, Statement]

_ALWAYS_ALLOWED = "sts:getcalleridentity"


@dataclass(frozen=True)
class PolicySet:
    """Everything that has a say in a request. None is what there is not; an empty tuple allows nothing."""

    identity: tuple[Policy, ...] = ()
    boundary: tuple[Policy, ...] | None = None
    session: tuple[Policy, ...] | None = None
    resource: tuple[Policy, ...] = ()
    """The repository's and the registry's, or the role's trust policy, or the key's policy."""
    scps: Levels = ()
    """From the root of the organization down to the account."""
    rcps: Levels = ()
    endpoint: tuple[Policy, ...] | None = None
    resource_must_allow: bool = False
    """Of trust and key policies: without their grant there is no access, in the same account neither."""

    @cached_property
    def reads(self) -> frozenset[str]:
        """The condition keys that may be looked at."""
        return frozenset().union(*(policy.reads for policy in self.all))

    @property
    def all(self) -> Iterable[Policy]:
        for level in (*self.scps, *self.rcps):
            yield from level
        for policies in (self.endpoint, self.resource, self.identity, self.boundary, self.session):
            yield from policies or ()


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    explicit: bool = False
    """A statement denies it; otherwise nothing allows it."""
    layer: Layer | None = None
    """What allowed or refused."""
    source: str = ""
    """Of the policy that has the statement."""
    statement: str = ""
    """The Sid."""


def decide(asked: Asked, policies: PolicySet) -> Decision:
    caller = asked.caller

    # 1. Whoever signs may know whom the signature is of.
    if asked.action.lower() == _ALWAYS_ALLOWED:
        return Decision(allowed=True)

    # 2. Explicit denies.
    denial = _denial(asked, policies)
    if denial is not None:
        return denial

    # 3. Service control policies.
    if _is_controlled(caller) and not all(_allows(level, asked) for level in policies.scps):
        return _refused("scp")

    # 4. The endpoint.
    if policies.endpoint is not None and not _names_and_allows(policies.endpoint, asked):
        return _refused("endpoint")

    # 5. The resource.
    grant, granting = _granted(policies.resource, asked)

    # 6. Callers who have no policies of their own.
    if not caller.has_identity:
        return (
            _decision(granting, _resource_layer(policies))
            if granting
            else _refused(_resource_layer(policies))
        )

    # 7. Both accounts must agree.
    is_foreign = caller.account != asked.resource_account
    if grant is Grant.NONE and (is_foreign or policies.resource_must_allow):
        return _refused(_resource_layer(policies))

    # 8. A direct grant.
    if grant is Grant.DIRECT and granting and not is_foreign:
        return _decision(granting, _resource_layer(policies))

    # 9. Identity policies.
    if grant is Grant.ROLE and granting and not is_foreign:
        allowed = _decision(granting, _resource_layer(policies))
    elif caller.kind == "root":
        allowed = Decision(allowed=True)
    else:
        found = None if _lacks_identity(caller, policies) else _allows(policies.identity, asked)
        if found is None:
            return _refused("identity")
        allowed = _decision(found, "identity")

    # 10. What limits them.
    if policies.boundary is not None and not _allows(policies.boundary, asked):
        return _refused("boundary")
    if policies.session is not None and not _allows(policies.session, asked):
        return _refused("session")
    return allowed


def _denial(asked: Asked, policies: PolicySet) -> Decision | None:
    """The first explicit deny, in the order in which they are named to the caller."""
    caller = asked.caller
    if _is_controlled(caller):
        for level in policies.scps:
            if found := _denies(level, asked):
                return _denied(found, "scp")
    if not caller.is_service_linked:
        for level in policies.rcps:
            if found := _denies_caller(level, asked):
                return _denied(found, "rcp")
    if found := _denies_caller(policies.endpoint or (), asked):
        return _denied(found, "endpoint")
    if found := _denies_caller(policies.resource, asked):
        return _denied(found, _resource_layer(policies))
    if found := _denies(policies.identity, asked):
        return _denied(found, "identity")
    if found := _denies(policies.boundary or (), asked):
        return _denied(found, "boundary")
    if found := _denies(policies.session or (), asked):
        return _denied(found, "session")
    return None


def _denies(policies: Iterable[Policy], asked: Asked) -> Found | None:
    for policy in policies:
        for statement in policy.candidates(asked.action).denies.about(asked.resource):
            if statement.holds(asked):
                return policy, statement
    return None


def _denies_caller(policies: Iterable[Policy], asked: Asked) -> Found | None:
    """In policies that say whom they mean."""
    for policy in policies:
        for statement in policy.candidates(asked.action).denies.about(asked.resource):
            if statement.grant(asked.caller) is not Grant.NONE and statement.holds(asked):
                return policy, statement
    return None


def _allows(policies: Iterable[Policy], asked: Asked) -> Found | None:
    for policy in policies:
        for statement in policy.candidates(asked.action).allows.about(asked.resource):
            if statement.holds(asked):
                return policy, statement
    return None


def _names_and_allows(policies: Iterable[Policy], asked: Asked) -> bool:
    return _granted(policies, asked)[0] is not Grant.NONE


def _granted(policies: Iterable[Policy], asked: Asked) -> tuple[Grant, Found | None]:
    """The most direct grant, and who gives it."""
    best, granting = Grant.NONE, None
    for policy in policies:
        for statement in policy.candidates(asked.action).allows.about(asked.resource):
            grant = statement.grant(asked.caller)
            if grant > best and statement.holds(asked):
                best, granting = grant, (policy, statement)
    return best, granting


def _is_controlled(caller: Caller) -> bool:
    return caller.has_identity and not caller.is_service_linked


def _lacks_identity(caller: Caller, policies: PolicySet) -> bool:
    return caller.kind == "federated" and policies.session is None


def _resource_layer(policies: PolicySet) -> Layer:
    return "trust" if any(policy.kind == "trust" for policy in policies.resource) else "resource"


def _decision(found: Found, layer: Layer) -> Decision:
    policy, statement = found
    return Decision(True, False, layer, policy.source, statement.sid)


def _denied(found: Found, layer: Layer) -> Decision:
    policy, statement = found
    return Decision(False, True, layer, policy.source, statement.sid)


def _refused(layer: Layer) -> Decision:
    return Decision(allowed=False, layer=layer)
