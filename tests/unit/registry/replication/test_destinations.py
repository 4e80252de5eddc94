"""Which destinations a push has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.base.addresses import Registry
from moorage.registry.account.destinations import Rule, deleting_destinations_of, destinations_of

ONE, TWO, THREE = (Registry("123456789012", f"far-{n}") for n in (1, 2, 3))
NAMES = st.text("abc/", max_size=6)
RULES = st.lists(
    st.builds(
        Rule,
        destinations=st.lists(st.sampled_from([ONE, TWO, THREE]), max_size=3).map(tuple),
        prefixes=st.lists(NAMES.filter(bool), max_size=3).map(tuple),
        replicates_deletions=st.booleans(),
    ),
    max_size=4,
)


@pytest.mark.parametrize(
    ("prefix", "name", "applies"),
    [
        ("prod", "prod", True),
        ("prod", "production", True),
        ("prod", "prod/app", True),
        ("prod", "my-prod", False),
        ("prod/", "prod", False),
        ("prod/app", "prod", False),
    ],
)
def test_a_prefix_is_how_the_name_begins_and_no_more(prefix: str, name: str, applies: bool) -> None:
    assert Rule((ONE,), (prefix,)).applies_to(name) is applies


def test_a_rule_without_filters_is_about_every_repository() -> None:
    assert destinations_of([Rule((ONE, TWO))], "anything") == [ONE, TWO]


def test_what_several_rules_say_is_united_and_each_destination_named_once() -> None:
    rules = [Rule((ONE,), ("a",)), Rule((TWO, ONE), ("ab",)), Rule((THREE,), ("b",))]

    assert destinations_of(rules, "abc") == [ONE, TWO]


def test_deletions_go_where_one_rule_says_so() -> None:
    rules = [Rule((ONE, TWO)), Rule((ONE,), ("a",), replicates_deletions=True)]

    assert deleting_destinations_of(rules, "abc") == [ONE]
    assert deleting_destinations_of(rules, "b") == []


@given(RULES, NAMES)
def test_each_destination_is_one_that_a_rule_about_the_repository_names(rules: list[Rule], name: str) -> None:
    found = destinations_of(rules, name)

    assert set(found) == {to for rule in rules if rule.applies_to(name) for to in rule.destinations}
    assert len(found) == len(set(found))
    assert set(deleting_destinations_of(rules, name)) <= set(found)
