"""Background work of lifecycle policies: each is applied at least hourly, or when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.access.call import Services
from moorage.base.clock import MINUTE
from moorage.base.digest import Digest
from moorage.registry.lifecycle import stored
from moorage.registry.lifecycle.evaluate import Decision, Evaluation, evaluate, parents_first
from moorage.registry.lifecycle.policy import parse
from moorage.registry.lifecycle.stored import StoredPolicy
from moorage.registry.lifecycle.survey import survey
from moorage.registry.lifecycle.taking import Taken, take
from moorage.registry.repositories import repository as repositories
from moorage.store.db.api import Reads, Transaction
from moorage.store.jobs.queue import Job

BATCH = 25  # images a transaction: what pulls wait for, bench/lifecycle
SOON_US = MINUTE  # after a run that had to leave what had changed meanwhile


@dataclass(frozen=True, slots=True)
class Run:
    started: int
    finished: int | None
    expired: int
    archived: int
    untagged: int
    failed: int


async def apply(services: Services, job: Job) -> int | None:
    """The job: evaluate, then take batch by batch; when to do it next.

    Killed in the middle, it evaluates again.
    """
    repository = int(job.subject)
    policy = await stored.policy_of(services.db, repository)
    if policy is None or await repositories.find_by_id(services.db, repository) is None:
        return None
    started = services.clock()
    async with services.db.transaction() as tx:
        await tx.run("lifecycle.begin_run", {"repository": repository, "now": started})
        await tx.run("lifecycle.forget_failures", {"repository": repository})
    images = await survey(services.db, repository)
    rules = parse(policy.text, with_extensions=True)  # it was accepted
    evaluation = await services.compute(evaluate, images, rules, started)
    changed = await _take_all(services, job, policy, evaluation)
    async with services.db.transaction() as tx:
        now = services.clock()
        await tx.run("lifecycle.finish_run", {"repository": repository, "now": now})
        await tx.run("lifecycle.applied", {"repository": repository, "put": policy.put, "now": started})
    return started + (SOON_US if changed else stored.EVERY_US)


async def last_run(reads: Reads, repository: int) -> Run | None:
    row = await reads.one("lifecycle.run", {"repository": repository})
    return Run(*row) if row else None


async def _take_all(services: Services, job: Job, policy: StoredPolicy, evaluation: Evaluation) -> int:
    """Return how many had changed meanwhile."""
    repository = int(job.subject)
    queue = parents_first(evaluation.taken)
    changed = 0
    for start in range(0, len(queue), BATCH):
        batch = queue[start : start + BATCH]
        taken = await _take_batch(services, repository, policy, batch, evaluation)
        if taken is None:
            return changed + 1
        changed += taken.changed
        await services.jobs.progress(services.db, job, start + len(batch), len(queue))
    return changed


async def _take_batch(
    services: Services,
    repository: int,
    policy: StoredPolicy,
    batch: Sequence[Decision],
    evaluation: Evaluation,
) -> Taken | None:
    """None if the policy is another one by now, or gone with its repository."""
    async with services.db.transaction() as tx:
        current = await stored.policy_of(tx, repository)
        found = await repositories.find_by_id(tx, repository)
        if current is None or current.put != policy.put or found is None:
            return None
        taken = await take(services, tx, found, batch, evaluation, services.clock())
        await _note(tx, repository, taken)
    return taken


async def _note(tx: Transaction, repository: int, taken: Taken) -> None:
    await tx.run(
        "lifecycle.add_to_run",
        {
            "repository": repository,
            "expired": taken.expired,
            "archived": taken.archived,
            "untagged": 0,
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
