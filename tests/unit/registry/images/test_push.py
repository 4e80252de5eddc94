from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from moorage.base.clock import HOUR
from moorage.base.digest import Digest
from moorage.base.errors.images import (
    ImageTagAlreadyExists,
    LayersNotFound,
    LimitExceeded,
    ManifestInvalid,
    ManifestTooLarge,
    ReferencedImagesNotFound,
)
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.registry.images import delete, find
from moorage.registry.images import job as images_job
from moorage.registry.images.push import Pushed, push_image
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.mutability import Mode, Mutability
from moorage.registry.repositories.repository import Repository

from ..memory import in_memory, with_limits
from ..registry import MANIFEST_TYPE, MemoryRegistry, image_of

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


def noted(note: object) -> bytes:
    """An image of the layer `{}`; each note makes another."""
    return json.dumps(json.loads(image_of([b"{}"])) | {"annotations": {"note": str(note)}}).encode()


def index_of(*children: Digest) -> bytes:
    entries = [{"mediaType": MANIFEST_TYPE, "digest": str(child), "size": 2} for child in children]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}).encode()


async def push(
    registry: MemoryRegistry, app: Repository, content: bytes, *tags: str, **options: Any
) -> Pushed:
    return await push_image(registry.call, app, content, None, tags, **options)


async def filled(
    registry: MemoryRegistry, mode: Mode = "MUTABLE", filters: tuple[str, ...] = ()
) -> Repository:
    """A repository with the layer `{}`."""
    app = await repositories.create(registry.call, "app", Mutability(mode, filters))
    await registry.push_layer(app, b"{}")
    return app


@in_memory
async def test_push_stores_the_bytes_and_says_what_changed(registry: MemoryRegistry) -> None:
    app, content = await filled(registry), noted("é") + b"\n"
    epoch = registry.db.epoch(app.id)

    first = await push(registry, app, content, "a", "b")
    again = await push(registry, app, content, "b", "c")

    assert (first.is_new, first.moved) == (True, ("a", "b"))
    assert (again.is_new, again.was_restored, again.moved) == (False, False, ("c",))
    image = await find.by_tag(registry.db, app, "a")
    assert image is not None
    assert await find.manifest_of(registry.call, app, image) == content
    assert (image.digest, image.manifest_size, image.image_size) == (Digest.of(content), len(content), 2)
    assert content not in image.sealed_manifest
    assert registry.db.epoch(app.id) > epoch


@in_memory
async def test_push_again_does_not_change_when_it_was_pushed(registry: MemoryRegistry) -> None:
    app = await filled(registry)
    first = await push(registry, app, noted(1))
    then = registry.now
    registry.pass_time(HOUR)

    await push(registry, app, noted(1), "t")

    image = await find.by_digest(registry.db, app, first.digest)
    assert image is not None
    assert image.pushed == then


@in_memory
async def test_push_moves_a_tag_and_leaves_the_old_image(registry: MemoryRegistry) -> None:
    app = await filled(registry)
    old = await push(registry, app, noted(1), "t")
    new = await push(registry, app, noted(2), "t")

    tagged = await find.by_tag(registry.db, app, "t")
    untagged = await find.by_digest(registry.db, app, old.digest)

    assert tagged is not None
    assert tagged.digest == new.digest
    assert untagged is not None
    assert await find.tags_of(registry.db, untagged) == ()


@in_memory
async def test_push_under_sha512(registry: MemoryRegistry) -> None:
    app = await filled(registry)

    pushed = await push(registry, app, noted(1), "t", algorithm="sha512")

    assert pushed.digest == Digest.of(noted(1), "sha512")
    image = await find.by_digest(registry.db, app, pushed.digest)
    assert image is not None
    assert await find.manifest_of(registry.call, app, image) == noted(1)


