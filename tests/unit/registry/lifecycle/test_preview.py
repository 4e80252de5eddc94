import pytest

from moorage.base.errors.lifecycle import LifecyclePolicyPreviewInProgress
from moorage.registry.images import job as images_job
from moorage.registry.lifecycle import preview
from moorage.registry.lifecycle.evaluate import DAY
from moorage.registry.repositories import repository as repositories
from moorage.store.jobs.queue import Job

from ..memory import in_memory
from ..registry import MemoryRegistry
from ..straddling import TRANSACTION, straddle
from .running import older_than, policy_of, push, run_jobs


@in_memory
async def test_a_preview_is_a_snapshot_that_is_kept_for_a_day(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1")
    registry.pass_time(2 * DAY)
    await preview.start(registry.call, app, policy_of(older_than(1)))
    await run_jobs(registry)
    await push(registry, app, "later", "v2")

    made = await preview.find(registry.call, app)
    results = await preview.page(registry.call, app, "ANY", 0, 10)
    registry.pass_time(DAY + 1)
    await run_jobs(registry)
    later = await preview.find(registry.call, app)

    assert (made.status, made.expiring, made.transitioning) == ("COMPLETE", 1, 0)
    assert [(each.digest, each.tags) for each in results] == [(image, ("v1",))]
    assert later.status == "EXPIRED"
    assert registry.count("lifecycle_preview_results") == 0


@in_memory
async def test_a_second_start_waits_for_the_first(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    await preview.start(registry.call, app, policy_of(older_than(1)))

    with pytest.raises(LifecyclePolicyPreviewInProgress):
        await preview.start(registry.call, app, policy_of(older_than(1)))


@in_memory
async def test_a_new_preview_outlives_the_day_of_the_one_before(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    await preview.start(registry.call, app, policy_of(older_than(1)))
    await run_jobs(registry)
    registry.pass_time(DAY - 1)
    await preview.start(registry.call, app, policy_of(older_than(1)))
    await run_jobs(registry)

    registry.pass_time(2)
    await run_jobs(registry)

    assert (await preview.find(registry.call, app)).status == "COMPLETE"


@in_memory
async def test_hundreds_of_results_are_paged_in_the_order_of_taking(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    for number in range(30):
        await push(registry, app, f"image-{number}", *(["tag"] if number % 2 else []))
    registry.pass_time(2 * DAY)
    await preview.start(registry.call, app, policy_of(older_than(1)))
    await run_jobs(registry)

    pages = [await preview.page(registry.call, app, "ANY", after, 10) for after in (0, 10, 20, 30)]

    assert [len(page) for page in pages] == [10, 10, 10, 0]
    pushed = [each.pushed for page in pages for each in page]
    assert pushed == sorted(pushed)


@in_memory
async def test_a_preview_that_is_never_made_has_failed_and_gives_way(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    await preview.start(registry.call, app, policy_of(older_than(1)))
    registry.pass_time(preview.MADE_WITHIN_US + 1)

    failed = await preview.find(registry.call, app)
    await preview.start(registry.call, app, policy_of(older_than(2)))

    assert failed.status == "FAILED"
    assert (await preview.find(registry.call, app)).status == "IN_PROGRESS"


@in_memory
async def test_a_repository_that_is_deleted_while_its_preview_is_made_ends_that(
    registry: MemoryRegistry,
) -> None:
    app = await registry.repository("team/app")
    await push(registry, app, "image", "v1")
    registry.pass_time(2 * DAY)
    await preview.start(registry.call, app, policy_of(older_than(1)))
    call, job = registry.call, Job(1, preview.PREVIEW, str(app.id), "", 1, 1)

    async def leave() -> None:
        await repositories.delete(call, "team/app", None, force=True)
        await images_job.purge(call.services)

    straddle(registry, TRANSACTION, leave)
    await preview.make(registry.services, job)

    assert registry.count("lifecycle_preview_results") == 0
    assert registry.count("repositories") == 0
