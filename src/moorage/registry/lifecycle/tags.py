"""Rules on tags: a tag expires, its image stays (an extension). Pure, as `evaluate.py`.

A rule with `expireTag` selects the tags that meet every entry of its list, and takes those beyond its count, or moved
longer ago than its days. A tag is settled by the first such rule that selects it, or the first that retains it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from moorage.registry.lifecycle.evaluate import DAY
from moorage.registry.lifecycle.policy import Policy, Rule


@dataclass(frozen=True, slots=True)
class TagFacts:
    tag: str
    digest: str
    moved: int
    """When it was set, last."""
    used_by: str = ""
    """Who registered its image as in use: it stays."""


@dataclass(frozen=True, slots=True)
class TagEvaluation:
    taken: tuple[tuple[TagFacts, Rule], ...]
    counted: Mapping[int, tuple[TagFacts, ...]] = field(default_factory=dict)
    """By priority of a rule that counts: the newest that let it take the others."""


def has_tag_rules(policy: Policy) -> bool:
    return any(rule.takes_tags for rule in policy.rules)


def evaluate_tags(tags: Iterable[TagFacts], policy: Policy, now: int) -> TagEvaluation:
    """Oldest first; the same whatever the order of `tags`."""
    newest_first = sorted(tags, key=lambda each: (-each.moved, each.tag))
    settled: set[str] = set()
    taken: list[tuple[TagFacts, Rule]] = []
    counted: dict[int, tuple[TagFacts, ...]] = {}
    for rule in policy.rules:
        if not rule.takes_tags and rule.count_type is not None:
            continue
        selected = [each for each in newest_first if rule.selects((each.tag,))]
        for rank, each in enumerate(selected, 1):
            if each.tag not in settled and _is_marked(rule, each, rank, now) and not each.used_by:
                taken.append((each, rule))
        settled |= {each.tag for each in selected}
        if rule.count_type == "imageCountMoreThan":
            counted[rule.priority] = tuple(selected[: rule.count])
    taken.sort(key=lambda pair: (pair[0].moved, pair[0].tag))
    gone = {each.tag for each, _ in taken}
    return TagEvaluation(
        tuple(taken),
        {
            priority: tuple(each for each in newest if each.tag not in gone)
            for priority, newest in counted.items()
        },
    )


def _is_marked(rule: Rule, each: TagFacts, rank: int, now: int) -> bool:
    if rule.count_type is None:
        return False
    if rule.count_type == "imageCountMoreThan":
        return rank > rule.count
    return each.moved < now - rule.count * DAY