@in_memory
async def test_push_without_its_layers_names_them_all_and_stores_nothing(registry: MemoryRegistry) -> None:
    app = await filled(registry)
    content = image_of([b"{}", b"missing 1", b"missing 2", b"missing 1"])
    with pytest.raises(LayersNotFound) as raised:
        await push(registry, app, content, "t")

    missing = f"[{Digest.of(b'missing 1')}, {Digest.of(b'missing 2')}]"
    assert f"Layers with digests '{missing}' required" in str(raised.value)
    assert registry.count("images") == registry.count("tags") == registry.count("image_blobs") == 0
    assert await registry.not_before(app, Digest.of(b"{}")) is not None  # still a candidate


@in_memory
async def test_push_of_an_index_wants_its_children_and_has_their_largest_size(
    registry: MemoryRegistry,
) -> None:
    app = await filled(registry)
    child = await push(registry, app, noted(1))
    await registry.push_layer(app, b"0123456789")
    larger = await push(registry, app, image_of([b"{}", b"0123456789"]))
    nowhere = Digest.of(b"nowhere")
    with pytest.raises(ReferencedImagesNotFound) as raised:
        await push(registry, app, index_of(child.digest, nowhere))

    index = await push(registry, app, index_of(child.digest, larger.digest))

    assert f"Images with digests '[{nowhere}]' required" in str(raised.value)
    image = await find.by_digest(registry.db, app, index.digest)
    assert image is not None
    assert image.image_size == 12


@in_memory
async def test_push_may_miss_references_where_that_is_allowed(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    with_limits(registry, allow_missing_references=True)

    await push(registry, app, image_of([b"{}", b"layer"]), "t")
    await push(registry, app, index_of(Digest.of(b"nowhere")), "index")

    assert registry.count("tags") == 2


@in_memory
async def test_push_too_large_or_no_manifest_is_refused(registry: MemoryRegistry) -> None:
    app = await filled(registry)
    with_limits(registry, manifest_bytes=len(noted(1)))
    await push(registry, app, noted(1))

    with pytest.raises(ManifestTooLarge):
        await push(registry, app, noted(1) + b" ")
    with pytest.raises(ManifestInvalid):
        await push(registry, app, b"{}")


@pytest.mark.parametrize("strict", [False, True])
@in_memory
async def test_push_to_a_protected_tag_refuses_the_whole(registry: MemoryRegistry, strict: bool) -> None:
    app = await filled(registry, "IMMUTABLE_WITH_EXCLUSION", ("dev-*",))
    first = await push(registry, app, noted(1), "v1", "dev-1")

    with pytest.raises(ImageTagAlreadyExists) as raised:
        await push(registry, app, noted(2), "new", "v1", strict=strict)
    moved = await push(registry, app, noted(2), "dev-1", strict=strict)

    assert str(raised.value) == (
        "The image tag 'v1' already exists in the 'app' repository and cannot be overwritten because the repository "
        "is immutable."
    )
    assert moved.moved == ("dev-1",)
    assert await find.by_tag(registry.db, app, "new") is None
    tagged = await find.by_tag(registry.db, app, "v1")
    assert tagged is not None
    assert tagged.digest == first.digest


@in_memory
async def test_push_of_the_same_to_a_protected_tag_is_refused_only_if_strict(
    registry: MemoryRegistry,
) -> None:
    app = await filled(registry, "IMMUTABLE")
    await push(registry, app, noted(1), "v1")

    again = await push(registry, app, noted(1), "v1")
    with pytest.raises(ImageTagAlreadyExists):
        await push(registry, app, noted(1), "v1", strict=True)

    assert (again.is_new, again.moved) == (False, ())


@pytest.mark.parametrize(("mode", "tag"), [("IMMUTABLE", "v1"), ("MUTABLE_WITH_EXCLUSION", "v1")])
@in_memory
async def test_push_at_once_to_a_protected_tag_lets_one_through(
    registry: MemoryRegistry, mode: Mode, tag: str
) -> None:
    app = await filled(registry, mode, ("v*",) if mode != "IMMUTABLE" else ())

    results = await asyncio.gather(
        *(push(registry, app, noted(n), tag) for n in range(20)), return_exceptions=True
    )

    pushed = [result for result in results if isinstance(result, Pushed)]
    assert sum(isinstance(result, ImageTagAlreadyExists) for result in results) == 19
    assert len(pushed) == 1
    assert registry.count("images") == registry.count("tags") == 1


@in_memory
async def test_push_at_once_of_one_image_is_one_image(registry: MemoryRegistry) -> None:
    app = await filled(registry)

    results = await asyncio.gather(*(push(registry, app, noted(1), f"t{n % 3}") for n in range(9)))

    assert sum(result.is_new for result in results) == 1
    assert (registry.count("images"), registry.count("tags")) == (1, 3)


@in_memory
async def test_push_restores_an_archived_image(registry: MemoryRegistry) -> None:
    app = await filled(registry)
    pushed = await push(registry, app, noted(1), "t")
    registry.db._writer.execute("UPDATE images SET status = 'ARCHIVED', archived = 1")

    again = await push(registry, app, noted(1), "t")

    image = await find.by_digest(registry.db, app, pushed.digest)
    assert (again.is_new, again.was_restored, again.moved) == (False, True, ())
    assert image is not None
    assert (image.status, image.activated) == ("ACTIVE", registry.now)


@in_memory
async def test_push_with_amazons_quotas_stops_at_a_thousand_tags(registry: MemoryRegistry) -> None:
    app = await filled(registry)
    with_limits(registry, aws_quotas=True)
    await push(registry, app, noted(1), *(f"t{n}" for n in range(1_000)))

    with pytest.raises(LimitExceeded) as raised:
        await push(registry, app, noted(1), "more")

    assert str(raised.value).endswith("exceeds the maximum allowed number of tags per image which is '1000'")
    assert await find.by_tag(registry.db, app, "more") is None


@in_memory
async def test_push_into_a_deleted_repository_is_refused_also_when_its_name_is_taken_again(
    registry: MemoryRegistry,
) -> None:
    old = await filled(registry)
    await repositories.delete(registry.call, "app", None, force=True)
    new = await registry.repository("app")

    with pytest.raises(RepositoryNotFound):
        await push(registry, old, noted(1), "t")

    assert registry.count("images") == 0
    assert await find.by_tag(registry.db, new, "t") is None


@in_memory
async def test_push_beside_a_deletion_and_its_purge_leaves_no_orphan(registry: MemoryRegistry) -> None:
    app = await filled(registry)

    async def delete_and_purge() -> None:
        await repositories.delete(registry.call, "app", None, force=True)
        await images_job.purge(registry.services)

    results = await asyncio.gather(
        *(push(registry, app, noted(n), f"t{n}") for n in range(10)),
        delete_and_purge(),
        *(push(registry, app, noted(n), f"t{n}") for n in range(10, 20)),
        return_exceptions=True,
    )

    refused = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(result, RepositoryNotFound) for result in refused)
    for table in (
        "images",
        "tags",
        "image_blobs",
        "repository_blobs",
        "candidates",
        "repositories",
        "purges",
    ):
        assert registry.count(table) == 0, table


