"""The grammar of names, against a reading of it piece by piece."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.base.names import is_account_id, is_region, is_repository_name, is_tag

CHARACTERS = "a0._-/A é"


@given(st.text(CHARACTERS, max_size=12))
@settings(deadline=None, derandomize=True, max_examples=1_000)
def test_is_repository_name_agrees_with_the_grammar_read_by_hand(text: str) -> None:
    assert is_repository_name(text) == (len(text) >= 2 and all(map(is_component, text.split("/"))))


def is_component(text: str) -> bool:
    """Words of a-z and 0-9, with `.`, `_`, `__` or any number of `-` between two of them."""
    words = re.split(r"[^a-z0-9]+", text)
    separators = re.findall(r"[^a-z0-9]+", text)
    return all(words) and all(found in (".", "_", "__") or set(found) == {"-"} for found in separators)


@given(st.text(CHARACTERS, max_size=12))
@settings(deadline=None, derandomize=True, max_examples=500)
def test_is_tag_agrees_with_the_grammar_read_by_hand(text: str) -> None:
    first = set("a0_A")
    assert is_tag(text) == (text != "" and text[0] in first and set(text) <= first | {".", "-"})


@pytest.mark.parametrize(("length", "is_name"), [(1, False), (2, True), (256, True), (257, False)])
def test_is_repository_name_has_2_to_256_characters(length: int, is_name: bool) -> None:
    assert is_repository_name("a" * length) is is_name


@pytest.mark.parametrize(("length", "is_one"), [(0, False), (1, True), (128, True), (129, False)])
def test_is_tag_has_1_to_128_characters(length: int, is_one: bool) -> None:
    assert is_tag("a" * length) is is_one


@pytest.mark.parametrize("text", ["ab\n", "\nab", "ab\0", "a\tb", "ａｂ", "a" + "-" * 253 + "!"])
def test_no_grammar_takes_what_only_looks_alike(text: str) -> None:
    assert not is_repository_name(text)
    assert not is_tag(text)
    assert not is_region(text)


@pytest.mark.parametrize(
    "text", ["12345678901", "1234567890123", "12345678901a", "123456789012\n", "١" * 12, ""]
)
def test_is_account_id_wants_twelve_digits(text: str) -> None:
    assert not is_account_id(text)
    assert is_account_id("123456789012")


def test_names_of_the_worst_kind_are_read_in_no_time() -> None:
    started = time.process_time()
    for text in ("a-" * 127 + "_", "a_" * 127 + "!", "-" * 256, "a" * 255 + "/", "a/" * 128, "a" + "-" * 254):
        is_repository_name(text)

    assert time.process_time() - started < 0.5
