"""What a policy would do, as AWS shows it: a snapshot, made in the background and kept for a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from moorage.access.call import Call, Services
from moorage.base.clock import HOUR
from moorage.base.digest import Digest
from moorage.base.errors.lifecycle import LifecyclePolicyPreviewInProgress, LifecyclePolicyPreviewNotFound
from moorage.registry.lifecycle import told
from moorage.registry.lifecycle.evaluate import Decision, ImageFacts, evaluate, without_waiting
from moorage.registry.lifecycle.policy import Policy, parse
from moorage.registry.lifecycle.survey import survey
from moorage.registry.lifecycle.told import Act, Applied
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository, confirm
from moorage.store.db.api import Reads, Row, Values
from moorage.store.jobs.queue import Job

PREVIEW = "lifecycle.preview"
"""Job by the id of a repository."""
KEPT_US = 24 * HOUR
MADE_WITHIN_US = HOUR
BATCH = 200  # rows a transaction
TOLD_MAX = 900
"""Images on record of one preview, the first that would go: the others are in its results."""

Status = Literal["COMPLETE", "EXPIRED", "FAILED", "IN_PROGRESS"]
TAGGED = {"ANY": (0, 1), "TAGGED": (1,), "UNTAGGED": (0,)}


@dataclass(frozen=True, slots=True)
class Preview:
    number: int
    text: str
    started: int
    status: Status
    finished: int | None
    expiring: int
    transitioning: int


@dataclass(frozen=True, slots=True)
class Result:
    """An image that would be taken; `position` orders them."""

    position: int
    digest: Digest
    tags: tuple[str, ...]
    pushed: int
    action: Literal["expire", "transition"]
    priority: int
    storage_class: Literal["archive", "standard"]
    """Which it is in now."""


async def start(call: Call, repository: Repository, text: str) -> None:
    """In place of the preview before, unless that is still being made."""
    parse(text, with_extensions=call.limits.lifecycle_extensions)
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        before = await _find(tx, repository.id)
        if before is not None and _as_of(before, call.now).status == "IN_PROGRESS":
            raise LifecyclePolicyPreviewInProgress()
        await tx.run(
            "lifecycle.begin_preview", {"repository": repository.id, "policy": text, "now": call.now}
        )
        await call.services.jobs.put(tx, PREVIEW, str(repository.id), now=call.now)


async def find(call: Call, repository: Repository) -> Preview:
    found = await _find(call.db, repository.id)
    if found is None:
        raise LifecyclePolicyPreviewNotFound(name=repository.name, registry_id=repository.registry.account)
    return _as_of(found, call.now)


async def page(call: Call, repository: Repository, tag_status: str, after: int, limit: int) -> list[Result]:
    """In the order in which they would be taken, from after a position."""
    values: Values = {
        "repository": repository.id,
        "tagged": TAGGED[tag_status],
        "after": after,
        "limit": limit,
    }
    return [_result(row) for row in await call.db.all("lifecycle.results", values)]


async def of_images(
    call: Call, repository: Repository, tag_status: str, digests: Sequence[Digest]
) -> list[Result]:
    packed = [digest.packed for digest in digests]
    values: Values = {"repository": repository.id, "tagged": TAGGED[tag_status], "digests": packed}
    return [_result(row) for row in await call.db.all("lifecycle.results_of", values)]


async def make(services: Services, job: Job) -> int | None:
    """The job: make what was started; a day later, forget it. Killed in the middle, it begins again."""
    repository = int(job.subject)
    preview = await _find(services.db, repository)
    if preview is None or preview.status == "EXPIRED":
        return None
    if preview.status == "IN_PROGRESS":
        await _make(services, repository, preview)
        return services.clock() + KEPT_US
    if preview.finished is not None and services.clock() < preview.finished + KEPT_US:
        return preview.finished + KEPT_US
    async with services.db.transaction() as tx:
        await tx.run("lifecycle.expire_preview", {"repository": repository, "number": preview.number})
    await _clear(services, repository)
    return None


async def _make(services: Services, repository: int, preview: Preview) -> None:
    images = await survey(services.db, repository, preview.started)
    policy = parse(preview.text, with_extensions=True)  # it was accepted
    taken = await services.compute(_would_take, images, policy, preview.started)
    await _clear(services, repository)
    for start in range(0, len(taken), BATCH):
        batch = enumerate(taken[start : start + BATCH], start + 1)
        async with services.db.transaction() as tx:
            if await repositories.find_by_id(tx, repository) is None:
                return  # it is being purged, and its preview with it
            await tx.run("lifecycle.add_result", [_row(repository, at, decision) for at, decision in batch])
    expiring = sum(decision.action == "expire" for decision in taken)
    async with services.db.transaction() as tx:
        await tx.run(
            "lifecycle.finish_preview",
            {
                "repository": repository,
                "number": preview.number,
                "now": services.clock(),
                "expiring": expiring,
                "transitioning": len(taken) - expiring,
            },
        )
    of = await repositories.find_by_id(services.db, repository)
    if of is not None:
        acts = [_act(decision) for decision in taken[:TOLD_MAX]]
        services.service_events.tell(*told.events("DryRunEvent", Applied(of, preview.text, policy), acts))


def _would_take(images: list[ImageFacts], policy: Policy, now: int) -> list[Decision]:
    return without_waiting(evaluate(images, policy, now))


def _act(decision: Decision) -> Act:
    assert decision.rule is not None  # what is taken is taken by a rule
    image = decision.image
    return Act(image.digest, image.tags, image.pushed, decision.rule.priority)


async def _clear(services: Services, repository: int) -> None:
    cleared = BATCH
    while cleared == BATCH:
        async with services.db.transaction() as tx:
            cleared = await tx.run("lifecycle.clear_results", {"repository": repository, "limit": BATCH})


def _as_of(preview: Preview, now: int) -> Preview:
    """What is still not made by now has failed; another may be started."""
    is_late = preview.status == "IN_PROGRESS" and preview.started < now - MADE_WITHIN_US
    return replace(preview, status="FAILED") if is_late else preview


async def _find(reads: Reads, repository: int) -> Preview | None:
    row = await reads.one("lifecycle.preview", {"repository": repository})
    return Preview(*row) if row else None


def _row(repository: int, position: int, decision: Decision) -> Values:
    image, rule = decision.image, decision.rule
    assert rule is not None  # what is taken is taken by a rule
    assert decision.action is not None
    return {
        "repository": repository,
        "position": position,
        "digest": Digest(image.digest).packed,
        "tags": msgspec.json.encode(image.tags).decode(),
        "is_tagged": int(bool(image.tags)),
        "pushed": image.pushed,
        "action": decision.action,
        "priority": rule.priority,
        "storage_class": rule.storage_class,
    }


def _result(row: Row) -> Result:
    position, digest, tags, pushed, action, priority, storage_class = row
    return Result(
        position,
        Digest.unpack(digest),
        msgspec.json.decode(tags, type=tuple[str, ...]),
        pushed,
        action,
        priority,
        storage_class,
    )
