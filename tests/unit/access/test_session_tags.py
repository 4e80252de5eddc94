"""Tags of sessions, and what is handed on."""

from __future__ import annotations

import pytest

from moorage.access.principals import Session
from moorage.access.session_tags import MOST, SessionTags, session_tags
from moorage.base.errors.requests import InvalidParameter

CALLER = Session("ci", 0, 1, tags=(("Team", "a"), ("Stage", "test")), transitive=("team",))


def test_only_transitive_tags_are_handed_on() -> None:
    assert session_tags([], [], None) == SessionTags()
    assert session_tags([], [], CALLER) == SessionTags({"Team": "a"}, ("Team",))
    assert session_tags([("Stage", "live")], ["stage"], CALLER) == SessionTags(
        {"Team": "a", "Stage": "live"}, ("Team", "stage")
    )


@pytest.mark.parametrize("key", ["Team", "team", "TEAM"])
def test_a_transitive_tag_cannot_be_changed_on_the_way(key: str) -> None:
    with pytest.raises(
        InvalidParameter, match="conflicts with a transitive tag key from the calling session"
    ):
        session_tags([(key, "b")], [], CALLER)
    with pytest.raises(InvalidParameter):
        session_tags([(key, "b")], [key], CALLER)


def test_a_key_is_there_once_without_regard_to_case() -> None:
    with pytest.raises(InvalidParameter, match="Duplicate tag keys found"):
        session_tags([("Team", "a"), ("team", "b")], [], None)


def test_what_goes_on_has_to_be_asked_for() -> None:
    with pytest.raises(InvalidParameter, match="must be included in the requested tags"):
        session_tags([("Team", "a")], ["Stage"], None)


def test_reserved_keys_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="reserved"):
        session_tags([("AWS:PrincipalTag", "a")], [], None)


def test_inherited_tags_count() -> None:
    asked = [(f"k{n}", "") for n in range(MOST)]

    assert len(session_tags(asked, [], None).tags) == MOST
    with pytest.raises(InvalidParameter, match="at most 50"):
        session_tags(asked, [], CALLER)
