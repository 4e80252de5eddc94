"""The rhythm of background work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from moorage.access.call import Services
from moorage.server import schedule
from moorage.server.schedule import Periodic

SERVICES = cast(Services, object())  # the jobs of these tests use none


class Turns:
    """Stands in for `asyncio.sleep`: it lets that many naps pass at once, then ends the test."""

    def __init__(self, naps: int) -> None:
        self.slept: list[float] = []
        self._left = naps

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._left -= 1
        if self._left < 0:
            raise StopScheduleError


class StopScheduleError(BaseException):
    """Not an `Exception`: the schedule must not catch it."""


def _run(monkeypatch: pytest.MonkeyPatch, naps: int, clear: Callable[..., Any], *periodic: Periodic) -> Turns:
    async def over() -> Turns:
        turns = Turns(naps)
        monkeypatch.setattr(schedule.asyncio, "sleep", turns.sleep)
        with pytest.raises(StopScheduleError):
            await schedule.run_all(SERVICES)
        return turns

    monkeypatch.setattr(schedule, "PERIODIC", periodic)
    monkeypatch.setattr(schedule.uploads_job, "clear_left_behind", clear)
    return asyncio.run(over())


def test_what_a_crash_left_is_cleared_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def clear(services: Services) -> None:
        done.append("clear")

    async def collect(services: Services) -> None:
        done.append("collect")

    turns = _run(monkeypatch, 2, clear, Periodic("collect", 60.0, collect))

    assert done == ["clear", "collect", "collect", "collect"]
    assert turns.slept == [60.0] * 3


def test_a_job_that_fails_is_logged_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    async def clear(services: Services) -> None:
        raise OSError("the disk")

    async def fails_once(services: Services) -> None:
        tries.append(len(tries))
        if len(tries) == 1:
            raise ValueError("for once")

    _run(monkeypatch, 1, clear, Periodic("fails once", 10.0, fails_once))

    assert tries == [0, 1]
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "clear up after the last process",
        "fails once",
    ]


def test_one_that_fails_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def clear(services: Services) -> None:
        pass

    async def fails(services: Services) -> None:
        raise ValueError

    async def works(services: Services) -> None:
        done.append("works")

    _run(monkeypatch, 3, clear, Periodic("fails", 10.0, fails), Periodic("works", 10.0, works))

    assert done


def test_every_job_has_a_name_and_a_rhythm_of_its_own() -> None:
    assert len({periodic.name for periodic in schedule.PERIODIC}) == len(schedule.PERIODIC)
    assert all(periodic.every_s > 0 for periodic in schedule.PERIODIC)
