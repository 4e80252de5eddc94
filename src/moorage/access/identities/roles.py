"""Roles: who may assume one is its trust policy; what its sessions may do are its policies."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.access.identities import entity as entities
from moorage.access.identities import trust
from moorage.access.identities.entity import Entity
from moorage.access.identities.inline import counted_size
from moorage.base.errors.identities import InvalidInput, UnmodifiableEntity
from moorage.base.errors.images import LimitExceeded
from moorage.store.db.api import Reads, Transaction

MOST_TRUST_CHARACTERS = 4_096
"""Of a trust policy, without white space: what AWS raises its quota to, on request."""
MOST_TRUST_CHARACTERS_OF_AWS = 2_048

SERVICE_LINKED = "/aws-service-role/"
"""The path under which services have their roles, and nobody else."""


def is_service_linked(role: Entity) -> bool:
    return role.kind == "role" and role.path.startswith(SERVICE_LINKED)


def refuse_service_linked(role: Entity) -> None:
    """Raise `UnmodifiableEntity` for a role that belongs to a service."""
    if is_service_linked(role):
        raise UnmodifiableEntity(
            f"Cannot perform the operation on the protected role '{role.name}' - this role is only modifiable by AWS"
        )


async def need_own(reads: Reads, account: str, name: str) -> Entity:
    """A role to change; raise `NoSuchEntity`, `UnmodifiableEntity`."""
    role = await entities.need(reads, account, "role", name)
    refuse_service_linked(role)
    return role


async def create(
    tx: Transaction,
    account: str,
    name: str,
    trust_policy: str,
    now: int,
    *,
    path: str = "/",
    description: str = "",
    session_s: int = entities.SESSION_S,
    boundary: str = "",
    most_trust: int = MOST_TRUST_CHARACTERS,
) -> Entity:
    """`trust_policy` has passed `parse`. Raise `EntityAlreadyExists`, `MalformedPolicyDocument`, `LimitExceeded`."""
    if path.startswith(SERVICE_LINKED):
        raise InvalidInput(f"The path {SERVICE_LINKED} is for service-linked roles.")
    refuse_too_large(trust_policy, most_trust)
    return await entities.insert(
        tx,
        account,
        "role",
        name,
        now,
        path=path,
        description=description,
        trust_policy=await trust.with_ids(tx, account, trust_policy),
        session_s=session_s,
        boundary=boundary,
    )


async def set_trust(
    tx: Transaction, role: Entity, trust_policy: str, most: int = MOST_TRUST_CHARACTERS
) -> None:
    """Raise as `create`."""
    refuse_too_large(trust_policy, most)
    await entities.set_role(
        tx,
        role,
        trust_policy=await trust.with_ids(tx, role.account, trust_policy),
        description=role.description,
        session_s=role.session_s,
    )


async def describe(
    tx: Transaction, role: Entity, *, description: str | None, session_s: int | None = None
) -> None:
    """What is None stays."""
    await entities.set_role(
        tx,
        role,
        trust_policy=role.trust_policy,
        description=role.description if description is None else description,
        session_s=session_s or role.session_s,
    )


async def trust_policy_of(reads: Reads, role: Entity) -> str:
    """As it is shown, and as who may assume the role is decided: ids are the ARNs of those who live."""
    return (await trust.with_arns(reads, role.account, {role.id: role.trust_policy}))[role.id]


async def trust_policies_of(reads: Reads, account: str, roles: Sequence[Entity]) -> dict[str, str]:
    """The same of several roles of an account, by their ids."""
    return await trust.with_arns(reads, account, {role.id: role.trust_policy for role in roles})


def refuse_too_large(trust_policy: str, most: int) -> None:
    """Raise `LimitExceeded`."""
    if counted_size(trust_policy) > most:
        raise LimitExceeded(f"Cannot exceed quota for ACLSizePerRole: {most}")
