"""Bring events to the targets of the configuration: at least once, and in order for each repository.

Each target has a job of its own, so that one that hangs holds up no other. In it each repository is a lane: what fails
there is tried again, later each time, and what comes after it in the lane waits; the other lanes go on. An event that
cannot be delivered for a day is left out, and that is logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from moorage.access.call import Services
from moorage.base.clock import HOUR, MINUTE, SECOND
from moorage.registry.events.lines import File, StandardOutput
from moorage.registry.events.outbox import Written, written_of
from moorage.registry.events.targets import Target
from moorage.registry.events.webhooks import Webhook
from moorage.remote.egress import Egress
from moorage.remote.errors import RemoteError
from moorage.remote.rules import Rules
from moorage.store.db.api import Reads, Transaction, Values
from moorage.store.jobs.queue import Job, retry_after

KIND = "events.deliver"
KEPT_TRYING_US = 24 * HOUR
LONGEST_RETRY_US = 10 * MINUTE
LANES_AT_ONCE = 8
BATCH = (
    50  # events of a lane that are written down as delivered together: so many may come twice after a crash
)
_ERROR_MAX = 300

_log = logging.getLogger("moorage")


class Recipient(Protocol):
    async def deliver(self, services: Services, events: Sequence[Written]) -> int:
        """Return how many it has, from the first on, at least one; raise `RemoteError` or OSError if none."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Lag:
    """What a target has still to get."""

    target: str
    waiting: int
    oldest: int | None
    """When the first of it happened."""


@dataclass(frozen=True, slots=True)
class _Lane:
    name: str
    attempts: int


class Delivery:
    def __init__(self, targets: Sequence[Target], recipients: Mapping[str, Recipient]) -> None:
        self._targets = {target.name: target for target in targets}
        self._recipients = recipients
        self.given_up = 0
        """Events that were left out, since the start."""

    @classmethod
    def open(cls, targets: Sequence[Target], connect: Callable[[Rules], Egress] = Egress) -> Delivery:
        """Raise `TargetMisconfigured`."""
        return cls(targets, {target.name: _recipient(target, connect) for target in targets})

    async def close(self) -> None:
        for recipient in self._recipients.values():
            await recipient.close()

    async def begin(self, services: Services) -> None:
        """Forget what targets that are not configured any more had still to get."""
        gone = [name for name in await _targets_with_lanes(services.db) if name not in self._targets]
        async with services.db.transaction() as tx:
            for name in gone:
                await tx.run("events.forget_deliveries", {"target": name})
                await tx.run("events.forget_lanes", {"target": name})
            await tx.run("events.forget_delivered")

    async def take(self, services: Services, tx: Transaction, written: Written) -> bool:
        """A subscriber of the outbox: put down who is to get the event."""
        wanting = [target.name for target in self._targets.values() if target.wants(written.event)]
        for name in wanting:
            lane: Values = {"target": name, "lane": _lane_of(written), "now": written.occurred}
            await tx.run("events.add_lane", lane)
            await tx.run("events.add_delivery", {**lane, "event": written.row})
            await services.jobs.put(tx, KIND, name, now=services.clock())
        return bool(wanting)

    async def run(self, services: Services, job: Job) -> int | None:
        """The job of a target: deliver what is due; return when there is more to do."""
        if job.subject not in self._recipients:
            return None
        lanes = asyncio.Semaphore(LANES_AT_ONCE)
        while due := await _due_lanes(services, job.subject):
            async with asyncio.TaskGroup() as group:
                for lane in due:
                    group.create_task(self._deliver_lane(services, lanes, job.subject, lane))
        row = await services.db.one("events.next_lane", {"target": job.subject})
        next_due: int | None = row[0] if row is not None else None
        return next_due

    async def _deliver_lane(
        self, services: Services, at_once: asyncio.Semaphore, target: str, lane: _Lane
    ) -> None:
        """The first events of a lane. What is left is due at once, or after a while if nothing was taken."""
        async with at_once:
            events = await _first_of(services.db, target, lane)
            fresh = [each for each in events if services.clock() - each.occurred < KEPT_TRYING_US]
            if len(fresh) < len(events):
                self._tell_left_out(target, lane, len(events) - len(fresh))
                await _delivered(services, target, lane, events[: len(events) - len(fresh)])
            if not fresh:
                return
            try:
                count = await self._recipients[target].deliver(services, fresh)
            except (RemoteError, OSError) as error:
                await _put_off(services, target, lane, f"{type(error).__name__}: {error}")
            else:
                await _delivered(services, target, lane, fresh[:count])

    def _tell_left_out(self, target: str, lane: _Lane, count: int) -> None:
        self.given_up += count
        _log.error(
            "%d events of %s could not be delivered to %s for a day, and are left out",
            count,
            lane.name,
            target,
        )


async def lags(reads: Reads) -> list[Lag]:
    """Of all targets that have still to get something."""
    return [Lag(*row) for row in await reads.all("events.lags")]


async def undispatched(reads: Reads) -> tuple[int, int | None]:
    """How many events wait in the outbox to be handed on, and when the first of them happened."""
    row = await reads.one("events.waiting")
    assert row is not None  # an aggregate has one
    return row[0], row[1]


def _recipient(target: Target, connect: Callable[[Rules], Egress]) -> Recipient:
    match target.type:
        case "file":
            return File(target)
        case "stdout":
            return StandardOutput()
        case "webhook":
            return Webhook.open(target, connect)


def _lane_of(written: Written) -> str:
    event = written.event
    return f"{event.registry.account}/{event.registry.region}/{event.repository}"


async def _targets_with_lanes(reads: Reads) -> list[str]:
    return [name for (name,) in await reads.all("events.targets_with_lanes")]


async def _due_lanes(services: Services, target: str) -> list[_Lane]:
    values: Values = {"target": target, "now": services.clock(), "limit": 4 * LANES_AT_ONCE}
    return [_Lane(*row) for row in await services.db.all("events.due_lanes", values)]


async def _first_of(reads: Reads, target: str, lane: _Lane) -> list[Written]:
    values: Values = {"target": target, "lane": lane.name, "limit": BATCH}
    return [written_of(row) for row in await reads.all("events.first_of_lane", values)]


async def _delivered(services: Services, target: str, lane: _Lane, events: Sequence[Written]) -> None:
    rows = [each.row for each in events]
    key: Values = {"target": target, "lane": lane.name}
    async with services.db.transaction() as tx:
        await tx.run("events.delivered", {**key, "events": rows})
        await tx.run("events.forget_if_delivered", {"events": rows})
        if not await tx.run("events.end_lane", key):
            await tx.run("events.lane_goes_on", {**key, "now": services.clock()})


async def _put_off(services: Services, target: str, lane: _Lane, error: str) -> None:
    attempts = lane.attempts + 1
    wait = retry_after(attempts, SECOND, LONGEST_RETRY_US)
    _log.warning("events of %s are not delivered to %s (attempt %d): %s", lane.name, target, attempts, error)
    async with services.db.transaction() as tx:
        await tx.run(
            "events.put_off",
            {
                "target": target,
                "lane": lane.name,
                "due": services.clock() + wait,
                "attempts": attempts,
                "error": error[:_ERROR_MAX],
            },
        )
