"""Background work of lifecycle policies: each is applied at least hourly, or when somebody asks."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from moorage.access.call import Services
from moorage.base.addresses import Registry
from moorage.base.clock import MINUTE
from moorage.base.digest import Digest
from moorage.registry.images.job import write_pulls
from moorage.registry.lifecycle import stored, told
from moorage.registry.lifecycle.evaluate import Evaluation, evaluate, parents_first
from moorage.registry.lifecycle.policy import parse
from moorage.registry.lifecycle.stored import StoredPolicy
from moorage.registry.lifecycle.survey import survey, survey_tags
from moorage.registry.lifecycle.tags import TagEvaluation, evaluate_tags, has_tag_rules
from moorage.registry.lifecycle.taking import Taken, take, take_tags
from moorage.registry.lifecycle.told import Applied
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads, Transaction
from moorage.store.jobs.queue import Job

BATCH = told.IMAGES_MAX  # images a transaction, 2 ms that pulls wait for: what is done is one record
REST = 2.0
"""Times as long as a batch took, its commit too: so much is left to pushes, which wait for the same writes."""
ASKED_AT_ONCE = 200
LEFT_SHOWN = 1_000
SHOWN_EVERY = 10 * BATCH
SOON_US = MINUTE  # after a run that had to leave what had changed meanwhile


@dataclass(frozen=True, slots=True)
class Run:
    started: int
    finished: int | None
    expired: int
    archived: int
    untagged: int
    failed: int


@dataclass(frozen=True, slots=True)
class Left:
    """An image that had to stay, though a rule takes it."""

    digest: Digest
    priority: int
    code: str
    reason: str


async def apply(services: Services, job: Job) -> int | None:
    """The job: evaluate, then take batch by batch; when to do it next.

    Killed in the middle, it evaluates again.
    """
    repository = await repositories.find_by_id(services.db, int(job.subject))
    policy = await stored.effective(services.db, repository) if repository else None
    if repository is None or policy is None:
        return None
    started = services.clock()
    async with services.db.transaction() as tx:
        await repositories.confirm(tx, repository)
        await tx.run("lifecycle.begin_run", {"repository": repository.id, "now": started})
        await tx.run("lifecycle.forget_failures", {"repository": repository.id})
    rules = parse(policy.text, with_extensions=True)  # it was accepted
    if any(rule.count_type == "sinceImagePulled" for rule in rules.rules):
        await write_pulls(services)  # what was pulled lately is not old
    images = await survey(services.db, repository.id, started)
    evaluation = await services.compute(evaluate, images, rules, started)
    applied = Applied(repository, policy.text, rules, policy.evaluated)
    changed = await _take_images(services, job, applied, policy, evaluation)
    if has_tag_rules(rules):
        tags = await survey_tags(services.db, repository.id, images)
        changed += await _take_tags(services, applied, policy, evaluate_tags(tags, rules, started))
    async with services.db.transaction() as tx:
        now = services.clock()
        await tx.run("lifecycle.finish_run", {"repository": repository.id, "now": now})
        await tx.run("lifecycle.applied", {"repository": repository.id, "put": policy.put, "now": started})
    if changed:
        return started + SOON_US
    return None if policy.is_default else started + stored.EVERY_US  # `apply_default` asks again


async def apply_default(services: Services, job: Job) -> int | None:
    """The job of a registry's default policy: have it applied where there is no other."""
    registry = Registry(*job.subject.split("/"))
    if await stored.default_of(services.db, registry) is None:
        return None
    now, after = services.clock(), ""
    while found := await stored.without_policies(services.db, registry, after, ASKED_AT_ONCE):
        async with services.db.transaction() as tx:
            for repository, _ in found:
                await stored.ask(tx, services.jobs, repository, now=now, due=now)
        after = found[-1][1]
    return now + stored.EVERY_US


async def forget(services: Services) -> None:
    """Uses that are over, and images that can no longer be brought back."""
    async with services.db.transaction() as tx:
        await tx.run("lifecycle.forget_uses", {"now": services.clock()})
        await tx.run("lifecycle.forget_overdue", {"now": services.clock()})


async def left(reads: Reads, repository: int) -> list[Left]:
    """What the last run had to leave, by digest; no more than `LEFT_SHOWN`."""
    rows = await reads.all("lifecycle.failures", {"repository": repository, "limit": LEFT_SHOWN})
    return [Left(Digest.unpack(digest), *rest) for digest, *rest in rows]


async def last_run(reads: Reads, repository: int) -> Run | None:
    row = await reads.one("lifecycle.run", {"repository": repository})
    return Run(*row) if row else None


async def _take_images(
    services: Services, job: Job, applied: Applied, policy: StoredPolicy, evaluation: Evaluation
) -> int:
    """Return how many had changed meanwhile."""
    repository = applied.repository
    queue = parents_first(evaluation.taken)
    changed = 0
    for start in range(0, len(queue), BATCH):
        batch = queue[start : start + BATCH]
        began = time.perf_counter()
        async with services.db.transaction() as tx:
            if not await _holds(tx, repository, policy):
                return changed + 1
            taken = await take(services, tx, repository, batch, evaluation, services.clock())
            await _note(tx, repository.id, taken)
        _tell(services, applied, taken)
        changed += taken.changed
        if start % SHOWN_EVERY == 0:
            await services.jobs.progress(services.db, job, start + len(batch), len(queue))
        await _rest(began)
    return changed


async def _take_tags(
    services: Services, applied: Applied, policy: StoredPolicy, evaluation: TagEvaluation
) -> int:
    repository = applied.repository
    changed = 0
    for start in range(0, len(evaluation.taken), BATCH):
        batch = evaluation.taken[start : start + BATCH]
        began = time.perf_counter()
        async with services.db.transaction() as tx:
            if not await _holds(tx, repository, policy):
                return changed + 1
            taken = await take_tags(services, tx, repository, batch, evaluation, services.clock())
            await _note(tx, repository.id, taken)
        _tell(services, applied, taken)
        changed += taken.changed
        await _rest(began)
    return changed


async def _rest(began: float) -> None:
    await asyncio.sleep(REST * (time.perf_counter() - began))


def _tell(services: Services, applied: Applied, taken: Taken) -> None:
    """What was taken, or had to stay, is put on record."""
    if taken.acts:
        services.service_events.tell(*told.events("PolicyExecutionEvent", applied, taken.acts))


async def _holds(tx: Transaction, repository: Repository, policy: StoredPolicy) -> bool:
    """Nobody has replaced or deleted it, nor its repository."""
    current = await stored.effective(tx, repository)
    is_that = current is not None and (current.put, current.is_default) == (policy.put, policy.is_default)
    return is_that and await repositories.find_by_id(tx, repository.id) is not None


async def _note(tx: Transaction, repository: int, taken: Taken) -> None:
    await tx.run(
        "lifecycle.add_to_run",
        {
            "repository": repository,
            "expired": taken.expired,
            "archived": taken.archived,
            "untagged": taken.untagged,
            "failed": len(taken.failures),
        },
    )
    await tx.run(
        "lifecycle.add_failure",
        [
            {
                "repository": repository,
                "digest": Digest(each.decision.image.digest).packed,
                "priority": each.decision.rule.priority if each.decision.rule else 0,
                "code": each.code,
                "reason": each.reason,
            }
            for each in taken.failures
        ],
    )
