"""What arrives at a destination, over a registry in memory."""

from __future__ import annotations

import json
from functools import partial

import pytest

from moorage.base.clock import HOUR, MINUTE
from moorage.base.digest import Digest
from moorage.registry.images import archive, delete, find
from moorage.registry.images.manifest import OCI_INDEX
from moorage.registry.images.push import push_image
from moorage.registry.replication import statuses
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.mutability import Mutability
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import layers

from ..memory import in_memory, with_limits
from ..registry import MANIFEST_TYPE, MemoryRegistry, image_of
from ..straddling import straddle
from .replicating import (
    FURTHER,
    HERE,
    OTHERS,
    THERE,
    allow,
    at,
    configure,
    image_at,
    index_of,
    layer_at,
    manifest_at,
    repository_at,
    run,
    tags_at,
)

LAYERS = [b"{}", b"x" * 3_000_000]


async def statuses_of(
    registry: MemoryRegistry, repository: Repository, digest: Digest
) -> list[tuple[str, str, str]]:
    image = await find.by_digest(registry.db, repository, digest)
    assert image is not None
    found = await statuses.of_image(registry.db, repository, image)
    return [(each.destination.region, each.status, each.failure) for each in found]


@in_memory
async def test_a_push_is_made_there_byte_for_byte_under_keys_of_the_other_registry(
    registry: MemoryRegistry,
) -> None:
    await configure(registry, THERE)
    app = await registry.repository("team/app")
    digest = await registry.push(app, LAYERS, "v1")

    await run(registry)

    assert await manifest_at(registry, THERE, "team/app", digest) == image_of(LAYERS)
    for layer in LAYERS:
        assert await layer_at(registry, THERE, "team/app", Digest.of(layer)) == layer
    assert await tags_at(registry, THERE, "team/app", digest) == ("v1",)
    target = await repository_at(registry, THERE, "team/app")
    assert target is not None
    assert target.domain != app.domain
    assert registry.count("blobs") == 2 * len(LAYERS)
    assert registry.count("uploads") == 0


