"""What a lifecycle policy decides about the images of a repository. Pure: no clock, no store.

ECR user guide, "How lifecycle policies work". Both halves are needed to get AWS's own examples:

1. The pools: of an ACTIVE image standard, of an ARCHIVED one archive; one that is being restored is in neither, and
   what refers to a subject that is here goes with it. Newest first; of two of one moment, by digest.
2. Each rule, in order of priority, sees its whole pool: it identifies what its tags select, and marks of that what is
   beyond its count or older than its days.
3. An image is settled by the first rule that identifies it, marked or not: a lower rule still counts it, but never
   takes it.

Times are microseconds. An age is compared strictly: 14 days old to the microsecond is not yet more than 14 days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from moorage.base.clock import HOUR
from moorage.registry.lifecycle.policy import Action, Policy, Rule, StorageClass, matches

DAY = 24 * HOUR
Status = Literal["ACTIVE", "ARCHIVED", "ACTIVATING"]


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image as rules see it."""

    id: int
    digest: str
    tags: tuple[str, ...]
    pushed: int
    status: Status = "ACTIVE"
    archived: int | None = None
    activated: int | None = None
    pulled: int | None = None
    subject: str | None = None
    parents: tuple[str, ...] = ()
    """Indexes of the repository that have it as a child."""
    used_by: str = ""
    """Who registered it as in use: it is not taken (an extension)."""

    @property
    def age_key(self) -> int:
        """Since when it has been what it is: archived, restored, or pushed."""
        if self.status == "ARCHIVED":
            return self.pushed if self.archived is None else self.archived
        return self.pushed if self.activated is None else self.activated

    @property
    def pull_key(self) -> int:
        if self.activated is not None and (self.pulled is None or self.pulled < self.activated):
            return self.activated
        return self.pushed if self.pulled is None else self.pulled


