"""Applying a policy: images are taken in small batches, and each is looked at again in the transaction that takes it.

An image is left alone where anything that the decision stood on has changed: its tags, its age, the policy, or the
newest images that a counting rule keeps. What refers to an image goes with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from moorage.access.call import Services
from moorage.base.digest import Digest
from moorage.registry.images import announce, find
from moorage.registry.images.archive import archive
from moorage.registry.images.delete import erase
from moorage.registry.images.find import Image
from moorage.registry.lifecycle.evaluate import Decision, Evaluation, ImageFacts
from moorage.registry.lifecycle.policy import Rule
from moorage.registry.lifecycle.survey import image_facts
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Transaction

_LOOKED_UP_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that has to stay, though a rule takes it."""

    decision: Decision
    code: str
    reason: str


@dataclass(slots=True)
class Taken:
    """What became of a batch."""

    expired: int = 0
    archived: int = 0
    changed: int = 0
    """Left, because they are not as they were: the next run decides again."""
    failures: list[Failure] = field(default_factory=list)


async def take(
    services: Services,
    tx: Transaction,
    repository: Repository,
    batch: Sequence[Decision],
    evaluation: Evaluation,
    now: int,
) -> Taken:
    """Inside the caller's transaction. Indexes come before their children.

    1. Each image is as it was decided about.
    2. What the rules counted is still there.
    3. No index has it as a child: to the archive, none that can be pulled.
    4. It goes, with what refers to it.
    """
    taken = Taken()
    standing = await _standing(tx, [decision.image for decision in batch])
    disturbed = await _disturbed(tx, batch, evaluation)
    for decision in batch:
        assert decision.rule is not None  # what is taken is taken by a rule
        digest = Digest(decision.image.digest)
        image = await find.by_digest(tx, repository, digest)
        # 1, 2
        is_same = _is_same(decision, standing.get(decision.image.id))
        if image is None or not is_same or decision.rule.priority in disturbed:
            taken.changed += 1
            continue
        # 3
        if parents := await _parents(tx, repository, decision):
            reason = f"Requested image referenced by manifest list: [{', '.join(parents)}]"
            taken.failures.append(Failure(decision, "ImageReferencedByManifestList", reason))
            continue
        # 4
        if decision.action == "transition":
            await archive(services, tx, repository, image, now)
            taken.archived += 1
        else:
            await _expire(services, tx, repository, image, now)
            taken.expired += 1
    tx.changed(repository.id)
    return taken


async def _expire(
    services: Services, tx: Transaction, repository: Repository, image: Image, now: int
) -> None:
    """What refers to it first: each image is told of while it is there."""
    not_before = now + services.limits.grace_us
    for each in (*reversed(await find.followers(tx, repository, image.digest)), image):
        tags = await find.tags_of(tx, each)
        await erase(tx, each.id, not_before)
        await announce.deleted(services, tx, repository, each, tags)


async def _standing(tx: Transaction, images: Sequence[ImageFacts]) -> dict[int, ImageFacts]:
    """As they are now; whoever was erased is missing."""
    ids = [image.id for image in images]
    parents = {image.id: image.parents for image in images}
    tags = await _tags(tx, ids)
    rows = await tx.all("lifecycle.standing", {"images": ids})
    return {row[0]: image_facts(row, tags.get(row[0], ()), parents[row[0]]) for row in rows}


async def _tags(tx: Transaction, images: Sequence[int]) -> dict[int, tuple[str, ...]]:
    tags: dict[int, tuple[str, ...]] = {}
    for image, tag in await tx.all("images.tags_of_all", {"images": images}):
        tags[image] = (*tags.get(image, ()), tag)
    return tags


def _is_same(decision: Decision, standing: ImageFacts | None) -> bool:
    """A pull matters to a rule about pulls only."""
    if standing is None or decision.rule is None:
        return False
    if decision.rule.count_type != "sinceImagePulled":
        standing = replace(standing, pulled=decision.image.pulled)
    return standing == decision.image


async def _disturbed(tx: Transaction, batch: Sequence[Decision], evaluation: Evaluation) -> set[int]:
    """Priorities of counting rules that would keep other images now: one of those they kept has gone."""
    rules = {decision.rule.priority: decision.rule for decision in batch if decision.rule is not None}
    return {
        priority
        for priority, rule in rules.items()
        if not await _are_counted(tx, rule, evaluation.counted.get(priority, ()))
    }


async def _are_counted(tx: Transaction, rule: Rule, newest: Sequence[ImageFacts]) -> bool:
    for start in range(0, len(newest), _LOOKED_UP_AT_ONCE):
        ids = [image.id for image in newest[start : start + _LOOKED_UP_AT_ONCE]]
        if len(await tx.all("lifecycle.there", {"images": ids})) < len(ids):
            return False
        if rule.tag_status == "any":
            continue
        tags = await _tags(tx, ids)
        if not all(rule.selects(tags.get(id_, ())) for id_ in ids):
            return False
    return True


async def _parents(tx: Transaction, repository: Repository, decision: Decision) -> list[str]:
    statement = "images.active_parents" if decision.action == "transition" else "images.parents"
    child = Digest(decision.image.digest).packed
    rows = await tx.all(statement, {"repository": repository.id, "child": child})
    return [str(Digest.unpack(packed)) for (packed,) in rows]
