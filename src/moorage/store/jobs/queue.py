"""Work that is done later, and done: a row for each kind and subject, put in the transaction that causes it.

A job is leased to the process that runs it. The lease is kept while the process lives; when it has gone, another takes
the job up. What fails is tried again, each time later, and in the end stays in the table to be seen. Work is done at
least once: a job may find that it was done before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from moorage.base.clock import HOUR, SECOND
from moorage.store.db.api import Database, Reads, Row, Transaction, Values

LEASE_US = 15 * SECOND
NEVER = 1 << 62
FIRST_RETRY_US = SECOND
LONGEST_RETRY_US = HOUR
ATTEMPTS = 20
"""Then a job is given up: the retries of one take nine hours."""
_ERROR_MAX = 500

State = Literal["waiting", "running", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """One that is leased to us."""

    id: int
    kind: str
    subject: str
    payload: str = field(repr=False)
    attempts: int
    """This one included."""
    asked: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A job as it is shown."""

    id: int
    kind: str
    subject: str
    created: int
    due: int
    attempts: int
    state: State
    error: str
    done: int
    total: int
    note: str


class Jobs:
    """The queue, as one process sees it."""

    def __init__(self, process: str = "") -> None:
        self._process = process
        self._asked: set[str] = set()
        self._wakes = asyncio.Event()

    async def put(
        self, tx: Transaction, kind: str, subject: str, payload: str = "", *, now: int, due: int | None = None
    ) -> None:
        """Have it done, `due` or at once. Of one kind and subject there is one job, with the latest payload.

        What is put while it runs is run once more.
        """
        await tx.run(
            "jobs.put",
            {
                "kind": kind,
                "subject": subject,
                "payload": payload,
                "now": now,
                "due": now if due is None else due,
            },
        )
        self.wake(kind)

    async def drop(self, tx: Transaction, kind: str, prefix: str) -> None:
        """Those whose subjects begin so have nothing to do any more, given up or not. What runs, runs to its end."""
        beyond = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        await tx.run("jobs.drop", {"kind": kind, "first": prefix, "beyond": beyond})

    def wake(self, kind: str) -> None:
        """Have whoever runs jobs look for one of that kind now, instead of at the next turn."""
        self._asked.add(kind)
        self._wakes.set()

    async def woken(self, within_s: float) -> set[str]:
        """The kinds that were asked for, as soon as there is one; none when the time is over."""
        try:
            async with asyncio.timeout(within_s):
                await self._wakes.wait()
        except TimeoutError:
            return set()
        self._wakes.clear()
        asked, self._asked = self._asked, set()
        return asked

    async def claim(self, db: Database, kind: str, now: int) -> Job | None:
        """Take the next job of a kind, if one is due."""
        async with db.transaction() as tx:
            row = await tx.one(
                "jobs.claim",
                {
                    "kind": kind,
                    "process": self._process,
                    "now": now,
                    "until": now + LEASE_US,
                    "never": NEVER,
                },
            )
        return Job(*row) if row is not None else None

    async def keep(self, db: Database, ids: list[int], now: int) -> None:
        """Say that those are still being worked on; a few times in `LEASE_US`."""
        async with db.transaction() as tx:
            await tx.run("jobs.keep_leases", {"process": self._process, "ids": ids, "until": now + LEASE_US})

    async def progress(self, db: Database, job: Job, done: int, total: int, note: str = "") -> None:
        """Show how far it is."""
        async with db.transaction() as tx:
            await tx.run(
                "jobs.progress",
                {"id": job.id, "process": self._process, "done": done, "total": total, "note": note},
            )

    async def finish(self, db: Database, job: Job, again: int | None = None) -> None:
        """It is done: forget it, or have it done again at a time."""
        mine: Values = {"id": job.id, "process": self._process}
        async with db.transaction() as tx:
            if again is None and await tx.run("jobs.done", {**mine, "asked": job.asked}):
                return
            due = NEVER if again is None else again
            await tx.run("jobs.release", {**mine, "due": due, "attempts": 0, "error": ""})

    async def fail(self, db: Database, job: Job, error: str, now: int, attempts: int = ATTEMPTS) -> bool:
        """Try it again later; return False when it was tried often enough, and is given up."""
        mine: Values = {"id": job.id, "process": self._process, "error": error[:_ERROR_MAX]}
        async with db.transaction() as tx:
            if job.attempts >= attempts and await tx.run(
                "jobs.give_up", {**mine, "asked": job.asked, "now": now}
            ):
                return False
            due = now + retry_after(job.attempts)
            await tx.run("jobs.release", {**mine, "due": due, "attempts": job.attempts})
        return True

    async def release(self, db: Database, job: Job, now: int) -> None:
        """Give it back unfinished, for whoever comes next: this process stops."""
        values: Values = {"id": job.id, "process": self._process, "due": now}
        async with db.transaction() as tx:
            await tx.run("jobs.release", {**values, "attempts": job.attempts - 1, "error": ""})


def retry_after(attempts: int, first: int = FIRST_RETRY_US, longest: int = LONGEST_RETRY_US) -> int:
    """How long to wait after so many attempts that failed: twice as long each time, up to the longest."""
    return min(first << min(attempts - 1, 40), longest)


async def soonest(reads: Reads) -> dict[str, int]:
    """When each kind has something to do next."""
    return dict(await reads.all("jobs.soonest"))


async def page(reads: Reads, after: int, limit: int) -> list[Listed]:
    """All jobs, by id, after one."""
    return [_listed(row) for row in await reads.all("jobs.page", {"after": after, "limit": limit})]


async def find(reads: Reads, kind: str, subject: str) -> Listed | None:
    row = await reads.one("jobs.find", {"kind": kind, "subject": subject})
    return _listed(row) if row is not None else None


async def counts(reads: Reads) -> dict[tuple[str, State], int]:
    """How many jobs there are of each kind in each state."""
    return {(kind, state): count for kind, state, count in await reads.all("jobs.counts")}


async def retry(db: Database, id_: int, now: int) -> bool:
    """Have a job tried at once. False if there is none of that id, or it runs."""
    async with db.transaction() as tx:
        return bool(await tx.run("jobs.retry", {"id": id_, "now": now}))


def _listed(row: Row) -> Listed:
    id_, kind, subject, created, due, attempts, lease, failed, error, done, total, note = row
    state: State = "failed" if failed is not None else "running" if lease is not None else "waiting"
    return Listed(id_, kind, subject, created, due, attempts, state, error, done, total, note)
