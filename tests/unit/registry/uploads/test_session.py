from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from moorage.base.clock import HOUR
from moorage.base.digest import Digest
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.layers import DigestMismatch, RangeNotInOrder, UploadNotFound
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.keys.receiving import OpenUpload
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import job as uploads_job
from moorage.registry.uploads import session

from ..memory import call_of, in_memory, with_limits
from ..registry import MemoryRegistry, once

CONTENT = b"0123456789"


async def begun(registry: MemoryRegistry, *parts: bytes) -> tuple[Repository, OpenUpload]:
    app = await registry.repository("app")
    upload = await session.begin(registry.call, app)
    for part in parts:
        await session.append(registry.call, upload, once(part))
    return app, upload


@in_memory
async def test_append_counts_and_finish_stores(registry: MemoryRegistry) -> None:
    app, upload = await begun(registry)

    received = [
        await session.append(registry.call, upload, once(CONTENT[:4]), first=0),
        await session.append(registry.call, upload, once(CONTENT[4:]), first=4),
    ]
    digest = await session.finish(registry.call, app, upload, [Digest.of(CONTENT)])

    assert received == [4, 10]
    assert digest == Digest.of(CONTENT)
    assert await registry.pull_layer(app, digest) == CONTENT
    assert registry.count("uploads") == 0
    assert not registry.files.partial
    assert CONTENT not in b"".join(registry.files.committed.values())
    with pytest.raises(UploadNotFound):
        session.find(registry.call, app, upload.id)


@pytest.mark.parametrize("first", [0, 9, 11])
@in_memory
async def test_append_elsewhere_is_refused_and_keeps_the_session(
    registry: MemoryRegistry, first: int
) -> None:
    app, upload = await begun(registry, CONTENT)
    with pytest.raises(RangeNotInOrder) as raised:
        await session.append(registry.call, upload, once(b"x"), first=first)

    assert str(raised.value) == f"First byte of the layer part is {first} instead of 10"
    assert await session.finish(registry.call, app, upload, [Digest.of(CONTENT)])


@in_memory
async def test_append_while_another_is_at_it_is_refused_at_once(registry: MemoryRegistry) -> None:
    app, upload = await begun(registry)
    arrives, goes_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[memoryview]:
        yield memoryview(b"01")
        arrives.set()
        await goes_on.wait()
        yield memoryview(b"23")

    first = asyncio.create_task(session.append(registry.call, upload, slowly()))
    await arrives.wait()
    for second in (
        session.append(registry.call, upload, once(b"x")),
        session.append(registry.call, upload, once(b"x"), first=2),
        session.finish(registry.call, app, upload, [Digest.of(b"01")]),
        session.cancel(registry.call, upload),
    ):
        with pytest.raises(RangeNotInOrder):
            await second
    goes_on.set()

    assert await first == 4
    assert await session.finish(registry.call, app, upload, [Digest.of(b"0123")])


@in_memory
async def test_a_session_is_its_owners_in_its_repository(registry: MemoryRegistry) -> None:
    app, upload = await begun(registry)
    other = await registry.repository("other")
    renewed = replace(registry.call, principal=replace(registry.call.principal, access_key_id="AKIARENEWED"))

    assert session.find(renewed, app, upload.id) is upload
    for call, repository, id_ in (
        (call_of(registry, "210987654321"), app, upload.id),
        (registry.call, other, upload.id),
        (registry.call, app, "nothing"),
    ):
        with pytest.raises(UploadNotFound) as raised:
            session.find(call, repository, id_)
        assert str(raised.value) == (
            f"Upload with id '{id_}' could not be found for the repository with name '{repository.name}' in the "
            "registry with id '123456789012'"
        )


@in_memory
async def test_a_session_lives_a_day_after_its_last_use(registry: MemoryRegistry) -> None:
    app, upload = await begun(registry)
    registry.pass_time(23 * HOUR)
    await session.append(registry.call, upload, once(b"x"))

    registry.pass_time(24 * HOUR - 1)
    assert session.find(registry.call, app, upload.id) is upload
    registry.pass_time(1)

    with pytest.raises(UploadNotFound):
        session.find(registry.call, app, upload.id)


@in_memory
async def test_finish_with_another_digest_drops_the_session(registry: MemoryRegistry) -> None:
    app, upload = await begun(registry, CONTENT)
    with pytest.raises(DigestMismatch):
        await session.finish(registry.call, app, upload, [Digest.of(CONTENT), Digest.of(b"other")])

    with pytest.raises(UploadNotFound):
        session.find(registry.call, app, upload.id)
    assert registry.count("uploads") == registry.count("blobs") == 0
    assert not registry.files.partial
    assert not registry.files.committed


