"""The pull-through cache: images of upstream registries, brought when they are asked for (ECR user guide).

1 rule       the one whose prefix is closest to the repository's name
2 rights     the caller may import (and create the repository): else it is ECR's "not found", and nothing happened
3 flight     who asks for the same meanwhile gets the same outcome
4 fetch      the manifest, with the rule's credentials
5 verify     it is what its digest says, and an image
6 create     the repository, by its creation template
7 store      manifest and tag, in one transaction with the event and the job that brings layers and children (`job`);
             those that are asked for meanwhile come at once

A tag is looked up upstream again after a day. As long as that fails, what is here is served. A digest never changes.
Who refers to an image is asked upstream as well (`listings`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moorage.access.authorize import allows
from moorage.access.authorizer import IMAGE_TAG
from moorage.access.call import Call, Services
from moorage.access.service_events import ServiceEvent
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.clock import HOUR, MINUTE, SECOND
from moorage.base.digest import Digest
from moorage.base.errors.error import MoorageError
from moorage.base.errors.images import ManifestInvalid, ManifestTooLarge, ManifestUnknown
from moorage.base.errors.layers import BlobUnknown, InvalidDigest
from moorage.base.errors.ourselves import Server
from moorage.base.errors.repositories import RepositoryNotFound, TemplateUnusable
from moorage.base.errors.upstream import (
    UpstreamAccessDenied,
    UpstreamImageUnknown,
    UpstreamTooManyRequests,
    UpstreamUnavailable,
)
from moorage.base.names import is_tag
from moorage.registry.events import shapes
from moorage.registry.events.outbox import emit
from moorage.registry.images import find, push
from moorage.registry.images import manifest as manifests
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.registry.templates import creation, template
from moorage.registry.uploads import layers
from moorage.registry.upstream import imports, rules
from moorage.registry.upstream.client import Manifest, Source
from moorage.registry.upstream.fetch import fetch
from moorage.registry.upstream.flight import ArrivingLayer, Flights
from moorage.registry.upstream.job import Importer
from moorage.registry.upstream.listings import Listings
from moorage.registry.upstream.rules import Rule
from moorage.registry.upstream.sources import Sources
from moorage.store.db.api import Transaction, Values
from moorage.store.jobs.queue import Job

FRESH_US = 24 * HOUR
RETRY_US = 5 * MINUTE
"""After which an upstream that failed is asked for a tag again."""
MISSING_US = 10 * SECOND
"""For which an image that is not there is not looked for again: clients ask for signatures that nobody made."""
PATIENCE_S = 60.0
"""For which a layer that nobody waits for comes after those that somebody does."""
_REMEMBERED = 4_096
IMPORT = "ecr:BatchImportUpstreamImage"
UPSTREAM_ERRORS = (UpstreamAccessDenied, UpstreamImageUnknown, UpstreamTooManyRequests, UpstreamUnavailable)

_log = logging.getLogger("moorage")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An image by the name it has here."""

    registry: Registry
    name: str
    reference: str

    @property
    def digest(self) -> Digest | None:
        return Digest.parse(self.reference) if ":" in self.reference else None

    @property
    def tag(self) -> str | None:
        return None if ":" in self.reference else self.reference

    @property
    def arn(self) -> str:
        return str(RepositoryArn(self.registry.account, self.registry.region, self.name))


