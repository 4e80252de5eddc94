"""The traces of background work."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from opentelemetry.trace import StatusCode

from moorage.access.call import Services
from moorage.server.jobs import Handler, JobRunner
from moorage.server.schedule import PERIODIC, Periodic
from moorage.server.tracing.background import (
    ORIGINS_MAX,
    TracedJobs,
    traced_handlers,
    traced_periodic,
)
from moorage.store.jobs.queue import Job

from ...registry.memory import in_memory
from ...registry.registry import MemoryRegistry
from .conftest import Traced


def with_traced_jobs(registry: MemoryRegistry) -> TracedJobs:
    jobs = TracedJobs("process")
    registry.services = replace(registry.services, jobs=jobs)
    return jobs


async def put(registry: MemoryRegistry, subject: str) -> None:
    async with registry.db.transaction() as tx:
        await registry.services.jobs.put(tx, "work", subject, now=registry.now)


async def do_nothing(services: Services, job: Job) -> None:
    pass


@in_memory
async def test_a_job_is_a_trace_of_its_own_linked_to_the_request_that_put_it(
    registry: MemoryRegistry,
) -> None:
    traced, _ = Traced(), with_traced_jobs(registry)
    with traced.tracer.start_as_current_span("request"):
        await put(registry, "one")

    await JobRunner(
        registry.services, traced_handlers({"work": Handler(do_nothing)}, traced.tracer)
    ).run_due()

    job, request = traced.one("job work"), traced.one("request")
    assert job.parent is None
    assert [link.context.span_id for link in job.links] == [request.context.span_id]
    assert dict(job.attributes or {}) == {"moorage.job.kind": "work", "moorage.job.attempt": 1}


@in_memory
async def test_a_job_that_nobody_asked_for_has_no_link(registry: MemoryRegistry) -> None:
    traced, _ = Traced(), with_traced_jobs(registry)
    await put(registry, "one")

    await JobRunner(
        registry.services, traced_handlers({"work": Handler(do_nothing)}, traced.tracer)
    ).run_due()

    assert list(traced.one("job work").links) == []


@in_memory
async def test_a_job_that_fails_is_an_error_and_is_tried_again_as_before(registry: MemoryRegistry) -> None:
    async def fail(services: Services, job: Job) -> None:
        raise ValueError("secret")

    traced, _ = Traced(), with_traced_jobs(registry)
    await put(registry, "one")
    handlers = traced_handlers({"work": Handler(fail, attempts=2)}, traced.tracer)

    await JobRunner(registry.services, handlers).run_due()

    job = traced.one("job work")
    assert job.status.status_code is StatusCode.ERROR
    assert "secret" not in job.to_json()
    assert (await registry.db.all("jobs.counts")) == [("work", "waiting", 1)]
    assert handlers["work"].attempts == 2


@in_memory
async def test_a_job_that_is_ended_with_the_server_is_no_error(registry: MemoryRegistry) -> None:
    async def wait(services: Services, job: Job) -> None:
        await asyncio.Event().wait()

    traced, _ = Traced(), with_traced_jobs(registry)
    await put(registry, "one")
    handlers = traced_handlers({"work": Handler(wait)}, traced.tracer)
    running = asyncio.create_task(JobRunner(registry.services, handlers).run())
    while await registry.db.all("jobs.counts") != [("work", "running", 1)]:  # noqa: ASYNC110
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    job = traced.one("job work")
    assert job.status.status_code is StatusCode.UNSET
    assert traced.attributes("job work")["error.type"] == "CancelledError"


@in_memory
async def test_what_is_remembered_of_requests_is_bounded(registry: MemoryRegistry) -> None:
    traced, jobs = Traced(), with_traced_jobs(registry)

    with traced.tracer.start_as_current_span("request"):
        async with registry.db.transaction() as tx:
            for number in range(ORIGINS_MAX + 10):
                await jobs.put(tx, "work", str(number), now=0)

    assert jobs.origin(Job(1, "work", "9", "", 1, 1)) is None
    assert jobs.origin(Job(1, "work", str(ORIGINS_MAX), "", 1, 1)) is not None


@in_memory
async def test_what_is_done_by_the_clock_is_traced_unless_it_is_done_all_the_time(
    registry: MemoryRegistry,
) -> None:
    async def run(services: Services) -> None:
        pass

    traced = Traced()
    periodic = traced_periodic([Periodic("seldom", 60.0, run), Periodic("often", 0.4, run)], traced.tracer)

    for each in periodic:
        await each.run(registry.services)

    assert traced.names == ["seldom"]
    assert [each.every_s for each in periodic] == [60.0, 0.4]


@pytest.mark.parametrize("name", ["collect garbage"])
def test_collecting_garbage_is_traced(name: str) -> None:
    traced = traced_periodic(PERIODIC, Traced().tracer)

    [before] = [each for each in PERIODIC if each.name == name]
    [after] = [each for each in traced if each.name == name]
    assert after.run is not before.run
