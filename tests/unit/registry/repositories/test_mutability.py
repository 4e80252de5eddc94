"""May a tag be moved: against a model of wildcards that tries every split."""

from __future__ import annotations

import time
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.base.errors.requests import InvalidParameter
from moorage.registry.repositories.mutability import Mode, Mutability

FILTERS = st.text("ab.*", min_size=1, max_size=6).filter(lambda text: text.count("*") <= 2)


@given(st.lists(FILTERS, min_size=1, max_size=3), st.text("ab.", min_size=1, max_size=6))
@settings(deadline=None, derandomize=True, max_examples=500)
def test_protects_of_a_filter_agrees_with_the_model(filters: list[str], tag: str) -> None:
    is_matched = any(matches(text, tag) for text in filters)

    assert Mutability.parse("IMMUTABLE_WITH_EXCLUSION", filters).protects(tag) is not is_matched
    assert Mutability.parse("MUTABLE_WITH_EXCLUSION", filters).protects(tag) is is_matched


def matches(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches(pattern[1:], text[skipped:]) for skipped in range(len(text) + 1))
    return text[:1] == pattern[0] and matches(pattern[1:], text[1:])


@pytest.mark.parametrize(("mode", "is_protected"), [("MUTABLE", False), ("IMMUTABLE", True)])
def test_protects_without_filters_is_the_same_for_every_tag(mode: Mode, is_protected: bool) -> None:
    assert Mutability.parse(mode, None).protects("any") is is_protected


@pytest.mark.parametrize("mode", get_args(Mode))
def test_parse_wants_filters_exactly_where_something_is_excluded(mode: Mode) -> None:
    wrong: list[str] | None = None if mode.endswith("_EXCLUSION") else ["a*"]

    with pytest.raises(InvalidParameter):
        Mutability.parse(mode, wrong)


@pytest.mark.parametrize("text", ["", "a" * 129, "a b", "a/b", "é", "***", "a\n", "[a]", "a?"])
def test_parse_of_a_bad_filter_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        Mutability.parse("IMMUTABLE_WITH_EXCLUSION", [text])


def test_protects_of_the_longest_filter_and_tag_takes_no_time() -> None:
    mutability = Mutability.parse("IMMUTABLE_WITH_EXCLUSION", ["a*" + "a" * 60 + "*" + "a" * 60 + "b"] * 5)
    started = time.process_time()

    assert mutability.protects("a" * 128)
    assert time.process_time() - started < 0.5
