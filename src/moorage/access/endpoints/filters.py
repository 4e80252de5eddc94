"""The filters of EC2's listings: any of the values of each filter, `*` and `?` standing for characters.

Source: EC2 user guide, "Filter your resources": names and values are case-sensitive, at most 50 filters of 200 values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from moorage.access.policies.globs import glob, matcher
from moorage.aws.shapes.ec2 import Filter
from moorage.base.errors.endpoints import InvalidFilter

FILTERS_MAX, VALUES_MAX, LENGTH_MAX = 50, 200, 255

Item = TypeVar("Item")
Attributes = Mapping[str, Collection[str]]
"""What an item has, by the name of the filter that asks for it."""


def selected(
    items: Sequence[Item],
    filters: Sequence[Filter] | None,
    attributes: Callable[[Item], Attributes],
    names: frozenset[str],
) -> list[Item]:
    """The items that pass all filters. `names` are those known, besides `tag:KEY`; raise `InvalidFilter`."""
    tests = [_test(each, names) for each in filters or ()]
    if len(tests) > FILTERS_MAX:
        raise InvalidFilter(name=f"{FILTERS_MAX} filters at most")
    if not tests:
        return list(items)
    having = [(item, attributes(item)) for item in items]
    return [item for item, has in having if all(any(map(test, has.get(name, ()))) for name, test in tests)]


def of_tags(tags: Sequence[tuple[str, str]]) -> dict[str, Collection[str]]:
    return {"tag-key": [key for key, _ in tags], **{f"tag:{key}": [value] for key, value in tags}}


def _test(asked: Filter, names: frozenset[str]) -> tuple[str, Callable[[str], bool]]:
    name, values = asked.name or "", asked.values or []
    is_known = name in names or (name.startswith("tag:") and not names.isdisjoint({"tag-key", "key"}))
    is_bounded = len(values) <= VALUES_MAX and max(map(len, [name, *values])) <= LENGTH_MAX
    if not (is_known and is_bounded and values):
        raise InvalidFilter(name=name[:LENGTH_MAX])
    return name, matcher([glob(value) for value in values])
