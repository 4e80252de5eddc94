from __future__ import annotations

import pytest

from moorage.aws.shapes.ecr import DescribeImagesRequest, ImageIdentifier
from moorage.base.digest import Digest
from moorage.base.errors.images import ImageNotFound
from moorage.base.errors.ourselves import Corrupted
from moorage.registry.images import delete, find
from moorage.registry.images.operations import describe_images
from moorage.registry.images.push import push_image
from moorage.registry.repositories.repository import Repository

from ..memory import in_memory
from ..registry import MANIFEST_TYPE, MemoryRegistry, image_of
from ..straddling import straddle

ANY = ("ACTIVE", "ARCHIVED", "ACTIVATING")
NEWEST = (1 << 62, b"")


async def several(registry: MemoryRegistry) -> tuple[Repository, list[Digest]]:
    """Four images, the last two pushed in the same microsecond; the first two have tags."""
    app = await registry.repository("app")
    digests = []
    for n, tags in enumerate((("a", "b"), ("c",), (), ())):
        content = b"%d" % n
        await registry.push_layer(app, content)
        pushed = await push_image(registry.call, app, image_of([content]), MANIFEST_TYPE, tags)
        digests.append(pushed.digest)
        registry.pass_time(1 if n < 2 else 0)
    return app, digests


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
@pytest.mark.parametrize(("tag_status", "places"), [("ANY", "0123"), ("TAGGED", "01"), ("UNTAGGED", "23")])
@in_memory
async def test_page_goes_from_the_newest_through_all(
    registry: MemoryRegistry, limit: int, tag_status: str, places: str
) -> None:
    app, digests = await several(registry)
    seen, after = [], NEWEST
    while page := await find.page(registry.call, app, tag_status, ANY, after, limit):
        seen += page
        after = (page[-1].pushed, page[-1].digest.packed)

    last = sorted((digests[2], digests[3]), key=lambda digest: digest.packed)
    expected = [digest for digest in (*last, digests[1], digests[0]) if str(digests.index(digest)) in places]
    assert [image.digest for image in seen] == expected
    tags = {digests[0]: ("a", "b"), digests[1]: ("c",)}
    assert all(image.tags == tags.get(image.digest, ()) for image in seen)


@pytest.mark.parametrize("limit", [1, 2, 10])
@pytest.mark.parametrize("tag_status", ["ANY", "TAGGED", "UNTAGGED"])
@in_memory
async def test_id_page_has_an_element_for_each_tag_and_each_untagged_image(
    registry: MemoryRegistry, limit: int, tag_status: str
) -> None:
    app, digests = await several(registry)
    seen: list[tuple[Digest, str | None]] = []
    after = (b"", "")
    while page := await find.id_page(registry.call, app, tag_status, ANY, after, limit):
        seen += [(each.digest, each.tag) for each in page]
        after = (page[-1].digest.packed, page[-1].tag or "")

    tagged = [(digests[0], "a"), (digests[0], "b"), (digests[1], "c")]
    untagged = [(digests[2], None), (digests[3], None)]
    wanted = {"ANY": tagged + untagged, "TAGGED": tagged, "UNTAGGED": untagged}[tag_status]
    assert seen == sorted(wanted, key=lambda pair: (pair[0].packed, pair[1] or ""))


@in_memory
async def test_pages_show_the_statuses_asked(registry: MemoryRegistry) -> None:
    app, digests = await several(registry)
    registry.db._writer.execute(
        "UPDATE images SET status = 'ARCHIVED' WHERE digest = ?", (digests[0].packed,)
    )

    active = await find.page(registry.call, app, "ANY", ("ACTIVE",), NEWEST, 10)
    archived = await find.id_page(registry.call, app, "ANY", ("ARCHIVED",), (b"", ""), 10)

    assert digests[0] not in [image.digest for image in active]
    assert {each.digest for each in archived} == {digests[0]}


@in_memory
async def test_tag_page_is_in_byte_order(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await registry.push_layer(app, b"{}")
    tags = ["b", "B", "_", "a.b", "a-b", "a", "10", "9"]
    await push_image(registry.call, app, image_of([b"{}"]), MANIFEST_TYPE, tags)

    assert await find.tag_page(registry.call, app, "", 100) == sorted(tags)
    assert await find.tag_page(registry.call, app, "a", 2) == ["a-b", "a.b"]


@in_memory
async def test_a_page_goes_on_though_its_last_image_is_gone(registry: MemoryRegistry) -> None:
    app, digests = await several(registry)
    (first,) = await find.page(registry.call, app, "ANY", ANY, NEWEST, 1)
    await delete.remove_image(registry.call, app, first.digest)

    rest = await find.page(registry.call, app, "ANY", ANY, (first.pushed, first.digest.packed), 10)

    assert {image.digest for image in rest} == set(digests) - {first.digest}


@in_memory
async def test_a_manifest_moved_to_another_row_does_not_open(registry: MemoryRegistry) -> None:
    app, digests = await several(registry)
    one, two = [await find.by_digest(registry.db, app, digest) for digest in digests[:2]]
    assert one is not None
    assert two is not None
    registry.db._writer.execute(
        "UPDATE images SET sealed_manifest = ? WHERE id = ?", (two.sealed_manifest, one.id)
    )

    swapped = await find.by_digest(registry.db, app, digests[0])

    assert swapped is not None
    with pytest.raises(Corrupted):
        await find.manifest_of(registry.call, app, swapped)


@in_memory
async def test_a_page_is_of_one_moment(registry: MemoryRegistry) -> None:
    """Between two reads `latest` may move: no page may be without it, or with it on two images."""
    app, digests = await several(registry)
    await push_image(registry.call, app, image_of([b"0"]), MANIFEST_TYPE, ["latest"])
    call = registry.call

    async def move() -> None:
        await push_image(call, app, image_of([b"1"]), MANIFEST_TYPE, ["latest"])

    for statement in ("images.tags_of_all", "images.tags_of_found"):
        straddle(registry, statement, move)
        page = await find.page(registry.call, app, "ANY", ANY, NEWEST, 10)
        assert [image.digest for image in page if "latest" in image.tags] == [digests[0]]


@pytest.mark.parametrize("what", ["moves", "goes"])
@in_memory
async def test_images_that_are_named_are_described_as_they_are_at_one_moment(
    registry: MemoryRegistry, what: str
) -> None:
    app, digests = await several(registry)
    call = registry.call

    async def change() -> None:
        if what == "moves":
            await push_image(call, app, image_of([b"1"]), MANIFEST_TYPE, ["a"])
        else:
            await delete.remove_image(call, app, digests[0])

    straddle(registry, "images.tags_of_found", change)
    asked = DescribeImagesRequest(repository_name="app", image_ids=[ImageIdentifier(image_tag="a")])
    if what == "goes":
        with pytest.raises(ImageNotFound):
            await describe_images(registry.call, asked)
        return
    (described,) = (await describe_images(registry.call, asked)).image_details or []

    assert (described.image_digest, described.image_tags) == (str(digests[1]), ["a", "c"])
