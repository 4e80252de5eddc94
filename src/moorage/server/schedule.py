"""Background work of one process: what runs, and how often. Each job can be killed and run again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from moorage.access.call import Services
from moorage.access.sessions import clear_up
from moorage.registry.account import replicas, setting_changes
from moorage.registry.events.outbox import Subscriber
from moorage.registry.images import archive
from moorage.registry.images import job as images_job
from moorage.registry.lifecycle import bringing_back, preview, stored
from moorage.registry.lifecycle import job as lifecycle_job
from moorage.registry.replication import backfill
from moorage.registry.replication import job as replication_job
from moorage.registry.replication.job import Replicator
from moorage.registry.uploads import job as uploads_job
from moorage.registry.upstream import imports
from moorage.registry.upstream import job as upstream_job
from moorage.registry.upstream.secrets import forget_deleted
from moorage.server.jobs import Handler

_log = logging.getLogger("moorage")


@dataclass(frozen=True, slots=True)
class Periodic:
    name: str
    every_s: float
    run: Callable[[Services], Awaitable[object]]


async def _look_around(services: Services) -> None:
    """What another process changed about who may do what holds here within half a second (decisions, 10)."""
    await services.epochs.look()
    await services.endpoints.refresh()


async def _write_usage(services: Services) -> None:
    await services.usage.write()


async def _forget_expired(services: Services) -> None:
    await lifecycle_job.forget(services)
    await clear_up(services.db, services.clock())
    await forget_deleted(services)


PERIODIC = (
    Periodic("learn of others' changes",     0.4, _look_around),
    Periodic("note uses of keys",           60.0, _write_usage),
    Periodic("note times of pulls",         60.0, images_job.note_pulls),
    Periodic("forget what has expired",   3600.0, _forget_expired),
    Periodic("end idle uploads",            60.0, uploads_job.expire_sessions),
    Periodic("purge deleted repositories",  10.0, images_job.purge),
    Periodic("collect garbage",             60.0, uploads_job.collect),
    Periodic("forget old backfills",      3600.0, backfill.forget_old),
)  # fmt: skip

HANDLERS: dict[str, Handler] = {
    archive.ACTIVATE:  Handler(archive.activate),
    archive.PLACE:     Handler(archive.place),
    preview.PREVIEW:   Handler(preview.make),
    stored.APPLY:      Handler(lifecycle_job.apply),
    stored.DEFAULT:    Handler(lifecycle_job.apply_default),
    imports.KIND:      Handler(imports.run, upstream_job.AT_ONCE),
    bringing_back.BRING_BACK: Handler(bringing_back.bring_back, attempts=3),
}  # fmt: skip
"""What runs the jobs of the queue, by their kind."""


def replication(replicator: Replicator) -> dict[str, Handler]:
    """Its handlers: it holds connections to other installations."""
    return {
        replicas.KIND:  Handler(replicator.replicate, replication_job.AT_ONCE, replication_job.ATTEMPTS),
        setting_changes.KIND: Handler(replicator.carry, replication_job.AT_ONCE, replication_job.ATTEMPTS),
        backfill.KIND:  Handler(replicator.backfill),
    }  # fmt: skip


SUBSCRIBERS: tuple[Subscriber, ...] = ()
"""Who takes events inside this process, by putting jobs."""


async def run_all(services: Services, periodic: Sequence[Periodic] | None = None) -> None:
    """Clear up after a crash, then run every job in its rhythm until cancelled."""
    await _guarded(Periodic("clear up after the last process", 0, uploads_job.clear_left_behind), services)
    turns = PERIODIC if periodic is None else periodic
    await asyncio.gather(*(_repeat(each, services) for each in turns))


async def _repeat(periodic: Periodic, services: Services) -> None:
    while True:
        await _guarded(periodic, services)
        await asyncio.sleep(periodic.every_s)


async def _guarded(periodic: Periodic, services: Services) -> None:
    """A job that fails is tried again at its next turn; it must not end the others."""
    try:
        await periodic.run(services)
    except Exception:
        _log.exception("job failed, and will be tried again: %s", periodic.name)
