"""Taking access back at once: from what was issued to a user or role, from one session, from one key.

What was issued is sealed and stored nowhere, so it is not deleted but refused: each request asks whether it was ended
meanwhile (`sessions`, `bearers`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from moorage.access.epochs import Epochs
from moorage.access.identities import entity as entities
from moorage.access.identities import keys
from moorage.access.identities.entity import Entity
from moorage.access.identities.keys import OwnedKey
from moorage.base.clock import HOUR
from moorage.base.errors.identities import NoSuchEntity
from moorage.store.db.api import Database

LONGEST_SESSION_US = 36 * HOUR
"""Of GetSessionToken and GetFederationToken: after that a session is over by itself."""


@dataclass(frozen=True, slots=True)
class Ended:
    """`before` is the moment (microseconds) from which on what is issued holds."""

    entity: Entity
    before: int


async def end_sessions(
    db: Database, epochs: Epochs, account: str, kind: Literal["user", "role"], name: str, before: int
) -> Ended:
    """Refuse every session and password of a user or role issued before that moment. Raise `NoSuchEntity`.

    An earlier call that went further stands.
    """
    async with epochs.changing(account) as tx:
        entity = await entities.need(tx, account, kind, name)
        latest = max(before, entity.not_before)
        await entities.end_sessions(tx, entity, latest)
    return Ended(entity, latest)


async def end_session(epochs: Epochs, accounts: Iterable[str], session_id: str, now: int) -> None:
    """Refuse one session (`ASIA…`) and what was made with it. Its id does not say of which account it is."""
    for account in accounts:
        async with epochs.changing(account) as tx:
            await tx.run(
                "access.end_session",
                {"id": session_id, "account": account, "until": now + LONGEST_SESSION_US},
            )


async def deactivate_key(
    db: Database, epochs: Epochs, key_id: str, *, account: str = "", may_lock_out: bool = False
) -> OwnedKey:
    """Refuse a key (`AKIA…`) and its passwords until it is switched on again. Raise `NoSuchEntity`.

    Raise `InvalidInput` for the last key of its account that is active, unless it `may_lock_out`.
    """
    row = await db.one("access.account_of_key", {"id": key_id})
    if row is None or account not in ("", row[0]):
        raise NoSuchEntity(f"The Access Key with id {key_id} cannot be found.")
    async with epochs.changing(row[0]) as tx:
        owned = await keys.owned(tx, row[0], key_id)
        if owned.key.is_active and not may_lock_out:
            await keys.check_way_in(tx, row[0], key_id)
        await keys.set_status(tx, owned.key.owner, key_id, "Inactive")
    return owned
