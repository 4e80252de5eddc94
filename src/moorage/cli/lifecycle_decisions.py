"""How the commands print what a lifecycle policy decides about each image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from moorage.base.clock import SECOND
from moorage.cli.output import columns, styled
from moorage.registry.lifecycle.evaluate import Decision
from moorage.registry.lifecycle.explanation import Explanation

Decided = Decision | Explanation

_TITLES = ("IMAGE", "TAGS", "PUSHED", "", "RULE", "WHY")
_SHORT = len("sha256:") + 12
_TAGS_SHOWN = 3
_SHOWN = {None: ("stays", "green"), "expire": ("expires", "red"), "transition": ("is archived", "yellow")}


def table(decisions: Iterable[Decided]) -> list[str]:
    return columns([[styled(title, "bold") for title in _TITLES], *map(_row, decisions)])


def documents(decisions: Iterable[Decided]) -> list[dict[str, object]]:
    """Of an explanation with the other rules that identify the image, and what else has a say."""
    return [_document(decision) for decision in decisions]


def _document(decision: Decided) -> dict[str, object]:
    document: dict[str, object] = {
        "imageDigest": decision.image.digest,
        "imageTags": list(decision.image.tags),
        "imagePushedAt": _moment(decision.image.pushed).isoformat(),
        "action": decision.action,
        "rulePriority": decision.rule.priority if decision.rule else None,
        "why": decision.why,
    }
    if isinstance(decision, Explanation):
        document["identifiedBy"] = [
            {"rulePriority": each.rule.priority, "isMarking": each.is_marking, "why": each.why}
            for each in decision.identified_by
        ]
        document["heldBy"] = list(decision.held_by)
        document["expiringTags"] = [
            {"imageTag": tag, "rulePriority": rule.priority} for tag, rule in decision.expiring_tags
        ]
    return document


def _row(decision: Decided) -> list[str]:
    word, style = _SHOWN[decision.action]
    return [
        decision.image.digest[:_SHORT],
        _tags(decision.image.tags),
        f"{_moment(decision.image.pushed).astimezone():%Y-%m-%d %H:%M}",
        styled(word, style),
        str(decision.rule.priority) if decision.rule else "-",
        decision.why,
    ]


def _tags(tags: Sequence[str]) -> str:
    more = len(tags) - _TAGS_SHOWN
    return ", ".join(tags[:_TAGS_SHOWN]) + (f" and {more} more" if more > 0 else "") or "-"


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / SECOND, UTC)
