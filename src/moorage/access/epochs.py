"""What is remembered of who may do what, and until when.

Every change of a key, principal, policy, tag or endpoint of an account raises the account's epoch: in memory before the
change is answered, and in a row that other processes look at. Whatever was worked out from those facts is kept with the
epoch it was asked under, and asked again when it differs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from moorage.store.db.api import Database, Transaction

_OVERLAP = 1_000
"""Numbers looked at again: a transaction that took one may commit after others that took later ones."""


class Epochs:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._epochs: defaultdict[str, int] = defaultdict(int)
        self._stored: dict[str, int] = {}
        self._seen = 0
        """The highest number that a look has found."""

    def of(self, account: str) -> int:
        """Read it before the facts: a change in between then makes what was read look old, never new."""
        return self._epochs[account]

    @asynccontextmanager
    async def changing(self, account: str) -> AsyncIterator[Transaction]:
        """A transaction that changes who may do what in `account`: answered when nothing old is remembered."""
        try:
            async with self._db.transaction() as tx:
                await tx.run("access.raise_epoch", {"account": account})
                yield tx
        finally:  # who is cancelled while it is committed has changed something all the same
            self._epochs[account] += 1

    async def look(self) -> None:
        """Learn of what other processes have changed. Called several times a second (decisions, 10)."""
        for account, stored in await self._db.all("access.epochs_after", {"after": self._seen - _OVERLAP}):
            if self._stored.get(account) != stored:
                self._stored[account] = stored
                self._epochs[account] += 1
            self._seen = max(self._seen, stored)
