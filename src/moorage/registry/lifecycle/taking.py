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
from moorage.registry.lifecycle import erased
from moorage.registry.lifecycle.evaluate import Decision, Evaluation, ImageFacts
from moorage.registry.lifecycle.policy import Rule
from moorage.registry.lifecycle.survey import image_facts
from moorage.registry.lifecycle.tags import TagEvaluation, TagFacts
from moorage.registry.lifecycle.told import Act
from moorage.registry.lifecycle.uses import used_among
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
    untagged: int = 0
    changed: int = 0
    """Left, because they are not as they were: the next run decides again."""
    failures: list[Failure] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    """For the record: each image, what went with it after it, and those that had to stay."""


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
    images = [decision.image for decision in batch]
    standing = {
        id_: replace(image, pulled=services.pull_times.of(id_, image.pulled))
        for id_, image in (await _standing(tx, repository, images, now)).items()
    }
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
            failure = Failure(decision, "ImageReferencedByManifestList", reason)
            taken.failures.append(failure)
            taken.acts.append(_act(decision, failure.code, reason))
            continue
        # 4
        taken.acts.append(_act(decision))
        if decision.action == "transition":
            followers = (await archive(services, tx, repository, image, now))[1:]
            taken.archived += 1
        else:
            followers = await _expire(services, tx, repository, image, now)
            taken.expired += 1
        taken.acts += [
            Act(str(each.digest), each.tags, each.pushed, decision.rule.priority) for each in followers
        ]
    tx.changed(repository.id)
    return taken


def _act(decision: Decision, code: str = "", reason: str = "") -> Act:
    image, rule = decision.image, decision.rule
    assert rule is not None  # what is taken is taken by a rule
    return Act(image.digest, image.tags, image.pushed, rule.priority, code, reason)


async def _expire(
    services: Services, tx: Transaction, repository: Repository, image: Image, now: int
) -> list[Image]:
    """What refers to it goes first, unless somebody runs that. Return what has gone so, with its tags."""
    gone = []
    followers = await find.followers(tx, repository, image.digest)
    used = await used_among(tx, repository.id, [each.digest for each in followers], now)
    for follower in reversed(followers):
        found = None if follower.digest in used else await find.by_digest(tx, repository, follower.digest)
        if found is not None:
            tags = await _erase(services, tx, repository, found, now)
            gone.append(replace(found, tags=tags))
    await _erase(services, tx, repository, image, now)
    return gone


async def _erase(
    services: Services, tx: Transaction, repository: Repository, image: Image, now: int
) -> tuple[str, ...]:
    """Return the tags that went with it."""
    tags = await find.tags_of(tx, image)
    not_before = await erased.keep(services, tx, repository, image, tags, now)
    await erase(tx, image.id, not_before)
    await announce.deleted(services, tx, repository, image, tags)
    return tags


async def take_tags(
    services: Services,
    tx: Transaction,
    repository: Repository,
    batch: Sequence[tuple[TagFacts, Rule]],
    evaluation: TagEvaluation,
    now: int,
) -> Taken:
    """The same for tags: each still points where it did, and what its rule counted is there."""
    taken = Taken()
    rules = {rule.priority for _, rule in batch}
    counted = [each for priority in rules for each in evaluation.counted.get(priority, ())]
    standing = await _tags_standing(tx, repository, [*(each for each, _ in batch), *counted])
    digests = [Digest(each.digest) for each, _ in batch]
    used = {digest.text for digest in await used_among(tx, repository.id, digests, now)}
    for each, rule in batch:
        newest = evaluation.counted.get(rule.priority, ())
        is_same = standing.get(each.tag) == (each.moved, each.digest) and each.digest not in used
        if not is_same or any(standing.get(other.tag) != (other.moved, other.digest) for other in newest):
            taken.changed += 1
            continue
        image = await find.by_digest(tx, repository, Digest(each.digest))
        assert image is not None  # its tag is there
        await tx.run("images.delete_tag", {"repository": repository.id, "tag": each.tag})
        await announce.deleted(services, tx, repository, image, [each.tag])
        taken.untagged += 1
        taken.acts.append(Act(each.digest, (each.tag,), image.pushed, rule.priority))
    tx.changed(repository.id)
    return taken


async def _tags_standing(
    tx: Transaction, repository: Repository, tags: Sequence[TagFacts]
) -> dict[str, tuple[int, str]]:
    standing: dict[str, tuple[int, str]] = {}
    for start in range(0, len(tags), _LOOKED_UP_AT_ONCE):
        names = [each.tag for each in tags[start : start + _LOOKED_UP_AT_ONCE]]
        rows = await tx.all("lifecycle.tags_standing", {"repository": repository.id, "tags": names})
        standing |= {tag: (moved, Digest.unpack(digest).text) for tag, moved, digest in rows}
    return standing


async def _standing(
    tx: Transaction, repository: Repository, images: Sequence[ImageFacts], now: int
) -> dict[int, ImageFacts]:
    """As they are now; whoever was erased or is in use is missing."""
    ids = [image.id for image in images]
    parents = {image.id: image.parents for image in images}
    tags = await _tags(tx, ids)
    used = await used_among(tx, repository.id, [Digest(image.digest) for image in images], now)
    rows = await tx.all("lifecycle.standing", {"images": ids})
    standing = {row[0]: image_facts(row, tags.get(row[0], ()), parents[row[0]]) for row in rows}
    return {id_: image for id_, image in standing.items() if Digest(image.digest) not in used}


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
