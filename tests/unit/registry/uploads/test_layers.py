from __future__ import annotations

from functools import partial

import pytest

from moorage.base.clock import HOUR
from moorage.base.digest import Digest
from moorage.base.errors.layers import BlobUnknown, LayerReferenced
from moorage.base.errors.ourselves import Corrupted
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.registry.repositories import repository as repositories
from moorage.registry.uploads import layers
from moorage.registry.uploads.job import collect

from ..memory import call_of, in_memory
from ..registry import MemoryRegistry
from ..straddling import TRANSACTION, straddle

LAYER, DIGEST = b"0123456789", Digest.of(b"0123456789")


@in_memory
async def test_find_tells_size_and_whether_an_image_uses_it(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await registry.push_layer(app, LAYER)

    alone = await layers.find(registry.call, app, DIGEST)
    await registry.push(app, [LAYER])
    used = await layers.find(registry.call, app, DIGEST)

    assert (alone.size, alone.is_candidate, used.is_candidate) == (10, True, False)
    reader = await layers.open_layer(registry.call, used)
    assert reader.read(0, 10) == LAYER
    reader.close()


@in_memory
async def test_find_and_sizes_look_in_one_repository(registry: MemoryRegistry) -> None:
    app, other = await registry.repository("app"), await registry.repository("other")
    await registry.push_layer(app, LAYER)
    with pytest.raises(BlobUnknown):
        await layers.find(registry.call, other, DIGEST)

    assert await layers.sizes(registry.call, app, [DIGEST, Digest.of(b"nowhere")]) == {DIGEST: 10}
    assert await layers.sizes(registry.call, other, [DIGEST]) == {}
    assert await layers.sizes(registry.call, app, []) == {}


@in_memory
async def test_open_layer_of_a_lost_file_is_corruption(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await registry.push_layer(app, LAYER)
    layer = await layers.find(registry.call, app, DIGEST)
    registry.files.committed.clear()

    with pytest.raises(Corrupted):
        await layers.open_layer(registry.call, layer)


@in_memory
async def test_open_layer_of_one_that_was_removed_meanwhile_is_unknown(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await registry.push_layer(app, LAYER)
    layer = await layers.find(registry.call, app, DIGEST)
    await layers.remove(registry.call, app, DIGEST)
    registry.files.committed.clear()

    with pytest.raises(BlobUnknown):
        await layers.open_layer(registry.call, layer)


@in_memory
async def test_a_layer_moved_to_another_row_does_not_open(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await registry.push_layer(app, LAYER)
    other = await registry.push_layer(app, b"another layer")
    registry.db._writer.execute(
        "UPDATE repository_blobs SET blob = (SELECT blob FROM repository_blobs WHERE digest = ?) WHERE digest = ?",
        (other.packed, DIGEST.packed),
    )

    layer = await layers.find(registry.call, app, DIGEST)

    with pytest.raises(Corrupted):
        await layers.open_layer(registry.call, layer)


@in_memory
async def test_remove_of_a_layer_in_use_is_refused(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await registry.push(app, [LAYER])

    with pytest.raises(LayerReferenced):
        await layers.remove(registry.call, app, DIGEST)
    with pytest.raises(BlobUnknown):
        await layers.remove(registry.call, app, Digest.of(b"nowhere"))


@in_memory
async def test_remove_of_the_last_link_dooms_the_file(registry: MemoryRegistry) -> None:
    app, other = await registry.repository("app"), await registry.repository("other")
    await registry.push_layer(app, LAYER)
    (holder,) = await layers.holders(registry.call, other, DIGEST, "app")
    await layers.mount(registry.call, other, DIGEST, holder)

    await layers.remove(registry.call, app, DIGEST)
    assert (registry.count("blobs"), registry.count("doomed_files")) == (1, 0)
    await layers.remove(registry.call, other, DIGEST)

    assert (registry.count("blobs"), registry.count("doomed_files")) == (0, 1)
    assert registry.count("candidates") == 0


@in_memory
async def test_mount_links_without_a_copy(registry: MemoryRegistry) -> None:
    app, other = await registry.repository("app"), await registry.repository("other")
    await registry.push_layer(app, LAYER)
    (holder,) = await layers.holders(registry.call, other, DIGEST, "app")

    assert await layers.mount(registry.call, other, DIGEST, holder)

    assert await registry.pull_layer(other, DIGEST) == LAYER
    assert len(registry.files.committed) == 1
    assert await registry.not_before(other, DIGEST) is not None


@in_memory
async def test_mount_of_what_the_holder_lost_meanwhile_is_no(registry: MemoryRegistry) -> None:
    app, other = await registry.repository("app"), await registry.repository("other")
    await registry.push_layer(app, LAYER)
    (holder,) = await layers.holders(registry.call, other, DIGEST, None)
    await layers.remove(registry.call, app, DIGEST)

    assert not await layers.mount(registry.call, other, DIGEST, holder)
    assert not await registry.has_layer(other, DIGEST)


@in_memory
async def test_mount_into_a_deleted_repository_is_refused(registry: MemoryRegistry) -> None:
    app, other = await registry.repository("app"), await registry.repository("other")
    await registry.push_layer(app, LAYER)
    (holder,) = await layers.holders(registry.call, other, DIGEST, None)
    await repositories.delete(registry.call, "other", None, force=True)

    with pytest.raises(RepositoryNotFound):
        await layers.mount(registry.call, other, DIGEST, holder)
    assert not await registry.has_layer(other, DIGEST)


@in_memory
async def test_holders_are_tried_in_name_order_within_one_registry(registry: MemoryRegistry) -> None:
    names = [f"r{n:02}" for n in range(layers.HOLDERS_TRIED + 2)]
    for name in reversed(names):
        await registry.push_layer(await registry.repository(name), LAYER)
    target = await registry.repository("target")
    await repositories.delete(registry.call, "r00", None, force=True)
    foreign = await repositories.create(call_of(registry, "210987654321"), "foreign", target.mutability)

    found = await layers.holders(registry.call, target, DIGEST, None)

    assert [holder.repository for holder in found] == names[1 : layers.HOLDERS_TRIED + 1]
    assert await layers.holders(registry.call, foreign, DIGEST, None) == []
    assert await layers.holders(registry.call, target, DIGEST, "r00") == []


@pytest.mark.parametrize("collected", [True, False])
@in_memory
async def test_who_asks_about_a_layer_while_it_is_collected_is_not_told_that_it_is_there(
    registry: MemoryRegistry, collected: bool
) -> None:
    app = await registry.repository("app")
    await registry.push_layer(app, LAYER)
    registry.pass_time(25 * HOUR if collected else 23 * HOUR)

    straddle(registry, TRANSACTION, partial(collect, registry.services))
    sizes = await layers.sizes(registry.call, app, [DIGEST])

    assert sizes == ({} if collected else {DIGEST: 10})
    assert registry.count("candidates") == (0 if collected else 1)


@in_memory
async def test_find_of_a_layer_that_is_collected_meanwhile_is_unknown(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await registry.push_layer(app, LAYER)
    registry.pass_time(25 * HOUR)

    straddle(registry, TRANSACTION, partial(collect, registry.services))
    with pytest.raises(BlobUnknown):
        await layers.find(registry.call, app, DIGEST)
