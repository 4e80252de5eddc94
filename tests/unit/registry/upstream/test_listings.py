"""Who refers to an image of the cache, by what its upstream registry says."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any, cast

import pytest

from moorage.access.call import Call
from moorage.aws.shapes.ecr import ListImageReferrersRequest, SubjectIdentifier
from moorage.base.clock import HOUR, MINUTE
from moorage.base.digest import Digest
from moorage.base.errors.error import MoorageError
from moorage.base.errors.images import ManifestUnknown
from moorage.base.errors.upstream import (
    UnableToListUpstreamImageReferrers,
    UpstreamAccessDenied,
    UpstreamTooManyRequests,
    UpstreamUnavailable,
)
from moorage.base.http import Body, Request
from moorage.oci import listing
from moorage.oci.target import Target
from moorage.registry.images import operations
from moorage.registry.images.push import push_image
from moorage.registry.images.referrers import fallback_tag
from moorage.registry.repositories import repository as repositories
from moorage.registry.upstream import listings, rules

from ..memory import call_of, in_memory
from ..registry import ACCOUNT, MANIFEST_TYPE, MemoryRegistry
from .caching import CONFIG, IMAGE, LAYER, NAME, OTHER, Upstream, caching, index_of, registry_of

SUBJECT = Digest.of(IMAGE)
SIGNATURE = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": "application/vnd.example.signature",
        "config": {"mediaType": "x/y", "digest": str(Digest.of(CONFIG)), "size": len(CONFIG)},
        "layers": [],
        "subject": {"mediaType": MANIFEST_TYPE, "digest": str(SUBJECT), "size": len(IMAGE)},
        "annotations": {"who": "me"},
    }
).encode()
SIGNED = index_of([SIGNATURE], artifactType="application/vnd.example.signature")
FAILURES = [
    UpstreamUnavailable(upstream="quay.io", reason="it answers 500"),
    UpstreamTooManyRequests(upstream="quay.io", retry_after=5),
    UpstreamAccessDenied(),
]


async def signed(registry: MemoryRegistry) -> tuple[Upstream, Any]:
    """A cached image, with a signature upstream."""
    upstream, cache = await caching(registry)
    upstream.manifests[str(Digest.of(SIGNATURE))] = SIGNATURE
    upstream.pages = {SUBJECT: [SIGNED]}
    await cache.image(registry.call, NAME, "12")
    upstream.asked = []
    return upstream, cache


async def on_wire(registry: MemoryRegistry, call: Call | None = None) -> list[str]:
    request = Request("GET", "", b"", b"", [], cast("Body", None))
    reply = await listing.referrers(call or registry.call, Target(NAME, str(SUBJECT)), request)
    assert reply.status == 200
    assert isinstance(reply.body, bytes)
    return [each["digest"] for each in json.loads(reply.body)["manifests"]]


async def by_api(registry: MemoryRegistry) -> list[str]:
    request = ListImageReferrersRequest(
        repository_name=NAME, subject_id=SubjectIdentifier(image_digest=str(SUBJECT))
    )
    return [each.digest for each in (await operations.list_image_referrers(registry.call, request)).referrers]


@in_memory
async def test_what_is_listed_upstream_is_listed_here(registry: MemoryRegistry) -> None:
    upstream, _ = await signed(registry)

    assert await on_wire(registry) == [str(Digest.of(SIGNATURE))]
    assert await by_api(registry) == [str(Digest.of(SIGNATURE))]

    assert upstream.asked == [f"GET library/debian<-{SUBJECT}"]
    assert registry.count("images") == 1


@in_memory
async def test_what_is_listed_comes_when_it_is_pulled_without_the_right_to_import(
    registry: MemoryRegistry,
) -> None:
    _, cache = await signed(registry)
    stranger = replace(call_of(registry, "210987654321"), account=ACCOUNT)
    signature = str(Digest.of(SIGNATURE))
    with pytest.raises(ManifestUnknown):
        await cache.image(stranger, NAME, signature)
    await on_wire(registry)

    assert await cache.image(stranger, NAME, signature)

    assert await on_wire(registry) == [signature]  # once, though both here and listed
    assert (
        registry.db._reader.execute("SELECT subject FROM images ORDER BY id DESC").fetchone()[0]
        == SUBJECT.packed
    )


@in_memory
async def test_many_who_ask_cost_one_request_and_it_holds_for_a_day(registry: MemoryRegistry) -> None:
    upstream, _ = await signed(registry)

    await asyncio.gather(*(on_wire(registry) for _ in range(50)))
    registry.pass_time(24 * HOUR - 1)
    await on_wire(registry)
    assert len(upstream.asked) == 1
    registry.pass_time(1)
    upstream.pages = {SUBJECT: [index_of([])]}

    assert await on_wire(registry) == []
    assert len(upstream.asked) == 2


@in_memory
async def test_that_there_is_none_is_asked_again_after_an_hour(registry: MemoryRegistry) -> None:
    upstream, _ = await signed(registry)
    upstream.pages = {}

    assert await on_wire(registry) == []
    registry.pass_time(HOUR - 1)
    assert await on_wire(registry) == []
    assert len(upstream.asked) == 1
    registry.pass_time(1)
    upstream.pages = {SUBJECT: [SIGNED]}

    assert await on_wire(registry) == [str(Digest.of(SIGNATURE))]


@in_memory
async def test_of_a_registry_without_the_api_the_fallback_tag_is_read(registry: MemoryRegistry) -> None:
    upstream, _ = await signed(registry)
    upstream.pages = None
    upstream.has(fallback_tag(SUBJECT), SIGNED)

    assert await on_wire(registry) == [str(Digest.of(SIGNATURE))]

    assert upstream.asked == [
        f"GET library/debian<-{SUBJECT}",
        f"GET library/debian:sha256-{SUBJECT.hex}",
    ]


@pytest.mark.parametrize("has_another_image", [True, False])
@in_memory
async def test_of_a_registry_that_knows_neither_there_is_none(
    registry: MemoryRegistry, has_another_image: bool
) -> None:
    upstream, _ = await signed(registry)
    upstream.pages = None
    if has_another_image:
        upstream.has(fallback_tag(SUBJECT), OTHER)

    assert await on_wire(registry) == []


@pytest.mark.parametrize("failure", FAILURES)
@in_memory
async def test_an_upstream_that_fails_is_an_error_of_the_api_where_nothing_is_known(
    registry: MemoryRegistry, failure: MoorageError
) -> None:
    upstream, _ = await signed(registry)
    upstream.fails = failure

    assert await on_wire(registry) == []
    with pytest.raises(UnableToListUpstreamImageReferrers, match=str(failure)[:20]):
        await by_api(registry)
    assert len(upstream.asked) == 1  # it is left alone for a while
    registry.pass_time(5 * MINUTE)
    upstream.fails = None

    assert await by_api(registry) == [str(Digest.of(SIGNATURE))]


@pytest.mark.parametrize("failure", FAILURES)
@in_memory
async def test_an_upstream_that_fails_leaves_what_is_here(
    registry: MemoryRegistry, failure: MoorageError
) -> None:
    upstream, _ = await signed(registry)
    await on_wire(registry)
    registry.pass_time(25 * HOUR)
    upstream.fails = failure

    assert await on_wire(registry) == await by_api(registry) == [str(Digest.of(SIGNATURE))]


@in_memory
async def test_what_was_pushed_here_is_known_though_the_upstream_fails(registry: MemoryRegistry) -> None:
    upstream, _ = await signed(registry)
    repository = await repositories.find(registry.call, NAME)
    await registry.push_layer(repository, CONFIG)
    await push_image(registry.call, repository, SIGNATURE, MANIFEST_TYPE, [])
    upstream.fails = FAILURES[0]

    assert await by_api(registry) == [str(Digest.of(SIGNATURE))]


@in_memory
async def test_who_may_not_import_gets_what_is_known_and_the_upstream_is_not_asked(
    registry: MemoryRegistry,
) -> None:
    upstream, _ = await signed(registry)
    stranger = replace(call_of(registry, "210987654321"), account=ACCOUNT)

    assert await on_wire(registry, stranger) == []
    assert not upstream.asked
    await on_wire(registry)
    registry.pass_time(25 * HOUR)

    assert await on_wire(registry, stranger) == [str(Digest.of(SIGNATURE))]
    assert len(upstream.asked) == 1


@in_memory
async def test_an_image_that_is_none_of_the_cache_is_nobody_s_business_upstream(
    registry: MemoryRegistry,
) -> None:
    upstream, _ = await caching(registry)
    repository = await registry.repository(NAME)
    await registry.push(repository, [CONFIG, LAYER], "own")

    assert await on_wire(registry) == []

    assert not upstream.asked


@in_memory
async def test_without_its_rule_what_is_known_is_listed(registry: MemoryRegistry) -> None:
    upstream, _ = await signed(registry)
    await on_wire(registry)
    await rules.delete(registry.db, registry_of(registry), "hub")
    registry.pass_time(25 * HOUR)

    assert await on_wire(registry) == [str(Digest.of(SIGNATURE))]
    assert len(upstream.asked) == 1


@in_memory
async def test_a_listing_goes_with_its_image(registry: MemoryRegistry) -> None:
    _, cache = await signed(registry)
    await on_wire(registry)
    assert (registry.count("upstream_listings"), registry.count("upstream_referrers")) == (1, 1)

    await cache.image(registry.call, NAME, str(Digest.of(SIGNATURE)))
    repository = await repositories.find(registry.call, NAME)
    await operations.deletes.remove_image(registry.call, repository, SUBJECT)

    assert (registry.count("upstream_listings"), registry.count("upstream_referrers")) == (0, 0)


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"manifests": [{"digest": "md5:00", "mediaType": "x/y", "size": 1}]}',
        json.dumps({"manifests": [{"digest": str(SUBJECT), "mediaType": "x/y", "size": -1}]}).encode(),
        json.dumps({"manifests": [{"digest": str(SUBJECT), "mediaType": "x/y", "size": 1 << 70}]}).encode(),
        b"[" * 100_000,
    ],
)
@in_memory
async def test_a_list_that_is_none_is_a_failure(registry: MemoryRegistry, page: bytes) -> None:
    upstream, _ = await signed(registry)
    upstream.pages = {SUBJECT: [SIGNED, page]}

    with pytest.raises(UnableToListUpstreamImageReferrers, match="cannot be used"):
        await by_api(registry)

    assert registry.count("upstream_listings") == 0


@in_memory
async def test_pages_are_one_list_of_which_each_is_listed_once_up_to_a_bound(
    registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream, _ = await signed(registry)
    monkeypatch.setattr(listings, "ENTRIES_MAX", 5)
    many = [b'{"mediaType": "x/y", "n": %d}' % number for number in range(9)]
    upstream.pages = {SUBJECT: [index_of(many[:4]), index_of(many[2:])]}

    assert await on_wire(registry) == [str(Digest.of(each)) for each in many[:5]]
