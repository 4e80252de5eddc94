"""Registries of this installation as upstream ones: caches of each other, and what is not to be had there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import pytest

from moorage.access.call import Call
from moorage.access.service_roles import PULL_THROUGH_CACHE, ensure_service_linked
from moorage.base.addresses import Registry
from moorage.base.clock import HOUR
from moorage.base.digest import Digest
from moorage.base.errors.upstream import UpstreamAccessDenied, UpstreamImageUnknown, UpstreamUnavailable
from moorage.registry.images import find
from moorage.registry.images.push import push_image
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.mutability import Mutability
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import layers
from moorage.registry.upstream import rules
from moorage.registry.upstream.cache import PullThrough
from moorage.registry.upstream.inside import HOPS, PIECE_BYTES, open_inside
from moorage.registry.upstream.reach import Reach
from moorage.registry.upstream.rules import ROOT, Rule
from moorage.registry.upstream.sources import Sources

from ..memory import call_of, in_memory
from ..registry import ACCOUNT, MANIFEST_TYPE, REGION, MemoryRegistry, image_of
from .caching import LAYER, NAME, OTHER, Upstream, caching

FAR = "far-1"
HERE, THERE = Registry(ACCOUNT, REGION), Registry(ACCOUNT, FAR)
CONFIG = b"{}"
SECONDS = 20
"""Who waits for himself waits longer: that is the only thing that this bound is for."""
_Result = TypeVar("_Result")


async def soon(work: Awaitable[_Result]) -> _Result:
    return await asyncio.wait_for(work, SECONDS)


async def cache_of(registry: MemoryRegistry) -> PullThrough:
    """An installation with the role that pulls inside of it."""
    async with registry.db.transaction() as tx:
        await tx.run("access.insert_account", {"id": ACCOUNT, "created": 0})
    cache = PullThrough(Sources(Reach(), lambda _: Upstream()), imports_whole=False)
    registry.services = replace(registry.services, upstreams=cache)
    await ensure_service_linked(registry.call, ACCOUNT, PULL_THROUGH_CACHE, caller_needs_right=False)
    return cache


async def lead(registry: MemoryRegistry, here: Registry, there: Registry, prefix: str = ROOT) -> Rule:
    """A rule that gives each name its own name there."""
    rule = Rule(
        registry=here,
        prefix=prefix,
        upstream_prefix=prefix,
        written=prefix,
        upstream="ecr",
        url=f"{there.account}.dkr.ecr.{there.region}.amazonaws.com",
        credential_arn="",
        role_arn="",
        created=registry.now,
        updated=None,
    )
    await rules.create(registry.db, rule)
    return rule


def at(registry: MemoryRegistry, place: Registry) -> Call:
    return call_of(registry, place.account, place.region)


async def made(registry: MemoryRegistry, place: Registry, name: str) -> Repository:
    return await repositories.create(at(registry, place), name, Mutability("MUTABLE", ()))


async def push(
    registry: MemoryRegistry, place: Registry, name: str, *contents: bytes, tags: tuple[str, ...] = ("1",)
) -> Digest:
    repository = await made(registry, place, name)
    for content in contents:
        await registry.push_layer(repository, content)
    pushed = await push_image(
        at(registry, place), repository, image_of(list(contents)), MANIFEST_TYPE, list(tags)
    )
    return pushed.digest


async def digest_at(registry: MemoryRegistry, place: Registry, name: str) -> Digest | None:
    repository = await repositories.find(at(registry, place), name)
    image = await find.by_tag(registry.db, repository, "1")
    return image.digest if image is not None else None


@in_memory
async def test_an_image_of_another_region_comes(registry: MemoryRegistry) -> None:
    cache = await cache_of(registry)
    await lead(registry, HERE, THERE)
    pushed = await push(registry, THERE, "app", CONFIG)

    assert await cache.image(at(registry, HERE), "app", "1")

    assert await digest_at(registry, HERE, "app") == pushed


@in_memory
async def test_a_layer_comes_in_pieces_and_only_as_large_as_it_is(registry: MemoryRegistry) -> None:
    await cache_of(registry)
    rule = await lead(registry, HERE, THERE)
    layer = bytes(range(256)) * (PIECE_BYTES // 256) + b"end"
    await push(registry, THERE, "app", CONFIG, layer)
    client, source = await open_inside(at(registry, HERE), rule, THERE, "app")

    async with client.blob(source, Digest.of(layer), len(layer)) as pieces:
        got = [piece async for piece in pieces]
    with pytest.raises(UpstreamImageUnknown):
        async with client.blob(source, Digest.of(b"none"), 4):
            pass

    assert [len(piece) for piece in got] == [PIECE_BYTES, 3]
    assert b"".join(got) == layer


@in_memory
async def test_two_caches_of_each_other_that_are_asked_at_once_do_not_wait_for_each_other(
    registry: MemoryRegistry,
) -> None:
    cache = await cache_of(registry)
    await lead(registry, HERE, THERE)
    await lead(registry, THERE, HERE)
    for place in (HERE, THERE):
        await made(registry, place, "app")

    asked = [cache.image(at(registry, place), "app", "1") for place in (HERE, THERE) for _ in range(10)]
    outcomes = await soon(asyncio.gather(*asked, return_exceptions=True))

    assert {type(outcome) for outcome in outcomes} == {UpstreamImageUnknown}


@in_memory
async def test_a_layer_that_two_caches_have_of_each_other_is_missing_and_nobody_waits(
    registry: MemoryRegistry,
) -> None:
    cache = await cache_of(registry)
    await lead(registry, HERE, THERE)
    await lead(registry, THERE, HERE)
    layer = b"which neither has"
    source = await push(registry, THERE, "app", CONFIG, layer)
    await cache.image(at(registry, HERE), "app", "1")
    await repositories.delete(at(registry, THERE), "app", None, force=True)
    await cache.image(at(registry, THERE), "app", "1")
    assert await digest_at(registry, THERE, "app") == source

    with pytest.raises(UpstreamImageUnknown):
        await soon(cache.layer(at(registry, HERE), "app", Digest.of(layer)))


@in_memory
async def test_a_pull_goes_through_some_caches_and_not_without_end(registry: MemoryRegistry) -> None:
    cache = await cache_of(registry)
    places = [HERE, *(Registry(ACCOUNT, f"far-{number}") for number in range(1, HOPS + 3))]
    for here, there in pairwise(places):
        await lead(registry, here, there)
        await made(registry, here, "app")
    await push(registry, places[-1], "app", CONFIG)

    with pytest.raises(UpstreamImageUnknown):
        await soon(cache.image(at(registry, HERE), "app", "1"))
    registry.pass_time(60_000_000)
    assert await soon(cache.image(at(registry, places[-HOPS]), "app", "1"))


@in_memory
async def test_an_image_that_is_archived_there_is_not_to_be_had(registry: MemoryRegistry) -> None:
    cache = await cache_of(registry)
    await lead(registry, HERE, THERE)
    await push(registry, THERE, "app", CONFIG)
    registry.db._writer.execute("UPDATE images SET status = 'ARCHIVED'")

    with pytest.raises(UpstreamImageUnknown):
        await cache.image(at(registry, HERE), "app", "1")


@in_memory
async def test_a_manifest_that_is_larger_than_is_taken_here_does_not_come(registry: MemoryRegistry) -> None:
    await cache_of(registry)
    rule = await lead(registry, HERE, THERE)
    await push(registry, THERE, "app", CONFIG)
    client, source = await open_inside(at(registry, HERE), rule, THERE, "app")

    with pytest.raises(UpstreamUnavailable, match="more than 10 bytes"):
        await client.manifest(source, "1", 10)


@in_memory
async def test_without_its_role_the_service_pulls_nothing(registry: MemoryRegistry) -> None:
    await cache_of(registry)
    rule = await lead(registry, HERE, THERE)
    stolen = replace(rule, role_arn=f"arn:aws:iam::{ACCOUNT}:role/none")

    with pytest.raises(UpstreamAccessDenied, match="does not exist"):
        await open_inside(at(registry, HERE), stolen, THERE, "app")


@in_memory
async def test_who_refers_to_an_image_is_listed_from_there_page_by_page(registry: MemoryRegistry) -> None:
    await cache_of(registry)
    rule = await lead(registry, HERE, THERE)
    subject = await push(registry, THERE, "app", CONFIG)
    repository = await repositories.find(at(registry, THERE), "app")
    described = {"mediaType": MANIFEST_TYPE, "digest": str(subject), "size": len(image_of([CONFIG]))}
    names = set()
    for number in range(120):
        document = {**json.loads(image_of([CONFIG])), "subject": described, "annotations": {"n": str(number)}}
        content = json.dumps(document).encode()
        pushed = await push_image(at(registry, THERE), repository, content, MANIFEST_TYPE, [])
        names.add(str(pushed.digest))
    client, source = await open_inside(at(registry, HERE), rule, THERE, "app")

    pages = await client.referrers(source, subject, 1 << 20)
    first = await client.referrers(source, subject, 100)

    entries = [entry for page in pages for entry in json.loads(page)["manifests"]]
    assert len(pages) == 2
    assert {entry["digest"] for entry in entries} == names
    assert {entry["annotations"]["n"] for entry in entries} == {str(number) for number in range(120)}
    assert len(first) == 1


async def two_caches(registry: MemoryRegistry) -> tuple[Upstream, PullThrough]:
    """One here of an upstream registry, and one there of that."""
    upstream, cache = await caching(registry)
    async with registry.db.transaction() as tx:
        await tx.run("access.insert_account", {"id": ACCOUNT, "created": 0})
    await ensure_service_linked(registry.call, ACCOUNT, PULL_THROUGH_CACHE, caller_needs_right=False)
    await lead(registry, THERE, HERE, "hub")
    for place in (HERE, THERE):
        await made(registry, place, NAME)
    return upstream, cache


@in_memory
async def test_a_layer_is_passed_on_by_each_cache_while_it_comes(registry: MemoryRegistry) -> None:
    upstream, cache = await two_caches(registry)
    await soon(cache.image(at(registry, THERE), NAME, "12"))
    upstream.lets.clear()

    arriving = await soon(cache.layer(at(registry, THERE), NAME, Digest.of(LAYER)))
    assert arriving is not None
    await soon(arriving.passes(0))
    first = arriving.reach
    upstream.lets.set()
    await soon(arriving.arrived())

    assert 0 < first < len(LAYER)
    assert upstream.asked.count(f"GET library/debian@{Digest.of(LAYER)}") == 1
    assert (
        await registry.pull_layer(await repositories.find_in(registry.db, THERE, NAME), Digest.of(LAYER))
        == LAYER
    )


@in_memory
async def test_a_layer_that_breaks_off_at_the_first_cache_breaks_off_at_the_second(
    registry: MemoryRegistry,
) -> None:
    upstream, cache = await two_caches(registry)
    await soon(cache.image(at(registry, THERE), NAME, "12"))
    upstream.blobs[Digest.of(LAYER)] = LAYER[:-1] + b"x"

    async def pull() -> None:
        arriving = await soon(cache.layer(at(registry, THERE), NAME, Digest.of(LAYER)))
        assert arriving is not None
        await soon(arriving.arrived())

    with pytest.raises((UpstreamUnavailable, ConnectionError)):
        await pull()

    for place in (HERE, THERE):
        repository = await repositories.find_in(registry.db, place, NAME)
        assert await layers.sizes(at(registry, place), repository, [Digest.of(LAYER)]) == {}


@in_memory
async def test_a_tag_that_moved_moves_in_each_cache(registry: MemoryRegistry) -> None:
    upstream, cache = await two_caches(registry)
    await soon(cache.image(at(registry, THERE), NAME, "12"))
    upstream.has("12", OTHER)
    registry.pass_time(25 * HOUR)
    repository = await repositories.find_in(registry.db, THERE, NAME)

    await soon(cache.freshen(at(registry, THERE), repository.id, NAME, "12"))

    for place in (HERE, THERE):
        found = await find.by_tag(registry.db, await repositories.find_in(registry.db, place, NAME), "12")
        assert found is not None
        assert found.digest == Digest.of(OTHER)
