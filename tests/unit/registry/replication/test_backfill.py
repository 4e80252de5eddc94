"""Existing images, brought to a destination on demand."""

from __future__ import annotations

from functools import partial

import pytest

from moorage.base.clock import HOUR, MINUTE
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.replication import (
    ReplicationBackfillInProgress,
    ReplicationBackfillInvalidStatus,
    ReplicationBackfillNotFound,
)
from moorage.base.errors.requests import InvalidParameter
from moorage.registry.images import delete
from moorage.registry.replication import backfill
from moorage.registry.replication.copying import Means

from ..memory import in_memory
from ..registry import ACCOUNT, MemoryRegistry, image_of
from ..straddling import TRANSACTION, straddle
from .replicating import FURTHER, HERE, OTHERS, THERE, Registry, at, configure, repository_at, run, tags_at

LAYERS = [b"{}", b"layer"]


async def results_of(registry: MemoryRegistry, found: backfill.Backfill) -> list[tuple[str, str, str, str]]:
    results = await backfill.results(registry.db, found, ["COMPLETE", "FAILED"], ("", b"", ""), 100)
    return [(each.name, each.tag, each.status, each.failure) for each in results]


@in_memory
async def test_what_matches_is_brought_once_for_each_tag(registry: MemoryRegistry) -> None:
    app = await registry.repository("prod/app")
    one = await registry.push(app, LAYERS, "v1")
    await registry.push_manifest(app, image_of(LAYERS), "v2")
    untagged = await registry.push(app, [b"{}", b"other"], "old")
    await delete.remove_tag(registry.call, app, "old")
    await registry.push(await registry.repository("dev"), LAYERS)
    await configure(registry, THERE, prefixes=["prod"])

    begun = await backfill.start(registry.call, THERE)
    assert (begun.status, begun.total) == ("PREPARING", None)
    await run(registry)

    found = await backfill.find(registry.call, begun.id)
    assert (found.status, found.total, found.completed, found.failed) == ("COMPLETE", 3, 3, 0)
    assert found.ended == registry.now
    assert sorted(await results_of(registry, found)) == [
        ("prod/app", "", "COMPLETE", ""),
        ("prod/app", "v1", "COMPLETE", ""),
        ("prod/app", "v2", "COMPLETE", ""),
    ]
    assert await tags_at(registry, THERE, "prod/app", one) == ("v1", "v2")
    assert await tags_at(registry, THERE, "prod/app", untagged) == ()
    assert await repository_at(registry, THERE, "dev") is None


@in_memory
async def test_what_came_by_replication_is_not_brought_onward(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)
    await registry.push(await registry.repository("app"), LAYERS)
    await run(registry)
    await configure(registry, FURTHER, source=THERE)

    begun = await backfill.start(at(registry, THERE), FURTHER)
    await run(registry)

    found = await backfill.find(at(registry, THERE), begun.id)
    assert (found.status, found.total) == ("COMPLETE", 0)
    assert await repository_at(registry, FURTHER, "app") is None


@in_memory
async def test_the_destination_has_to_be_configured(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)

    with pytest.raises(InvalidParameter, match="destination"):
        await backfill.start(registry.call, FURTHER)


@in_memory
async def test_one_runs_to_a_region_at_a_time_and_ten_in_all(registry: MemoryRegistry) -> None:
    regions = [Registry(ACCOUNT, f"far-{n}") for n in range(11)]
    await configure(registry, *regions)
    for region in regions[:10]:
        await backfill.start(registry.call, region)

    with pytest.raises(LimitExceeded):
        await backfill.start(registry.call, regions[10])
    await run(registry)
    await backfill.start(registry.call, regions[0])
    with pytest.raises(ReplicationBackfillInProgress, match="far-0"):
        await backfill.start(registry.call, regions[0])


@in_memory
async def test_what_another_account_refuses_has_failed_and_the_backfill_is_complete(
    registry: MemoryRegistry,
) -> None:
    await registry.push(await registry.repository("app"), LAYERS, "v1")
    await configure(registry, OTHERS)

    begun = await backfill.start(registry.call, OTHERS)
    await run(registry)

    found = await backfill.find(registry.call, begun.id)
    assert (found.status, found.completed, found.failed) == ("COMPLETE", 0, 1)
    assert await results_of(registry, found) == [("app", "v1", "FAILED", "AccessDenied")]
    assert await backfill.failure_codes(registry.db, found) == ["AccessDenied"]


