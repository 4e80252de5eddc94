"""Three ways to say which repositories a rule is about."""

from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.registry.account.filters import (
    replication_matches,
    scanning_matches,
    signing_matches,
    wildcard_matches,
)

NAMES = ("prod", "repo-prod", "prod-repo", "repo-prod-repo", "prodrepo")


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("prod",      "YYYYY"),
        ("*prod",     "YYNNN"),
        ("prod*",     "YNYNY"),
        ("*prod*",    "YYYYY"),
        ("prod*repo", "NNYNY"),
    ],
)  # fmt: skip
def test_the_table_of_the_user_guide(pattern: str, matched: str) -> None:
    found = "".join("Y" if scanning_matches(pattern, name) else "N" for name in NAMES)

    assert found == matched


def test_a_signing_filter_without_a_star_is_the_whole_name() -> None:
    assert [signing_matches("prod", name) for name in NAMES] == [True, False, False, False, False]


def test_a_replication_filter_is_how_the_name_begins() -> None:
    assert replication_matches("prod", "production/app")
    assert not replication_matches("prod", "my-prod")


@given(st.text("ab*", max_size=12), st.text("ab", max_size=12))
def test_stars_match_as_in_a_shell(pattern: str, text: str) -> None:
    assert wildcard_matches(pattern, text) == fnmatch.fnmatchcase(text, pattern)


def test_the_work_does_not_explode() -> None:
    started = time.process_time()  # what else runs on the machine is not measured

    assert not wildcard_matches("*a" * 127 + "b", "a" * 256)
    assert time.process_time() - started < 0.05
