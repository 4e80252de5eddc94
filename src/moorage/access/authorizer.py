"""The one decision that every request passes: gather what speaks for and against it, ask the pure `decide`, remember.

A decision is remembered by who asks for what on which resource, until the epoch of either account rises. What it read
of the request itself decides how far the memory reaches:

    nothing                                   for every request of that caller
    the client's address, TLS, the image tag  for requests that have the same
    anything else (the time, request tags)    not remembered
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from moorage.access.epochs import Epochs
from moorage.access.grants import Facts, Grants, StoredGrants, account_of
from moorage.access.policies.compile import Policy
from moorage.access.policies.context import is_lasting
from moorage.access.policies.decide import Asked, Decision, PolicySet, decide
from moorage.access.principals import Principal
from moorage.base.http import Arrival

Context = Mapping[str, str | tuple[str, ...]]
"""Condition keys in lower case."""

IMAGE_TAG = "moorage:imagetag"
_RECOVERY = frozenset(
    {
        "ecr:DeleteRegistryPolicy",
        "ecr:DeleteRepositoryPolicy",
        "ecr:GetRegistryPolicy",
        "ecr:GetRepositoryPolicy",
        "ecr:PutRegistryPolicy",
        "ecr:SetRepositoryPolicy",
    }
)
"""What a resource's own policy cannot keep the root of its account from: somebody must be able to mend it."""
_REMEMBERED = 65_536
_OF_CONNECTION = frozenset({"aws:sourceip", "aws:vpcsourceip", "aws:securetransport"})
_OF_PLACE = frozenset(
    {"aws:requestedregion", "aws:sourcevpc", "aws:sourcevpcarn", "aws:sourcevpce", "aws:vpceaccount"}
)
"""The same for all that is remembered in one place."""


class Endpoint(Protocol):
    """A private endpoint that a request came through (`access.endpoints`)."""

    @property
    def id(self) -> str: ...
    @property
    def policies(self) -> tuple[Policy, ...]: ...
    def context(self, arrival: Arrival) -> Context: ...


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a request adds to who asks for what: where from, when, over what."""

    arrival: Arrival
    endpoint: Endpoint | None
    region: str
    now: int
    """Microseconds."""
    user_agent: str = ""
    referer: str = ""
    replica_of: str = ""
    """Of a call that another installation replicates with: where what it brings was changed, and when."""


class Way(NamedTuple):
    """As much of the circumstances as a decision that is remembered can have read.

    A tuple is made four times as fast as they are: it counts where an answer takes five microseconds.
    """

    arrival: Arrival
    endpoint: Endpoint | None
    region: str


@dataclass(frozen=True, slots=True)
class _Memory:
    caller_epoch: int
    account: str
    """Of the resource."""
    account_epoch: int
    endpoint: Endpoint | None
    reads_connection: bool
    reads_tag: bool
    allowed: dict[tuple[str, bool, str], bool]
    """By address, TLS and tag, as far as they are read."""


class Authorizer:
    def __init__(self, stored: StoredGrants, epochs: Epochs) -> None:
        self._stored = stored
        self._epochs = epochs
        self._memories: dict[tuple[str, str, str, str, str], _Memory] = {}

    def remembered(
        self, principal: Principal, action: str, resource: str, around: Circumstances | Way, tag: str = ""
    ) -> bool | None:
        """What was decided before and still holds; None asks `decide`. `resource` is an ARN."""
        memory = self._memories.get(_place(principal, action, resource, around))
        if (
            memory is None
            or memory.caller_epoch != self._epochs.of(principal.account)
            or memory.account_epoch != self._epochs.of(memory.account)
            or memory.endpoint is not around.endpoint
        ):
            return None
        return memory.allowed.get(_part(memory, around.arrival, tag))

    async def grants_of(self, principal: Principal) -> Grants:
        """What is stored about a principal, for a simulation."""
        return await self._stored.of(principal)

    def asks_for_tag(self, principal: Principal, action: str, resource: str, around: Circumstances) -> bool:
        """Whether a policy may ask for the image's tag; False only where a decision that still holds says no."""
        memory = self._memories.get(_place(principal, action, resource, around))
        if memory is None or self.remembered(principal, action, resource, around) is None:
            return True
        return memory.reads_tag

    async def decide(
        self,
        principal: Principal,
        action: str,
        resource: str,
        account: str,
        around: Circumstances,
        context: Context | None = None,
        trust: tuple[Policy, ...] | None = None,
        instead: tuple[Policy, ...] | None = None,
        grants: Grants | None = None,
    ) -> Decision:
        """`account` is that of the registry called, for a resource that names none (`*`).

        `trust` stands for the policies of the resource, and has to allow as well: that of a role being assumed.
        `instead` stands for them to try out what is not stored yet. `grants` stands for what is stored about the
        principal: for who has no rows here, somebody whom an identity provider vouches for.
        """
        owner = account_of(resource) or account
        caller_epoch, owner_epoch = (
            self._epochs.of(principal.account),
            self._epochs.of(owner),
        )  # before the facts
        stored = grants or await self._stored.of(principal)
        facts = await self._stored.about(resource, owner, around.region)
        if trust is not None or instead is not None:
            facts = replace(facts, policies=trust or instead or ())
        else:
            facts = as_asked(facts, principal, action)
        policies = _policies(stored, facts, around.endpoint, resource_must_allow=trust is not None)
        asked = Asked(
            caller=stored.caller,
            action=action,
            resource=resource,
            resource_account=facts.account,
            context=_context(stored, facts, around, context) if policies.reads else {},
        )
        decision = decide(asked, policies)
        if trust is None and instead is None and grants is None:
            self._remember(
                (principal, caller_epoch), action, resource, (facts.account, owner_epoch), around, context or {},
                policies.reads, decision.allowed,
            )  # fmt: skip
        return decision

    def _remember(
        self,
        caller: tuple[Principal, int],
        action: str,
        resource: str,
        owner: tuple[str, int],
        around: Circumstances,
        context: Context,
        reads: frozenset[str],
        allowed: bool,
    ) -> None:
        if not all(map(_is_told_apart, reads)) or any(key in reads for key in context if key != IMAGE_TAG):
            return
        tag = context.get(IMAGE_TAG, "")
        if IMAGE_TAG in reads and not isinstance(tag, str):
            return
        principal, caller_epoch = caller
        key = _place(principal, action, resource, around)
        memory = self._memories.get(key)
        fresh = _Memory(
            caller_epoch, *owner, around.endpoint, bool(reads & _OF_CONNECTION), IMAGE_TAG in reads, {}
        )
        if memory is None or not _is_same(memory, fresh):
            if len(self._memories) >= _REMEMBERED:
                self._memories.clear()
            memory = self._memories[key] = fresh
        if len(memory.allowed) >= _REMEMBERED:
            memory.allowed.clear()
        memory.allowed[_part(memory, around.arrival, tag if isinstance(tag, str) else "")] = allowed


