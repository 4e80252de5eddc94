"""The access keys of users and roots, as they are listed, switched and deleted; their secrets are elsewhere.

An owner is the id of a user or the ARN of an account's root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from moorage.base.errors.identities import InvalidInput, NoSuchEntity
from moorage.base.errors.images import LimitExceeded
from moorage.store.db.api import Reads, Row, Transaction

MOST = 2

Status = Literal["Active", "Inactive"]


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    account: str
    owner: str
    status: Status
    created: int
    """Microseconds, as all times."""
    last_used: int | None
    last_service: str
    last_region: str

    @property
    def is_active(self) -> bool:
        return self.status == "Active"


@dataclass(frozen=True, slots=True)
class OwnedKey:
    """`user` is the name of its user, empty for a root."""

    key: Key
    user: str


async def of_owner(reads: Reads, owner: str, *, after: str = "", limit: int = 100) -> list[Key]:
    """By id, after an id."""
    rows = await reads.all("identities.keys_of_owner", {"owner": owner, "after": after, "limit": limit})
    return [_key(row) for row in rows]


async def of_owners(reads: Reads, owners: list[str]) -> list[Key]:
    """Of at most 1,000 owners, the oldest of each first."""
    rows = await reads.all("identities.keys_of_owners", {"owners": owners, "limit": MOST * len(owners)})
    return [_key(row) for row in rows]


async def of_all(reads: Reads, *, after: str = "", limit: int = 1_000) -> list[OwnedKey]:
    """Of every account, by id, after an id."""
    rows = await reads.all("identities.keys_of_all", {"after": after, "limit": limit})
    return [OwnedKey(_key(key), user) for *key, user in rows]


async def owned(reads: Reads, account: str, key_id: str) -> OwnedKey:
    """Raise `NoSuchEntity`, also for a key of another account."""
    row = await reads.one("identities.key_of_account", {"account": account, "id": key_id})
    if row is None:
        raise _unknown(key_id)
    *key, user = row
    return OwnedKey(_key(key), user)


async def check_room(tx: Transaction, owner: str) -> None:
    """Raise `LimitExceeded` when there are as many as an owner may have."""
    if len(await of_owner(tx, owner, limit=MOST)) >= MOST:
        raise LimitExceeded(f"Cannot exceed quota for AccessKeysPerUser: {MOST}")


async def set_status(tx: Transaction, owner: str, key_id: str, status: Status) -> None:
    """Raise `NoSuchEntity` unless it is a key of the owner."""
    if not await tx.run("access.set_key_status", {"owner": owner, "id": key_id, "status": status}):
        raise _unknown(key_id)


async def delete(tx: Transaction, owner: str, key_id: str) -> None:
    """Raise `NoSuchEntity` unless it is a key of the owner."""
    if not await tx.run("access.delete_key", {"owner": owner, "id": key_id}):
        raise _unknown(key_id)


async def check_way_in(tx: Transaction, account: str, without: str) -> None:
    """Raise `InvalidInput` when nobody of the account could sign a call any more without that key."""
    values = {"account": account, "without": without}
    if await tx.one("identities.other_active_key", values) is None:
        raise InvalidInput(
            f"The access key {without} is the last active one of account {account}: without it nobody could call"
        )


def _unknown(key_id: str) -> NoSuchEntity:
    return NoSuchEntity(f"The Access Key with id {key_id} cannot be found.")


def _key(row: Row | list[Any]) -> Key:
    return Key(*row)
