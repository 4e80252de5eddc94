"""Users, groups and roles: one kind of row. Found by name without regard to case, by id for ever.

Verbs that read take a database or a transaction; those that write take a transaction of `Epochs.changing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from moorage.access.identities.ids import Prefix, new_id
from moorage.base.errors.identities import EntityAlreadyExists, NoSuchEntity
from moorage.store.db.api import Reads, Row, Transaction

Kind = Literal["user", "group", "role"]

_PREFIXES: dict[Kind, Prefix] = {"user": "AIDA", "group": "AGPA", "role": "AROA"}
SESSION_S = 3_600
"""How long a session of a role lives at most, unless the role says otherwise."""


@dataclass(frozen=True, slots=True)
class Entity:
    id: str
    account: str
    kind: Kind
    path: str
    """`/`, or `/…/`."""
    name: str
    created: int
    description: str
    trust_policy: str
    """Of a role: who may assume it. As it was written."""
    session_s: int
    boundary: str
    """The ARN of the managed policy that bounds its permissions; empty for none."""
    not_before: int
    """Sessions and passwords issued before this moment are refused."""
    last_used: int | None
    last_region: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:{self.kind}{self.path}{self.name}"


async def find(reads: Reads, account: str, kind: Kind, name: str) -> Entity | None:
    row = await reads.one("identities.by_name", {"account": account, "kind": kind, "folded": name.lower()})
    return None if row is None else _entity(row)


async def need(reads: Reads, account: str, kind: Kind, name: str) -> Entity:
    """Raise `NoSuchEntity` in IAM's words."""
    found = await find(reads, account, kind, name)
    if found is None:
        raise NoSuchEntity(f"The {kind} with name {name} cannot be found.")
    return found


async def by_id(reads: Reads, id_: str) -> Entity | None:
    row = await reads.one("identities.by_id", {"id": id_})
    return None if row is None else _entity(row)


async def page(
    reads: Reads, account: str, kind: Kind, *, path: str = "/", after: str = "", limit: int = 100
) -> list[Entity]:
    """Those under a path, by name, after a name (folded)."""
    rows = await reads.all(
        "identities.page",
        {
            "account": account,
            "kind": kind,
            "path": path,
            "beyond": path + "\U0010ffff",
            "after": after.lower(),
            "limit": limit,
        },
    )
    return [_entity(row) for row in rows]


async def insert(
    tx: Transaction,
    account: str,
    kind: Kind,
    name: str,
    now: int,
    *,
    path: str = "/",
    description: str = "",
    trust_policy: str = "",
    session_s: int = SESSION_S,
    boundary: str = "",
) -> Entity:
    """Raise `EntityAlreadyExists`, also for a name that differs only in case."""
    if await find(tx, account, kind, name) is not None:
        raise EntityAlreadyExists(f"{kind.capitalize()} with name {name} already exists.")
    made = Entity(
        new_id(_PREFIXES[kind]),
        account,
        kind,
        path,
        name,
        now,
        description,
        trust_policy,
        session_s,
        boundary,
        0,
        None,
        "",
    )
    await tx.run(
        "identities.insert",
        {
            "id": made.id,
            "account": account,
            "kind": kind,
            "path": path,
            "name": name,
            "folded": name.lower(),
            "created": now,
            "description": description,
            "trust_policy": trust_policy,
            "session_s": session_s,
            "boundary": boundary,
        },
    )
    return made


async def rename(tx: Transaction, entity: Entity, *, name: str, path: str) -> None:
    """Raise `EntityAlreadyExists`. Its id, and with it all that it was granted, stays."""
    other = await find(tx, entity.account, entity.kind, name)
    if other is not None and other.id != entity.id:
        raise EntityAlreadyExists(f"{entity.kind.capitalize()} with name {name} already exists.")
    await tx.run("identities.rename", {"id": entity.id, "name": name, "folded": name.lower(), "path": path})


async def set_boundary(tx: Transaction, entity: Entity, policy: str) -> None:
    await tx.run("identities.set_boundary", {"id": entity.id, "boundary": policy})


async def set_role(
    tx: Transaction, role: Entity, *, trust_policy: str, description: str, session_s: int
) -> None:
    await tx.run(
        "identities.set_role",
        {
            "id": role.id,
            "trust_policy": trust_policy,
            "description": description,
            "session_s": session_s,
        },
    )


async def end_sessions(tx: Transaction, entity: Entity, before: int) -> None:
    """Refuse every session and password issued before that moment (microseconds)."""
    await tx.run("identities.end_sessions", {"id": entity.id, "not_before": before})


async def delete(tx: Transaction, entity: Entity) -> None:
    """The row and its tags. What still refers to it is for the caller to have refused (`DeleteConflict`)."""
    await tx.run("identities.clear_tags", {"owner": entity.id})
    await tx.run("identities.delete", {"id": entity.id})


def _entity(row: Row) -> Entity:
    return Entity(*row)
