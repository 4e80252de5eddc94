"""Registries of this installation as upstream ones: read here, without a network, as the role of the rule.

1 role     that of the rule, or the service-linked one; it must trust the service on behalf of the repository here
2 rights   the role's own policies, and across accounts those of the repository or registry there, as for any pull
3 read     the image or layer as it is there; if that registry is a cache itself, it is brought there first

Rules may lead round in a circle. Who would come back to where it began is not asked: it would wait for itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import msgspec

from moorage.access.authorize import authorize
from moorage.access.authorizer import IMAGE_TAG, Circumstances
from moorage.access.call import ArrivingLayer, Call, NoUpstreams
from moorage.access.service_roles import (
    PULL_THROUGH_CACHE,
    Unusable,
    assumed_by_service,
    service_linked_arn,
)
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.digest import Digest
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.images import ManifestUnknown
from moorage.base.errors.layers import BlobUnknown
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.base.errors.upstream import UpstreamAccessDenied, UpstreamImageUnknown, UpstreamUnavailable
from moorage.base.http import Arrival, BlobSource
from moorage.registry.images import find, referrers
from moorage.registry.images.find import Image
from moorage.registry.images.manifest import OCI_INDEX
from moorage.registry.images.referrers import Referrer
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import layers
from moorage.registry.upstream import rules
from moorage.registry.upstream.client import REFERRERS_PAGES, Manifest, Source, in_time
from moorage.registry.upstream.known import ECR, private_registry
from moorage.registry.upstream.rules import ROOT, Rule
from moorage.store.db.api import Reads

PIECE_BYTES = 1 << 20
HOPS = 5
"""Caches of this installation that one pull may go through."""
REFERRERS_AT_ONCE = 100
_IMAGE, _LAYER = "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"
_Place = tuple[Registry, str]
"""A repository, by its name in a registry."""


async def is_ours(reads: Reads, registry: Registry) -> bool:
    """Its account is one of this installation, in which any region may be used."""
    return await reads.one("access.account", {"id": registry.account}) is not None


async def open_inside(call: Call, rule: Rule, registry: Registry, name: str) -> tuple[Inside, Source]:
    """What the rule for `name` leads to; "" is for the registry as a whole. Raise `UpstreamAccessDenied`."""
    # 1
    own = rule.registry
    arn = rule.role_arn or service_linked_arn(own.account, PULL_THROUGH_CACHE)
    all_names = "*" if rule.prefix == ROOT else f"{rule.prefix}/*"
    acts_for = str(RepositoryArn(own.account, own.region, name or all_names))
    principal = await assumed_by_service(call, arn, (PULL_THROUGH_CACHE,), acts_for)
    if isinstance(principal, Unusable):
        raise UpstreamAccessDenied(f"The pull through cache rule '{rule.written}' {principal.reason}: {arn}")
    there = replace(
        call,
        principal=principal,
        account=registry.account,
        region=registry.region,
        host="",
        # No address and no TLS: a policy that asks for either says no.
        around=Circumstances(Arrival(), None, registry.region, call.now),
    )
    host = f"{registry.account}.dkr.ecr.{registry.region}.amazonaws.com"
    return Inside(there, (own, name)), Source(f"https://{host}", rule.name_upstream(name) or "")


class Inside:
    """A `client.SourceClient`, for who pulls one repository `here`."""

    def __init__(self, there: Call, here: _Place) -> None:
        self._there = there
        self._here = here

    async def check(self, source: Source) -> None:
        """The role can be used. Which images it may pull is told when they are."""

    async def close(self) -> None:
        pass

    async def digest_of(self, source: Source, reference: str) -> Digest | None:
        async with in_time(source):
            _, image = await self._find(source, reference)
        return image.digest

    async def manifest(self, source: Source, reference: str, limit: int) -> Manifest:
        async with in_time(source):
            repository, image = await self._find(source, reference)
            content = await find.manifest_of(self._there, repository, image)
        if len(content) > limit:
            raise UpstreamUnavailable(
                upstream=source.host, reason=f"its manifest has more than {limit} bytes"
            )
        there = self._there
        there.services.pull_times.note(image.id, there.principal, repository.registry, there.now)
        return Manifest(content, image.media_type, image.digest)

    async def referrers(self, source: Source, subject: Digest, limit: int) -> list[bytes]:
        """One index in as many pages as there are."""
        async with in_time(source):
            with _refusals_told():
                await authorize(self._there, _IMAGE, self._arn_of(source))  # 2
                there = await self._further(source)
                repository = await repositories.find(there, source.repository)
                pages: list[bytes] = []
                after = 0
                while limit > 0 and len(pages) < REFERRERS_PAGES:
                    found = await referrers.page(there, repository, subject, (), after, REFERRERS_AT_ONCE)
                    pages.append(_index_of(found))
                    limit -= len(pages[-1])
                    recorded = [each.cursor for each in found if each.cursor]
                    if len(recorded) < REFERRERS_AT_ONCE:
                        break
                    after = recorded[-1]
                return pages

    @asynccontextmanager
    async def blob(self, source: Source, digest: Digest, size: int) -> AsyncIterator[AsyncIterator[bytes]]:
        async with in_time(source):
            with _refusals_told():
                await authorize(self._there, _LAYER, self._arn_of(source))  # 2
                there = await self._further(source)
                repository = await repositories.find(there, source.repository)
                reader, arriving = await _open(there, repository, digest)  # 3
        try:
            yield self._pieces(source, reader, arriving, size)
        finally:
            reader.close()

    async def _pieces(
        self, source: Source, reader: BlobSource, arriving: ArrivingLayer | None, size: int
    ) -> AsyncIterator[bytes]:
        buffer = memoryview(bytearray(min(PIECE_BYTES, size)))
        offset = 0
        while offset < size:
            reach = size
            if arriving is not None:
                reach = await _reach_beyond(source, arriving, offset)
            count = min(reach - offset, len(buffer))
            count = await self._there.services.compute(reader.read_into, buffer[:count], offset)
            if not count:
                return  # it is shorter than it should be, which the receiver tells
            yield bytes(buffer[:count])
            offset += count

    async def _find(self, source: Source, reference: str) -> tuple[Repository, Image]:
        with _refusals_told():
            # 2
            tag = {} if ":" in reference else {IMAGE_TAG: reference}
            await authorize(self._there, _IMAGE, self._arn_of(source), tag)
            # 3
            there = await self._further(source)
            found = await _image_in(there, source, reference, freshen=bool(tag))
            if found is None:
                await there.services.upstreams.image(there, source.repository, reference)
                found = await _image_in(there, source, reference, freshen=False)
        if found is None:
            raise UpstreamImageUnknown()
        return found

    def _arn_of(self, source: Source) -> str:
        return str(RepositoryArn(self._there.account, self._there.region, source.repository))

    async def _further(self, source: Source) -> Call:
        """The call that looks there, and beyond where a rule there says so and none leads round."""
        there = self._there
        place = Registry(there.account, there.region), source.repository
        if not await _leads_round(there, self._here, place):
            return there
        return replace(there, services=replace(there.services, upstreams=NoUpstreams()))


async def _leads_round(call: Call, begin: _Place, place: _Place) -> bool:
    """Whether the rules from `place` on come to where one has been, or too far."""
    passed = [begin, place]
    while len(passed) <= HOPS:
        registry, name = passed[-1]
        rule = await rules.matching(call.db, registry, name)
        source = (
            private_registry(rule.url, call.services.addresses) if rule and rule.upstream == ECR else None
        )
        if rule is None or source is None or not await is_ours(call.db, source):
            return False
        following = source, rule.name_upstream(name) or ""
        if following in passed:
            return True
        passed.append(following)
    return True


async def _image_in(
    there: Call, source: Source, reference: str, *, freshen: bool
) -> tuple[Repository, Image] | None:
    try:
        repository = await repositories.find(there, source.repository)
    except RepositoryNotFound:
        return None
    if freshen:
        await there.services.upstreams.freshen(there, repository.id, source.repository, reference)
    if ":" in reference:
        image = await find.by_digest(there.db, repository, Digest.parse(reference))
    else:
        image = await find.by_tag(there.db, repository, reference)
    return (repository, image) if image is not None and image.status in find.ACTIVE else None


async def _open(
    there: Call, repository: Repository, digest: Digest
) -> tuple[BlobSource, ArrivingLayer | None]:
    """The caller closes it. With the layer that it follows, if that comes there just now."""
    try:
        return await layers.open_layer(there, await layers.find(there, repository, digest)), None
    except BlobUnknown:
        arriving = await there.services.upstreams.layer(there, repository.name, digest)
    if arriving is not None:
        try:
            return await there.services.work(arriving.follow), arriving
        except FileNotFoundError:  # the last of it was written meanwhile
            await arriving.arrived()
    return await layers.open_layer(there, await layers.find(there, repository, digest)), None


async def _reach_beyond(source: Source, arriving: ArrivingLayer, offset: int) -> int:
    try:
        await arriving.passes(offset)
    except ConnectionError as error:
        raise UpstreamUnavailable(upstream=source.host, reason=str(error)) from None
    return arriving.reach


def _index_of(found: list[Referrer]) -> bytes:
    """What is archived there cannot be pulled."""
    entries = [
        {
            "mediaType": each.media_type,
            "digest": str(each.digest),
            "size": each.size,
            **({"artifactType": each.artifact_type} if each.artifact_type else {}),
            **({"annotations": each.annotations} if each.annotations else {}),
        }
        for each in found
        if each.status in find.ACTIVE
    ]
    return msgspec.json.encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


@contextmanager
def _refusals_told() -> Iterator[None]:
    """In the words of an upstream registry."""
    try:
        yield
    except AccessDenied as error:
        raise UpstreamAccessDenied(f"The upstream registry refuses the image. {error}") from None
    except (BlobUnknown, ManifestUnknown, RepositoryNotFound):
        raise UpstreamImageUnknown() from None
