from __future__ import annotations

import json
from typing import Any

import pytest

from moorage.base.digest import Digest
from moorage.registry.images import delete, referrers
from moorage.registry.images.push import push_image
from moorage.registry.repositories.repository import Repository

from ..memory import in_memory
from ..registry import MANIFEST_TYPE, MemoryRegistry, image_of

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
SUBJECT = Digest.of(b"an image that is not here")


async def filled(registry: MemoryRegistry) -> Repository:
    app = await registry.repository("app")
    await registry.push_layer(app, b"{}")
    return app


async def refer(registry: MemoryRegistry, app: Repository, note: str, **members: Any) -> Digest:
    subject = {"mediaType": MANIFEST_TYPE, "digest": str(SUBJECT), "size": 2}
    document = json.loads(image_of([b"{}"])) | {"subject": subject, "annotations": {"note": note}} | members
    content = json.dumps(document).encode()
    return (await push_image(registry.call, app, content, MANIFEST_TYPE, [])).digest


async def list_under_tag(registry: MemoryRegistry, app: Repository, *entries: Any) -> None:
    """What clients do that do not know the API."""
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": list(entries)}
    content = json.dumps(index).encode()
    await push_image(registry.call, app, content, INDEX_TYPE, [referrers.fallback_tag(SUBJECT)])


def entry(digest: Digest, artifact_type: str | None = None) -> dict[str, Any]:
    typed = {"artifactType": artifact_type} if artifact_type else {}
    return {"mediaType": MANIFEST_TYPE, "digest": str(digest), "size": 2, **typed}


async def page(
    registry: MemoryRegistry, app: Repository, *types: str, after: int = 0, limit: int = 100
) -> Any:
    return await referrers.page(registry.call, app, SUBJECT, types, after, limit)


@in_memory
async def test_page_is_in_order_of_arrival_with_what_each_says(registry: MemoryRegistry) -> None:
    app = await filled(registry)
    typed = await refer(registry, app, "1", artifactType="application/x.sbom")
    plain = await refer(registry, app, "2")

    found = await page(registry, app)

    assert [(each.digest, each.artifact_type, each.annotations) for each in found] == [
        (typed, "application/x.sbom", {"note": "1"}),
        (plain, "application/vnd.oci.image.config.v1+json", {"note": "2"}),
    ]
    assert all(each.media_type == MANIFEST_TYPE and each.size > 100 for each in found)


@in_memory
async def test_page_goes_on_after_a_cursor_and_filters(registry: MemoryRegistry) -> None:
    app = await filled(registry)
    digests = [await refer(registry, app, str(n), artifactType=f"application/x.{n % 2}") for n in range(5)]

    first = await page(registry, app, "application/x.0", limit=2)
    rest = await page(registry, app, "application/x.0", after=first[-1].cursor)

    assert [each.digest for each in (*first, *rest)] == digests[::2]


@in_memory
async def test_page_forgets_a_deleted_referrer_and_other_repositories(registry: MemoryRegistry) -> None:
    app, other = await filled(registry), await registry.repository("other")
    digest = await refer(registry, app, "1")
    await delete.remove_image(registry.call, app, digest)

    assert await page(registry, app) == []
    await refer(registry, app, "2")
    assert await page(registry, other) == []


@in_memory
async def test_page_merges_what_a_fallback_tag_lists(registry: MemoryRegistry) -> None:
    app = await filled(registry)
    recorded = await refer(registry, app, "1")
    listed = (await push_image(registry.call, app, image_of([b"{}"]), MANIFEST_TYPE, [])).digest
    await list_under_tag(registry, app, entry(recorded), entry(listed, "application/x.sbom"))

    found = await page(registry, app)
    filtered = await page(registry, app, "application/x.sbom")

    assert [each.digest for each in found] == [recorded, listed]
    assert [each.digest for each in filtered] == [listed]


@in_memory
async def test_what_an_index_lists_is_in_pages_too_each_once(registry: MemoryRegistry) -> None:
    app = await filled(registry)
    recorded = [await refer(registry, app, str(number)) for number in range(3)]
    listed = [Digest.of(b"%d" % number) for number in range(5)]
    elsewhere = ({**entry(digest), "mediaType": "application/x"} for digest in listed)
    await list_under_tag(registry, app, *map(entry, recorded), *elsewhere)

    found: list[Digest] = []
    after, pages = 0, 0
    while some := await page(registry, app, after=after, limit=2):
        found += [each.digest for each in some]
        after, pages = some[-1].cursor, pages + 1

    assert found == [*recorded, *listed]
    assert pages == 4


@pytest.mark.parametrize(
    "content",
    [
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json"}',
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
    ],
)
@in_memory
async def test_a_fallback_tag_without_entries_lists_nothing(registry: MemoryRegistry, content: bytes) -> None:
    app = await filled(registry)
    await push_image(registry.call, app, content, INDEX_TYPE, [referrers.fallback_tag(SUBJECT)])

    assert await page(registry, app) == []


@in_memory
async def test_an_image_under_the_fallback_tag_is_none_of_its_entries(registry: MemoryRegistry) -> None:
    app = await filled(registry)
    await push_image(registry.call, app, image_of([b"{}"]), MANIFEST_TYPE, [referrers.fallback_tag(SUBJECT)])

    assert await page(registry, app) == []


def test_fallback_tags_fit_the_grammar_of_tags() -> None:
    assert referrers.fallback_tag(SUBJECT) == f"sha256-{SUBJECT.hex}"
    assert len(referrers.fallback_tag(Digest.of(b"", "sha512"))) == 71