@pytest.mark.parametrize("announced", [False, True])
@in_memory
async def test_finish_under_sha512_names_the_layer_twice(registry: MemoryRegistry, announced: bool) -> None:
    app = await registry.repository("app")
    upload = await session.begin(registry.call, app, sha512=announced)
    sha512 = Digest.of(CONTENT, "sha512")

    digest = await session.finish(registry.call, app, upload, [sha512], once(CONTENT))

    assert digest == Digest.of(CONTENT)
    assert await registry.pull_layer(app, sha512) == await registry.pull_layer(app, digest) == CONTENT
    assert registry.count("blobs") == 1


@in_memory
async def test_finish_of_one_digest_by_two_keeps_one_file(registry: MemoryRegistry) -> None:
    app, first = await begun(registry, CONTENT)
    other = await registry.repository("other")
    second = await session.begin(registry.call, other)
    await session.append(registry.call, second, once(CONTENT))

    digests = await asyncio.gather(
        session.finish(registry.call, app, first, [Digest.of(CONTENT)]),
        session.finish(registry.call, other, second, [Digest.of(CONTENT)]),
    )

    assert digests == [Digest.of(CONTENT)] * 2
    assert len(registry.files.committed) == registry.count("blobs") == 1
    for repository in (app, other):
        assert await registry.pull_layer(repository, Digest.of(CONTENT)) == CONTENT


@in_memory
async def test_finish_into_a_deleted_repository_stores_nothing(registry: MemoryRegistry) -> None:
    app, upload = await begun(registry, CONTENT)
    await repositories.delete(registry.call, "app", None, force=True)
    await registry.repository("app")

    with pytest.raises(RepositoryNotFound):
        await session.finish(registry.call, app, upload, [Digest.of(CONTENT)])

    assert registry.count("blobs") == registry.count("repository_blobs") == 0


@in_memory
async def test_an_empty_layer_is_a_layer(registry: MemoryRegistry) -> None:
    app, upload = await begun(registry)

    digest = await session.finish(registry.call, app, upload, [Digest.of(b"")])

    assert await registry.pull_layer(app, digest) == b""


@in_memory
async def test_append_beyond_the_largest_layer_is_refused(registry: MemoryRegistry) -> None:
    with_limits(registry, layer_bytes=10)
    _, upload = await begun(registry, CONTENT)

    with pytest.raises(LimitExceeded):
        await session.append(registry.call, upload, once(b"x"))


@in_memory
async def test_cancel_leaves_nothing(registry: MemoryRegistry) -> None:
    app, upload = await begun(registry, CONTENT)

    await session.cancel(registry.call, upload)

    with pytest.raises(UploadNotFound):
        session.find(registry.call, app, upload.id)
    assert registry.count("uploads") == 0
    assert not registry.files.partial


@pytest.mark.parametrize(
    ("sizes", "is_short"),
    [((1,), False), ((5, 1), False), ((4, 5), True), ((5, 4, 5), True), ((5, 5, 5), False), ((1, 1), True)],
)
@in_memory
async def test_note_part_knows_a_short_part_only_by_the_next(
    registry: MemoryRegistry, sizes: tuple[int, ...], is_short: bool
) -> None:
    _, upload = await begun(registry)

    for size in sizes:
        session.note_part(upload, size, 5)

    assert (upload.parts, upload.has_short_part) == (len(sizes), is_short)


@in_memory
async def test_a_session_is_closed_once_and_what_it_stored_stays(registry: MemoryRegistry) -> None:
    app, upload = await begun(registry, CONTENT)  # two requests have found it
    digest = await session.finish(registry.call, app, upload, [Digest.of(CONTENT)])

    with pytest.raises(UploadNotFound):
        await session.finish(registry.call, app, upload, [Digest.of(CONTENT)])
    await uploads_job.remove_doomed_files(registry.services)

    assert await registry.pull_layer(app, digest) == CONTENT


@in_memory
async def test_a_session_that_was_dropped_meanwhile_takes_no_more(registry: MemoryRegistry) -> None:
    _, upload = await begun(registry, CONTENT)
    await session.drop(registry.services, upload)

    with pytest.raises(UploadNotFound):
        await session.append(registry.call, upload, once(CONTENT))


@in_memory
async def test_a_closing_that_was_cut_off_when_it_was_written_can_be_repeated(
    registry: MemoryRegistry,
) -> None:
    app, upload = await begun(registry, CONTENT)
    closing = asyncio.create_task(session.finish(registry.call, app, upload, [Digest.of(CONTENT)]))
    await asyncio.sleep(0)
    assert registry.files.committed
    closing.cancel()  # while its transaction is committed
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert registry.count("blobs") == 1

    digest = await session.finish(registry.call, app, upload, [Digest.of(CONTENT)])
    await uploads_job.remove_doomed_files(registry.services)

    assert await registry.pull_layer(app, digest) == CONTENT
