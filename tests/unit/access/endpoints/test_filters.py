from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from moorage.access.endpoints.filters import Attributes, of_tags, selected
from moorage.aws.shapes.ec2 import Filter
from moorage.base.errors.endpoints import InvalidFilter

NAMES = frozenset({"vpc-id", "tag-key"})
ITEMS: dict[str, Attributes] = {
    "a": {"vpc-id": ["vpc-1"], **of_tags([("team", "blue"), ("x", "")])},
    "b": {"vpc-id": ["vpc-2"], **of_tags([("team", "Green")])},
    "c": {"vpc-id": ["vpc-10"]},
}


def chosen(*filters: tuple[str, Sequence[str]]) -> str:
    asked = [Filter(name=name, values=list(values)) for name, values in filters]
    return "".join(selected(sorted(ITEMS), asked, ITEMS.__getitem__, NAMES))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], "abc"),
        ([("vpc-id", ["vpc-1"])], "a"),
        ([("vpc-id", ["vpc-1", "vpc-2"])], "ab"),
        ([("vpc-id", ["vpc-1*"])], "ac"),
        ([("vpc-id", ["vpc-?"])], "ab"),
        ([("vpc-id", ["VPC-1"])], ""),
        ([("tag:team", ["blue", "green"])], "a"),
        ([("tag:x", [""])], "a"),
        ([("tag:none", ["*"])], ""),
        ([("tag-key", ["team"])], "ab"),
        ([("tag-key", ["team"]), ("vpc-id", ["vpc-2", "vpc-10"])], "b"),
    ],
)
def test_every_filter_and_one_of_its_values_has_to_match(
    filters: list[tuple[str, Sequence[str]]], expected: str
) -> None:
    assert chosen(*filters) == expected


@pytest.mark.parametrize(
    "filters",
    [
        [("no-such", ["a"])],
        [("", ["a"])],
        [("vpc-id", [])],
        [("vpc-id", ["a"] * 201)],
        [("vpc-id", ["a" * 256])],
        [("vpc-id", ["a"])] * 51,
    ],
)
def test_filters_that_are_unknown_or_too_many_are_refused(filters: list[tuple[str, Sequence[str]]]) -> None:
    with pytest.raises(InvalidFilter):
        chosen(*filters)


def test_a_filter_that_is_all_stars_is_matched_at_once() -> None:
    has: Attributes = {"vpc-id": ["a" * 250]}
    started = time.process_time()  # what else runs on the machine is not measured

    found = selected([1], [Filter(name="vpc-id", values=["*a" * 127 + "b"])], lambda _: has, NAMES)

    assert found == []
    assert time.process_time() - started < 0.5