class PullThrough:
    """`access.call.Upstreams`, for one process."""

    def __init__(self, sources: Sources, *, imports_whole: bool = True) -> None:
        """`imports_whole`: what was pulled brings all that belongs to it, else only what is asked for comes."""
        self._sources = sources
        self._imports_whole = imports_whole
        self._importer = Importer(self)
        self._listings = Listings(sources)
        self._imports: Flights[_Wanted, None] = Flights()
        self._looks: Flights[_Wanted, None] = Flights()
        self._arrivals: Flights[ArrivingLayer, None] = Flights()
        self._arriving: dict[tuple[int, Digest], ArrivingLayer] = {}
        self._pulled: set[asyncio.Task[None]] = set()
        """The arrivals that clients wait for."""
        self._missing: OrderedDict[_Wanted, int] = OrderedDict()
        self._failing: OrderedDict[_Wanted, int] = OrderedDict()

    async def close(self) -> None:
        for flights in (self._imports, self._looks, self._arrivals):
            await flights.close()
        await self._listings.close()
        await self._sources.close()

    # Images

    async def image(self, call: Call, name: str, reference: str) -> bool:
        wanted = _wanted(call, name, reference)
        if wanted is None:
            return False
        # 1
        rule = await rules.matching(call.db, wanted.registry, name)
        if rule is None:
            return False
        repository = await _find(call, name)
        if repository is not None and await _is_here(call, repository, wanted):
            return True  # it came since the caller looked: commits are another thread's
        # 2
        await _check_rights(call, repository, wanted)
        if self._missing.get(wanted, 0) > call.now:
            raise UpstreamImageUnknown()
        # 3
        await self._imports.join(wanted, lambda: self._import(call, rule, wanted))
        return True

    async def _import(self, call: Call, rule: Rule, wanted: _Wanted) -> None:
        try:
            repository = await _find(call, wanted.name)
            if repository is not None and await _is_here(call, repository, wanted):
                return  # the flight before this one brought it, while the rights were looked up
            source, fetched = await self._fetch(call, rule, wanted)
            # 6
            repository = await _find(call, wanted.name) or await _create(call, wanted.name)
            # 7
            await _store(call, rule, source, repository, fetched, wanted, brings_rest=self._imports_whole)
        except UpstreamImageUnknown:
            _remember(self._missing, wanted, call.now + MISSING_US)
            raise
        except UPSTREAM_ERRORS as error:
            await _tell_failure(call, rule, wanted, error)
            raise

    async def _fetch(self, call: Call, rule: Rule, wanted: _Wanted) -> tuple[Source, Manifest]:
        # 4
        client, source = await self._sources.of(call, rule, wanted.name)
        fetched = await client.manifest(source, wanted.reference, call.limits.manifest_bytes)
        # 5
        _verify(source, fetched, wanted)
        return source, fetched

    async def child(self, call: Call, rule: Rule, repository: Repository, digest: Digest) -> None:
        """Bring an image below one that is here, for the import of that. Raises as `image` does, and tells nobody."""
        wanted = _Wanted(repository.registry, repository.name, str(digest))
        await self._imports.join(wanted, lambda: self._import_child(call, rule, repository, wanted))

    async def _import_child(self, call: Call, rule: Rule, repository: Repository, wanted: _Wanted) -> None:
        if await _is_here(call, repository, wanted):
            return
        source, fetched = await self._fetch(call, rule, wanted)
        await _store(call, rule, source, repository, fetched, wanted, brings_rest=False)

    async def rest(self, services: Services, job: Job) -> int | None:
        return await self._importer.run(services, job) if self._imports_whole else None

    async def freshen(self, call: Call, repository: int, name: str, tag: str) -> int:
        row = await call.db.one("upstream.validated", {"repository": repository, "tag": tag})
        if row is None:
            return 0
        if call.now < row[0] + FRESH_US:
            until: int = row[0] + FRESH_US
            return until
        wanted = _Wanted(Registry(call.account, call.region), name, tag)
        if self._failing.get(wanted, 0) > call.now:
            return self._failing[wanted]
        rule = await rules.matching(call.db, wanted.registry, name)
        if rule is None or not await allows(call, IMPORT, wanted.arn, {IMAGE_TAG: tag}):
            return call.now  # what is here is served, and the next one may be allowed to look
        try:
            await self._looks.join(wanted, lambda: self._look(call, rule, wanted))
        except MoorageError as error:
            _log.warning("%s:%s is served as it was: %s", name, tag, error)
            _remember(self._failing, wanted, call.now + RETRY_US)
            return call.now + RETRY_US
        return call.now + FRESH_US

    async def _look(self, call: Call, rule: Rule, wanted: _Wanted) -> None:
        """Has the tag moved upstream? A HEAD answers that without a pull that the upstream counts."""
        repository = await repositories.find(call, wanted.name)
        known = await find.by_tag(call.db, repository, wanted.reference)
        client, source = await self._sources.of(call, rule, wanted.name)
        digest = await client.digest_of(source, wanted.reference)
        if known is not None and digest == known.digest:
            async with call.db.transaction() as tx:
                await repositories.confirm(tx, repository)
                await _set_validated(tx, repository, wanted.reference, call.now)
                if self._imports_whole and await tx.one("upstream.lacks", {"image": known.id}):
                    await imports.put(call.services, tx, repository.id, known.digest)  # it was given up
            return
        source, fetched = await self._fetch(call, rule, wanted)
        await _store(call, rule, source, repository, fetched, wanted, brings_rest=self._imports_whole)

    # Layers

    async def layer(self, call: Call, name: str, digest: Digest) -> ArrivingLayer | None:
        repository = await repositories.find(call, name)
        arriving = self._arriving.get((repository.id, digest))
        if arriving is None:
            rule = await rules.matching(call.db, repository.registry, name)
            size = await _size_of(call, repository, digest)
            if size is None or rule is None:
                return None
            arriving = self._begin(call, rule, repository, digest, size)
        task = self._arrivals.get(arriving)
        if task is not None:
            self._pulled.add(task)
            task.add_done_callback(self._pulled.discard)
        await arriving.begun()
        return arriving

    async def whole_layer(
        self, call: Call, rule: Rule, repository: Repository, digest: Digest, size: int
    ) -> None:
        """Have it here, for the import of an image. Raises as `image` does."""
        await self._begin(call, rule, repository, digest, size).arrived()

    async def quiet(self) -> None:
        """Wait until what clients wait for just now is here; not for ever."""
        if self._pulled:
            await asyncio.wait(set(self._pulled), timeout=PATIENCE_S)

    def _begin(
        self, call: Call, rule: Rule, repository: Repository, digest: Digest, size: int
    ) -> ArrivingLayer:
        """The arrival under way, or a new one."""
        key = repository.id, digest
        if key not in self._arriving:
            new = self._arriving[key] = ArrivingLayer(size)
            self._arrivals.begin(new, lambda: self._bring(call, rule, repository, digest, new))
        return self._arriving[key]

    async def _bring(
        self, call: Call, rule: Rule, repository: Repository, digest: Digest, arriving: ArrivingLayer
    ) -> None:
        try:
            if digest in await layers.sizes(call, repository, [digest]):
                return arriving.complete()  # the one before this one brought it, while it was looked for
            client, source = await self._sources.of(call, rule, repository.name)
            await fetch(call, client, source, repository, digest, arriving)
        except MoorageError as error:
            _log.warning("%s of %s does not come: %s", digest, repository.name, error)
            arriving.fail(error)
        finally:
            arriving.fail(Server())  # unless it is here, or the reason was told
            del self._arriving[repository.id, digest]

    # Who refers to an image

    async def referrers(self, call: Call, name: str, subject: Digest) -> bytes | None:
        return await self._listings.of(call, await repositories.find(call, name), subject)

    async def refusal(self, call: Call, prefix: str) -> str | None:
        rule = await rules.find(call.db, Registry(call.account, call.region), prefix)
        try:
            client, source = await self._sources.of(call, rule, "")
            await client.check(source)
        except UPSTREAM_ERRORS as error:
            return str(error)
        return None


