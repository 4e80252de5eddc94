"""Wildcards: against a model that tries every split, and against the clock."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.access.policies.globs import arn_glob, compiled, glob, glob_of, matcher

PATTERNS = st.text("ab*?.", max_size=8)
TEXTS = st.text("ab.\n", max_size=8)


@given(PATTERNS, TEXTS)
@settings(deadline=None, derandomize=True, max_examples=2_000)
def test_glob_agrees_with_the_model(pattern: str, text: str) -> None:
    assert matcher([glob(pattern)])(text) is matches(pattern, text)


@given(st.lists(PATTERNS, max_size=3), TEXTS)
@settings(deadline=None, derandomize=True, max_examples=500)
def test_matcher_of_several_is_any_of_them(patterns: list[str], text: str) -> None:
    assert matcher([glob(p) for p in patterns])(text) is any(matches(p, text) for p in patterns)


@given(st.text("ab*?$^[](){}|+\\", max_size=6), st.text("ab*?$^[](){}|+\\", max_size=6))
@settings(deadline=None, derandomize=True, max_examples=1_000)
def test_glob_of_dead_wildcards_matches_the_text_itself_only(pattern: str, text: str) -> None:
    assert matcher([glob_of([(pattern, False)])])(text) is (pattern == text)


@given(st.lists(st.text("ab*?", max_size=3), min_size=6, max_size=6), st.text("ab:", max_size=12))
@settings(deadline=None, derandomize=True, max_examples=1_000)
def test_arn_glob_matches_segment_by_segment(segments: list[str], text: str) -> None:
    asked = f"arn:{text}"
    parts = asked.split(":", 5)
    is_match = len(parts) == 6 and all(map(matches, ["arn", *segments[1:]], parts))

    expression = arn_glob([(":".join(["arn", *segments[1:]]), True)])

    assert expression is not None
    assert (compiled(expression).fullmatch(asked) is not None) is is_match


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 60 + "b", "a*" * 60 + "b", "*" * 2_000 + "b", "?*" * 60 + "b", "*" + "a?" * 200 + "b"],
)
def test_glob_of_many_stars_takes_no_time(pattern: str) -> None:
    matches_text = matcher([glob(pattern)])
    started = time.process_time()

    assert not matches_text("a" * 20_000)
    assert time.process_time() - started < 2


def test_arn_glob_of_many_stars_in_every_segment_takes_no_time() -> None:
    segment = "*a" * 20
    expression = arn_glob([(f"arn:{segment}:{segment}:{segment}:{segment}:{segment}b", True)])
    assert expression is not None
    started = time.process_time()

    assert not compiled(expression).fullmatch("arn:" + ":".join(["a" * 2_000] * 5))
    assert time.process_time() - started < 2


def matches(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches(pattern[1:], text[skipped:]) for skipped in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and matches(pattern[1:], text[1:])