@in_memory
async def test_what_was_pushed_before_the_rule_stays_where_it_is(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await registry.push(app, LAYERS)
    await configure(registry, THERE)

    await run(registry)

    assert await repository_at(registry, THERE, "app") is None


@in_memory
async def test_only_repositories_that_begin_as_a_filter_says_are_replicated(registry: MemoryRegistry) -> None:
    await configure(registry, THERE, prefixes=["prod", "base/"])
    names = {"prod": True, "production": True, "base/os": True, "my-prod": False, "base-os": False}
    for name in names:
        await registry.push(await registry.repository(name), [b"{}"])

    await run(registry)

    arrived = {name: await repository_at(registry, THERE, name) is not None for name in names}
    assert arrived == names


@in_memory
async def test_a_replica_is_not_replicated_onward_and_a_circle_comes_to_rest(
    registry: MemoryRegistry,
) -> None:
    await configure(registry, THERE)
    await configure(registry, HERE, FURTHER, source=THERE)
    digest = await registry.push(await registry.repository("app"), LAYERS)

    await run(registry)

    assert await image_at(registry, THERE, "app", digest) is not None
    assert await repository_at(registry, FURTHER, "app") is None
    assert registry.count("jobs") == 0


@in_memory
async def test_a_tag_that_moved_meanwhile_is_where_it_is_here_in_whatever_order_the_work_is_done(
    registry: MemoryRegistry,
) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    first = await registry.push(app, [b"{}", b"first"], "latest")
    second = await registry.push(app, [b"{}", b"second"], "latest")

    await run(registry)

    assert await tags_at(registry, THERE, "app", first) == ()
    assert await tags_at(registry, THERE, "app", second) == ("latest",)


@in_memory
async def test_a_protected_tag_there_stays_and_the_image_comes_without_it(registry: MemoryRegistry) -> None:
    there = at(registry, THERE)
    target = await repositories.create(there, "app", Mutability("IMMUTABLE"))
    await layers_of(registry, target, [b"{}", b"own"])
    own = (await push_image(there, target, image_of([b"{}", b"own"]), MANIFEST_TYPE, ["v1"])).digest
    await configure(registry, THERE)
    digest = await registry.push(await registry.repository("app"), LAYERS, "v1")

    await run(registry)

    assert await tags_at(registry, THERE, "app", own) == ("v1",)
    assert await tags_at(registry, THERE, "app", digest) == ()


async def layers_of(registry: MemoryRegistry, repository: Repository, contents: list[bytes]) -> None:
    for content in contents:
        await registry.push_layer(repository, content)


@in_memory
async def test_an_image_that_is_archived_there_is_restored(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    await run(registry)
    image = await image_at(registry, THERE, "app", digest)
    assert image is not None
    async with registry.db.transaction() as tx:
        await tx.run("images.archive", {"image": image.id, "now": registry.now})

    await registry.push_manifest(app, image_of(LAYERS), "v2")
    await run(registry)

    restored = await image_at(registry, THERE, "app", digest)
    assert restored is not None
    assert (restored.status, restored.tags) == ("ACTIVE", ("v1", "v2"))


@in_memory
async def test_what_is_restored_here_is_replicated_like_a_push(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    image = await find.by_digest(registry.db, app, digest)
    assert image is not None
    async with registry.db.transaction() as tx:
        await archive.archive(registry.services, tx, app, image, registry.now)
        await archive.restore(registry.services, tx, app, image, registry.now)
    await configure(registry, THERE)
    registry.pass_time(HOUR)

    await run(registry)

    assert await tags_at(registry, THERE, "app", digest) == ("v1",)


@in_memory
async def test_an_index_comes_with_its_children_however_deep(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    one = await registry.push(app, [b"{}", b"one"], "one")
    two = await registry.push(app, [b"{}", b"two"], "two")
    inner = index_of((one, image_of([b"{}", b"one"])), (two, image_of([b"{}", b"two"])))
    inside = (await push_image(registry.call, app, inner, OCI_INDEX, [])).digest
    outer = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [
                {"mediaType": OCI_INDEX, "digest": str(inside), "size": len(inner)},
                {"mediaType": MANIFEST_TYPE, "digest": str(one), "size": len(image_of([b"{}", b"one"]))},
            ],
        }
    ).encode()
    await configure(registry, THERE)
    outside = (await push_image(registry.call, app, outer, OCI_INDEX, ["all"])).digest

    await run(registry)

    assert await manifest_at(registry, THERE, "app", outside) == outer
    assert await manifest_at(registry, THERE, "app", inside) == inner
    assert await tags_at(registry, THERE, "app", outside) == ("all",)
    assert await tags_at(registry, THERE, "app", one) == ()
    assert await layer_at(registry, THERE, "app", Digest.of(b"two")) == b"two"


@in_memory
async def test_what_the_source_was_allowed_to_lack_is_lacking_there_too(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    present = await registry.push(app, [b"{}", b"one"], "one")
    absent = (Digest.of(b"nothing"), b"nothing")
    sparse = index_of((present, image_of([b"{}", b"one"])), absent)
    with_limits(registry, allow_missing_references=True)
    digest = (await push_image(registry.call, app, sparse, OCI_INDEX, ["all"])).digest
    with_limits(registry, allow_missing_references=False)

    await run(registry)

    assert await manifest_at(registry, THERE, "app", digest) == sparse


@in_memory
async def test_who_referred_to_an_image_before_the_rule_follows_it(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    signature = json.loads(image_of([b"{}"])) | {
        "subject": {"mediaType": MANIFEST_TYPE, "digest": str(digest), "size": len(image_of(LAYERS))}
    }
    content = json.dumps(signature).encode()
    referrer = (await push_image(registry.call, app, content, MANIFEST_TYPE, [])).digest
    await configure(registry, THERE)
    await registry.push_manifest(app, image_of(LAYERS), "v2")

    await run(registry)

    assert await tags_at(registry, THERE, "app", digest) == ("v2",)
    assert await manifest_at(registry, THERE, "app", referrer) == content


@in_memory
async def test_the_status_is_in_progress_until_it_is_complete(registry: MemoryRegistry) -> None:
    await configure(registry, THERE, FURTHER)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    assert await statuses_of(registry, app, digest) == [
        ("far-1", "IN_PROGRESS", ""),
        ("far-2", "IN_PROGRESS", ""),
    ]
    registry.pass_time(MINUTE)
    assert await statuses.lag_us(registry.db, registry.now) == MINUTE

    await run(registry)

    assert await statuses_of(registry, app, digest) == [("far-1", "COMPLETE", ""), ("far-2", "COMPLETE", "")]
    assert await statuses.lag_us(registry.db, registry.now) == 0


@in_memory
async def test_another_account_must_allow_it_and_a_refusal_makes_nothing(registry: MemoryRegistry) -> None:
    await configure(registry, OTHERS)
    app = await registry.repository("app")
    refused = await registry.push(app, LAYERS, "v1")
    await run(registry)
    assert await statuses_of(registry, app, refused) == [(OTHERS.region, "FAILED", "AccessDenied")]
    await allow(registry, OTHERS, "ecr:ReplicateImage")
    await registry.push_manifest(app, image_of(LAYERS), "v2")
    await run(registry)
    assert await repository_at(registry, OTHERS, "app") is None

    await allow(registry, OTHERS, "ecr:ReplicateImage", "ecr:CreateRepository")
    await registry.push_manifest(app, image_of(LAYERS), "v3")
    await run(registry)

    assert await tags_at(registry, OTHERS, "app", refused) == ("v3",)
    assert await statuses_of(registry, app, refused) == [(OTHERS.region, "COMPLETE", "")]


@in_memory
async def test_another_account_may_allow_some_account_only(registry: MemoryRegistry) -> None:
    await allow(registry, OTHERS, "ecr:*", source="333333333333")
    await configure(registry, OTHERS)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")

    await run(registry)

    assert await statuses_of(registry, app, digest) == [(OTHERS.region, "FAILED", "AccessDenied")]


@in_memory
async def test_a_deletion_goes_nowhere_unless_a_rule_says_so(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    await run(registry)

    await delete.remove_image(registry.call, app, digest)
    await run(registry)

    assert await tags_at(registry, THERE, "app", digest) == ("v1",)


@in_memory
async def test_deletions_of_tags_and_images_are_replicated_if_a_rule_says_so(
    registry: MemoryRegistry,
) -> None:
    await configure(registry, THERE, deletes=True)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    await registry.push_manifest(app, image_of(LAYERS), "v2")
    await run(registry)
    assert await tags_at(registry, THERE, "app", digest) == ("v1", "v2")

    await delete.remove_tag(registry.call, app, "v1")
    await run(registry)
    assert await tags_at(registry, THERE, "app", digest) == ("v2",)

    await delete.remove_all(registry.call, app, [(str(digest), None)])
    await run(registry)
    assert await image_at(registry, THERE, "app", digest) is None


@in_memory
async def test_a_tag_taken_off_and_put_on_again_is_there_in_the_end(registry: MemoryRegistry) -> None:
    await configure(registry, THERE, deletes=True)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    await run(registry)

    await delete.remove_tag(registry.call, app, "v1")
    await registry.push_manifest(app, image_of(LAYERS), "v1")
    await run(registry)

    assert await tags_at(registry, THERE, "app", digest) == ("v1",)


@in_memory
async def test_what_was_pushed_there_is_not_deleted_from_here(registry: MemoryRegistry) -> None:
    target = await repositories.create(at(registry, THERE), "app", Mutability())
    await layers_of(registry, target, LAYERS)
    own = (await push_image(at(registry, THERE), target, image_of(LAYERS), MANIFEST_TYPE, ["own"])).digest
    await configure(registry, THERE, deletes=True)
    app = await registry.repository("app")
    await registry.push(app, LAYERS, "v1")
    await run(registry)

    await delete.remove_image(registry.call, app, own)
    await run(registry)

    assert "own" in (await tags_at(registry, THERE, "app", own) or ())


@in_memory
async def test_the_right_to_bring_images_to_another_account_is_none_to_delete_there(
    registry: MemoryRegistry,
) -> None:
    await allow(registry, OTHERS, "ecr:ReplicateImage", "ecr:CreateRepository")
    await configure(registry, OTHERS, deletes=True)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    await run(registry)

    await delete.remove_image(registry.call, app, digest)
    await run(registry)
    assert await tags_at(registry, OTHERS, "app", digest) == ("v1",)

    await allow(registry, OTHERS, "ecr:ReplicateImage", "ecr:CreateRepository", "ecr:BatchDeleteImage")
    again = await registry.push(app, LAYERS, "v1")
    await run(registry)
    await delete.remove_image(registry.call, app, again)
    await run(registry)
    assert await image_at(registry, OTHERS, "app", digest) is None


@in_memory
async def test_a_layer_that_is_there_in_another_repository_is_linked_and_not_written_again(
    registry: MemoryRegistry,
) -> None:
    await configure(registry, THERE)
    await registry.push(await registry.repository("one"), LAYERS)
    await run(registry)
    written = registry.count("blobs")

    await registry.push(await registry.repository("two"), LAYERS)
    await run(registry)

    assert registry.count("blobs") == written
    assert await layer_at(registry, THERE, "two", Digest.of(LAYERS[1])) == LAYERS[1]


@in_memory
async def test_a_layer_that_is_corrupt_here_never_arrives_and_the_failure_is_told(
    registry: MemoryRegistry,
) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    for blob, content in list(registry.files.committed.items()):
        registry.files.committed[blob] = content[:-1] + bytes([content[-1] ^ 1])

    for _ in range(13):
        await run(registry)
        registry.pass_time(HOUR)

    assert await statuses_of(registry, app, digest) == [("far-1", "FAILED", "Corrupted")]
    assert await image_at(registry, THERE, "app", digest) is None


@in_memory
async def test_the_work_of_a_repository_deleted_since_is_none(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    await registry.push(app, LAYERS, "v1")
    await repositories.delete(registry.call, "app", None, force=True)

    await run(registry)

    assert await repository_at(registry, THERE, "app") is None
    assert registry.count("jobs") == 0


@in_memory
async def test_what_replication_links_waits_for_its_image_like_any_layer(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    await registry.push(app, LAYERS, "v1")

    await run(registry)

    target = await repository_at(registry, THERE, "app")
    assert target is not None
    assert await registry.not_before(target, Digest.of(LAYERS[1])) is None
    assert await layers.link_stored(at(registry, THERE), target, Digest.of(b"unknown")) is False


@pytest.mark.parametrize("statement", ["replication.statuses", "replication.pending"])
@in_memory
async def test_a_replication_that_ends_while_it_is_asked_about_has_a_status(
    registry: MemoryRegistry, statement: str
) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    image = await find.by_digest(registry.db, app, digest)
    assert image is not None

    straddle(registry, statement, partial(run, registry))
    assert await statuses.of_image(registry.services.db, app, image) != []
