"""What runs the queue."""

from __future__ import annotations

import asyncio

import pytest

from moorage.access.call import Services
from moorage.base.clock import HOUR, SECOND
from moorage.server import jobs
from moorage.server.jobs import Handler, JobRunner
from moorage.store.jobs import queue
from moorage.store.jobs.queue import Job

from ..registry.memory import in_memory
from ..registry.registry import MemoryRegistry


async def put(registry: MemoryRegistry, *subjects: str, kind: str = "count", in_us: int = 0) -> None:
    async with registry.db.transaction() as tx:
        for subject in subjects:
            await registry.services.jobs.put(tx, kind, subject, now=registry.now, due=registry.now + in_us)


class Counted:
    """A handler that notes what it runs, and waits until it may go on."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.most = 0
        self.go_on = asyncio.Event()
        self.began = asyncio.Event()
        self.two_began = asyncio.Event()

    async def __call__(self, services: Services, job: Job) -> None:
        self.begun.append(job.subject)
        self.most = max(self.most, len(self.begun) - len(self.ended))
        self.began.set()
        if len(self.begun) == 2:
            self.two_began.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.append(job.subject)
            raise
        self.ended.append(job.subject)


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@in_memory
async def test_what_this_process_puts_is_run_without_waiting_for_a_look(
    registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LOOK_S", 3_600.0)
    counted = Counted()
    counted.go_on.set()
    running = asyncio.create_task(JobRunner(registry.services, {"count": Handler(counted)}).run())
    await settle()

    await put(registry, "team/app")
    async with asyncio.timeout(60):  # a look would take an hour
        await counted.began.wait()

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert counted.begun == ["team/app"]


@in_memory
async def test_only_so_many_of_a_kind_run_at_once(registry: MemoryRegistry) -> None:
    counted = Counted()
    runner = JobRunner(registry.services, {"count": Handler(counted, at_once=2)})
    await put(registry, "a", "b", "c", "d", "e")

    over = asyncio.create_task(runner.run_due())
    await counted.two_began.wait()
    counted.go_on.set()
    await over

    assert counted.most == 2
    assert sorted(counted.ended) == ["a", "b", "c", "d", "e"]
    assert registry.count("jobs") == 0


@in_memory
async def test_a_busy_kind_holds_no_other_up(registry: MemoryRegistry) -> None:
    slow, quick = Counted(), Counted()
    quick.go_on.set()
    runner = JobRunner(registry.services, {"count": Handler(slow), "other": Handler(quick)})
    await put(registry, "a", "b")
    await put(registry, "c", kind="other")

    over = asyncio.create_task(runner.run_due())
    await quick.began.wait()

    assert quick.ended == ["c"]
    slow.go_on.set()
    await over


@in_memory
async def test_what_fails_is_tried_again_later_and_leaves_the_rest_alone(registry: MemoryRegistry) -> None:
    tried: list[str] = []

    async def fails_once(services: Services, job: Job) -> None:
        tried.append(job.subject)
        if job.subject == "bad" and job.attempts == 1:
            raise ValueError("no luck")

    runner = JobRunner(registry.services, {"count": Handler(fails_once)})
    await put(registry, "bad", "good")

    await runner.run_due()
    (waiting,) = await queue.page(registry.db, 0, 10)
    assert (tried, waiting.error) == (["bad", "good"], "ValueError: no luck")

    registry.pass_time(SECOND)
    await runner.run_due()
    assert tried == ["bad", "good", "bad"]
    assert registry.count("jobs") == 0


@in_memory
async def test_a_job_is_given_up_after_its_attempts(registry: MemoryRegistry) -> None:
    async def fails(services: Services, job: Job) -> None:
        raise ValueError("never")

    runner = JobRunner(registry.services, {"count": Handler(fails, attempts=2)})
    await put(registry, "bad")
    for _ in range(3):
        await runner.run_due()
        registry.pass_time(HOUR)

    (shown,) = await queue.page(registry.db, 0, 10)
    assert (shown.state, shown.attempts) == ("failed", 2)


@in_memory
async def test_stopping_cancels_what_runs_and_gives_it_back(registry: MemoryRegistry) -> None:
    counted = Counted()
    running = asyncio.create_task(JobRunner(registry.services, {"count": Handler(counted)}).run())
    await put(registry, "team/app")
    await counted.began.wait()

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert counted.cancelled == ["team/app"]
    (shown,) = await queue.page(registry.db, 0, 10)
    assert (shown.state, shown.attempts, shown.due) == ("waiting", 0, registry.now)


@in_memory
async def test_a_job_may_run_in_its_own_rhythm(registry: MemoryRegistry) -> None:
    runs: list[int] = []

    async def hourly(services: Services, job: Job) -> int:
        runs.append(services.clock())
        return services.clock() + HOUR

    runner = JobRunner(registry.services, {"count": Handler(hourly)})
    await put(registry, "team/app")
    await runner.run_due()
    registry.pass_time(HOUR)
    await runner.run_due()

    assert runs == [registry.now - HOUR, registry.now]


@in_memory
async def test_jobs_of_a_kind_that_nobody_handles_stay(registry: MemoryRegistry) -> None:
    await put(registry, "team/app", kind="of a later version")

    await JobRunner(registry.services, {}).run_due()

    assert registry.count("jobs") == 1


@in_memory
async def test_what_is_asked_for_again_while_it_ends_is_run_at_once(registry: MemoryRegistry) -> None:
    counted = Counted()
    runner = JobRunner(registry.services, {"count": Handler(counted, at_once=2)})
    await put(registry, "a")
    await runner._start({"count"})
    await counted.began.wait()
    await put(registry, "a")  # while it runs

    counted.go_on.set()
    await asyncio.sleep(0)  # its end is written in the commit in which it is claimed again
    await runner._start({"count"})
    await settle()
    await runner.run_due()

    assert counted.ended == ["a", "a"]
    assert registry.count("jobs") == 0


@in_memory
async def test_a_job_with_the_number_of_one_that_just_ended_is_run_at_once(registry: MemoryRegistry) -> None:
    one, other = Counted(), Counted()
    other.go_on.set()
    runner = JobRunner(registry.services, {"count": Handler(one), "other": Handler(other)})
    await put(registry, "a")
    await runner._start({"count"})
    await one.began.wait()

    one.go_on.set()  # its row goes in the commit that brings the next one
    await asyncio.gather(put(registry, "b", kind="other"), runner._start({"other"}))
    await settle()
    await runner.run_due()

    assert other.ended == ["b"]
    assert registry.count("jobs") == 0
