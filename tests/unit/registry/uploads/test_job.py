"""Collecting, idle sessions, and what a dead process left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from moorage.base.clock import HOUR, MINUTE
from moorage.base.digest import Digest
from moorage.base.errors.images import LayersNotFound
from moorage.base.errors.layers import BlobUnknown, UploadNotFound
from moorage.base.errors.ourselves import StorageFull
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.registry.images import delete
from moorage.registry.images import job as images_job
from moorage.registry.repositories import repository as repositories
from moorage.registry.uploads import job, layers, session
from moorage.store.db.sqlite import SqliteTransaction

from ..registry import MemoryRegistry, image_of, memory_registry, once

GRACE = 24 * HOUR
Test = Callable[[MemoryRegistry], Awaitable[None]]


def in_memory(test: Test) -> Callable[[], None]:
    """Run the test over a registry of its own."""

    def run() -> None:
        async def over() -> None:
            async with memory_registry() as registry:
                await test(registry)

        asyncio.run(over())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@contextmanager
def failing(*statements: str) -> Iterator[None]:
    """Writing these fails as on a full disk."""
    run = SqliteTransaction.run

    async def run_or_fail(self: SqliteTransaction, statement: str, *values: Any) -> int:
        if statement in statements:
            raise StorageFull()
        return await run(self, statement, *values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteTransaction, "run", run_or_fail)
        yield


# Candidates


@in_memory
async def test_a_layer_that_nothing_refers_to_is_collected_after_its_grace(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    digest = await registry.push_layer(repository, b"unreferenced")

    registry.pass_time(GRACE - 1)
    early = await job.collect(registry.services)
    kept = await registry.has_layer(repository, digest)
    registry.pass_time(1)
    due = await job.collect(registry.services)

    assert (early, kept) == (job.Collected(0, 0), True)
    assert due == job.Collected(1, 1)
    assert not registry.files.committed
    assert [registry.count(table) for table in ("blobs", "blob_digests", "candidates", "doomed_files")] == [
        0
    ] * 4
    with pytest.raises(BlobUnknown):
        await layers.find(registry.call, repository, digest)


@in_memory
async def test_asking_about_a_candidate_pushes_it_forward_every_ten_minutes_at_most(
    registry: MemoryRegistry,
) -> None:
    repository = await registry.repository("one")
    digest = await registry.push_layer(repository, b"asked for")
    begun = registry.now
    askers: list[Callable[[], Awaitable[object]]] = [
        lambda: layers.find(registry.call, repository, digest),
        lambda: layers.sizes(registry.call, repository, [digest]),
    ]

    for ask in askers:
        before = await registry.not_before(repository, digest)
        registry.pass_time(10 * MINUTE)
        await ask()
        assert await registry.not_before(repository, digest) == before
        registry.pass_time(1)
        await ask()
        assert await registry.not_before(repository, digest) == registry.now + GRACE
    registry.pass_time(GRACE - 1)
    await job.collect(registry.services)

    assert registry.now > begun + GRACE
    assert await registry.pull_layer(repository, digest) == b"asked for"


@in_memory
async def test_a_short_grace_is_pushed_forward_as_well(registry: MemoryRegistry) -> None:
    object.__setattr__(registry.services.limits, "grace_us", 4 * MINUTE)
    repository = await registry.repository("one")
    digest = await registry.push_layer(repository, b"asked for")

    registry.pass_time(3 * MINUTE)
    await layers.find(registry.call, repository, digest)
    registry.pass_time(3 * MINUTE)
    await job.collect(registry.services)

    assert await registry.has_layer(repository, digest)


@in_memory
async def test_asking_about_a_layer_in_use_writes_nothing(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    await registry.push(repository, [b"config", b"layer"])
    registry.pass_time(GRACE)

    with failing("uploads.add_candidate"):
        await layers.find(registry.call, repository, Digest.of(b"layer"))
        await layers.sizes(registry.call, repository, [Digest.of(b"config")])

    assert not registry.count("candidates")


@in_memory
async def test_mounting_pushes_the_mounted_link_forward(registry: MemoryRegistry) -> None:
    source, target = await registry.repository("source"), await registry.repository("target")
    digest = await registry.push_layer(source, b"mounted")
    for hours in (0, 12):
        registry.pass_time(hours * HOUR)
        [holder] = await layers.holders(registry.call, target, digest, "source")
        assert await layers.mount(registry.call, target, digest, holder)

    registry.pass_time(13 * HOUR)
    await job.collect(registry.services)

    assert not await registry.has_layer(source, digest)
    assert await registry.pull_layer(target, digest) == b"mounted"


@in_memory
async def test_pushing_an_image_ends_the_candidacy_of_its_layers(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    contents = [b"config", b"layer"]
    for content in contents:
        await registry.push_layer(repository, content)
    assert registry.count("candidates") == 2

    await registry.push_manifest(repository, image_of(contents))
    registry.pass_time(10 * GRACE)

    assert not registry.count("candidates")
    assert await job.collect(registry.services) == job.Collected(0, 0)
    assert await registry.pull_layer(repository, Digest.of(b"layer")) == b"layer"


@in_memory
async def test_a_push_after_the_collector_is_told_what_is_missing(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    contents = [b"config", b"layer"]
    for content in contents:
        await registry.push_layer(repository, content)
    registry.pass_time(GRACE)
    await job.collect(registry.services)

    with pytest.raises(LayersNotFound):
        await registry.push_manifest(repository, image_of(contents))
    await registry.push(repository, contents)

    assert await registry.pull_layer(repository, Digest.of(b"layer")) == b"layer"


@in_memory
async def test_a_push_beside_the_collector_keeps_its_layers_or_is_refused(registry: MemoryRegistry) -> None:
    """Whichever comes first; never an image without its layers."""
    repository = await registry.repository("one")
    accepted = 0
    for number in range(40):
        contents = [b"config %d" % number, b"layer %d" % number]
        for content in contents:
            await registry.push_layer(repository, content)
        registry.pass_time(GRACE)
        push = registry.push_manifest(repository, image_of(contents), f"tag-{number}")
        both = (
            (push, job.collect(registry.services)) if number % 2 else (job.collect(registry.services), push)
        )

        outcomes = await asyncio.gather(*both, return_exceptions=True)

        pushed = outcomes[0 if number % 2 else 1]
        assert isinstance(pushed, Digest | LayersNotFound)
        if isinstance(pushed, Digest):
            accepted += 1
            for content in contents:
                assert await registry.pull_layer(repository, Digest.of(content)) == content
    assert accepted > 0


@in_memory
async def test_an_image_pushed_again_after_its_deletion_keeps_its_old_layers(
    registry: MemoryRegistry,
) -> None:
    repository = await registry.repository("one")
    contents = [b"config", b"layer"]
    digest = await registry.push(repository, contents)
    await delete.remove_image(registry.call, repository, digest)
    assert registry.count("candidates") == 2
    registry.pass_time(GRACE - 1)

    await registry.push_manifest(repository, image_of(contents))
    registry.pass_time(GRACE)

    assert await job.collect(registry.services) == job.Collected(0, 0)
    assert await registry.pull_layer(repository, Digest.of(b"layer")) == b"layer"


@in_memory
async def test_a_deleted_image_leaves_what_another_uses(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    first = await registry.push(repository, [b"config", b"shared", b"own"], "first")
    await registry.push(repository, [b"config", b"shared"], "second")
    await job.remove_doomed_files(registry.services)  # of what was uploaded twice

    await delete.remove_image(registry.call, repository, first)
    registry.pass_time(GRACE)

    assert await job.collect(registry.services) == job.Collected(1, 1)
    assert not await registry.has_layer(repository, Digest.of(b"own"))
    assert await registry.pull_layer(repository, Digest.of(b"shared")) == b"shared"


@in_memory
async def test_a_blob_of_two_repositories_is_stored_once_and_stays_with_its_last_link(
    registry: MemoryRegistry,
) -> None:
    one, two = await registry.repository("one"), await registry.repository("two")
    images = [await registry.push(repository, [b"config", b"layer"]) for repository in (one, two)]
    await job.remove_doomed_files(registry.services)
    assert len(registry.files.committed) == 2

    await delete.remove_image(registry.call, one, images[0])
    registry.pass_time(GRACE)
    assert await job.collect(registry.services) == job.Collected(2, 0)
    assert await registry.pull_layer(two, Digest.of(b"layer")) == b"layer"
    await delete.remove_image(registry.call, two, images[1])
    registry.pass_time(GRACE)

    assert await job.collect(registry.services) == job.Collected(2, 2)
    assert not registry.files.committed


@in_memory
async def test_more_candidates_than_a_batch_are_all_collected(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    for number in range(2 * job.BATCH + 10):
        await registry.push_layer(repository, b"layer %d" % number)
    registry.pass_time(GRACE)

    collected = await job.collect(registry.services)

    assert collected == job.Collected(2 * job.BATCH + 10, 2 * job.BATCH + 10)
    assert not registry.files.committed


# Crashes between the steps


@in_memory
async def test_files_stay_doomed_through_a_crash_between_commit_and_removal(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    await registry.push_layer(repository, b"layer")
    registry.pass_time(GRACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry.files, "delete", _killed)
        with pytest.raises(KeyboardInterrupt):
            await job.collect(registry.services)
    assert (registry.count("blobs"), registry.count("doomed_files"), len(registry.files.committed)) == (
        0,
        1,
        1,
    )

    assert await job.remove_doomed_files(registry.services) == 1
    assert not registry.files.committed


@in_memory
async def test_a_file_removed_before_its_row_was_forgotten_is_removed_again(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    await registry.push_layer(repository, b"layer")
    registry.pass_time(GRACE)
    with failing("uploads.file_gone"), pytest.raises(StorageFull):
        await job.collect(registry.services)
    assert (registry.count("doomed_files"), len(registry.files.committed)) == (1, 0)

    assert await job.remove_doomed_files(registry.services) == 1
    assert not registry.count("doomed_files")


@in_memory
async def test_what_a_dead_process_left_is_cleared_and_living_sessions_are_not(
    registry: MemoryRegistry,
) -> None:
    repository = await registry.repository("one")
    dead = [await session.begin(registry.call, repository) for _ in range(job.BATCH + 3)]
    await session.append(registry.call, dead[0], once(b"x" * 100_000))
    dead[1].writer.finish()  # renamed, but never in a row
    registry.services.uploads.by_id.clear()
    async with registry.db.transaction():
        registry.db._writer.execute("UPDATE uploads SET process = 'dead'")
    living = await session.begin(registry.call, repository)

    assert await job.clear_left_behind(registry.services) == job.BATCH + 3

    assert list(registry.files.partial) == [living.blob]
    assert not registry.files.committed
    assert (registry.count("uploads"), registry.count("doomed_files")) == (1, 0)
    await session.finish(registry.call, repository, living, [Digest.of(b"alive")], once(b"alive"))


# Sessions


@in_memory
async def test_idle_sessions_expire_and_their_files_go(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    idle = await session.begin(registry.call, repository)
    used = await session.begin(registry.call, repository)
    registry.pass_time(registry.services.limits.upload_idle_us - 1)
    await session.append(registry.call, used, once(b"more"))
    registry.pass_time(1)

    assert await job.expire_sessions(registry.services) == 1

    assert list(registry.files.partial) == [used.blob]
    assert registry.count("uploads") == 1
    with pytest.raises(UploadNotFound):
        session.find(registry.call, repository, idle.id)


@in_memory
async def test_a_session_in_use_does_not_expire(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    upload = await session.begin(registry.call, repository)
    upload.busy = True
    registry.pass_time(2 * registry.services.limits.upload_idle_us)

    assert await job.expire_sessions(registry.services) == 0
    assert session.find(registry.call, repository, upload.id) is upload


@in_memory
async def test_a_session_taken_up_while_others_expire_is_left_alone(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    first, second = [await session.begin(registry.call, repository) for _ in range(2)]
    registry.pass_time(registry.services.limits.upload_idle_us)
    discard = first.writer.discard

    def taken_up_meanwhile() -> None:
        second.busy = True
        discard()

    first.writer.discard = taken_up_meanwhile  # type: ignore[method-assign]
    await job.expire_sessions(registry.services)

    assert list(registry.files.partial) == [second.blob]
    assert second.writer.is_open


@in_memory
async def test_a_session_whose_row_cannot_be_deleted_is_ended_later(registry: MemoryRegistry) -> None:
    """The file is whole and durable when the database fails, and the database cannot note even that."""
    repository = await registry.repository("one")
    upload = await session.begin(registry.call, repository)
    with (
        failing("uploads.insert_blob", "uploads.end", "uploads.doom_file_unless_stored"),
        pytest.raises(StorageFull),
    ):
        await session.finish(registry.call, repository, upload, [Digest.of(b"layer")], once(b"layer"))
    with pytest.raises(UploadNotFound):
        session.find(registry.call, repository, upload.id)

    await job.expire_sessions(registry.services)

    assert (registry.count("uploads"), registry.count("doomed_files")) == (0, 0)
    assert not registry.files.committed
    assert not registry.services.uploads.by_id


@in_memory
async def test_a_session_whose_file_cannot_be_made_leaves_no_row(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry.files, "create", _full)
        with pytest.raises(StorageFull):
            await session.begin(registry.call, repository)

    assert not registry.count("uploads")


@in_memory
async def test_a_session_is_not_begun_in_a_repository_deleted_meanwhile(registry: MemoryRegistry) -> None:
    """It was found before the deletion; purged or not, the answer is the same."""
    repository = await registry.repository("one")
    await repositories.delete(registry.call, "one", None, force=True)

    for _ in range(2):
        with pytest.raises(RepositoryNotFound):
            await session.begin(registry.call, repository)
        await images_job.purge(registry.services)

    assert not registry.count("uploads")
    assert not registry.files.partial


@in_memory
async def test_a_digest_mismatch_leaves_nothing(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    upload = await session.begin(registry.call, repository)

    with pytest.raises(Exception, match="digest"):
        await session.finish(registry.call, repository, upload, [Digest.of(b"other")], once(b"layer"))

    assert not registry.files.partial
    assert not registry.files.committed
    assert not registry.count("uploads")


# Work


@pytest.mark.parametrize("live", [100, 10_000])
def test_the_work_of_collecting_is_that_of_the_garbage(live: int) -> None:
    async def over() -> None:
        async with memory_registry() as registry:
            repository = await registry.repository("one")
            for number in range(10):
                await registry.push_layer(repository, b"garbage %d" % number)
            _add_live_links(registry, repository.id, live)
            registry.pass_time(GRACE)
            counted = _Steps(registry)

            collected = await job.collect(registry.services)

            assert collected == job.Collected(10, 10)
            assert registry.count("repository_blobs") == live
            assert counted.steps < 10_000

    asyncio.run(over())


@in_memory
async def test_nothing_due_is_no_work(registry: MemoryRegistry) -> None:
    repository = await registry.repository("one")
    for number in range(50):
        await registry.push_layer(repository, b"waiting %d" % number)
    counted = _Steps(registry)

    await job.collect(registry.services)
    await job.expire_sessions(registry.services)
    await images_job.purge(registry.services)
    await job.clear_left_behind(registry.services)

    assert counted.steps < 500


class _Steps:
    """Instructions of SQLite's machine on the write connection from here on."""

    def __init__(self, registry: MemoryRegistry) -> None:
        self.steps = 0
        registry.db._writer.set_progress_handler(self._count, 1)

    def _count(self) -> int:
        self.steps += 1
        return 0


def _add_live_links(registry: MemoryRegistry, repository: int, number: int) -> None:
    writer = registry.db._writer
    writer.execute("BEGIN")
    writer.execute(
        "INSERT INTO images (id, repository, digest, media_type, manifest_size, image_size, pushed, status, origin,"
        " sealed_manifest) VALUES (1, ?, x'01', '', 0, 0, 0, 'ACTIVE', 'push', x'')",
        (repository,),
    )
    for n in range(number):
        digest, blob = Digest.of(b"live %d" % n).packed, n.to_bytes(16, "big")
        writer.execute("INSERT INTO blobs VALUES (?, 1, ?, 1, x'', 0)", (blob, digest))
        writer.execute("INSERT INTO blob_digests VALUES (1, ?, ?)", (digest, blob))
        writer.execute("INSERT INTO repository_blobs VALUES (?, ?, ?, 0)", (repository, digest, blob))
        writer.execute("INSERT INTO image_blobs VALUES (1, ?, ?)", (digest, repository))
    writer.execute("COMMIT")


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def _full(*_: object) -> None:
    raise StorageFull()
