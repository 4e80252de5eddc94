"""The store of kept answers: bounded, and the least lately asked go first."""

from __future__ import annotations

import pytest

from moorage.base.addresses import Registry
from moorage.server.kept import ONE_MAX, Kept, KeptAnswers

HOST = b"r.example"


def kept(size: int = 0) -> Kept:
    return Kept(Registry("123456789012", "us-east-1"), (), "*", "", 1, 0, 200, bytes(size))


def test_get_of_another_method_target_or_host_is_none() -> None:
    answers = KeptAnswers()
    answers.keep(b"GET", b"/a", HOST, kept())

    assert answers.get(b"GET", b"/a", HOST) is not None
    for key in [(b"HEAD", b"/a", HOST), (b"GET", b"/a?", HOST), (b"GET", b"/a", b"other")]:
        assert answers.get(*key) is None


def test_keep_beyond_the_limit_drops_the_least_lately_asked() -> None:
    answers = KeptAnswers(bytes_max=3_000)
    for target in (b"/1", b"/2", b"/3"):
        answers.keep(b"GET", target, HOST, kept(300))
    answers.get(b"GET", b"/1", HOST)

    answers.keep(b"GET", b"/4", HOST, kept(300))

    assert [answers.get(b"GET", target, HOST) is not None for target in (b"/1", b"/2", b"/3", b"/4")] == [
        True,
        False,
        True,
        True,
    ]


def test_keep_of_a_large_answer_keeps_nothing() -> None:
    answers = KeptAnswers()
    answers.keep(b"GET", b"/a", HOST, kept(ONE_MAX + 1))

    assert answers.get(b"GET", b"/a", HOST) is None


@pytest.mark.parametrize("times", [1, 100])
def test_keep_again_and_forget_free_the_room(times: int) -> None:
    answers = KeptAnswers(bytes_max=3_000)
    for _ in range(times):
        answers.keep(b"GET", b"/a", HOST, kept(300))
    answers.keep(b"GET", b"/b", HOST, kept(300))
    answers.forget(b"GET", b"/b", HOST)
    answers.forget(b"GET", b"/b", HOST)
    for target in (b"/c", b"/d"):
        answers.keep(b"GET", target, HOST, kept(300))

    assert answers.get(b"GET", b"/a", HOST) is not None
