"""What is put on record of a policy that was applied, or tried: CloudTrail's service events. Pure.

A record has fewer than ten images, and of each no more than a hundred tags, as Amazon's has (user guide, "Logging
Amazon ECR actions with AWS CloudTrail").
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from moorage.access.service_events import ServiceEvent
from moorage.registry.lifecycle.policy import Policy, Rule
from moorage.registry.repositories.repository import Repository

IMAGES_MAX = 9
TAGS_MAX = 100
_BYTES_MAX = 48 << 10  # of one record's images: with a policy there is room for both in 64 KiB
_MILLISECOND = 1_000

_STATUSES = {"any": "Any", "tagged": "Tagged", "untagged": "Untagged"}
_COUNTS = {
    None: "",
    "imageCountMoreThan": "Image count more than",
    "sinceImagePulled": "Since image pulled",
    "sinceImagePushed": "Since image pushed",
    "sinceImageTransitioned": "Since image transitioned",
}


@dataclass(frozen=True, slots=True)
class Act:
    """An image that was taken, or would be; with a code one that had to stay."""

    digest: str
    tags: Sequence[str]
    pushed: int
    priority: int
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """A policy in a repository."""

    repository: Repository
    text: str
    rules: Policy
    evaluated: int | None = None
    """When it was last applied before."""


def events(
    name: Literal["DryRunEvent", "PolicyExecutionEvent"], applied: Applied, acts: Sequence[Act]
) -> Iterator[ServiceEvent]:
    """One for each few of the images; one for none."""
    repository = applied.repository
    policy = _policy(applied)
    for some in _parts(acts):
        details = {
            "repositoryName": repository.name,
            "lifecycleEventPolicy": policy,
            "lifecycleEventImageActions": [_action(act) for act in some if not act.code],
            "lifecycleEventFailureDetails": [
                {**_action(act), "failureCode": act.code, "failureReason": act.reason}
                for act in some
                if act.code
            ],
        }
        yield ServiceEvent(name, repository.registry, repository.arn, details)


def _parts(acts: Sequence[Act]) -> Iterator[Sequence[Act]]:
    for start in range(0, max(len(acts), 1), IMAGES_MAX):
        yield from _halved(acts[start : start + IMAGES_MAX])


def _halved(acts: Sequence[Act]) -> Iterator[Sequence[Act]]:
    """A tag has up to 128 bytes: nine images with a hundred each are more than a record has room for."""
    size = len(msgspec.json.encode([[act.tags[:TAGS_MAX], act.reason] for act in acts]))
    if size <= _BYTES_MAX or len(acts) < 2:
        yield acts
        return
    half = len(acts) // 2
    yield from _halved(acts[:half])
    yield from _halved(acts[half:])


def _policy(applied: Applied) -> dict[str, Any]:
    """What is counted are policies, not versions of one: each text has an id of its own."""
    evaluated = applied.evaluated
    return {
        "lifecycleEventRules": [_rule(rule) for rule in applied.rules.rules],
        "lastEvaluatedAt": 0 if evaluated is None else evaluated // _MILLISECOND,
        "policyVersion": 1,
        "policyId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{applied.repository.arn}#{applied.text}")),
    }


def _rule(rule: Rule) -> dict[str, Any]:
    selection: dict[str, Any] = {
        "tagStatus": _STATUSES[rule.tag_status],
        "tagPrefixList": list(rule.prefixes),
        "countType": _COUNTS[rule.count_type],
        "countNumber": rule.count,
    }
    if rule.patterns:
        selection["tagPatternList"] = list(rule.patterns)
    if rule.storage_class != "standard":
        selection["storageClass"] = rule.storage_class
    return {
        "rulePriority": rule.priority,
        "description": rule.description,
        "lifecycleEventSelection": selection,
        "action": "expireTag" if rule.takes_tags else rule.action or "retain",
    }


def _action(act: Act) -> dict[str, Any]:
    image = {
        "digest": act.digest,
        "tagStatus": "Tagged" if act.tags else "Untagged",
        "tagList": list(act.tags[:TAGS_MAX]),
        "pushedAt": act.pushed // _MILLISECOND,
    }
    return {"lifecycleEventImage": image, "rulePriority": act.priority}
