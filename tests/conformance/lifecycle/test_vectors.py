"""Lifecycle policies, those of AWS's examples and corner cases: what each rule takes, which policies are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moorage.base.errors.requests import InvalidParameter
from moorage.registry.lifecycle.evaluate import DAY, ImageFacts, evaluate, without_waiting
from moorage.registry.lifecycle.policy import parse

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())
NOW = 10_000 * DAY


def facts(number: int, image: dict[str, Any]) -> ImageFacts:
    def moment(name: str) -> int | None:
        return NOW - image[name] * DAY if name in image else None

    return ImageFacts(
        id=number,
        digest=image["name"],
        tags=tuple(image["tags"]),
        pushed=NOW - image["pushedDaysAgo"] * DAY - image.get("pushedSecondsMore", 0) * 1_000_000,
        status=image.get("status", "ACTIVE"),
        archived=moment("archivedDaysAgo"),
        activated=moment("activatedDaysAgo"),
        pulled=moment("pulledDaysAgo"),
        subject=image.get("subject"),
        parents=tuple(image.get("parents", ())),
    )


@pytest.mark.parametrize("vector", VECTORS["decisions"], ids=lambda vector: vector["name"])
def test_the_rules_take_what_they_should(vector: dict[str, Any]) -> None:
    images = [facts(number, image) for number, image in enumerate(vector["images"])]

    evaluation = evaluate(images, parse(json.dumps(vector["policy"])), NOW)

    taken = {each.image.digest: each.rule.priority for each in evaluation.taken if each.rule}
    assert taken == vector["marked"]
    if "withoutWaiting" in vector:
        assert [each.image.digest for each in without_waiting(evaluation)] == vector["withoutWaiting"]


@pytest.mark.parametrize("vector", VECTORS["refusals"], ids=lambda vector: vector["name"])
def test_a_wrong_policy_is_refused_in_these_words(vector: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter) as refused:
        parse(json.dumps(vector["policy"]))

    assert str(refused.value) == (
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
        f"'Lifecycle policy validation failure: {vector['refused']}'"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        '"rules"',
        "null",
        '{"rules": [NaN]}',
        '{"rules": [], "rules": []}',
        '{"rules": ' + "[" * 20_000 + "]" * 20_000 + "}",
        '{"rules": [' + "9" * 5_000 + "]}",
    ],
    ids=lambda text: text[:25],
)
def test_what_is_no_policy_at_all_is_not_mapped(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"Could not map policyString into LifecyclePolicy\.'$"):
        parse(text)