def _wanted(call: Call, name: str, reference: str) -> _Wanted | None:
    """None for what is neither a digest nor a tag."""
    wanted = _Wanted(Registry(call.account, call.region), name, reference)
    try:
        return wanted if wanted.digest is not None or is_tag(reference) else None
    except InvalidDigest:
        return None


async def _find(call: Call, name: str) -> Repository | None:
    try:
        return await repositories.find(call, name)
    except RepositoryNotFound:
        return None


async def _is_here(call: Call, repository: Repository, wanted: _Wanted) -> bool:
    """Whatever its status: an archived image is not brought back by a pull."""
    if wanted.digest is not None:
        return await find.by_digest(call.db, repository, wanted.digest) is not None
    return await find.by_tag(call.db, repository, wanted.reference) is not None


async def _check_rights(call: Call, repository: Repository | None, wanted: _Wanted) -> None:
    """2. The child of an index, and what was listed as a referrer, is part of what was imported."""
    if repository is None:
        found = await template.matching(call.db, wanted.registry, wanted.name, "PULL_THROUGH_CACHE")
        context = creation.context_of(found) if found is not None else {}
        if not await allows(call, "ecr:CreateRepository", wanted.arn, context):
            raise RepositoryNotFound(name=wanted.name, registry_id=wanted.registry.account)
    elif wanted.digest is not None:
        values: Values = {"repository": repository.id, "digest": wanted.digest.packed}
        if await call.db.one("upstream.belongs", values) is not None:
            return
    if not await allows(call, IMPORT, wanted.arn, {IMAGE_TAG: wanted.tag} if wanted.tag else None):
        raise ManifestUnknown()


