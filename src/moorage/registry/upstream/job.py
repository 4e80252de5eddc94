"""The background work of the pull-through cache: what is missing of an image is brought, a job for each.

1 still there   the repository, the image and the rule; else there is nothing to do
2 manifests     of an index all below it, however deep; what the upstream registry has not is left out
3 layers        a few at a time, after those that clients wait for; with the flight that brings one already
4 whole         it is announced, as a push is

What is here is not fetched again, so a job that was killed goes on where it was. What fails is tried again, each time
later; an upstream registry that asks to wait is left alone for as long as it says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from moorage.access.call import Call, Services
from moorage.base.clock import MINUTE, SECOND
from moorage.base.digest import Digest
from moorage.base.errors.error import MoorageError
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.base.errors.upstream import UpstreamImageUnknown, UpstreamTooManyRequests, UpstreamUnavailable
from moorage.registry.events import shapes
from moorage.registry.events.outbox import emit
from moorage.registry.images import announce, find
from moorage.registry.images import manifest as manifests
from moorage.registry.images.find import Image
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import layers
from moorage.registry.upstream import rules
from moorage.registry.upstream.imports import Import, call_in
from moorage.registry.upstream.rules import Rule
from moorage.store.jobs.queue import ATTEMPTS, Job

AT_ONCE = 4
"""Images. The layers of all of them together:"""
LAYERS_AT_ONCE = 3
MANIFESTS_MAX = 1_000
"""Of one index, however deep: no image has so many platforms."""
_LOOKED_UP_AT_ONCE = 500


class Cache(Protocol):
    """What brings single manifests and layers, once for all who ask."""

    async def child(self, call: Call, rule: Rule, repository: Repository, digest: Digest) -> None: ...
    async def whole_layer(
        self, call: Call, rule: Rule, repository: Repository, digest: Digest, size: int
    ) -> None: ...
    async def quiet(self) -> None: ...


@dataclass(slots=True)
class _Progress:
    """Of one job, as it is shown."""

    job: Job
    done: int = 0
    total: int = 0

    async def show(self, services: Services, more: int = 0) -> None:
        self.done += more
        await services.jobs.progress(services.db, self.job, self.done, self.total)


@dataclass(frozen=True, slots=True)
class _Place:
    services: Services
    repository: Repository
    rule: Rule
    wanted: Import

    def call(self) -> Call:
        """One made now: a large image takes a while."""
        return call_in(self.services, self.repository.registry)


@dataclass(slots=True)
class _Contents:
    manifests: int = 0
    blobs: dict[Digest, int] = field(default_factory=dict)
    """Their sizes, as the manifests have them."""


class Importer:
    """What one process imports."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._room = asyncio.Semaphore(LAYERS_AT_ONCE)

    async def run(self, services: Services, job: Job) -> int | None:
        """Return when to go on, if the upstream registry asks to wait."""
        # 1
        wanted = Import.parse(job.subject)
        repository = await repositories.find_by_id(services.db, wanted.repository)
        if repository is None:
            return None
        rule = await rules.matching(services.db, repository.registry, repository.name)
        if rule is None:
            return None
        place = _Place(services, repository, rule, wanted)
        try:
            await self._make_whole(place, _Progress(job))
        except RepositoryNotFound:  # deleted meanwhile
            return None
        except UpstreamTooManyRequests as error:
            return services.clock() + max(int(str(error.facts["retry_after"])) * SECOND, MINUTE)
        except MoorageError as error:
            if job.attempts >= ATTEMPTS:
                await _tell_failure(place, error)
            raise
        return None

    async def _make_whole(self, place: _Place, progress: _Progress) -> None:
        # 2
        contents = await self._bring_manifests(place)
        missing = await _missing(place, contents.blobs)
        progress.total = contents.manifests + len(contents.blobs)
        await progress.show(place.services, progress.total - len(missing))
        # 3
        await self._bring_layers(place, missing, progress)
        # 4
        async with place.services.db.transaction() as tx:
            await announce.became_whole(place.services, tx, place.repository, place.wanted.digest)

    async def _bring_manifests(self, place: _Place) -> _Contents:
        """What is not here of an image that is not here any more either is not brought back."""
        contents = _Contents()
        waiting = [place.wanted.digest]
        seen = set(waiting)
        while waiting:
            digest = waiting.pop()
            image = await self._find_or_bring(place, digest)
            if image is None or image.status not in find.ACTIVE:
                continue
            content = await find.manifest_of(place.call(), place.repository, image)
            manifest = manifests.parse(content, image.media_type)
            contents.manifests += 1
            contents.blobs |= {blob.digest: blob.size for blob in manifest.blobs}
            below = dict.fromkeys(child.digest for child in manifest.children if child.digest not in seen)
            seen |= below.keys()
            waiting += below
            if len(seen) > MANIFESTS_MAX:
                raise UpstreamUnavailable(
                    upstream=place.rule.url, reason=f"its index has more than {MANIFESTS_MAX} manifests"
                )
        return contents

    async def _find_or_bring(self, place: _Place, digest: Digest) -> Image | None:
        services, repository, wanted = place.services, place.repository, place.wanted
        image = await find.by_digest(services.db, repository, digest)
        if image is not None or digest == wanted.digest:
            return image
        if await find.by_digest(services.db, repository, wanted.digest) is None:
            return None
        try:
            await self._cache.child(place.call(), place.rule, repository, digest)
        except UpstreamImageUnknown:  # a mirror of some platforms only
            return None
        return await find.by_digest(services.db, repository, digest)

    async def _bring_layers(self, place: _Place, missing: Mapping[Digest, int], progress: _Progress) -> None:
        """After the first failure no more are begun; raise that."""
        failures: list[MoorageError] = []

        async def bring(digest: Digest, size: int) -> None:
            async with self._room:
                if failures:
                    return
                await self._cache.quiet()
                try:
                    await self._cache.whole_layer(place.call(), place.rule, place.repository, digest, size)
                except MoorageError as error:
                    failures.append(error)
                    return
            await progress.show(place.services, 1)

        await asyncio.gather(*(bring(digest, size) for digest, size in missing.items()))
        if failures:
            raise failures[0]


async def _missing(place: _Place, blobs: Mapping[Digest, int]) -> dict[Digest, int]:
    """Those that are not here. Raise `UpstreamUnavailable` for one that is larger than a layer may be."""
    digests, call = list(blobs), place.call()
    present: dict[Digest, int] = {}
    for start in range(0, len(digests), _LOOKED_UP_AT_ONCE):
        present |= await layers.sizes(call, place.repository, digests[start : start + _LOOKED_UP_AT_ONCE])
    missing = {digest: size for digest, size in blobs.items() if digest not in present}
    for digest, size in missing.items():
        if size > call.limits.layer_bytes:
            raise UpstreamUnavailable(
                upstream=place.rule.url, reason=f"{digest} is larger than a layer may be"
            )
    return missing


async def _tell_failure(place: _Place, error: MoorageError) -> None:
    """It is given up."""
    event = shapes.pulled_through(
        place.repository.registry,
        place.repository.name,
        place.rule.prefix,
        place.rule.url,
        None,
        str(place.wanted.digest),
        failure=(type(error).__name__, str(error)),
    )
    async with place.services.db.transaction() as tx:
        await emit(place.services, tx, event)