def _is_told_apart(key: str) -> bool:
    """Also a key that this request lacks: the next may have it. So one that nobody has listed is not remembered."""
    return key == IMAGE_TAG or key in _OF_CONNECTION or key in _OF_PLACE or is_lasting(key)


def as_asked(facts: Facts, principal: Principal, action: str) -> Facts:
    """What is asked about the resource: for the mending of its policies by the root of its account, not those."""
    if principal.kind == "root" and principal.account == facts.account and action in _RECOVERY:
        return replace(facts, policies=())
    return facts


def _place(
    principal: Principal, action: str, resource: str, around: Circumstances | Way
) -> tuple[str, str, str, str, str]:
    """Under which a decision is remembered."""
    endpoint = around.endpoint
    through = endpoint.id if endpoint is not None else ""
    return principal.access_key_id, action, resource, around.region, through


def _is_same(one: _Memory, other: _Memory) -> bool:
    return (
        one.caller_epoch == other.caller_epoch
        and one.account_epoch == other.account_epoch
        and one.endpoint is other.endpoint
        and one.reads_connection == other.reads_connection
        and one.reads_tag == other.reads_tag
    )


def _part(memory: _Memory, arrival: Arrival, tag: str) -> tuple[str, bool, str]:
    if memory.reads_connection:
        return arrival.address, arrival.secure, tag if memory.reads_tag else ""
    return "", False, tag if memory.reads_tag else ""


def _policies(
    grants: Grants, facts: Facts, endpoint: Endpoint | None, *, resource_must_allow: bool
) -> PolicySet:
    return PolicySet(
        identity=grants.identity,
        boundary=grants.boundary,
        session=grants.session,
        resource=facts.policies,
        scps=grants.scps,
        rcps=facts.rcps,
        endpoint=endpoint.policies if endpoint is not None else None,
        resource_must_allow=resource_must_allow,
    )


def _context(grants: Grants, facts: Facts, around: Circumstances, context: Context | None) -> Context:
    """Every condition key that this request has. Nothing comes from headers but user agent and referer."""
    arrival = around.arrival
    gathered: dict[str, str | tuple[str, ...]] = {
        **grants.context,
        **facts.context,
        "aws:securetransport": "true" if arrival.secure else "false",
        "aws:requestedregion": around.region,
        "aws:epochtime": str(around.now // 1_000_000),
        "aws:currenttime": datetime.fromtimestamp(around.now / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if around.endpoint is not None:
        gathered.update(around.endpoint.context(arrival))
    elif arrival.address:
        gathered["aws:sourceip"] = arrival.address
    if around.user_agent:
        gathered["aws:useragent"] = around.user_agent
    if around.referer:
        gathered["aws:referer"] = around.referer
    gathered.update(context or {})
    return gathered
