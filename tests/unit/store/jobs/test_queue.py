"""The queue: once for each subject, one holder at a time, again after a crash."""

from __future__ import annotations

from dataclasses import replace

from moorage.base.clock import HOUR, SECOND
from moorage.store.jobs import queue
from moorage.store.jobs.queue import LEASE_US, Job, Jobs

from ...registry.memory import in_memory
from ...registry.registry import MemoryRegistry


async def put(registry: MemoryRegistry, subject: str, payload: str = "", in_us: int = 0) -> None:
    async with registry.db.transaction() as tx:
        await registry.services.jobs.put(
            tx, "count", subject, payload, now=registry.now, due=registry.now + in_us
        )


async def claim(registry: MemoryRegistry, jobs: Jobs | None = None) -> Job | None:
    return await (jobs or registry.services.jobs).claim(registry.db, "count", registry.now)


async def claimed(registry: MemoryRegistry) -> Job:
    job = await claim(registry)
    assert job is not None
    return job


async def listed(registry: MemoryRegistry) -> list[tuple[str, str]]:
    return [(job.subject, job.state) for job in await queue.page(registry.db, 0, 100)]


@in_memory
async def test_a_job_goes_with_the_transaction_that_put_it(registry: MemoryRegistry) -> None:
    try:
        async with registry.db.transaction() as tx:
            await registry.services.jobs.put(tx, "count", "lost", now=registry.now)
            raise LookupError
    except LookupError:
        pass

    assert await claim(registry) is None


@in_memory
async def test_of_one_subject_there_is_one_job_with_the_latest_payload(registry: MemoryRegistry) -> None:
    await put(registry, "team/app", "first")
    await put(registry, "team/app", "second")

    assert (await claimed(registry)).payload == "second"
    assert await claim(registry) is None


@in_memory
async def test_what_waits_longest_comes_first_and_nothing_before_its_time(registry: MemoryRegistry) -> None:
    await put(registry, "later", in_us=2 * SECOND)
    await put(registry, "sooner", in_us=SECOND)

    assert await claim(registry) is None
    registry.pass_time(3 * SECOND)

    assert [(await claimed(registry)).subject, (await claimed(registry)).subject] == ["sooner", "later"]


@in_memory
async def test_put_again_for_an_earlier_time_it_is_due_earlier_and_never_later(
    registry: MemoryRegistry,
) -> None:
    await put(registry, "team/app", in_us=HOUR)
    await put(registry, "team/app")
    await put(registry, "team/app", in_us=HOUR)

    assert await claim(registry) is not None


@in_memory
async def test_a_leased_job_is_nobody_elses_until_its_process_has_gone(registry: MemoryRegistry) -> None:
    other = Jobs("other-process")
    await put(registry, "team/app")
    mine = await claimed(registry)

    assert await claim(registry, other) is None
    registry.pass_time(LEASE_US - SECOND)
    await registry.services.jobs.keep(registry.db, [mine.id], registry.now)
    registry.pass_time(LEASE_US - SECOND)
    assert await claim(registry, other) is None

    registry.pass_time(2 * SECOND)
    again = await claim(registry, other)

    assert again is not None
    assert (again.id, again.attempts) == (mine.id, 2)


@in_memory
async def test_who_has_lost_a_lease_changes_nothing_any_more(registry: MemoryRegistry) -> None:
    other = Jobs("other-process")
    await put(registry, "team/app")
    mine = await claimed(registry)
    registry.pass_time(LEASE_US + 1)
    theirs = await claim(registry, other)
    assert theirs is not None

    await registry.services.jobs.finish(registry.db, mine)
    await registry.services.jobs.fail(registry.db, mine, "late", registry.now)

    assert await listed(registry) == [("team/app", "running")]
    await other.finish(registry.db, theirs)
    assert await listed(registry) == []


@in_memory
async def test_what_is_asked_for_while_it_runs_is_run_once_more(registry: MemoryRegistry) -> None:
    await put(registry, "team/app", "first")
    running = await claimed(registry)
    await put(registry, "team/app", "second")

    await registry.services.jobs.finish(registry.db, running)

    again = await claimed(registry)
    assert (again.payload, again.attempts) == ("second", 1)
    await registry.services.jobs.finish(registry.db, again)
    assert await claim(registry) is None


@in_memory
async def test_failures_wait_twice_as_long_each_time_up_to_an_hour(registry: MemoryRegistry) -> None:
    assert [queue.retry_after(attempts) for attempts in (1, 2, 3, 12, 13, 60)] == [
        SECOND,
        2 * SECOND,
        4 * SECOND,
        2_048 * SECOND,
        HOUR,
        HOUR,
    ]

    await put(registry, "team/app")
    job = await claimed(registry)
    assert await registry.services.jobs.fail(registry.db, replace(job, attempts=3), "no", registry.now)

    registry.pass_time(4 * SECOND - 1)
    assert await claim(registry) is None
    registry.pass_time(1)
    assert await claim(registry) is not None


@in_memory
async def test_what_fails_too_often_is_given_up_and_seen_until_it_is_asked_for_again(
    registry: MemoryRegistry,
) -> None:
    await put(registry, "team/app")
    job = await claimed(registry)
    assert not await registry.services.jobs.fail(registry.db, job, "E" * 900, registry.now, attempts=1)

    (shown,) = await queue.page(registry.db, 0, 100)
    assert (shown.state, len(shown.error)) == ("failed", 500)
    registry.pass_time(24 * HOUR)
    assert await claim(registry) is None

    assert await queue.retry(registry.db, shown.id, registry.now)
    assert (await claimed(registry)).attempts == 1


@in_memory
async def test_only_what_does_not_run_can_be_retried(registry: MemoryRegistry) -> None:
    await put(registry, "team/app")
    job = await claimed(registry)

    assert not await queue.retry(registry.db, job.id, registry.now)
    assert not await queue.retry(registry.db, job.id + 1, registry.now)


@in_memory
async def test_progress_and_states_are_shown(registry: MemoryRegistry) -> None:
    await put(registry, "waits", in_us=HOUR)
    await put(registry, "runs")
    job = await claimed(registry)
    await registry.services.jobs.progress(registry.db, job, 3, 10, "three of ten")

    waiting, running = await queue.page(registry.db, 0, 100)

    assert (waiting.state, running.state) == ("waiting", "running")
    assert (running.done, running.total, running.note) == (3, 10, "three of ten")
    assert await queue.counts(registry.db) == {("count", "running"): 1, ("count", "waiting"): 1}


@in_memory
async def test_a_job_done_may_say_when_it_is_next(registry: MemoryRegistry) -> None:
    await put(registry, "team/app")
    await registry.services.jobs.finish(registry.db, await claimed(registry), registry.now + HOUR)

    assert await claim(registry) is None
    registry.pass_time(HOUR)
    assert (await claimed(registry)).attempts == 1