def _verify(source: Source, fetched: Manifest, wanted: _Wanted) -> None:
    """5. Raise `UpstreamUnavailable`."""
    expected = wanted.digest or fetched.claimed
    if expected is not None and Digest.of(fetched.content, expected.algorithm) != expected:
        _log.error("upstream %s sends something else as %s of %s", source.host, expected, source.repository)
        raise UpstreamUnavailable(upstream=source.host, reason=f"what it sends as {expected} is not that")


async def _create(call: Call, name: str) -> Repository:
    """6."""
    try:
        return await creation.make_repository(call, name, "PULL_THROUGH_CACHE")
    except TemplateUnusable as error:
        _log.warning("%s", error)
        raise RepositoryNotFound(name=name, registry_id=call.account) from None


async def _store(
    call: Call,
    rule: Rule,
    source: Source,
    repository: Repository,
    fetched: Manifest,
    wanted: _Wanted,
    *,
    brings_rest: bool,
) -> None:
    """7. A tag that is protected and points elsewhere stays, and nobody wants the rest of what it is not."""
    algorithm = wanted.digest.algorithm if wanted.digest is not None else "sha256"
    try:
        incoming = await push.receive(call, repository, fetched.content, fetched.media_type, algorithm)
    except (ManifestInvalid, ManifestTooLarge) as error:
        raise UpstreamUnavailable(
            upstream=source.host, reason=f"its manifest cannot be used: {error}"
        ) from None
    async with call.db.transaction() as tx:
        stored = await push.store(call, tx, repository, incoming, origin="cache", may_miss_references=True)
        if wanted.tag is not None:
            is_tagged = await push.set_tag_if_free(call, tx, stored, incoming.digest, wanted.tag)
            brings_rest &= is_tagged
            await _set_validated(tx, repository, wanted.tag, call.now)
        event = shapes.pulled_through(
            repository.registry, repository.name, rule.prefix, rule.url, wanted.tag, str(incoming.digest)
        )
        await emit(call.services, tx, event)
        await tx.run("images.grow_parents", {"repository": repository.id, "child": incoming.digest.packed})
        if brings_rest:
            await imports.put(call.services, tx, repository.id, incoming.digest)
        tx.changed(repository.id)
    call.services.service_events.tell(_imported(call, repository, event.detail))


def _imported(call: Call, repository: Repository, told: Mapping[str, Any]) -> ServiceEvent:
    """For the record; whoever asked for the image is named, since nobody called for an import."""
    details = {
        "repositoryName": repository.name,
        "imageTag": told.get("image-tag"),
        "imageDigest": told["image-digest"],
        "ecrRepositoryPrefix": told["ecr-repository-prefix"],
        "upstreamRegistryUrl": told["upstream-registry-url"],
        "requestedBy": call.principal.arn,
        "result": "SUCCESS",
    }
    name = "BatchImportUpstreamImage"
    return ServiceEvent(name, repository.registry, repository.arn, details, is_read_only=False)


async def _set_validated(tx: Transaction, repository: Repository, tag: str, now: int) -> None:
    await tx.run("upstream.set_validated", {"repository": repository.id, "tag": tag, "now": now})


async def _tell_failure(call: Call, rule: Rule, wanted: _Wanted, error: MoorageError) -> None:
    event = shapes.pulled_through(
        wanted.registry,
        wanted.name,
        rule.prefix,
        rule.url,
        wanted.tag,
        wanted.reference if wanted.tag is None else None,
        failure=(type(error).__name__, str(error)),
    )
    async with call.db.transaction() as tx:
        await emit(call.services, tx, event)


async def _size_of(call: Call, repository: Repository, digest: Digest) -> int | None:
    """As an image of the cache says. None: no such image uses the layer, or it is here."""
    try:
        await layers.find(call, repository, digest)
        return None
    except BlobUnknown:
        pass
    values: Values = {"repository": repository.id, "digest": digest.packed}
    row = await call.db.one("upstream.layer_user", values)
    if row is None:
        return None
    packed, media_type, sealed = row
    domain = await call.keys.domain_by_id(repository.domain)
    content = call.keys.open_manifest(domain, repository.id, Digest.unpack(packed), sealed)
    described = manifests.parse(content, media_type).blobs
    size = next((blob.size for blob in described if blob.digest == digest), None)
    return size if size is not None and size <= call.limits.layer_bytes else None


def _remember(moments: OrderedDict[_Wanted, int], wanted: _Wanted, until: int) -> None:
    moments[wanted] = until
    moments.move_to_end(wanted)
    while len(moments) > _REMEMBERED:
        moments.popitem(last=False)