@in_memory
async def test_a_backfill_that_is_stopped_brings_no_more_and_cannot_be_stopped_again(
    registry: MemoryRegistry,
) -> None:
    await registry.push(await registry.repository("app"), LAYERS, "v1")
    await configure(registry, THERE)
    begun = await backfill.start(registry.call, THERE)

    stopping = await backfill.stop(registry.call, begun.id)
    assert stopping.status == "STOPPING"
    assert (await backfill.stop(registry.call, begun.id)).status == "STOPPING"
    await run(registry)

    assert (await backfill.find(registry.call, begun.id)).status == "STOPPED"
    assert await repository_at(registry, THERE, "app") is None
    with pytest.raises(ReplicationBackfillInvalidStatus, match="STOPPED"):
        await backfill.stop(registry.call, begun.id)


@in_memory
async def test_it_fails_where_no_rule_names_the_destination_any_more(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)
    begun = await backfill.start(registry.call, THERE)
    await configure(registry)

    await run(registry)

    found = await backfill.find(registry.call, begun.id)
    assert (found.status, found.failure) == ("FAILED", backfill.NOT_CONFIGURED)


@in_memory
async def test_a_backfill_belongs_to_its_registry(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)
    begun = await backfill.start(registry.call, THERE)

    for place in (THERE, OTHERS):
        with pytest.raises(ReplicationBackfillNotFound):
            await backfill.find(at(registry, place), begun.id)
        assert await backfill.page(at(registry, place), (1 << 62, ""), 10) == []
    assert await backfill.find(at(registry, HERE), begun.id.upper()) == begun


@in_memory
async def test_they_are_listed_newest_first_and_forgotten_90_days_after_their_end(
    registry: MemoryRegistry,
) -> None:
    await registry.push(await registry.repository("app"), LAYERS, "v1")
    await configure(registry, THERE, FURTHER)
    begun = []
    for destination in (THERE, FURTHER):
        begun.append((await backfill.start(registry.call, destination)).id)
        registry.pass_time(MINUTE)
    await run(registry)

    first = await backfill.page(registry.call, (1 << 62, ""), 1)
    rest = await backfill.page(registry.call, (first[0].started, first[0].id), 10)
    assert [each.id for each in first + rest] == begun[::-1]

    registry.pass_time(90 * 24 * HOUR)
    await backfill.forget_old(registry.services)
    assert len(await backfill.page(registry.call, (1 << 62, ""), 10)) == 2
    registry.pass_time(1)
    await backfill.forget_old(registry.services)
    assert await backfill.page(registry.call, (1 << 62, ""), 10) == []
    assert registry.count("replication_results") == 0


@in_memory
async def test_an_image_deleted_meanwhile_is_told_as_not_found(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    await configure(registry, THERE)
    begun = await backfill.start(registry.call, THERE)
    found = await backfill.find(registry.call, begun.id)
    await backfill._prepare(registry.services, Means(), found)
    await delete.remove_image(registry.call, app, digest)

    await run(registry)

    assert await results_of(registry, found) == [("app", "v1", "FAILED", backfill.GONE)]


@in_memory
async def test_hundreds_of_images_are_brought_in_batches(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await registry.push_layer(app, b"{}")
    for number in range(90):
        await registry.push_layer(app, b"layer %d" % number)
        await registry.push_manifest(app, image_of([b"{}", b"layer %d" % number]), f"v{number}")
    await configure(registry, THERE)

    begun = await backfill.start(registry.call, THERE)
    await run(registry)

    found = await backfill.find(registry.call, begun.id)
    assert (found.status, found.total, found.completed) == ("COMPLETE", 90, 90)


@in_memory
async def test_one_that_ends_while_it_is_to_be_stopped_is_told_as_it_is(registry: MemoryRegistry) -> None:
    await registry.push(await registry.repository("app"), LAYERS, "v1")
    await configure(registry, THERE)
    begun = await backfill.start(registry.call, THERE)

    straddle(registry, TRANSACTION, partial(run, registry))
    with pytest.raises(ReplicationBackfillInvalidStatus, match="COMPLETE"):
        await backfill.stop(registry.call, begun.id)
