"""Purging deleted repositories."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from moorage.base.clock import HOUR
from moorage.base.digest import Digest
from moorage.base.errors.ourselves import StorageFull
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.registry.images import job
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import job as uploads_job
from moorage.registry.uploads import session
from moorage.store.db.sqlite import SqliteTransaction

from ..registry import MemoryRegistry, memory_registry, once

TABLES = (
    *("images", "tags", "image_blobs", "repository_blobs", "blobs", "blob_digests"),
    *("candidates", "uploads", "purges", "doomed_files"),
)


def test_a_deleted_repository_is_emptied_in_batches() -> None:
    async def over() -> None:
        async with memory_registry() as registry:
            repository = await registry.repository("one")
            for number in range(2 * job.BATCH + 5):
                await registry.push(repository, [b"config", b"layer %d" % number], f"tag-{number}")
            unfinished = await session.begin(registry.call, repository)
            await _delete(registry, repository)

            assert await job.purge(registry.services) == 1

            assert {table: registry.count(table) for table in TABLES} == dict.fromkeys(TABLES, 0)
            assert registry.count("repositories") == 0
            assert not registry.files.committed
            assert not registry.files.partial
            assert registry.services.uploads.get(unfinished.id) is None

    asyncio.run(over())


def test_what_another_repository_has_stays() -> None:
    async def over() -> None:
        async with memory_registry() as registry:
            one, two = await registry.repository("one"), await registry.repository("two")
            for repository in (one, two):
                await registry.push(repository, [b"config", b"shared"])
            await registry.push(one, [b"config", b"own"], "own")
            await _delete(registry, one)

            await job.purge(registry.services)
            registry.pass_time(25 * HOUR)
            await uploads_job.collect(registry.services)

            assert await registry.pull_layer(two, Digest.of(b"shared")) == b"shared"
            assert len(registry.files.committed) == 2

    asyncio.run(over())


def test_a_new_repository_of_the_name_is_untouched() -> None:
    async def over() -> None:
        async with memory_registry() as registry:
            old = await registry.repository("one")
            await registry.push(old, [b"config", b"layer"])
            await _delete(registry, old)
            new = await registry.repository("one")
            await registry.push(new, [b"config", b"layer"])

            await job.purge(registry.services)

            assert await registry.pull_layer(new, Digest.of(b"layer")) == b"layer"
            assert (registry.count("repositories"), registry.count("images")) == (1, 1)

    asyncio.run(over())


@pytest.mark.parametrize("fatal", range(1, 40, 3))
def test_killed_at_any_statement_it_ends_at_the_next_turn(fatal: int) -> None:
    async def over() -> None:
        async with memory_registry() as registry:
            repository = await registry.repository("one")
            for number in range(3):
                await registry.push(repository, [b"config", b"layer %d" % number], f"tag-{number}")
            await session.begin(registry.call, repository)
            await _delete(registry, repository)
            run, left = SqliteTransaction.run, [fatal]

            async def run_or_die(self: SqliteTransaction, *arguments: object) -> int:
                left[0] -= 1
                if not left[0]:
                    raise StorageFull()
                return await run(self, *arguments)  # type: ignore[arg-type]

            with pytest.MonkeyPatch.context() as patch, suppress(StorageFull):
                patch.setattr(SqliteTransaction, "run", run_or_die)
                await job.purge(registry.services)
            await job.purge(registry.services)
            await uploads_job.expire_sessions(registry.services)

            assert {table: registry.count(table) for table in TABLES} == dict.fromkeys(TABLES, 0)
            assert not registry.files.committed
            assert not registry.files.partial

    asyncio.run(over())


def test_an_upload_under_way_is_told_that_its_repository_is_gone() -> None:
    """Its file is not taken from under it: the repository waits for the next turn, others do not."""

    async def over() -> None:
        async with memory_registry() as registry:
            busy, other = await registry.repository("busy"), await registry.repository("other")
            await registry.push(other, [b"config", b"layer"])
            upload = await session.begin(registry.call, busy)
            upload.busy = True  # as while its body arrives
            for repository in (busy, other):
                await _delete(registry, repository)

            assert await job.purge(registry.services) == 1
            upload.busy = False
            with pytest.raises(RepositoryNotFound):
                await session.finish(registry.call, busy, upload, [Digest.of(b"late")], once(b"late"))
            assert await job.purge(registry.services) == 1

            assert {table: registry.count(table) for table in TABLES} == dict.fromkeys(TABLES, 0)
            assert not registry.files.committed
            assert not registry.files.partial

    asyncio.run(over())


async def _delete(registry: MemoryRegistry, repository: Repository) -> None:
    await repositories.delete(registry.call, repository.name, None, force=True)
