"""Where the layers of archived images are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from moorage.base.digest import Digest
from moorage.keys.sealed import SealedBlobs
from moorage.registry.images import archive, find
from moorage.registry.images.push import push_image
from moorage.registry.repositories.repository import Repository
from moorage.store.blobs.memory import MemoryBlobs
from moorage.store.blobs.tiered import TieredBlobs

from ..memory import in_memory
from ..registry import MANIFEST_TYPE, MemoryRegistry, image_of
from .running import push, run_jobs, status_of


@asynccontextmanager
async def two_stores(registry: MemoryRegistry) -> AsyncIterator[tuple[MemoryBlobs, MemoryBlobs]]:
    near, far = registry.files, MemoryBlobs()
    tiered = TieredBlobs(near, far)
    blobs = SealedBlobs(tiered)
    registry.services = replace(registry.services, blobs=blobs, tiers=tiered)
    yield near, far
    blobs.close()


async def is_in(registry: MemoryRegistry, store: MemoryBlobs, app: Repository, content: bytes) -> bool:
    values = {"repository": app.id, "digest": Digest.of(content).packed}
    row = await registry.db.one("uploads.layer", values)
    assert row is not None
    try:
        store.open(row[0]).close()
    except FileNotFoundError:
        return False
    return True


async def move(registry: MemoryRegistry, app: Repository, digest: Digest, verb: object) -> None:
    async with registry.db.transaction() as tx:
        image = await find.by_digest(tx, app, digest)
        assert await verb(registry.services, tx, app, image, registry.now)  # type: ignore[operator]
    await run_jobs(registry)


@in_memory
async def test_what_only_archived_images_use_goes_to_the_cheaper_store(registry: MemoryRegistry) -> None:
    async with two_stores(registry) as (near, far):
        app = await registry.repository("team/app")
        image = await push(registry, app, "own", "v1")
        await push(registry, app, "other", "v2")

        await move(registry, app, image, archive.archive)

        where = [
            (await is_in(registry, near, app, content), await is_in(registry, far, app, content))
            for content in (b"own", b"{}")
        ]
        assert where == [(False, True), (True, False)]
        assert await registry.pull_layer(app, Digest.of(b"own")) == b"own"


@in_memory
async def test_it_comes_back_before_the_image_is_active(registry: MemoryRegistry) -> None:
    async with two_stores(registry) as (near, far):
        app = await registry.repository("team/app")
        image = await push(registry, app, "own", "v1")
        await move(registry, app, image, archive.archive)
        await move(registry, app, image, archive.restore)
        registry.pass_time(registry.services.limits.restore_us)
        await run_jobs(registry)

        assert await status_of(registry, app, image) == "ACTIVE"
        assert await is_in(registry, near, app, b"own")
        assert not await is_in(registry, far, app, b"own")


@in_memory
async def test_it_comes_back_when_the_image_is_pushed_again(registry: MemoryRegistry) -> None:
    async with two_stores(registry) as (near, _):
        app = await registry.repository("team/app")
        image = await push(registry, app, "own", "v1")
        await move(registry, app, image, archive.archive)

        await push_image(registry.call, app, image_of([b"{}", b"own"]), MANIFEST_TYPE, ["v1"])
        served = await registry.pull_layer(app, Digest.of(b"own"))
        await run_jobs(registry)

        assert served == b"own"
        assert await is_in(registry, near, app, b"own")


@in_memory
async def test_a_layer_that_another_repository_uses_stays(registry: MemoryRegistry) -> None:
    async with two_stores(registry) as (near, _):
        app, other = await registry.repository("team/app"), await registry.repository("team/other")
        image = await push(registry, app, "own", "v1")
        await push(registry, other, "own", "v1")

        await move(registry, app, image, archive.archive)

        assert await is_in(registry, near, app, b"own")
