from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.aws import patterns
from moorage.aws.model import ListOf, MapOf, Node, Scalar, structure_of
from moorage.aws.patterns import matcher
from moorage.aws.shapes import SERVICES, load
from moorage.base.names import REPOSITORY_PATTERN

SCAN_FILTER = r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$"
REPOSITORY = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
WORST = (
    "a" * 250 + "!",
    "a-" * 120 + "!",
    "a/" * 120 + "!",
    "a_" * 120,
    "-" * 250,
    "*" * 250 + "!",
    "arn:aws" + "-a" * 120,
)


def _patterns(node: Node) -> set[str]:
    if isinstance(node, Scalar):
        return {node.pattern} if node.pattern else set()
    if isinstance(node, ListOf):
        return _patterns(node.item)
    if isinstance(node, MapOf):
        return _patterns(node.key) | _patterns(node.value)
    return set().union(*(_patterns(member.node) for member in node.members))


def _all_patterns() -> list[str]:
    types = [shape for service in SERVICES for pair in load(service).OPERATIONS.values() for shape in pair]
    return sorted(set().union(*(_patterns(structure_of(shape)) for shape in types)))


@pytest.mark.parametrize("pattern", _all_patterns())
def test_pattern_when_the_string_is_hostile_is_matched_at_once(pattern: str) -> None:
    matches = matcher(pattern)
    started = time.process_time()  # what else runs on the machine is not measured

    for text in WORST:
        matches(text)

    assert time.process_time() - started < 0.5


def test_matcher_when_nobody_read_the_pattern_refuses() -> None:
    with pytest.raises(LookupError, match="unread"):
        matcher("(a+)+")


@settings(deadline=None)
@given(st.text("a0*._-/!", max_size=9))
def test_rewritten_scan_filter_when_short_equals_the_model(text: str) -> None:
    assert matcher(SCAN_FILTER)(text) == bool(re.fullmatch(SCAN_FILTER, text))


@settings(deadline=None)
@given(st.text("ab0._-/A", max_size=12))
def test_repository_pattern_when_compared_with_the_names_of_the_base_is_the_same(text: str) -> None:
    assert matcher(REPOSITORY)(text) == bool(re.fullmatch(REPOSITORY_PATTERN, text))


@pytest.mark.parametrize(
    ("name", "is_match"),
    [
        ("0", True),
        ("a---b", True),
        ("a/b", True),
        ("a__b", True),
        ("-a", False),
        ("A", False),
        ("a-", False),
        ("a..b", False),
        ("a/", False),
        ("a//b", False),
        ("a\n", False),
        ("a___b", False),
    ],
)
def test_repository_pattern_when_matched_is_anchored(name: str, is_match: bool) -> None:
    assert matcher(REPOSITORY)(name) is is_match


def test_tag_pattern_when_a_letter_is_of_another_script_holds() -> None:
    words = matcher(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+")

    assert words("Größe 東京 5=ok")
    assert not words("")
    assert not words("a<b")


def test_word_patterns_when_matched_are_ascii() -> None:
    assert not matcher(r"[\w+=,.@-]+")("é")
    assert set(patterns._REWRITTEN) <= set(_all_patterns())
