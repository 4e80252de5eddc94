"""An upstream registry of the test's own making, and a registry in memory with a rule for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from moorage.base.digest import Digest
from moorage.base.errors.error import MoorageError
from moorage.base.errors.upstream import UpstreamImageUnknown
from moorage.registry.repositories import repository as repositories
from moorage.registry.upstream import rules
from moorage.registry.upstream.cache import PullThrough
from moorage.registry.upstream.client import Manifest, Source, UpstreamClient
from moorage.registry.upstream.reach import Reach
from moorage.registry.upstream.rules import Rule
from moorage.registry.upstream.sources import Sources
from moorage.remote.egress import Egress
from moorage.remote.rules import Rules

from ..registry import MemoryRegistry, image_of

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG, LAYER = b"{}", bytes(range(256)) * 8_192
IMAGE = image_of([CONFIG, LAYER])
OTHER = image_of([CONFIG])
NAME = "hub/library/debian"


class Upstream(UpstreamClient):
    """Has what the test gives it."""

    def __init__(self) -> None:
        super().__init__(Egress(Rules()), lambda: 0)
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[Digest, bytes] = {}
        self.pages: dict[Digest, list[bytes]] | None = {}
        """Who refers to what; None is a registry without that API."""
        self.asked: list[str] = []
        self.fails: MoorageError | None = None
        self.lets = asyncio.Event()
        self.lets.set()

    def has(self, tag: str, content: bytes) -> None:
        self.manifests[tag] = self.manifests[str(Digest.of(content))] = content

    async def digest_of(self, source: Source, reference: str) -> Digest | None:
        return Digest.of(await self._manifest("HEAD", source, reference))

    async def manifest(self, source: Source, reference: str, limit: int) -> Manifest:
        content = await self._manifest("GET", source, reference)
        return Manifest(content, json.loads(content)["mediaType"], None)

    async def referrers(self, source: Source, subject: Digest, limit: int) -> list[bytes]:
        self.asked.append(f"GET {source.repository}<-{subject}")
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails
        if self.pages is None:
            raise UpstreamImageUnknown()
        return self.pages.get(subject, [index_of([])])

    @asynccontextmanager
    async def blob(self, source: Source, digest: Digest, size: int) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked.append(f"GET {source.repository}@{digest}")
        if self.fails:
            raise self.fails
        if digest not in self.blobs:
            raise UpstreamImageUnknown()
        yield self._pieces(self.blobs[digest])

    async def _pieces(self, content: bytes) -> AsyncIterator[bytes]:
        half = len(content) // 2
        yield content[:half]
        await self.lets.wait()
        yield content[half:]

    async def _manifest(self, method: str, source: Source, reference: str) -> bytes:
        self.asked.append(f"{method} {source.repository}:{reference}")
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails
        if reference not in self.manifests:
            raise UpstreamImageUnknown()
        return self.manifests[reference]


def index_of(manifests: Sequence[bytes], **members: str) -> bytes:
    children = [
        {
            "mediaType": json.loads(each)["mediaType"],
            "digest": str(Digest.of(each)),
            "size": len(each),
            **members,
        }
        for each in manifests
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": children}).encode()


async def caching(
    registry: MemoryRegistry, prefix: str = "hub", *, imports_whole: bool = True
) -> tuple[Upstream, PullThrough]:
    """The registry with a rule for `prefix`."""
    upstream = Upstream()
    cache = PullThrough(Sources(Reach(), lambda _: upstream), imports_whole=imports_whole)
    registry.services = replace(registry.services, upstreams=cache)
    rule = Rule(
        registry=registry_of(registry),
        prefix=prefix,
        upstream_prefix=rules.ROOT,
        written=prefix,
        upstream="quay",
        url="quay.io",
        credential_arn="",
        role_arn="",
        created=registry.now,
        updated=None,
    )
    await rules.create(registry.db, rule)
    upstream.has("12", IMAGE)
    upstream.blobs = {Digest.of(content): content for content in (CONFIG, LAYER)}
    return upstream, cache


def registry_of(registry: MemoryRegistry) -> repositories.Registry:
    return repositories.Registry(registry.call.account, registry.call.region)
