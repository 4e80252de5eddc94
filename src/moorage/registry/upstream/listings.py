"""Who refers to an image of the cache, as its upstream registry says: signatures, SBOMs, attestations.

1 known     the image came from upstream; what was listed holds for a day, that nothing was for an hour
2 rights    those of an import; who has none gets what is known
3 flight    who asks for the same meanwhile gets the same outcome
4 list      the referrers API; of a registry without it, the index under the fallback tag
5 store     the listing, sealed, and the digests in it: these may be pulled as what belongs to the image

What is listed is not fetched: it comes when it is pulled, as the children of an index do.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from moorage.access.authorize import allows
from moorage.access.call import Call
from moorage.base.clock import HOUR, MINUTE
from moorage.base.digest import Digest
from moorage.base.errors.error import MoorageError
from moorage.base.errors.images import ManifestInvalid
from moorage.base.errors.upstream import (
    UpstreamImageUnknown,
    UpstreamUnavailable,
)
from moorage.registry.images.manifest import INDEX_TYPES
from moorage.registry.images.referrers import Entry, entries_in, fallback_tag, index_of
from moorage.registry.repositories.repository import Repository
from moorage.registry.upstream import rules
from moorage.registry.upstream.client import Source, SourceClient
from moorage.registry.upstream.flight import Flights
from moorage.registry.upstream.rules import Rule
from moorage.registry.upstream.sources import Sources
from moorage.store.db.api import Values

FRESH_US = 24 * HOUR
EMPTY_US = HOUR
"""A signature is made after the image: that there is none is asked again sooner."""
RETRY_US = 5 * MINUTE
ENTRIES_MAX = 1_000
IMPORT = "ecr:BatchImportUpstreamImage"
_REMEMBERED = 4_096

_log = logging.getLogger("moorage")


@dataclass(frozen=True, slots=True)
class _Known:
    image: int
    """Id of the row."""
    looked: int | None
    """None: never."""
    index: bytes | None

    def is_fresh(self, now: int) -> bool:
        if self.looked is None or self.index is None:
            return False
        return now < self.looked + (FRESH_US if entries_in(self.index) else EMPTY_US)


class Listings:
    """Of one process."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._looks: Flights[int, bytes] = Flights()
        self._failing: OrderedDict[int, tuple[int, MoorageError]] = OrderedDict()

    async def close(self) -> None:
        await self._looks.close()

    async def of(self, call: Call, repository: Repository, subject: Digest) -> bytes | None:
        """An index; None for an image that is none of the cache. Raise why it cannot be had, if nothing is known."""
        # 1
        known = await _find(call, repository, subject)
        if known is None:
            return None
        if known.is_fresh(call.now):
            return known.index
        rule = await rules.matching(call.db, repository.registry, repository.name)
        # 2
        if rule is None or not await allows(call, IMPORT, repository.arn):
            return known.index
        until, failure = self._failing.get(known.image, (0, None))
        if failure is not None and call.now < until:
            return _or_raise(known, failure)
        # 3
        try:
            return await self._looks.join(
                known.image, lambda: self._look(call, rule, repository, subject, known.image)
            )
        except MoorageError as error:
            self._remember_failure(known.image, call.now + RETRY_US, error)
            _log.warning("who refers to %s of %s is not known: %s", subject, repository.name, error)
            return _or_raise(known, error)

    async def _look(
        self, call: Call, rule: Rule, repository: Repository, subject: Digest, image: int
    ) -> bytes:
        known = await _find(call, repository, subject)
        if known is not None and known.index is not None and known.is_fresh(call.now):
            return known.index  # the flight before this one has listed them
        # 4
        client, source = await self._sources.of(call, rule, repository.name)
        entries = await _list(client, source, subject, call.limits.manifest_bytes)
        # 5
        index = index_of(entries)
        await _store(call, repository, image, index, [Digest.parse(entry.digest) for entry in entries])
        return index

    def _remember_failure(self, image: int, until: int, error: MoorageError) -> None:
        self._failing[image] = until, error
        self._failing.move_to_end(image)
        while len(self._failing) > _REMEMBERED:
            self._failing.popitem(last=False)


def _or_raise(known: _Known, error: MoorageError) -> bytes:
    if known.index is None:
        raise error
    return known.index


async def _find(call: Call, repository: Repository, subject: Digest) -> _Known | None:
    values: Values = {"repository": repository.id, "digest": subject.packed}
    row = await call.db.one("upstream.listing", values)
    if row is None:
        return None
    image, looked, packed, sealed = row
    if looked is None:
        return _Known(image, None, None)
    domain = await call.keys.domain_by_id(repository.domain)
    return _Known(
        image, looked, call.keys.open_manifest(domain, repository.id, Digest.unpack(packed), sealed)
    )


async def _list(client: SourceClient, source: Source, subject: Digest, limit: int) -> list[Entry]:
    """Each once, and no more than `ENTRIES_MAX`."""
    try:
        pages = await client.referrers(source, subject, limit)
    except UpstreamImageUnknown:
        pages = await _under_fallback_tag(client, source, subject, limit)
    try:
        listed = {entry.digest: entry for page in pages for entry in entries_in(page)}
    except ManifestInvalid as error:
        raise UpstreamUnavailable(
            upstream=source.host, reason=f"its list of referrers cannot be used: {error}"
        ) from None
    if len(listed) > ENTRIES_MAX:
        _log.warning("%s lists %d referrers of %s: some are left out", source.host, len(listed), subject)
    return list(listed.values())[:ENTRIES_MAX]


async def _under_fallback_tag(
    client: SourceClient, source: Source, subject: Digest, limit: int
) -> list[bytes]:
    try:
        found = await client.manifest(source, fallback_tag(subject), limit)
    except UpstreamImageUnknown:
        return []
    return [found.content] if found.media_type in INDEX_TYPES else []


async def _store(
    call: Call, repository: Repository, image: int, index: bytes, digests: Iterable[Digest]
) -> None:
    digest = Digest.of(index)
    domain = await call.keys.domain_by_id(repository.domain)
    sealed = call.keys.seal_manifest(domain, repository.id, digest, index)
    row: Values = {"image": image, "now": call.now, "digest": digest.packed, "sealed": sealed}
    rows: list[Values] = [{"image": image, "digest": each.packed} for each in digests]
    async with call.db.transaction() as tx:
        await tx.run("upstream.set_listing", row)
        await tx.run("upstream.forget_referrers", {"image": image})
        if rows:
            await tx.run("upstream.add_referrer", rows)
