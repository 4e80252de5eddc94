"""What a pull leaves behind for later: the rest of the image."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from moorage.access.call import Call
from moorage.base.clock import HOUR, MINUTE, SECOND
from moorage.base.digest import Digest
from moorage.base.errors.upstream import UpstreamAccessDenied, UpstreamTooManyRequests, UpstreamUnavailable
from moorage.registry.account import replicas
from moorage.registry.images import delete, find
from moorage.registry.replication import backfill
from moorage.registry.replication.job import Replicator
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.mutability import Mutability
from moorage.registry.repositories.repository import Repository
from moorage.registry.upstream import imports, rules
from moorage.registry.upstream import job as upstream_job
from moorage.server.jobs import Handler, JobRunner
from moorage.store.jobs.queue import ATTEMPTS, page

from ..memory import in_memory
from ..registry import MANIFEST_TYPE, MemoryRegistry, image_of
from ..replication.replicating import FURTHER, THERE, configure, image_at, layer_at, tags_at
from .caching import CONFIG, IMAGE, LAYER, NAME, OTHER, Upstream, caching, index_of, registry_of

SECOND_LAYER = b"of another platform" * 100
PLATFORM = image_of([CONFIG, SECOND_LAYER])
INDEX = index_of([IMAGE, PLATFORM])


async def run(registry: MemoryRegistry, after: int = imports.LINGER_US) -> None:
    """All that is due then, and what comes of it."""
    registry.pass_time(after)
    replicator = Replicator()
    handlers = {
        imports.KIND: Handler(imports.run, upstream_job.AT_ONCE),
        replicas.KIND: Handler(replicator.replicate),
        backfill.KIND: Handler(replicator.backfill),
    }
    await JobRunner(registry.services, handlers).run_due()


def has_index(upstream: Upstream) -> None:
    upstream.has("all", INDEX)
    for content in (IMAGE, PLATFORM):
        upstream.manifests[str(Digest.of(content))] = content
    upstream.blobs[Digest.of(SECOND_LAYER)] = SECOND_LAYER


async def cached(registry: MemoryRegistry, name: str = NAME) -> Repository:
    return await repositories.find(registry.call, name)


async def waiting(registry: MemoryRegistry) -> list[tuple[str, str, str]]:
    return [(each.kind, each.state, each.error) for each in await page(registry.db, 0, 100)]


async def told(registry: MemoryRegistry) -> list[tuple[str, str | None]]:
    rows = registry.db._reader.execute("SELECT detail FROM outbox ORDER BY id").fetchall()
    events = [json.loads(detail) for (detail,) in rows]
    return [(each["sync-status"], each.get("failure-code")) for each in events if "sync-status" in each]


@in_memory
async def test_a_pull_brings_the_layers_too_and_not_at_once(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)

    await cache.image(registry.call, NAME, "12")
    await run(registry, after=0)
    assert upstream.asked == ["GET library/debian:12"]
    await run(registry)

    repository = await cached(registry)
    assert await registry.pull_layer(repository, Digest.of(LAYER)) == LAYER
    assert await registry.has_layer(repository, Digest.of(CONFIG))
    assert await registry.not_before(repository, Digest.of(LAYER)) is None
    assert not await waiting(registry)
    assert await told(registry) == [("SUCCESS", None)]


@in_memory
async def test_an_index_brings_all_its_platforms(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    has_index(upstream)

    await cache.image(registry.call, NAME, "all")
    await run(registry)

    repository = await cached(registry)
    for content in (IMAGE, PLATFORM):
        assert await find.by_digest(registry.db, repository, Digest.of(content)) is not None
    for content in (CONFIG, LAYER, SECOND_LAYER):
        assert await registry.pull_layer(repository, Digest.of(content)) == content
    assert len(upstream.asked) == len(set(upstream.asked)) == 6
    index = await find.by_digest(registry.db, repository, Digest.of(INDEX))
    assert index is not None
    assert index.image_size == len(CONFIG) + len(LAYER)


@in_memory
async def test_an_index_of_indexes_comes_to_its_leaves(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    has_index(upstream)
    upstream.has("deep", index_of([INDEX]))

    await cache.image(registry.call, NAME, "deep")
    await run(registry)

    assert await registry.has_layer(await cached(registry), Digest.of(SECOND_LAYER))


@in_memory
async def test_without_the_import_only_what_is_asked_for_comes(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry, imports_whole=False)

    await cache.image(registry.call, NAME, "12")
    async with registry.db.transaction() as tx:  # one that was put before the setting was changed
        await imports.put(registry.services, tx, (await cached(registry)).id, Digest.of(IMAGE))
    await run(registry)

    assert upstream.asked == ["GET library/debian:12"]
    assert not await waiting(registry)


@in_memory
async def test_what_a_client_streams_just_now_is_not_read_twice(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    upstream.lets.clear()
    arriving = await cache.layer(registry.call, NAME, Digest.of(LAYER))
    assert arriving is not None

    importing = asyncio.create_task(run(registry))
    for _ in range(200):
        await asyncio.sleep(0)
    assert not importing.done()
    assert f"GET library/debian@{Digest.of(CONFIG)}" not in upstream.asked  # clients come first
    upstream.lets.set()
    await importing

    assert len(upstream.asked) == len(set(upstream.asked)) == 3
    assert await registry.has_layer(await cached(registry), Digest.of(CONFIG))


@in_memory
async def test_a_client_joins_the_import_of_a_layer(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    upstream.has("12", image_of([LAYER]))
    await cache.image(registry.call, NAME, "12")
    upstream.lets.clear()
    importing = asyncio.create_task(run(registry))
    for _ in range(200):
        await asyncio.sleep(0)

    arriving = await cache.layer(registry.call, NAME, Digest.of(LAYER))
    assert arriving is not None
    await arriving.passes(0)
    upstream.lets.set()
    await arriving.arrived()
    await importing

    assert len(upstream.asked) == 2


@in_memory
async def test_what_has_come_is_not_fetched_again_when_a_job_runs_again(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    has_index(upstream)
    await cache.image(registry.call, NAME, "all")
    del upstream.blobs[Digest.of(SECOND_LAYER)]
    await run(registry)
    assert [(kind, state) for kind, state, _ in await waiting(registry)] == [("import", "waiting")]
    upstream.blobs[Digest.of(SECOND_LAYER)] = SECOND_LAYER
    upstream.asked = []

    await run(registry, after=MINUTE)

    assert upstream.asked.count(f"GET library/debian@{Digest.of(SECOND_LAYER)}") == 1
    assert f"GET library/debian@{Digest.of(LAYER)}" not in upstream.asked
    assert not await waiting(registry)


@in_memory
async def test_a_platform_that_the_upstream_has_not_is_left_out(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    has_index(upstream)
    del upstream.manifests[str(Digest.of(PLATFORM))]

    await cache.image(registry.call, NAME, "all")
    await run(registry)

    assert await registry.has_layer(await cached(registry), Digest.of(LAYER))
    assert not await waiting(registry)


@in_memory
async def test_an_upstream_that_asks_to_wait_is_left_alone_so_long(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    contents = [b"layer %d" % number for number in range(20)]
    upstream.has("many", image_of(contents))
    upstream.blobs = {Digest.of(content): content for content in contents}
    await cache.image(registry.call, NAME, "many")
    upstream.fails, upstream.asked = UpstreamTooManyRequests(upstream="quay.io", retry_after=600), []

    await run(registry)
    asked = len(upstream.asked)
    assert asked <= upstream_job.LAYERS_AT_ONCE  # after the first refusal no other layer is asked for
    await run(registry, after=599 * SECOND)
    assert len(upstream.asked) == asked
    upstream.fails = None
    await run(registry, after=SECOND)

    for content in contents:
        assert await registry.has_layer(await cached(registry), Digest.of(content))
    assert not await waiting(registry)


@pytest.mark.parametrize(
    "failure", [UpstreamUnavailable(upstream="quay.io", reason="it answers 500"), UpstreamAccessDenied()]
)
@in_memory
async def test_an_import_that_fails_is_given_up_with_an_event(
    registry: MemoryRegistry, failure: UpstreamUnavailable
) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    upstream.fails = failure

    for _ in range(ATTEMPTS):
        await run(registry, after=2 * HOUR)

    (job,) = await waiting(registry)
    assert job[:2] == ("import", "failed")
    assert type(failure).__name__ in job[2]
    assert await told(registry) == [("SUCCESS", None), ("FAILED", type(failure).__name__)]


@in_memory
async def test_what_was_given_up_is_tried_again_when_the_tag_is_looked_up(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    upstream.fails = UpstreamAccessDenied()
    for _ in range(ATTEMPTS):
        await run(registry, after=2 * HOUR)
    upstream.fails = None

    repository = await cached(registry)
    await cache.freshen(registry.call, repository.id, NAME, "12")
    await run(registry)

    assert await registry.has_layer(repository, Digest.of(LAYER))
    registry.pass_time(25 * HOUR)
    await cache.freshen(registry.call, repository.id, NAME, "12")
    assert not await waiting(registry)  # all is here


async def delete_image(registry: MemoryRegistry) -> None:
    await delete.remove_all(registry.call, await cached(registry), [(str(Digest.of(INDEX)), None)])


async def delete_repository(registry: MemoryRegistry) -> None:
    await repositories.delete(registry.call, NAME, None, force=True)


async def delete_rule(registry: MemoryRegistry) -> None:
    await rules.delete(registry.db, registry_of(registry), "hub")


@pytest.mark.parametrize("removal", [delete_image, delete_repository, delete_rule])
@in_memory
async def test_what_is_gone_is_not_brought_back_by_its_import(
    registry: MemoryRegistry, removal: Callable[[MemoryRegistry], object]
) -> None:
    upstream, cache = await caching(registry)
    has_index(upstream)
    await cache.image(registry.call, NAME, "all")
    upstream.asked = []

    await removal(registry)  # type: ignore[misc]  # one of the three above
    await run(registry)

    assert not upstream.asked
    assert not await waiting(registry)


@in_memory
async def test_what_a_protected_tag_does_not_move_to_is_not_imported(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await repositories.create(registry.call, NAME, Mutability("IMMUTABLE", ()))
    upstream.has("12", OTHER)
    await cache.image(registry.call, NAME, "12")
    await run(registry)
    upstream.has("12", IMAGE)

    registry.pass_time(25 * HOUR)
    await cache.freshen(registry.call, (await cached(registry)).id, NAME, "12")
    await run(registry)

    assert not await registry.has_layer(await cached(registry), Digest.of(LAYER))


@in_memory
async def test_an_index_of_too_many_is_not_imported(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    many = [image_of([b"%d" % number]) for number in range(upstream_job.MANIFESTS_MAX + 1)]
    upstream.has("many", index_of(many))
    await cache.image(registry.call, NAME, "many")
    upstream.asked = []

    await run(registry)

    assert not upstream.asked
    assert "more than" in (await waiting(registry))[0][2]


@in_memory
async def test_a_layer_larger_than_one_may_be_is_not_asked_for(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    document = json.loads(IMAGE)
    document["layers"][0]["size"] = registry.services.limits.layer_bytes + 1
    upstream.has("huge", json.dumps(document).encode())
    await cache.image(registry.call, NAME, "huge")
    upstream.asked = []

    await run(registry)

    assert not upstream.asked
    assert "larger than a layer" in (await waiting(registry))[0][2]


# What follows a push


@in_memory
async def test_an_image_that_is_whole_is_replicated(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    has_index(upstream)
    await configure(registry, THERE)

    await cache.image(registry.call, NAME, "all")
    assert await image_at(registry, THERE, NAME, Digest.of(INDEX)) is None
    await run(registry)

    assert await tags_at(registry, THERE, NAME, Digest.of(INDEX)) == ("all",)
    assert await layer_at(registry, THERE, NAME, Digest.of(SECOND_LAYER)) == SECOND_LAYER
    there = await image_at(registry, THERE, NAME, Digest.of(PLATFORM))
    assert there is not None
    assert len(upstream.asked) == len(set(upstream.asked))


@in_memory
async def test_an_image_that_is_not_whole_is_not_replicated(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await configure(registry, THERE)
    del upstream.blobs[Digest.of(LAYER)]

    await cache.image(registry.call, NAME, "12")
    await run(registry)

    assert await image_at(registry, THERE, NAME, Digest.of(IMAGE)) is None


@in_memory
async def test_a_tag_that_moved_upstream_moves_where_it_is_replicated_to(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await configure(registry, THERE)
    await cache.image(registry.call, NAME, "12")
    await run(registry)
    upstream.has("12", OTHER)

    registry.pass_time(25 * HOUR)
    await cache.freshen(registry.call, (await cached(registry)).id, NAME, "12")
    await run(registry)

    assert await tags_at(registry, THERE, NAME, Digest.of(OTHER)) == ("12",)
    assert await tags_at(registry, THERE, NAME, Digest.of(IMAGE)) == ()


@in_memory
async def test_a_replicated_copy_goes_no_further(registry: MemoryRegistry) -> None:
    """Not by the rules of its registry, not though that has a pull through cache rule of the same prefix."""
    _, cache = await caching(registry)
    await configure(registry, THERE)
    await configure(registry, FURTHER, source=THERE)

    await cache.image(registry.call, NAME, "12")
    await run(registry)

    assert await image_at(registry, THERE, NAME, Digest.of(IMAGE)) is not None
    assert await image_at(registry, FURTHER, NAME, Digest.of(IMAGE)) is None


@in_memory
async def test_a_signature_that_is_pulled_through_goes_where_its_image_goes(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await configure(registry, THERE)
    subject = {"mediaType": MANIFEST_TYPE, "digest": str(Digest.of(IMAGE)), "size": len(IMAGE)}
    signature = json.dumps(json.loads(OTHER) | {"subject": subject}).encode()
    upstream.manifests[str(Digest.of(signature))] = signature
    upstream.pages = {Digest.of(IMAGE): [index_of([signature])]}
    await cache.image(registry.call, NAME, "12")
    await cache.referrers(registry.call, NAME, Digest.of(IMAGE))

    await cache.image(registry.call, NAME, str(Digest.of(signature)))
    await run(registry)

    there = await image_at(registry, THERE, NAME, Digest.of(signature))
    assert there is not None
    assert there.subject == Digest.of(IMAGE)


@in_memory
async def test_a_backfill_brings_what_was_cached_and_is_whole(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    has_index(upstream)
    del upstream.manifests[str(Digest.of(PLATFORM))]
    await cache.image(registry.call, NAME, "12")
    await cache.image(registry.call, "hub/sparse", "all")
    await run(registry)
    await configure(registry, THERE)

    await backfill.start(registry.call, THERE)
    await run(registry)

    assert await tags_at(registry, THERE, NAME, Digest.of(IMAGE)) == ("12",)
    assert await image_at(registry, THERE, "hub/sparse", Digest.of(INDEX)) is None


# Like any other image


async def remove(call: Call, repository: Repository, digest: Digest) -> None:
    await delete.remove_all(call, repository, [(str(digest), None)])


@in_memory
async def test_an_image_that_was_deleted_comes_again(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    await run(registry)
    repository = await cached(registry)
    await remove(registry.call, repository, Digest.of(IMAGE))
    upstream.asked = []

    assert await cache.image(registry.call, NAME, "12")
    await run(registry)

    image = await find.by_tag(registry.db, repository, "12")
    assert image is not None
    assert upstream.asked == ["GET library/debian:12"]  # its layers were not collected yet
    assert await registry.not_before(repository, Digest.of(LAYER)) is None
