"""The pull-through cache over a registry in memory, with an upstream registry of the test's own making."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

import pytest

from moorage.access.call import Call
from moorage.base.clock import HOUR, MINUTE, SECOND
from moorage.base.digest import Digest
from moorage.base.errors.error import MoorageError
from moorage.base.errors.images import ManifestUnknown
from moorage.base.errors.layers import BlobUnknown
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.base.errors.upstream import (
    UpstreamAccessDenied,
    UpstreamImageUnknown,
    UpstreamTooManyRequests,
    UpstreamUnavailable,
)
from moorage.base.http import Body, Request
from moorage.oci import manifests
from moorage.oci.target import Target
from moorage.registry.images import find
from moorage.registry.images import job as images_job
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.mutability import Mutability
from moorage.registry.uploads import layers
from moorage.registry.upstream import rules
from moorage.registry.upstream.cache import PullThrough
from moorage.registry.upstream.client import Source
from moorage.registry.upstream.flight import ArrivingLayer
from moorage.store.db.api import Database, Row, Value
from moorage.store.db.sqlite import SqliteDatabase

from ..memory import call_of, in_memory
from ..registry import ACCOUNT, MANIFEST_TYPE, MemoryRegistry
from ..straddling import TRANSACTION, straddle
from .caching import CONFIG, IMAGE, INDEX_TYPE, LAYER, NAME, OTHER, caching, registry_of


async def tag_of(registry: MemoryRegistry, name: str, tag: str) -> Digest | None:
    repository = await repositories.find(registry.call, name)
    image = await find.by_tag(registry.db, repository, tag)
    return image.digest if image is not None else None


async def freshen(
    registry: MemoryRegistry, cache: PullThrough, tag: str = "12", call: Call | None = None
) -> int:
    repository = await repositories.find(registry.call, NAME)
    return await cache.freshen(call or registry.call, repository.id, NAME, tag)


@in_memory
async def test_the_first_pull_makes_the_repository_and_stores_the_manifest(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)

    assert await cache.image(registry.call, NAME, "12")

    assert upstream.asked == ["GET library/debian:12"]
    assert await tag_of(registry, NAME, "12") == Digest.of(IMAGE)
    assert await registry.db.one("upstream.validated", {"repository": 1, "tag": "12"}) == (registry.now,)
    assert registry.db._reader.execute("SELECT origin FROM images").fetchall() == [("cache",)]


@in_memory
async def test_a_name_that_no_rule_is_for_is_nobody_s_business(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)

    for name in ("hub", "hubs/debian", "other/debian"):
        assert not await cache.image(registry.call, name, "12")

    assert not upstream.asked


@in_memory
async def test_what_is_no_tag_and_no_digest_is_not_asked_for(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)

    for reference in ("", ".hidden", "a b", "sha256:12", "md5:00", "../../etc", "t" * 129, "a?x=1", "a%2Fb"):
        assert not await cache.image(registry.call, NAME, reference)

    assert not upstream.asked


@in_memory
async def test_many_who_ask_for_the_same_image_cost_one_request(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)

    await asyncio.gather(*(cache.image(registry.call, NAME, "12") for _ in range(50)))

    assert upstream.asked == ["GET library/debian:12"]


def pull() -> Request:
    return Request("GET", "", b"", b"", [], cast("Body", None))


class Late:
    """A database whose next answer about a tag is from before the last commit, which another thread makes."""

    def __init__(self, db: SqliteDatabase) -> None:
        self._db = db
        self._is_late = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    async def one(self, statement: str, values: Mapping[str, Value] = MappingProxyType({})) -> Row | None:
        if statement == "images.by_tag" and self._is_late:
            self._is_late = False
            return None
        return await self._db.one(statement, values)


@in_memory
async def test_who_looks_just_before_an_image_has_come_gets_it(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    registry.services = replace(registry.services, db=cast("Database", Late(registry.db)))

    got = await manifests.get(registry.call, Target(NAME, "12"), pull())

    assert got.body == IMAGE
    assert upstream.asked == ["GET library/debian:12"]


@in_memory
async def test_who_asks_just_when_an_image_has_come_does_not_ask_upstream(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    allows = asyncio.Event()

    async def slowly(*_: Any) -> bool:
        await allows.wait()
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moorage.registry.upstream.cache.allows", slowly)
        late = asyncio.create_task(cache.image(registry.call, NAME, "12"))
        await asyncio.sleep(0)
    await cache.image(registry.call, NAME, "12")
    allows.set()

    assert await late
    assert upstream.asked == ["GET library/debian:12"]


@in_memory
async def test_who_may_not_import_gets_not_found_and_nothing_happens(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    stranger = replace(call_of(registry, "210987654321"), account=ACCOUNT)

    with pytest.raises(RepositoryNotFound):
        await cache.image(stranger, NAME, "12")
    assert registry.count("repositories") == 0
    await registry.repository(NAME)
    with pytest.raises(ManifestUnknown):
        await cache.image(stranger, NAME, "12")

    assert not upstream.asked
    assert registry.count("images") == 0


@in_memory
async def test_children_of_a_cached_index_come_without_the_right_to_import(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    child = {"mediaType": MANIFEST_TYPE, "digest": str(Digest.of(IMAGE)), "size": len(IMAGE)}
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [child]}).encode()
    upstream.has("all", index)
    stranger = replace(call_of(registry, "210987654321"), account=ACCOUNT)
    await cache.image(registry.call, NAME, "all")

    assert await cache.image(stranger, NAME, str(Digest.of(IMAGE)))
    with pytest.raises(ManifestUnknown):
        await cache.image(stranger, NAME, str(Digest.of(OTHER)))

    repository = await repositories.find(registry.call, NAME)
    assert await find.by_digest(registry.db, repository, Digest.of(IMAGE)) is not None


@in_memory
async def test_a_tag_is_looked_up_again_after_a_day_and_not_before(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    imported, upstream.asked = registry.now, []
    upstream.has("12", OTHER)

    registry.pass_time(24 * HOUR - 1)
    assert await freshen(registry, cache) == imported + 24 * HOUR
    assert not upstream.asked
    registry.pass_time(1)
    assert await freshen(registry, cache) == registry.now + 24 * HOUR

    assert upstream.asked == ["HEAD library/debian:12", "GET library/debian:12"]
    assert await tag_of(registry, NAME, "12") == Digest.of(OTHER)


@in_memory
async def test_a_tag_that_has_not_moved_costs_a_head(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    registry.pass_time(25 * HOUR)
    upstream.asked = []

    await asyncio.gather(*(freshen(registry, cache) for _ in range(20)))
    await freshen(registry, cache)

    assert upstream.asked == ["HEAD library/debian:12"]


@pytest.mark.parametrize(
    "failure",
    [
        UpstreamUnavailable(upstream="quay.io", reason="it answers 500"),
        UpstreamTooManyRequests(upstream="quay.io", retry_after=5),
        UpstreamAccessDenied(),
        UpstreamImageUnknown(),
    ],
)
@in_memory
async def test_what_is_here_is_served_as_long_as_the_upstream_fails(
    registry: MemoryRegistry, failure: MoorageError
) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    registry.pass_time(25 * HOUR)
    upstream.asked, upstream.fails = [], failure

    assert await freshen(registry, cache) == registry.now + 5 * MINUTE
    await freshen(registry, cache)
    assert len(upstream.asked) == 1
    assert await tag_of(registry, NAME, "12") == Digest.of(IMAGE)
    registry.pass_time(5 * MINUTE)
    upstream.fails = None
    await freshen(registry, cache)

    assert len(upstream.asked) == 2


@in_memory
async def test_a_protected_tag_stays_where_it_is(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await repositories.create(registry.call, NAME, Mutability("IMMUTABLE", ()))
    await cache.image(registry.call, NAME, "12")
    registry.pass_time(25 * HOUR)
    upstream.has("12", OTHER)

    await freshen(registry, cache)

    assert await tag_of(registry, NAME, "12") == Digest.of(IMAGE)


@in_memory
async def test_who_may_not_import_is_served_what_is_here_and_moves_nothing(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    registry.pass_time(25 * HOUR)
    upstream.asked = []
    stranger = replace(call_of(registry, "210987654321"), account=ACCOUNT)

    assert await freshen(registry, cache, call=stranger) == registry.now

    assert not upstream.asked


@in_memory
async def test_without_its_rule_a_tag_is_served_and_not_looked_up(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    await rules.delete(registry.db, registry_of(registry), "hub")
    registry.pass_time(25 * HOUR)
    upstream.asked = []

    await freshen(registry, cache)
    assert not await cache.image(registry.call, NAME, "other")

    assert not upstream.asked


@in_memory
async def test_a_tag_that_was_pushed_here_is_none_of_the_cache(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    repository = await registry.repository(NAME)
    await registry.push(repository, [CONFIG], "own")
    registry.pass_time(25 * HOUR)

    assert await freshen(registry, cache, "own") == 0
    assert await cache.image(registry.call, NAME, "own")

    assert not upstream.asked


@in_memory
async def test_a_digest_that_is_here_is_never_asked_for_again(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    upstream.asked = []
    registry.pass_time(1_000 * HOUR)

    assert await cache.image(registry.call, NAME, str(Digest.of(IMAGE)))

    assert not upstream.asked


@in_memory
async def test_a_manifest_that_is_not_what_its_digest_says_is_not_stored(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    upstream.manifests[str(Digest.of(IMAGE))] = OTHER

    with pytest.raises(UpstreamUnavailable, match="is not that"):
        await cache.image(registry.call, NAME, str(Digest.of(IMAGE)))

    assert registry.count("images") == 0
    assert registry.count("repositories") == 0


@pytest.mark.parametrize(
    "content",
    [
        b'{"schemaVersion": 1, "mediaType": "application/vnd.docker.distribution.manifest.v1+json"}',
        b'{"mediaType": "text/html"}',
    ],
)
@in_memory
async def test_a_manifest_that_is_no_image_is_not_stored(registry: MemoryRegistry, content: bytes) -> None:
    upstream, cache = await caching(registry)
    upstream.has("bad", content)

    with pytest.raises(UpstreamUnavailable):
        await cache.image(registry.call, NAME, "bad")

    assert registry.count("images") == 0


@in_memory
async def test_an_image_that_is_not_there_is_not_looked_for_at_every_request(
    registry: MemoryRegistry,
) -> None:
    upstream, cache = await caching(registry)

    for _ in range(3):
        with pytest.raises(UpstreamImageUnknown):
            await cache.image(registry.call, NAME, "nothing")
    assert len(upstream.asked) == 1
    registry.pass_time(10 * SECOND)
    upstream.has("nothing", OTHER)

    assert await cache.image(registry.call, NAME, "nothing")


@in_memory
async def test_a_layer_comes_when_it_is_asked_for_and_only_once(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    upstream.asked = []
    digest = Digest.of(LAYER)
    upstream.lets.clear()

    followed = await asyncio.gather(*(cache.layer(registry.call, NAME, digest) for _ in range(50)))
    upstream.lets.set()
    arriving = followed[0]
    assert isinstance(arriving, ArrivingLayer)
    await arriving.arrived()

    assert all(each is arriving for each in followed)
    assert upstream.asked == [f"GET library/debian@{digest}"]
    repository = await repositories.find(registry.call, NAME)
    assert await registry.pull_layer(repository, digest) == LAYER
    assert await registry.not_before(repository, digest) is None
    assert await cache.layer(registry.call, NAME, digest) is None


@in_memory
async def test_who_comes_just_when_a_layer_has_arrived_or_failed_is_answered(
    registry: MemoryRegistry,
) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    digest = Digest.of(LAYER)

    for failure in (UpstreamAccessDenied(), None):
        upstream.fails, upstream.asked = failure, []
        answers = await asyncio.gather(
            *(_late(turns, cache, registry, digest) for turns in range(40)), return_exceptions=True
        )
        kinds = {type(answer) for answer in answers}
        assert kinds <= ({UpstreamAccessDenied} if failure else {ArrivingLayer, type(None)})
    assert upstream.asked.count(f"GET library/debian@{digest}") == 1


async def _late(turns: int, cache: PullThrough, registry: MemoryRegistry, digest: Digest) -> object:
    for _ in range(turns):
        await asyncio.sleep(0)
    return await cache.layer(registry.call, NAME, digest)


@in_memory
async def test_what_was_received_is_there_before_the_rest(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    upstream.lets.clear()

    arriving = await cache.layer(registry.call, NAME, Digest.of(LAYER))
    assert arriving is not None
    await arriving.passes(0)

    reader = arriving.follow()
    buffer = bytearray(arriving.reach)
    assert 0 < arriving.reach < len(LAYER)
    assert reader.read_into(memoryview(buffer), 0) == arriving.reach
    assert buffer == LAYER[: arriving.reach]
    upstream.lets.set()
    await arriving.arrived()


@pytest.mark.parametrize("sent", [LAYER[:-1] + b"!", LAYER[:-1], b"", LAYER[: len(LAYER) // 2]])
@in_memory
async def test_a_layer_that_is_another_one_is_never_whole_and_leaves_nothing(
    registry: MemoryRegistry, sent: bytes
) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    upstream.blobs[Digest.of(LAYER)] = sent

    arriving = await cache.layer(registry.call, NAME, Digest.of(LAYER))
    assert arriving is not None
    with pytest.raises(UpstreamUnavailable):
        await arriving.arrived()

    with pytest.raises(ConnectionError):
        await arriving.passes(len(LAYER) - 1)
    repository = await repositories.find(registry.call, NAME)
    with pytest.raises(BlobUnknown):
        await layers.find(registry.call, repository, Digest.of(LAYER))
    assert registry.count("uploads") == 0
    assert not registry.files.committed
    assert not registry.files.partial


@in_memory
async def test_a_layer_that_no_cached_image_uses_is_not_asked_for(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    repository = await registry.repository(NAME)
    registry.services = replace(
        registry.services, limits=replace(registry.services.limits, allow_missing_references=True)
    )
    await registry.push_manifest(repository, IMAGE, "pushed")

    assert await cache.layer(registry.call, NAME, Digest.of(LAYER)) is None
    assert await cache.layer(registry.call, NAME, Digest.of(b"anything")) is None

    assert not upstream.asked


@in_memory
async def test_a_layer_that_the_upstream_refuses_is_an_error_before_any_byte(
    registry: MemoryRegistry,
) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    upstream.fails = UpstreamTooManyRequests(upstream="quay.io", retry_after=5)

    with pytest.raises(UpstreamTooManyRequests):
        await cache.layer(registry.call, NAME, Digest.of(LAYER))

    upstream.fails = None
    arriving = await cache.layer(registry.call, NAME, Digest.of(LAYER))
    assert arriving is not None
    await arriving.arrived()


@in_memory
async def test_an_archived_image_is_not_brought_back_by_a_pull(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    registry.db._writer.execute("UPDATE images SET status = 'ARCHIVED'")
    upstream.asked = []

    with pytest.raises(ManifestUnknown):
        await manifests.get(registry.call, Target(NAME, "12"), pull())

    assert not upstream.asked


@in_memory
async def test_what_came_and_what_failed_is_told(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)

    await cache.image(registry.call, NAME, "12")
    upstream.fails = UpstreamAccessDenied()
    with pytest.raises(UpstreamAccessDenied):
        await cache.image(registry.call, NAME, "13")

    rows = registry.db._reader.execute("SELECT * FROM outbox ORDER BY id").fetchall()
    told = [json.loads(next(value for value in row if str(value).startswith("{"))) for row in rows]
    assert [each["sync-status"] for each in told] == ["SUCCESS", "FAILED"]
    assert told[0]["image-digest"] == str(Digest.of(IMAGE))
    assert told[0]["ecr-repository-prefix"] == "hub"


@in_memory
async def test_a_check_says_what_the_upstream_says(registry: MemoryRegistry) -> None:
    upstream, cache = await caching(registry)

    async def refuse(source: Source) -> None:
        raise UpstreamAccessDenied()

    upstream.check = refuse  # type: ignore[method-assign]

    assert "authentication" in str(await cache.refusal(registry.call, "hub"))


@in_memory
async def test_a_repository_that_is_deleted_while_its_tag_is_looked_up_upstream_is_not_there(
    registry: MemoryRegistry,
) -> None:
    _, cache = await caching(registry)
    await cache.image(registry.call, NAME, "12")
    registry.pass_time(24 * HOUR)
    repository, call = await repositories.find(registry.call, NAME), registry.call

    async def go() -> None:
        await repositories.delete(call, NAME, None, force=True)
        await images_job.purge(registry.services)

    straddle(registry, TRANSACTION, go)
    until = await cache.freshen(registry.call, repository.id, NAME, "12")

    assert until == registry.now + 5 * MINUTE, "the look has failed, and nothing else"
    assert await find.by_tag(registry.db, repository, "12") is None
