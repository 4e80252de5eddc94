"""What an account has: how many of each, its alias, its age."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.access.identities.entity import Kind
from moorage.base.errors.identities import NoSuchEntity
from moorage.base.errors.images import LimitExceeded
from moorage.store.db.api import Reads, Transaction

_QUOTAS: dict[Kind, tuple[str, int]] = {
    "group": ("GroupsPerAccount", 300),
    "role": ("RolesPerAccount", 1_000),
    "user": ("UsersPerAccount", 5_000),
}


@dataclass(frozen=True, slots=True)
class Counts:
    users: int
    groups: int
    roles: int
    policies: int
    policy_versions: int
    providers: int
    active_root_keys: int


async def counts(reads: Reads, account: str) -> Counts:
    values = {"account": account, "root": f"arn:aws:iam::{account}:root"}
    return Counts(*(await reads.one("identities.counts", values) or ()))


async def check_room(tx: Transaction, account: str, kind: Kind) -> None:
    """Raise `LimitExceeded` when there are as many as AWS allows an account."""
    name, most = _QUOTAS[kind]
    row = await tx.one("identities.count_kind", {"account": account, "kind": kind})
    if row is not None and row[0] >= most:
        raise LimitExceeded(f"Cannot exceed quota for {name}: {most}")


async def created(reads: Reads, account: str) -> int:
    """When, in microseconds."""
    row = await reads.one("identities.account_created", {"account": account})
    return 0 if row is None else int(row[0])


async def alias(reads: Reads, account: str) -> str | None:
    row = await reads.one("identities.alias", {"account": account})
    return None if row is None else str(row[0])


async def set_alias(tx: Transaction, account: str, name: str) -> None:
    """In the place of the one before. Raise `UniqueViolation` when another account has it."""
    await tx.run("identities.set_alias", {"account": account, "alias": name})


async def delete_alias(tx: Transaction, account: str, name: str) -> None:
    """Raise `NoSuchEntity` unless it is the account's."""
    if not await tx.run("identities.delete_alias", {"account": account, "alias": name}):
        raise NoSuchEntity(f"The account alias with name {name} cannot be found.")
