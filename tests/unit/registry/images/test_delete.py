from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import pytest

from moorage.access.call import Call
from moorage.aws.shapes.ecr import ImageIdentifier, UpdateImageStorageClassRequest
from moorage.base.clock import HOUR
from moorage.base.digest import Digest
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.registry.images import delete, find
from moorage.registry.images.identify import NOT_FOUND, Failure
from moorage.registry.images.push import push_image
from moorage.registry.lifecycle.operations import update_image_storage_class
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import layers

from ...access.test_authorize import allow, document, user
from ..memory import in_memory
from ..registry import MANIFEST_TYPE, MemoryRegistry, image_of
from ..straddling import TRANSACTION, straddle

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG = Digest.of(b"{}")


async def tagged(registry: MemoryRegistry, *tags: str) -> tuple[Repository, Digest]:
    """An image under those tags."""
    app = await registry.repository("app")
    await registry.push_layer(app, b"{}")
    pushed = await push_image(registry.call, app, image_of([b"{}"]), MANIFEST_TYPE, tags)
    return app, pushed.digest


async def index(registry: MemoryRegistry, app: Repository, *children: Digest, note: str = "") -> Digest:
    entries = [{"mediaType": MANIFEST_TYPE, "digest": str(child), "size": 2} for child in children]
    document = {"schemaVersion": 2, "manifests": entries, "annotations": {"note": note}}
    content = json.dumps(document).encode()
    return (await push_image(registry.call, app, content, INDEX_TYPE, [])).digest


@in_memory
async def test_remove_tag_leaves_the_image_even_without_tags(registry: MemoryRegistry) -> None:
    app, digest = await tagged(registry, "t")

    assert await delete.remove_tag(registry.call, app, "t")
    assert not await delete.remove_tag(registry.call, app, "t")
    assert await find.by_digest(registry.db, app, digest) is not None


@in_memory
async def test_remove_image_takes_all_its_tags_and_makes_its_layers_candidates(
    registry: MemoryRegistry,
) -> None:
    app, digest = await tagged(registry, "a", "b")
    epoch = registry.db.epoch(app.id)
    assert await registry.not_before(app, CONFIG) is None

    assert await delete.remove_image(registry.call, app, digest)

    assert registry.count("tags") == registry.count("images") == registry.count("image_blobs") == 0
    assert await registry.not_before(app, CONFIG) == registry.now + 24 * HOUR
    assert registry.db.epoch(app.id) > epoch
    assert not await delete.remove_image(registry.call, app, digest)


@in_memory
async def test_remove_image_of_an_index_child_leaves_a_sparse_index(registry: MemoryRegistry) -> None:
    app, digest = await tagged(registry)
    parent = await index(registry, app, digest)

    assert await delete.remove_image(registry.call, app, digest)
    assert await find.by_digest(registry.db, app, parent) is not None


@in_memory
async def test_remove_all_by_digest_answers_a_pair_for_each_tag(registry: MemoryRegistry) -> None:
    app, digest = await tagged(registry, "b", "a")

    first, second = await delete.remove_all(registry.call, app, [(str(digest), None)] * 2)

    assert first == [(digest, "a"), (digest, "b")]
    assert second == NOT_FOUND


@in_memory
async def test_remove_all_by_tag_takes_the_image_with_the_last(registry: MemoryRegistry) -> None:
    app, digest = await tagged(registry, "a", "b")

    results = await delete.remove_all(registry.call, app, [(None, "a"), (str(digest), "b"), (None, "b")])

    assert results == [[(digest, "a")], [(digest, "b")], NOT_FOUND]
    assert registry.count("images") == 0


@pytest.mark.parametrize("reversed_", [False, True])
@in_memory
async def test_remove_all_takes_an_index_and_its_child_in_any_order(
    registry: MemoryRegistry, reversed_: bool
) -> None:
    app, child = await tagged(registry, "child")
    parent = await index(registry, app, child)
    asked = [(str(child), None), (str(parent), None)]
    expected = [[(child, "child")], [(parent, None)]]

    results = await delete.remove_all(registry.call, app, asked[::-1] if reversed_ else asked)

    assert results == (expected[::-1] if reversed_ else expected)