@in_memory
async def test_push_and_deletion_of_one_image_at_once_end_in_one_of_two_states(
    registry: MemoryRegistry,
) -> None:
    app = await filled(registry)
    digest = (await push(registry, app, noted(1), "t")).digest
    for _ in range(10):
        await asyncio.gather(
            delete.remove_image(registry.call, app, digest), push(registry, app, noted(1), "t")
        )
        image = await find.by_digest(registry.db, app, digest)
        tagged = await find.by_tag(registry.db, app, "t")
        assert (image is None) == (tagged is None)
        candidate = await registry.not_before(app, Digest.of(b"{}"))
        assert (candidate is None) == (image is not None)
        await push(registry, app, noted(1), "t")


@in_memory
async def test_a_push_that_began_while_tags_could_be_moved_does_not_move_one_that_is_immutable_since(
    registry: MemoryRegistry,
) -> None:
    app = await filled(registry)
    before = await push(registry, app, noted(1), "v1")  # `app` is as it was when the next push began

    await repositories.set_mutability(registry.call, app, Mutability("IMMUTABLE", ()))
    with pytest.raises(ImageTagAlreadyExists):
        await push(registry, app, noted(2), "v1")

    image = await find.by_tag(registry.db, app, "v1")
    assert image is not None
    assert image.digest == before.digest
