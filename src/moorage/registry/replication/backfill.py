"""Backfills: the images that a registry has already, brought to one destination of its replication rules."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from moorage.access.call import Call, Services
from moorage.base.addresses import Registry
from moorage.base.clock import HOUR
from moorage.base.digest import Digest
from moorage.base.errors.error import MoorageError
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.replication import (
    ReplicationBackfillInProgress,
    ReplicationBackfillInvalidStatus,
    ReplicationBackfillNotFound,
)
from moorage.base.errors.requests import InvalidParameter
from moorage.registry.account import replicas, setting_changes
from moorage.registry.account.destinations import destinations_of
from moorage.registry.account.replicas import Replica
from moorage.registry.images.manifest import INDEX_TYPES
from moorage.registry.replication import statuses
from moorage.registry.replication.calls import call_in
from moorage.registry.replication.copying import failure_code, settle
from moorage.registry.replication.means import Means
from moorage.registry.replication.wanted import wants
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads, Row, UniqueViolation, Values
from moorage.store.jobs.queue import Job

KIND = "replication backfill"
IN_PROGRESS_MAX = 10  # of a registry, as in Amazon ECR
KEPT_US = 90 * 24 * HOUR  # after the end, as in Amazon ECR
PREPARED_AT_ONCE = 500
BROUGHT_AT_ONCE = 4
_BATCH = 20  # images whose outcome is written together
NOT_CONFIGURED = "DestinationNotConfigured"
GONE = "ImageNotFound"

State = Literal["PREPARING", "IN_PROGRESS", "COMPLETE", "FAILED", "STOPPING", "STOPPED"]


@dataclass(frozen=True, slots=True)
class Backfill:
    id: str
    source: Registry
    destination: Registry
    status: State
    failure: str
    total: int | None
    """None until it is known."""
    completed: int
    failed: int
    started: int
    ended: int | None


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    digest: Digest
    tag: str
    is_index: bool
    status: Literal["COMPLETE", "FAILED"]
    failure: str


async def start(call: Call, destination: Registry) -> Backfill:
    """Raise `InvalidParameter`, `LimitExceeded` or `ReplicationBackfillInProgress`."""
    source = Registry(call.account, call.region)
    configured = [to for rule in await replicas.rules_of(call.db, source) for to in rule.destinations]
    if destination not in configured:
        raise InvalidParameter(
            at="destination", constraint="must be a destination of the registry's replication configuration"
        )
    begun = Backfill(str(uuid.uuid4()), source, destination, "PREPARING", "", None, 0, 0, call.now, None)
    try:
        async with call.db.transaction() as tx:
            row = await tx.one("replication.unfinished_backfills", _registry(source))
            if row is not None and row[0] >= IN_PROGRESS_MAX:
                raise LimitExceeded(f"At most {IN_PROGRESS_MAX} replication backfills can be in progress")
            to: Values = {"to_account": destination.account, "to_region": destination.region}
            await tx.run(
                "replication.begin_backfill", {"id": begun.id, **_registry(source), **to, "now": call.now}
            )
            await call.services.jobs.put(tx, KIND, begun.id, now=call.now)
    except UniqueViolation:
        raise ReplicationBackfillInProgress(region=destination.region) from None
    return begun


async def stop(call: Call, id_: str) -> Backfill:
    """Have it end after what is being brought now. Raise `ReplicationBackfillInvalidStatus` if it has ended."""
    async with call.db.transaction() as tx:
        found = await _find(tx, call, id_)
        if not await tx.run("replication.stop_backfill", {"id": found.id}):
            raise ReplicationBackfillInvalidStatus(id=id_, status=found.status)
        await call.services.jobs.put(tx, KIND, found.id, now=call.now)  # it may have been given up
        return await _find(tx, call, id_)


async def find(call: Call, id_: str) -> Backfill:
    """Of the registry called. Raise `ReplicationBackfillNotFound`."""
    return await _find(call.db, call, id_)


async def _find(reads: Reads, call: Call, id_: str) -> Backfill:
    found = await _by_id(reads, id_.lower())
    if found is None or found.source != Registry(call.account, call.region):
        raise ReplicationBackfillNotFound(id=id_, registry_id=call.account)
    return found


async def page(call: Call, after: tuple[int, str], limit: int) -> list[Backfill]:
    """The newest first, from after (started, id)."""
    values: Values = {"started": after[0], "after": after[1], "limit": limit}
    rows = await call.db.all(
        "replication.backfill_page", {**_registry(Registry(call.account, call.region)), **values}
    )
    return [_backfill(row) for row in rows]


async def failure_codes(reads: Reads, backfill: Backfill) -> list[str]:
    return [code for (code,) in await reads.all("replication.failure_codes", {"id": backfill.id})]


async def results(
    reads: Reads, backfill: Backfill, kinds: Sequence[str], after: tuple[str, bytes, str], limit: int
) -> list[Result]:
    """By name, digest and tag, from after those."""
    values: Values = {"id": backfill.id, "statuses": list(kinds), "limit": limit, **_place(after)}
    rows = await reads.all("replication.results", values)
    return [
        Result(name, Digest.unpack(packed), tag, bool(is_index), status, failure)
        for name, packed, tag, is_index, status, failure in rows
    ]


async def forget_old(services: Services) -> None:
    async with services.db.transaction() as tx:
        await tx.run("replication.forget_backfills", {"before": services.clock() - KEPT_US})


async def run(services: Services, means: Means, job: Job) -> None:
    """The work of one. It can be killed at any place, and run again.

    1. Write down what is to be brought: each image that was pushed here, once for each tag.
    2. Bring it, a few at once; how it went is written down in batches.
    3. It is over when nothing is left, when it was stopped, or when no rule names the destination any more.
    """
    # 1
    backfill = await _by_id(services.db, job.subject)
    if backfill is not None and backfill.status == "PREPARING":
        await _prepare(services, means, backfill)
    # 2
    after = ("", b"", "")
    while (backfill := await _by_id(services.db, job.subject)) and backfill.status == "IN_PROGRESS":
        rows = await services.db.all(
            "replication.undecided", {"id": backfill.id, "limit": _BATCH, **_place(after)}
        )
        if not rows:
            await _end(services, backfill, "COMPLETE")
            return
        if not await _is_configured(services, backfill):
            await _end(services, backfill, "FAILED", NOT_CONFIGURED)
            return
        await _bring(services, means, backfill, rows)
        await services.jobs.progress(
            services.db, job, backfill.completed + backfill.failed + len(rows), backfill.total or 0
        )
        name, digest, tag, _ = rows[-1]
        after = (name, digest, tag)
    # 3
    if backfill is not None and backfill.status == "STOPPING":
        await _end(services, backfill, "STOPPED")


async def _is_configured(services: Services, backfill: Backfill) -> bool:
    rules = await replicas.rules_of(services.db, backfill.source)
    return any(backfill.destination in rule.destinations for rule in rules)


async def _prepare(services: Services, means: Means, backfill: Backfill) -> None:
    call = call_in(services, backfill.source, backfill.source.account)
    rules = await replicas.rules_of(services.db, backfill.source)
    if not await _is_configured(services, backfill):
        await _end(services, backfill, "FAILED", NOT_CONFIGURED)
        return
    after = ""
    while some := await repositories.page(call, None, after, 100):
        for repository in some:
            if backfill.destination in destinations_of(rules, repository.name):
                await _write_down(services, means, backfill, repository)
                await _put_settings(services, backfill, repository)
        after = some[-1].name
        now = await _by_id(services.db, backfill.id)
        if now is None or now.status != "PREPARING":  # stopped
            return
    async with services.db.transaction() as tx:
        await tx.run("replication.prepared", {"id": backfill.id})


async def _put_settings(services: Services, backfill: Backfill, repository: Repository) -> None:
    if setting_changes.carried_to(services, backfill.destination):
        async with services.db.transaction() as tx:
            await setting_changes.put_all(services, tx, repository, backfill.destination)


async def _write_down(services: Services, means: Means, backfill: Backfill, repository: Repository) -> None:
    digest, tag = b"", ""
    of: Values = {"backfill": backfill.id, "name": repository.name, "repository": repository.id}
    while rows := await services.db.all(
        "replication.existing",
        {"repository": repository.id, "digest": digest, "tag": tag, "limit": PREPARED_AT_ONCE},
    ):
        results = [
            {**of, "digest": packed, "tag": tag, "is_index": int(media_type in INDEX_TYPES)}
            for packed, tag, media_type, subject in rows
            if await wants(means.tags, services.db, repository, backfill.destination, tag, _unpacked(subject))
        ]
        async with services.db.transaction() as tx:
            await tx.run("replication.add_result", results)
        digest, tag, *_ = rows[-1]


async def _bring(services: Services, means: Means, backfill: Backfill, rows: Sequence[Row]) -> None:
    room = asyncio.Semaphore(BROUGHT_AT_ONCE)
    wanted = [Replica(row[3], Digest.unpack(row[1]), row[2], backfill.destination) for row in rows]
    failures = await asyncio.gather(*(_failure_of(services, means, replica, room) for replica in wanted))
    now = services.clock()
    counts = {"COMPLETE": 0, "FAILED": 0}
    async with services.db.transaction() as tx:
        for (name, digest, tag, _), replica, failure in zip(rows, wanted, failures, strict=True):
            status = "FAILED" if failure else "COMPLETE"
            key: Values = {"backfill": backfill.id, "name": name, "digest": digest, "tag": tag}
            # None where a process that took us for dead has decided it.
            counts[status] += await tx.run(
                "replication.decide", {**key, "status": status, "failure": failure}
            )
            await statuses.note(tx, replica, backfill.started, now, failure)
        decided: Values = {"completed": counts["COMPLETE"], "failed": counts["FAILED"]}
        await tx.run("replication.count_decided", {"id": backfill.id, **decided})


async def _failure_of(services: Services, means: Means, replica: Replica, room: asyncio.Semaphore) -> str:
    async with room:
        try:
            return "" if await settle(services, means, replica) else GONE
        except MoorageError as error:
            return failure_code(error)


async def _end(services: Services, backfill: Backfill, status: State, failure: str = "") -> None:
    values: Values = {"id": backfill.id, "status": status, "failure": failure, "now": services.clock()}
    async with services.db.transaction() as tx:
        await tx.run("replication.end_backfill", values)


async def _by_id(reads: Reads, id_: str) -> Backfill | None:
    row = await reads.one("replication.backfill", {"id": id_})
    return _backfill(row) if row is not None else None


def _backfill(row: Row) -> Backfill:
    id_, account, region, to_account, to_region, *rest = row
    return Backfill(id_, Registry(account, region), Registry(to_account, to_region), *rest)


def _registry(registry: Registry) -> Values:
    return {"account": registry.account, "region": registry.region}


def _unpacked(packed: bytes | None) -> Digest | None:
    return Digest.unpack(packed) if packed else None


def _place(after: tuple[str, bytes, str]) -> Values:
    name, digest, tag = after
    return {"name": name, "digest": digest, "tag": tag}
