"""Events are written in the transaction that causes them, and told after it: none is lost, none is invented.

1 emit       a row beside what happened; one insert, and nobody waits for it
2 dispatch   soon after the commit, in order: each subscriber takes what it wants, by putting jobs or deliveries
3 forget     a row goes when nobody has still to get it
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from moorage.access.call import Services
from moorage.base.addresses import Registry
from moorage.registry.events.shapes import Event
from moorage.store.db.api import Row, Transaction

BATCH = 50  # events a transaction, so that pushes get their turn in between
LOOK_S = 1.0
# Events that come together are dispatched together, and not between a push and its own commit.
LINGER_S = 0.05
UNHEARD_LINGER_S = 2.0

_log = logging.getLogger("moorage")


@dataclass(frozen=True, slots=True)
class Written:
    """An event in the outbox; for subscribers `row` is its place among those that are kept."""

    row: int
    id: str
    occurred: int
    event: Event


Subscriber = Callable[[Services, Transaction, Written], Awaitable[bool]]
"""Takes an event inside the transaction that dispatches it, awaiting nothing but the transaction's verbs.

Return whether the row has to stay, because something refers to it.
"""


async def emit(services: Services, tx: Transaction, *events: Event) -> None:
    """Say that something happens with this transaction."""
    now = services.clock()
    await tx.run("events.emit", [_values(event, now) for event in events])
    services.outbox.ring()


class Dispatcher:
    """Step 2, for all that this process's transactions and those of commands beside it have written."""

    def __init__(self, services: Services, subscribers: Sequence[Subscriber]) -> None:
        self._services = services
        self._subscribers = tuple(subscribers)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.dispatch()
            except Exception:
                _log.exception("events could not be dispatched; it is tried again")
                await asyncio.sleep(LOOK_S)
            if await self._services.outbox.rung(LOOK_S):
                await asyncio.sleep(LINGER_S if self._subscribers else UNHEARD_LINGER_S)

    async def dispatch(self) -> int:
        """Hand over all that waits; return how many."""
        count = 0
        while await self._services.db.one("events.is_waiting"):
            count += await self._dispatch_batch()
        return count

    async def _dispatch_batch(self) -> int:
        async with self._services.db.transaction() as tx:
            rows = await tx.all("events.first", {"limit": BATCH})
            for row in rows if self._subscribers else ():
                await self._hand_over(tx, written_of(row))
            await tx.run("events.handed_on", {"ids": [row[0] for row in rows]})
        return len(rows)

    async def _hand_over(self, tx: Transaction, waiting: Written) -> None:
        row = await tx.one("events.keep", {"id": waiting.row})
        assert row is not None  # it was read in this transaction
        written = replace(waiting, row=row[0])
        stays = False
        for subscriber in self._subscribers:
            stays |= await subscriber(self._services, tx, written)
        if not stays:
            await tx.run("events.forget", {"id": written.row})


def _values(event: Event, now: int) -> dict[str, int | str]:
    return {
        "event": str(uuid.uuid4()),
        "now": now,
        "account": event.registry.account,
        "region": event.registry.region,
        "kind": event.kind,
        "repository": event.repository,
        "resources": msgspec.json.encode(event.resources).decode(),
        "detail": msgspec.json.encode(event.detail).decode(),
    }


def written_of(row: Row) -> Written:
    id_, event, occurred, account, region, kind, repository, resources, detail = row
    return Written(
        id_,
        event,
        occurred,
        Event(
            kind,
            Registry(account, region),
            repository,
            msgspec.json.decode(detail),
            tuple(msgspec.json.decode(resources)),
        ),
    )
