"""Which tags go to a destination, if the operator says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moorage.base.digest import Digest
from moorage.registry.images.push import push_image
from moorage.registry.replication import backfill
from moorage.registry.replication.tag_filters import TableMisconfigured, filters_in
from moorage.registry.replication.wanted import subject_of

from ..memory import in_memory
from ..registry import MANIFEST_TYPE, MemoryRegistry, image_of
from .replicating import FURTHER, THERE, configure, image_at, repository_at, run, tags_at

RELEASES = {THERE: ("v*", "stable")}
LAYERS = [b"{}", b"layer"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ([], "has to be a table"),
        ({"eu-west-1": ["v*"]}, "'eu-west-1' is no destination"),
        ({"123456789012/EU": ["v*"]}, "is no destination"),
        ({"123456789012/eu-west-1": "v*"}, "has to be a list"),
        ({"123456789012/eu-west-1": []}, "has to be a list"),
        ({"123456789012/eu-west-1": ["v *"]}, "'v \\*'"),
        ({"123456789012/eu-west-1": [1]}, "has 1"),
    ],
)
def test_what_is_wrong_with_the_filters_is_said(table: Any, says: str) -> None:
    with pytest.raises(TableMisconfigured, match=says):
        filters_in(table)


def test_filters_are_of_a_destination() -> None:
    assert filters_in({"123456789012/far-1": ["v*", "stable"]}) == RELEASES


@pytest.mark.parametrize("end", ["", ".sig", ".att"])
def test_the_tags_of_clients_without_referrers_name_their_subject(end: str) -> None:
    digest = Digest.of(b"subject")

    assert subject_of(f"sha256-{digest.hex}{end}") == digest
    assert subject_of(f"sha256-{digest.hex[1:]}{end}") is None
    assert subject_of("v1") is None


@in_memory
async def test_only_tags_that_match_go_and_other_destinations_get_all(registry: MemoryRegistry) -> None:
    await configure(registry, THERE, FURTHER)
    app = await registry.repository("app")
    digest = await registry.push(app, LAYERS, "v1")
    await registry.push_manifest(app, image_of(LAYERS), "dev")
    other = await registry.push(app, [b"{}", b"other"], "dev-2")

    await run(registry, RELEASES)

    assert await tags_at(registry, THERE, "app", digest) == ("v1",)
    assert await image_at(registry, THERE, "app", other) is None
    assert await tags_at(registry, FURTHER, "app", digest) == ("dev", "v1")
    assert await tags_at(registry, FURTHER, "app", other) == ("dev-2",)


@in_memory
async def test_a_signature_goes_where_its_image_does(registry: MemoryRegistry) -> None:
    await configure(registry, THERE)
    app = await registry.repository("app")
    released = await registry.push(app, LAYERS, "v1")
    draft = await registry.push(app, [b"{}", b"draft"], "dev")
    signatures = []
    for subject in (released, draft):
        document = json.loads(image_of([b"{}"])) | {
            "subject": {"mediaType": MANIFEST_TYPE, "digest": str(subject), "size": 1}
        }
        content = json.dumps(document).encode()
        signatures.append((await push_image(registry.call, app, content, MANIFEST_TYPE, [])).digest)
        tag = f"sha256-{subject.hex}.sig"
        await registry.push_manifest(app, json.dumps(document | {"annotations": {"a": tag}}).encode(), tag)

    await run(registry, RELEASES)

    assert await image_at(registry, THERE, "app", signatures[0]) is not None
    assert await image_at(registry, THERE, "app", signatures[1]) is None
    target = await repository_at(registry, THERE, "app")
    assert target is not None
    tags = await registry.db.all("images.tag_page", {"repository": target.id, "after": "", "limit": 9})
    assert tags == [(f"sha256-{released.hex}.sig",), ("v1",)]


@in_memory
async def test_a_backfill_brings_only_what_is_wanted(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await registry.push(app, LAYERS, "v1")
    await registry.push(app, [b"{}", b"draft"], "dev")
    await configure(registry, THERE)

    begun = await backfill.start(registry.call, THERE)
    await run(registry, RELEASES)

    found = await backfill.find(registry.call, begun.id)
    assert (found.status, found.total, found.completed) == ("COMPLETE", 1, 1)
