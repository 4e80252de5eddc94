"""Inline policies: documents that are part of one user, group or role."""

from __future__ import annotations

from moorage.access.identities.entity import Entity, Kind
from moorage.base.errors.identities import NoSuchEntity
from moorage.base.errors.images import LimitExceeded
from moorage.store.db.api import Reads, Transaction

MOST_CHARACTERS: dict[Kind, int] = {"user": 2_048, "group": 5_120, "role": 10_240}
"""Of all inline policies of one, without white space (IAM user guide, "IAM and AWS STS quotas")."""

_WHITE_SPACE = " \t\r\n"


async def names(reads: Reads, entity: Entity, *, after: str = "", limit: int = 100) -> list[str]:
    """In order, after a name."""
    rows = await reads.all(
        "identities.inline_names", {"principal": entity.id, "after": after, "limit": limit}
    )
    return [name for (name,) in rows]


async def of_all(reads: Reads, principals: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Name and document, by the id of at most 1,000 principals."""
    found: dict[str, list[tuple[str, str]]] = {id_: [] for id_ in principals}
    rows = await reads.all("identities.inline_of_all", {"principals": principals})
    for principal, name, document in rows:
        found[principal].append((name, document))
    return found


async def need(reads: Reads, entity: Entity, name: str) -> str:
    """The document; raise `NoSuchEntity`."""
    row = await reads.one("identities.inline", {"principal": entity.id, "name": name})
    if row is None:
        raise _unknown(entity, name)
    return str(row[0])


async def put(tx: Transaction, entity: Entity, name: str, document: str) -> None:
    """Set or replace it. Raise `LimitExceeded`: the size counts for all of the entity's together."""
    others = (await of_all(tx, [entity.id]))[entity.id]
    size = counted_size(document) + sum(counted_size(text) for other, text in others if other != name)
    most = MOST_CHARACTERS[entity.kind]
    if size > most:
        raise LimitExceeded(f"Maximum policy size of {most} bytes exceeded for {entity.kind} {entity.name}")
    await tx.run("identities.put_inline", {"principal": entity.id, "name": name, "document": document})


async def delete(tx: Transaction, entity: Entity, name: str) -> None:
    """Raise `NoSuchEntity`."""
    if not await tx.run("identities.delete_inline", {"principal": entity.id, "name": name}):
        raise _unknown(entity, name)


def counted_size(document: str) -> int:
    """In characters, as quotas count: white space is free."""
    return len(document) - sum(map(document.count, _WHITE_SPACE))


def _unknown(entity: Entity, name: str) -> NoSuchEntity:
    return NoSuchEntity(f"The {entity.kind} policy with name {name} cannot be found.")
