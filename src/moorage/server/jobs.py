"""Runs the jobs of the queue: at once those that this process puts, within a second those of others.

Each kind has its handler, and only so many of its jobs run at once. A handler may be cancelled, and its job be run
again from the start: by this process, or after a crash by the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from moorage.access.call import Services
from moorage.base.clock import SECOND
from moorage.store.jobs.queue import ATTEMPTS, Job, soonest

LOOK_S = 1.0
KEEP_S = 5.0  # a third of a lease

_log = logging.getLogger("moorage")


@dataclass(frozen=True, slots=True)
class Handler:
    run: Callable[[Services, Job], Awaitable[int | None]]
    """Return when to run again, or None: it is done."""
    at_once: int = 1
    attempts: int = ATTEMPTS


class JobRunner:
    def __init__(self, services: Services, handlers: Mapping[str, Handler]) -> None:
        self._services = services
        self._handlers = dict(handlers)
        self._running: dict[asyncio.Task[None], Job] = {}
        self._handled: set[int] = set()
        """Ids of those whose handlers are at work. An end that is being written is none: the job may be claimed again
        in the commit that writes it, and its number may be the next one's."""

    async def run(self) -> None:
        """Until cancelled: then what runs is cancelled too, and given back."""
        keeping = asyncio.create_task(self._keep_leases())
        try:
            while True:
                try:
                    await self._start(await self._next_kinds())
                except Exception:
                    _log.exception("jobs could not be looked for; it is tried again")
                    await asyncio.sleep(LOOK_S)
        finally:
            await self._stop(keeping)

    async def run_due(self) -> None:
        """Run all that is due, and what comes of it; return when nothing is due any more."""
        while kinds := await self._due_kinds():
            await self._start(kinds)
            if self._running:
                await asyncio.wait(self._running)
                await asyncio.sleep(0)  # what has ended is forgotten

    async def _start(self, kinds: set[str]) -> None:
        services = self._services
        for kind in kinds & self._handlers.keys():
            handler = self._handlers[kind]
            while self._free(kind):
                job = await services.jobs.claim(services.db, kind, services.clock())
                if job is None:
                    break
                if job.id in self._handled:
                    continue  # this process stood still for longer than its lease
                self._handled.add(job.id)
                task = asyncio.create_task(self._run(handler, job))
                self._running[task] = job
                task.add_done_callback(self._ended)

    def _free(self, kind: str) -> bool:
        return sum(job.kind == kind for job in self._running.values()) < self._handlers[kind].at_once

    def _ended(self, task: asyncio.Task[None]) -> None:
        job = self._running.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("what became of job %s %r could not be written", job.kind, job.subject, exc_info=error)
        self._services.jobs.wake(job.kind)  # there is room for the next

    async def _next_kinds(self) -> set[str]:
        """Those of which a job can be started, as soon as there are any. A look at the table is one read."""
        while not (kinds := await self._due_kinds()):
            if kinds := await self._services.jobs.woken(min(await self._until_due(), LOOK_S)):
                break
        return kinds

    async def _due_kinds(self) -> set[str]:
        now = self._services.clock()
        return {kind for kind, due in (await self._startable()).items() if due <= now}

    async def _until_due(self) -> float:
        due = min((await self._startable()).values(), default=None)
        return LOOK_S if due is None else max(due - self._services.clock(), 0) / SECOND

    async def _startable(self) -> dict[str, int]:
        due = await soonest(self._services.db)
        return {kind: due[kind] for kind in self._handlers if kind in due and self._free(kind)}

    async def _run(self, handler: Handler, job: Job) -> None:
        services = self._services
        try:
            again = await self._handle(handler, job)
        except asyncio.CancelledError:
            await services.jobs.release(services.db, job, services.clock())
            raise
        except Exception as error:
            await self._failed(handler, job, error)
        else:
            await services.jobs.finish(services.db, job, again)

    async def _handle(self, handler: Handler, job: Job) -> int | None:
        try:
            return await handler.run(self._services, job)
        finally:
            self._handled.discard(job.id)

    async def _failed(self, handler: Handler, job: Job, error: Exception) -> None:
        services = self._services
        said = f"{type(error).__name__}: {error}"
        will_retry = await services.jobs.fail(services.db, job, said, services.clock(), handler.attempts)
        outcome = "will be tried again" if will_retry else "is given up"
        _log.error("job %s %r failed, and %s", job.kind, job.subject, outcome, exc_info=error)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            ids = [job.id for job in self._running.values()]
            if not ids:
                continue
            try:
                await self._services.jobs.keep(self._services.db, ids, self._services.clock())
            except Exception:
                _log.exception("leases of jobs could not be kept")

    async def _stop(self, keeping: asyncio.Task[None]) -> None:
        tasks = [keeping, *self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
