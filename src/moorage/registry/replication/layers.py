"""Layers on their way to another registry.

What the encryption domain there has already is linked. Anything else is read, which opens it, and written, which seals
it under a key of that domain: a batch at a time, in worker threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from moorage.access.call import Call
from moorage.base.digest import Digest
from moorage.base.errors.layers import BlobUnknown
from moorage.keys.sealed import SealedReader
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import layers, session

BATCH_BYTES = 1 << 20
AT_ONCE = 4  # in a process: while one waits for the disk, others seal


class LayerCopies:
    """The copying of one process: of two that want the same layer in one domain, the second links the first's."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[tuple[int, Digest], asyncio.Lock] = WeakValueDictionary()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def bring(
        self, here: Call, source: Repository, there: Call, target: Repository, digest: Digest
    ) -> bool:
        """Have the layer of `source` in `target`. False if `source` has none of that digest."""
        place = (target.domain, digest)
        lock = self._locks.setdefault(place, asyncio.Lock())
        async with lock:
            if await layers.link_stored(there, target, digest):
                return True
            try:
                layer = await layers.find(here, source, digest)
            except BlobUnknown:
                return False
            async with self._room:
                reader = await layers.open_layer(here, layer)
                try:
                    await _write(there, target, reader, digest)
                finally:
                    reader.close()
            return True


async def _write(there: Call, target: Repository, reader: SealedReader, digest: Digest) -> None:
    """Closed under the digest that it had: what does not hash to it never becomes a layer there."""
    upload = await session.begin(there, target, sha512=digest.algorithm == "sha512")
    await session.finish(there, target, upload, [digest], _batches(there, reader))


async def _batches(call: Call, reader: SealedReader) -> AsyncIterator[memoryview]:
    """Each is the receiver's until it asks for the next."""
    buffer = memoryview(bytearray(min(BATCH_BYTES, reader.size)))
    for offset in range(0, reader.size, BATCH_BYTES):
        count = await call.services.compute(reader.read_into, buffer, offset)
        yield buffer[:count]