@dataclass(frozen=True, slots=True)
class Decision:
    """`rule` settled it; `action` is what is to be done, None if it stays. `why` is a clause for people."""

    image: ImageFacts
    rule: Rule | None
    action: Action | None
    why: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    decisions: tuple[Decision, ...]
    """One for each image, oldest first."""
    counted: Mapping[int, tuple[ImageFacts, ...]] = field(default_factory=dict)
    """By priority of a rule that counts: the newest that let it take the others, without what goes as well."""

    @property
    def taken(self) -> tuple[Decision, ...]:
        return tuple(decision for decision in self.decisions if decision.action is not None)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A rule identifies an image: what it would do with it if no rule before it had settled that."""

    rule: Rule
    is_marking: bool
    why: str


def evaluate(images: Iterable[ImageFacts], policy: Policy, now: int) -> Evaluation:
    """The same whatever the order of `images`."""
    # 1
    known = sorted(images, key=lambda image: image.digest)
    followers = _followers(known)
    pools = _pools(known, followers)
    # 2
    settled: dict[int, Decision] = {}
    kept: dict[int, list[ImageFacts]] = {}
    for rule in policy.rules:
        if not rule.takes_tags:
            kept[rule.priority] = _apply(rule, pools[rule.storage_class], settled, now)
    # 3
    decisions = [settled.get(image.id) or _untouched(image, followers) for image in known]
    decisions.sort(key=lambda decision: decision.image.age_key)
    counted = {
        priority: tuple(image for image in newest if settled[image.id].action is None)
        for priority, newest in kept.items()
        if newest
    }
    return Evaluation(tuple(decisions), counted)


def sightings(images: Iterable[ImageFacts], policy: Policy, now: int) -> Mapping[int, list[Sighting]]:
    """By id of an image, all rules that identify it, in order of priority: the first is the one that settles it."""
    known = sorted(images, key=lambda image: image.digest)
    pools = _pools(known, _followers(known))
    found: dict[int, list[Sighting]] = {}
    for rule in policy.rules:
        if rule.takes_tags:
            continue
        is_marked, pool = _marking(rule, now), pools[rule.storage_class]
        marked = Sighting(rule, True, _why_it_goes(rule))
        unmarked = Sighting(rule, False, _why_it_stays(rule))
        for rank, at in enumerate(pool.identified(rule), 1):
            image = pool.images[at]
            found.setdefault(image.id, []).append(marked if is_marked(image, rank) else unmarked)
    return found


def _followers(known: Sequence[ImageFacts]) -> set[int]:
    """Ids of those that refer to another that is here."""
    digests = {image.digest for image in known}
    return {image.id for image in known if image.subject in digests}


def _pools(known: Sequence[ImageFacts], followers: set[int]) -> Mapping[StorageClass, _Pool]:
    taking_part = [image for image in known if image.id not in followers]
    return {
        "standard": _Pool.of(image for image in taking_part if image.status == "ACTIVE"),
        "archive": _Pool.of(image for image in taking_part if image.status == "ARCHIVED"),
    }


def without_waiting(evaluation: Evaluation) -> list[Decision]:
    """What can be done now, an index before its children. A child goes with every index that has it; to the archive
    also after it.
    """
    archived = {each.image.digest for each in evaluation.decisions if each.image.status == "ARCHIVED"}
    going: dict[str, Decision] = {}
    for decision in parents_first(evaluation.taken):
        parents = decision.image.parents
        if decision.action == "transition":
            free = all(parent in going or parent in archived for parent in parents)
        else:
            free = all(parent in going and going[parent].action == "expire" for parent in parents)
        if free:
            going[decision.image.digest] = decision
    return list(going.values())


def parents_first(decisions: Sequence[Decision]) -> list[Decision]:
    """The same, an index before its children, however deep they are nested."""
    by_digest = {decision.image.digest: decision for decision in decisions}
    ordered: dict[str, Decision] = {}
    for decision in decisions:
        waiting = [decision]
        while waiting:
            now = waiting[-1]
            before = [
                by_digest[parent]
                for parent in now.image.parents
                if parent in by_digest and parent not in ordered
            ]
            if before:
                waiting += before
            else:
                waiting.pop()
                ordered.setdefault(now.image.digest, now)
    return list(ordered.values())


@dataclass(frozen=True, slots=True)
class _Pool:
    """Images of one storage class, newest first. Tags are looked through once for an entry, not once for an image."""

    images: list[ImageFacts]
    tags: list[tuple[str, int]]
    """With the places of their images."""

    @classmethod
    def of(cls, images: Iterable[ImageFacts]) -> _Pool:
        """They come by digest, and sorting is stable."""
        ordered = sorted(images, key=lambda image: -image.age_key)
        return cls(ordered, [(tag, at) for at, image in enumerate(ordered) for tag in image.tags])

    def identified(self, rule: Rule) -> Sequence[int]:
        """Places, newest first. Every entry of the list is met by some tag; one tag may meet several."""
        if rule.tag_status == "any":
            return range(len(self.images))
        if rule.tag_status == "untagged":
            return [at for at, image in enumerate(self.images) if not image.tags]
        met = [{at for tag, at in self.tags if tag.startswith(prefix)} for prefix in rule.prefixes]
        met += [self._met(pattern) for pattern in rule.patterns]
        return sorted(set.intersection(*met)) if met else []

    def _met(self, pattern: str) -> set[int]:
        prefix, star, rest = pattern.partition("*")
        if star and not rest:
            return {at for tag, at in self.tags if tag.startswith(prefix)}
        return {at for tag, at in self.tags if tag.startswith(prefix) and matches(pattern, tag)}


def _apply(rule: Rule, pool: _Pool, settled: dict[int, Decision], now: int) -> list[ImageFacts]:
    """Settle what the rule identifies and nobody has settled. Return the newest that a counting rule leaves."""
    is_marked = _marking(rule, now)
    stays, goes = _why_it_stays(rule), _why_it_goes(rule)
    identified = pool.identified(rule)
    for rank, at in enumerate(identified, 1):
        image = pool.images[at]
        if image.id in settled:
            continue
        if not is_marked(image, rank):
            settled[image.id] = Decision(image, rule, None, stays)
        elif image.used_by:
            settled[image.id] = Decision(image, rule, None, f"{goes}, but it is in use by {image.used_by}")
        else:
            settled[image.id] = Decision(image, rule, rule.action, goes)
    counts = rule.count_type == "imageCountMoreThan"
    return [pool.images[at] for at in identified[: rule.count]] if counts else []


def _marking(rule: Rule, now: int) -> Callable[[ImageFacts, int], bool]:
    before = now - rule.count * DAY
    match rule.count_type:
        case None:
            return lambda image, rank: False
        case "imageCountMoreThan":
            return lambda image, rank: rank > rule.count
        case "sinceImagePushed":
            return lambda image, rank: image.age_key < before
        case "sinceImagePulled":
            return lambda image, rank: image.pull_key < before
        case "sinceImageTransitioned":
            return lambda image, rank: image.archived is not None and image.archived < before


_SINCE = {
    "sinceImagePulled": "pulled",
    "sinceImagePushed": "pushed or restored",
    "sinceImageTransitioned": "archived",
}


def _why_it_goes(rule: Rule) -> str:
    if rule.count_type is None:
        return ""
    if rule.count_type == "imageCountMoreThan":
        return f"it is not among the newest {rule.count} that the rule selects"
    return f"it was {_SINCE[rule.count_type]} more than {_days(rule.count)} ago"


def _why_it_stays(rule: Rule) -> str:
    if rule.count_type is None:
        return "the rule retains it"
    if rule.count_type == "imageCountMoreThan":
        return f"it is among the newest {rule.count} that the rule selects"
    return f"it was {_SINCE[rule.count_type]} within {_days(rule.count)}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _untouched(image: ImageFacts, followers: set[int]) -> Decision:
    if image.id in followers:
        return Decision(image, None, None, "it refers to another image, and goes with it")
    if image.status == "ACTIVATING":
        return Decision(image, None, None, "it is being restored")
    return Decision(image, None, None, "no rule selects it")
