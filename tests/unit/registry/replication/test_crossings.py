"""What happens while replication is at work: deletions, moves of tags, rules that are taken away, another process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import cast

from moorage.access.call import Call
from moorage.access.service_events import ServiceEvent
from moorage.base.clock import MINUTE
from moorage.base.digest import Digest
from moorage.registry.account import replicas
from moorage.registry.account.replicas import Replica
from moorage.registry.images import archive, delete
from moorage.registry.images import job as images_job
from moorage.registry.images.find import Image
from moorage.registry.images.manifest import OCI_INDEX
from moorage.registry.images.push import push_image
from moorage.registry.replication import backfill
from moorage.registry.replication.calls import call_in
from moorage.registry.replication.copying import remove, settle
from moorage.registry.replication.layers import LayerCopies
from moorage.registry.replication.means import Means
from moorage.registry.replication.sending import Sender, Source
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.store.blobs.api import Tiers
from moorage.store.jobs import queue
from moorage.store.jobs.queue import Job

from ..memory import in_memory
from ..registry import MemoryRegistry, image_of
from .replicating import HERE, THERE, configure, image_at, index_of, repository_at, run, tags_at

LAYERS = [b"{}", b"layer"]


class Meanwhile(LayerCopies):
    """Copies of layers, after the first of which something happens."""

    def __init__(self, happens: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._happens: Callable[[], Awaitable[object]] | None = happens

    async def bring(
        self, here: Call, source: Repository, there: Call, target: Repository, digest: Digest
    ) -> bool:
        brought = await super().bring(here, source, there, target, digest)
        happens, self._happens = self._happens, None
        if happens is not None:
            await happens()
        return brought


async def forget_jobs(registry: MemoryRegistry, kind: str = replicas.KIND) -> None:
    while job := await registry.services.jobs.claim(registry.db, kind, registry.now):
        await registry.services.jobs.finish(registry.db, job)


async def subjects(registry: MemoryRegistry, kind: str = replicas.KIND) -> list[str]:
    return [each.subject for each in await queue.page(registry.db, 0, 100) if each.kind == kind]


@in_memory
async def test_an_image_that_is_deleted_while_it_is_brought_does_not_stay_there(
    registry: MemoryRegistry,
) -> None:
    """Its tag had moved on: the deletion is work of its own, and was done before the image came."""
    await configure(registry, THERE, deletes=True)
    app = await registry.repository("app")
    old = await registry.push(app, [b"{}", b"old"], "v1")
    await registry.push(app, [b"{}", b"new"], "v1")

    async def deleted() -> None:
        await delete.remove_image(registry.call, app, old)
        await settle(registry.services, Means(), Replica(app.id, old, "", THERE))

    await settle(registry.services, Means(copies=Meanwhile(deleted)), Replica(app.id, old, "v1", THERE))

    assert await image_at(registry, THERE, "app", old) is None


@in_memory
async def test_an_image_whose_repository_is_deleted_while_it_is_brought_does_not_arrive_in_part(
    registry: MemoryRegistry,
) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")

    async def deleted() -> None:
        await repositories.delete(registry.call, "app", None, force=True)

    is_there = await settle(
        registry.services, Means(copies=Meanwhile(deleted)), Replica(app.id, digest, "v1", THERE)
    )

    assert not is_there
    assert await image_at(registry, THERE, "app", digest) is None


@in_memory
async def test_children_go_with_their_index_in_whatever_order_the_work_is_done(
    registry: MemoryRegistry,
) -> None:
    await configure(registry, THERE, deletes=True)
    app = await registry.repository("app")
    child = await registry.push(app, LAYERS, "child")
    index = index_of((child, image_of(LAYERS)))
    whole = (await push_image(registry.call, app, index, OCI_INDEX, ["whole"])).digest
    await run(registry)
    assert await image_at(registry, THERE, "app", child) is not None

    await delete.remove_all(registry.call, app, [(str(whole), None), (str(child), None)])
    for tag in ("child", ""):
        await settle(registry.services, Means(), Replica(app.id, child, tag, THERE))
    await forget_jobs(registry)
    await settle(registry.services, Means(), Replica(app.id, whole, "whole", THERE))
    await run(registry)

    assert await image_at(registry, THERE, "app", whole) is None
    assert await image_at(registry, THERE, "app", child) is None


@in_memory
async def test_a_child_stays_there_if_it_stays_here(registry: MemoryRegistry) -> None:
    await configure(registry, THERE, deletes=True)
    app = await registry.repository("app")
    child = await registry.push(app, LAYERS, "child")
    index = index_of((child, image_of(LAYERS)))
    whole = (await push_image(registry.call, app, index, OCI_INDEX, ["whole"])).digest
    await run(registry)

    await delete.remove_all(registry.call, app, [(str(whole), None)])
    await run(registry)

    assert await image_at(registry, THERE, "app", whole) is None
    assert await tags_at(registry, THERE, "app", child) == ("child",)


@in_memory
async def test_the_layers_of_an_image_that_is_restored_there_come_back_from_the_cheaper_store(
    registry: MemoryRegistry,
) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    await run(registry)
    image = await image_at(registry, THERE, "app", digest)
    assert image is not None
    async with registry.db.transaction() as tx:
        await tx.run("images.archive", {"image": image.id, "now": registry.now})
    registry.services = replace(registry.services, tiers=cast(Tiers, object()))

    await registry.push_manifest(app, image_of(LAYERS), "v2")
    await run(registry)

    assert await subjects(registry, archive.PLACE) == [str(image.id)]


@in_memory
async def test_nothing_goes_to_where_no_rule_leads_any_more(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    await registry.push(app, LAYERS, "v1")

    await configure(registry)
    await run(registry)

    assert await repository_at(registry, THERE, "app") is None
    assert registry.count("jobs") == 0


@in_memory
async def test_a_backfill_ends_when_no_rule_names_its_destination_any_more(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    for number in range(backfill._BATCH + 1):
        await registry.push(app, [b"{}", str(number).encode()], f"v{number}")
    await configure(registry, THERE)
    begun = await backfill.start(registry.call, THERE)

    async def unconfigured() -> None:
        await configure(registry)

    job = await registry.services.jobs.claim(registry.db, backfill.KIND, registry.now)
    assert job is not None
    await backfill.run(registry.services, Means(copies=Meanwhile(unconfigured)), job)

    ended = await backfill.find(registry.call, begun.id)
    assert (ended.status, ended.failure) == ("FAILED", backfill.NOT_CONFIGURED)
    assert ended.completed + ended.failed < backfill._BATCH + 1


@in_memory
async def test_two_processes_that_bring_the_same_count_it_once(registry: MemoryRegistry) -> None:
    """One stood still for longer than its lease, and goes on."""
    app = await registry.repository("app")
    for tag in ("v1", "v2", "v3"):
        await registry.push(app, LAYERS, tag)
    await configure(registry, THERE)
    begun = await backfill.start(registry.call, THERE)
    job = await registry.services.jobs.claim(registry.db, backfill.KIND, registry.now)
    assert job is not None

    await asyncio.gather(*(backfill.run(registry.services, Means(), job) for _ in range(2)))

    ended = await backfill.find(registry.call, begun.id)
    assert (ended.status, ended.total, ended.completed, ended.failed) == ("COMPLETE", 3, 3, 0)


@in_memory
async def test_a_backfill_whose_work_was_given_up_can_be_stopped(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)
    begun = await backfill.start(registry.call, THERE)
    job = await registry.services.jobs.claim(registry.db, backfill.KIND, registry.now)
    assert job is not None
    await registry.services.jobs.fail(registry.db, job, "OSError: no space", registry.now, attempts=1)
    registry.pass_time(MINUTE)

    await backfill.stop(registry.call, begun.id)
    await run(registry)

    assert (await backfill.find(registry.call, begun.id)).status == "STOPPED"


class Slow:
    """In the place of a `Sender`: notes what it sent last; something happens before that arrives."""

    def __init__(self, happens: Callable[[], Awaitable[object]] | None = None) -> None:
        self.happens = happens
        self.tags: dict[str, Digest] = {}

    async def send(self, source: Source, image: Image, tag: str) -> None:
        happens, self.happens = self.happens, None
        if happens is not None:
            await happens()
        self.tags[tag] = image.digest

    def means(self) -> Means:
        return Means(peers={THERE: cast(Sender, self)})


@in_memory
async def test_a_tag_that_moved_while_it_was_sent_is_sent_again(registry: MemoryRegistry) -> None:
    """Another process has sent the later one before the earlier one arrived."""
    await configure(registry, THERE)
    app = await registry.repository("app")
    old = await registry.push(app, [b"{}", b"old"], "latest")
    peer = Slow()
    means = peer.means()

    async def moved() -> None:
        new = await registry.push(app, [b"{}", b"new"], "latest")
        await settle(registry.services, means, Replica(app.id, new, "latest", THERE))
        await forget_jobs(registry)

    peer.happens = moved
    await settle(registry.services, means, Replica(app.id, old, "latest", THERE))
    assert peer.tags == {"latest": old}

    for subject in await subjects(registry):
        await settle(registry.services, means, Replica.parse(subject))
    new = Digest.of(image_of([b"{}", b"new"]))
    assert peer.tags == {"latest": new}


@in_memory
async def test_a_repository_that_is_made_again_there_gets_what_is_pushed(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    there = replace(registry.call, region=THERE.region)

    async def again() -> None:
        await repositories.delete(there, "app", None, force=True)

    job = await registry.services.jobs.claim(registry.db, replicas.KIND, registry.now)
    assert isinstance(job, Job)
    replica = Replica.parse(job.subject)
    try:
        await settle(registry.services, Means(copies=Meanwhile(again)), replica)
    except repositories.RepositoryNotFound:  # and is tried again
        await settle(registry.services, Means(), replica)

    assert await tags_at(registry, THERE, "app", digest) == ("v1",)
    assert await repository_at(registry, HERE, "app") is not None


def deletions_told(registry: MemoryRegistry, region: str) -> list[tuple[str, str | None]]:
    """Digests and tags, of a registry."""
    rows = registry.db._reader.execute("SELECT detail FROM outbox WHERE region = ? ORDER BY id", (region,))
    details = [json.loads(detail) for (detail,) in rows]
    return [
        (each["image-digest"], each.get("image-tag"))
        for each in details
        if each.get("action-type") == "DELETE"
    ]


@in_memory
async def test_deletions_are_told_where_they_are_replicated_to(registry: MemoryRegistry) -> None:
    records: list[ServiceEvent] = []
    await configure(registry, THERE, deletes=True)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    await registry.push_manifest(app, image_of(LAYERS), "v2")
    await run(registry)
    registry.services.service_events.listen(records.append)

    await delete.remove_tag(registry.call, app, "v1")
    await run(registry)
    assert deletions_told(registry, THERE.region) == [(str(digest), "v1")]

    await delete.remove_image(registry.call, app, digest)
    await run(registry)
    assert deletions_told(registry, THERE.region) == [(str(digest), "v1"), (str(digest), "v2")]
    assert [(each.name, each.registry, each.details["imageTag"]) for each in records] == [
        ("ReplicateDeletion", THERE, "v1"),
        ("ReplicateDeletion", THERE, "v2"),
    ]
    assert await image_at(registry, THERE, "app", digest) is None


@in_memory
async def test_a_repository_that_was_deleted_takes_nothing_with_it_there(registry: MemoryRegistry) -> None:
    """Not even when its purge has come to the images before the work that one of them was."""
    await configure(registry, THERE, deletes=True)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    await run(registry)
    here = call_in(registry.services, HERE, HERE.account)

    await repositories.delete(registry.call, "app", None, force=True)
    await images_job.purge(registry.services)
    await remove(here, Means(), app, Replica(app.id, digest, "v1", THERE))

    assert await tags_at(registry, THERE, "app", digest) == ("v1",)


@in_memory
async def test_a_backfill_that_is_stopped_while_it_prepares_looks_at_no_more_repositories(
    registry: MemoryRegistry,
) -> None:
    for number in range(101):
        await registry.repository(f"app-{number:03}")
    await registry.push(await repositories.find(registry.call, "app-100"), LAYERS)
    await configure(registry, THERE)
    begun = await backfill.start(registry.call, THERE)
    job = await registry.services.jobs.claim(registry.db, backfill.KIND, registry.now)
    assert job is not None

    await backfill.stop(registry.call, begun.id)
    await backfill._prepare(registry.services, Means(), begun)
    await backfill.run(registry.services, Means(), job)

    assert registry.count("replication_results") == 0
    assert (await backfill.find(registry.call, begun.id)).status == "STOPPED"
