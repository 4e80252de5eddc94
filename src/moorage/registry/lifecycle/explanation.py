"""What a lifecycle policy decides about each image, with all that has a say in it. Pure.

`evaluate` says which rule settles an image; beside it stand here the other rules that identify it, the indexes for
which it stays though a rule marks it, and its tags that a rule on tags takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.registry.lifecycle.evaluate import (
    Decision,
    ImageFacts,
    Sighting,
    evaluate,
    sightings,
    without_waiting,
)
from moorage.registry.lifecycle.policy import Action, Policy, Rule
from moorage.registry.lifecycle.tags import TagFacts, evaluate_tags


@dataclass(frozen=True, slots=True)
class Explanation:
    image: ImageFacts
    rule: Rule | None
    action: Action | None
    """What is done with it now; None if it stays."""
    why: str
    identified_by: tuple[Sighting, ...]
    held_by: tuple[str, ...] = ()
    """Indexes that have it and stay, so that it stays too."""
    expiring_tags: tuple[tuple[str, Rule], ...] = ()

    @property
    def position(self) -> tuple[int, str]:
        """Explanations are in this order: the oldest first."""
        return self.image.age_key, self.image.digest

    @property
    def takes_something(self) -> bool:
        return self.action is not None or bool(self.expiring_tags)


def explain(
    images: Sequence[ImageFacts], tags: Sequence[TagFacts], policy: Policy, now: int
) -> list[Explanation]:
    """One for each image. `tags` are only looked at by rules on tags."""
    evaluation = evaluate(images, policy, now)
    identified = sightings(images, policy, now)
    going = {decision.image.digest: decision for decision in without_waiting(evaluation)}
    archived = {image.digest for image in images if image.status == "ARCHIVED"}
    expiring: dict[str, list[tuple[str, Rule]]] = {}
    for each, rule in evaluate_tags(tags, policy, now).taken:
        expiring.setdefault(each.digest, []).append((each.tag, rule))
    explained = []
    for decision in evaluation.decisions:
        image = decision.image
        held_by = () if image.digest in going else _holding(decision, going, archived)
        explained.append(
            Explanation(
                image=image,
                rule=decision.rule,
                action=None if held_by else decision.action,
                why=f"{decision.why}, but an index that stays has it" if held_by else decision.why,
                identified_by=tuple(identified.get(image.id, ())),
                held_by=held_by,
                expiring_tags=tuple(expiring.get(image.digest, ())),
            )
        )
    return sorted(explained, key=lambda each: each.position)


def _holding(decision: Decision, going: dict[str, Decision], archived: set[str]) -> tuple[str, ...]:
    """Its parents that keep it from going (`without_waiting`)."""
    if decision.action is None:
        return ()
    if decision.action == "transition":
        return tuple(parent for parent in decision.image.parents if parent not in {*going, *archived})
    return tuple(
        parent for parent in decision.image.parents if parent not in going or going[parent].action != "expire"
    )
