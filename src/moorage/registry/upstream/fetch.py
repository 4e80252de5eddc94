"""A layer from the upstream registry into a sealed file, in one pass: it is followed while it comes.

1 ask       the upstream registry for it; what it refuses is told before anything is stored
2 receive   hash, seal and write what comes; those who wait may read as far as it is sealed
3 verify    size and digest; a layer that is another one leaves nothing behind
4 commit    the file is durable, then the row
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from moorage.access.call import Call
from moorage.base.digest import Digest
from moorage.base.errors.layers import DigestMismatch
from moorage.base.errors.upstream import UpstreamUnavailable
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import session
from moorage.registry.upstream.client import Source, SourceClient
from moorage.registry.upstream.flight import ArrivingLayer

PACE_S = 30.0
PACE_BYTES = 64 << 10  # in that time at the least: 2 KiB/s

_log = logging.getLogger("moorage")


async def fetch(
    call: Call,
    client: SourceClient,
    source: Source,
    repository: Repository,
    digest: Digest,
    arriving: ArrivingLayer,
) -> None:
    """Raises as the client does; then the caller tells those who follow `arriving`."""
    try:
        async with client.blob(source, digest, arriving.size) as pieces:  # 1
            upload = await session.begin(call, repository, sha512=digest.algorithm == "sha512")
            arriving.begin(upload.writer)
            batches = _receive(source, digest, pieces, arriving)
            await session.finish(call, repository, upload, [digest], batches)  # 2, 3, 4
    except DigestMismatch:
        _log.error("upstream %s sends something else as %s of %s", source.host, digest, source.repository)
        reason = f"what it sends as {digest} is not that"
        raise UpstreamUnavailable(upstream=source.host, reason=reason) from None
    arriving.complete()


async def _receive(
    source: Source, digest: Digest, pieces: AsyncIterator[bytes], arriving: ArrivingLayer
) -> AsyncIterator[memoryview]:
    """2. What is yielded is sealed when the next is asked for."""
    pace = _Pace(source)
    received = 0
    async for piece in pieces:
        received += len(piece)
        pace.check(received)
        yield memoryview(piece)
        arriving.advance_to_sealed()
    if received != arriving.size:
        reason = f"{digest} ends after {received} of {arriving.size} bytes"
        raise UpstreamUnavailable(upstream=source.host, reason=reason)


class _Pace:
    """An upstream that lets a byte drip now and then would hold its connection for ever."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._clock = asyncio.get_running_loop().time
        self._since, self._received = self._clock(), 0

    def check(self, received: int) -> None:
        now = self._clock()
        if now - self._since < PACE_S:
            return
        if received - self._received < PACE_BYTES:
            raise UpstreamUnavailable(upstream=self._source.host, reason="it sends too slowly")
        self._since, self._received = now, received
