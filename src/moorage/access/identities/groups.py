"""Who is in which group."""

from __future__ import annotations

from moorage.access.identities.entity import Entity
from moorage.base.errors.identities import NoSuchEntity
from moorage.base.errors.images import LimitExceeded
from moorage.store.db.api import Reads, Transaction

MOST_OF_A_USER = 10


async def members(reads: Reads, group: Entity, *, after: str = "", limit: int = 100) -> list[Entity]:
    """Users by name, after a name (folded)."""
    rows = await reads.all("identities.members", {"group": group.id, "after": after.lower(), "limit": limit})
    return [Entity(*row) for row in rows]


async def of_user(reads: Reads, user: Entity, *, after: str = "", limit: int = 100) -> list[Entity]:
    """Groups by name, after a name (folded)."""
    rows = await reads.all("identities.groups_of", {"user": user.id, "after": after.lower(), "limit": limit})
    return [Entity(*row) for row in rows]


async def names_of_all(reads: Reads, users: list[str]) -> dict[str, list[str]]:
    """Names of groups, by the id of at most 1,000 users."""
    found: dict[str, list[str]] = {id_: [] for id_ in users}
    for user, name in await reads.all("identities.group_names_of_all", {"users": users}):
        found[user].append(name)
    return found


async def add(tx: Transaction, group: Entity, user: Entity, *, has_quota: bool) -> None:
    """Who is in it already stays in it. Raise `LimitExceeded`."""
    await tx.run("identities.add_member", {"group": group.id, "user": user.id})
    if has_quota and len(await of_user(tx, user, limit=MOST_OF_A_USER + 1)) > MOST_OF_A_USER:
        raise LimitExceeded(f"Cannot exceed quota for GroupsPerUser: {MOST_OF_A_USER}")


async def remove(tx: Transaction, group: Entity, user: Entity) -> None:
    """Raise `NoSuchEntity` for a user who is not in it."""
    if not await tx.run("identities.remove_member", {"group": group.id, "user": user.id}):
        raise NoSuchEntity(f"The user {user.name} is not in the group {group.name}.")