@in_memory
async def test_remove_all_of_a_child_names_its_indexes_and_deletes_the_rest(registry: MemoryRegistry) -> None:
    app, child = await tagged(registry, "child")
    parents = sorted([await index(registry, app, child, note=note) for note in "ab"], key=lambda d: d.packed)

    refused, untagged = await delete.remove_all(registry.call, app, [(str(child), None), (None, "child")])

    listed = ", ".join(map(str, parents))
    assert refused == Failure(
        "ImageReferencedByManifestList", f"Requested image referenced by manifest list: [{listed}]"
    )
    assert untagged == [(child, "child")]
    assert await find.by_digest(registry.db, app, child) is not None


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@in_memory
async def test_remove_all_takes_nested_indexes_in_any_order(
    registry: MemoryRegistry, order: tuple[int, ...]
) -> None:
    app, child = await tagged(registry)
    inner = await index(registry, app, child)
    entry = {"mediaType": INDEX_TYPE, "digest": str(inner), "size": 2}
    content = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    outer = (await push_image(registry.call, app, content, INDEX_TYPE, [])).digest

    asked: list[tuple[str | None, str | None]] = [(str(child), None), (str(inner), None), (str(outer), None)]

    results = await delete.remove_all(registry.call, app, [asked[n] for n in order])

    assert not any(isinstance(result, Failure) for result in results)
    assert registry.count("images") == 0


async def caretaker(registry: MemoryRegistry) -> Call:
    """Who may delete images, but nothing that is tagged `prod`."""
    policies = document(
        allow("ecr:*"), {**allow("ecr:BatchDeleteImage"), "Effect": "Deny", **unless_tagged("prod")}
    )
    return await user(registry, policies)


def unless_tagged(tag: str) -> dict[str, object]:
    return {"Condition": {"StringEquals": {"moorage:ImageTag": tag}}}


@pytest.mark.parametrize("by_batch", [True, False])
@in_memory
async def test_a_tag_that_an_image_gets_while_it_is_deleted_by_its_digest_is_asked_about(
    registry: MemoryRegistry, by_batch: bool
) -> None:
    app, digest = await tagged(registry, "dev")
    caller = await caretaker(registry)

    async def release() -> None:
        await push_image(registry.call, app, image_of([b"{}"]), MANIFEST_TYPE, ["prod"])

    straddle(registry, TRANSACTION, release)
    call = replace(caller, services=registry.services)
    one, all_ = partial(delete.remove_image, call, app, digest), partial(delete.remove_all, call, app)
    with pytest.raises(AccessDenied):
        await (all_([(str(digest), None)]) if by_batch else one())

    image = await find.by_digest(registry.db, app, digest)
    assert image is not None
    assert await find.tags_of(registry.db, image) == ("dev", "prod")


@pytest.mark.parametrize("what", ["tag", "image", "batch", "layer", "archive"])
@in_memory
async def test_what_is_taken_from_a_repository_that_was_deleted_meanwhile_is_told_of_by_nobody(
    registry: MemoryRegistry, what: str
) -> None:
    app, digest = await tagged(registry, "t")
    alone = await registry.push_layer(app, b"alone")
    call, before = registry.call, await registry.db.one("events.waiting")

    async def leave() -> None:
        await repositories.delete(call, "app", None, force=True)

    straddle(registry, TRANSACTION, leave)
    late = registry.call
    archived = UpdateImageStorageClassRequest(
        repository_name="app",
        image_id=ImageIdentifier(image_digest=str(digest)),
        target_storage_class="ARCHIVE",
    )
    takes: dict[str, Callable[[], Awaitable[object]]] = {
        "tag": lambda: delete.remove_tag(late, app, "t"),
        "image": lambda: delete.remove_image(late, app, digest),
        "batch": lambda: delete.remove_all(late, app, [(None, "t")]),
        "layer": lambda: layers.remove(late, app, alone),
        "archive": lambda: update_image_storage_class(late, archived),
    }
    with pytest.raises(RepositoryNotFound):
        await takes[what]()

    after = await registry.db.one("events.waiting")
    assert before is not None
    assert after is not None
    assert after[0] == before[0] + 1, "of the repository's deletion"
