"""Users and groups are deleted when nothing hangs on them any more."""

from __future__ import annotations

from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Entity
from moorage.base.errors.identities import DeleteConflict
from moorage.store.db.api import Transaction

# What the columns of `identities.holdings` count, in IAM's words.
_FIRST = (
    "must delete access keys first",
    "must delete policies first",
    "must detach all policies first",
    "must remove users from group first",
    "must remove users from group first",
)


async def delete(tx: Transaction, entity: Entity) -> None:
    """Raise `DeleteConflict` while it has keys, policies, groups or members."""
    row = await tx.one("identities.holdings", {"id": entity.id})
    for count, first in zip(row or (), _FIRST, strict=True):
        if count:
            raise DeleteConflict(f"Cannot delete entity, {first}.")
    await entities.delete(tx, entity)
