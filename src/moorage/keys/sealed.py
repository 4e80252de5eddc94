"""Sealed blobs: what is stored is always encrypted. One pass writes (`writing`), any place reads (`reading`).

All of it blocks as long as a disk does: worker threads call it. Hashing, AES-GCM and I/O release the GIL.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from moorage.base.errors.ourselves import Corrupted
from moorage.keys.buffers import Buffers
from moorage.keys.frames import BlobKey, FrameSealer, frame_count, sealed_size
from moorage.keys.opened import OpenedBlobs
from moorage.keys.reading import BATCH_BYTES, FrameReader, SealedReader
from moorage.keys.writing import SealedWriter, SideThreads
from moorage.store.blobs.api import BlobId, BlobStore

__all__ = ["SealedBlobs", "SealedReader", "SealedWriter"]

_BUFFERS_KEPT = 16  # 8 MiB in all


class SealedBlobs:
    """A store of sealed blobs. With `opened`, those asked for repeatedly are also held open in memory."""

    def __init__(
        self,
        store: BlobStore,
        opened: OpenedBlobs | None = None,
        writer: type[SealedWriter] = SealedWriter,
    ) -> None:
        self._store, self._opened, self._writer = store, opened, writer
        self._buffers = Buffers(BATCH_BYTES, _BUFFERS_KEPT)
        self._side = SideThreads(len(os.sched_getaffinity(0)))

    def create(
        self, blob: BlobId, domain: int, key: BlobKey, algorithms: Iterable[str] = ("sha256",)
    ) -> SealedWriter:
        """Begin a blob under a key that is new. Nothing of it is under its name until `finish`."""
        sealer = FrameSealer(blob, domain, key)
        file = self._store.create(blob)
        try:
            file.write(sealer.header)
        except BaseException:
            file.discard()
            raise
        return self._writer(file, sealer, algorithms, self._buffers, self._side)

    def open(self, blob: BlobId, domain: int, key: BlobKey, size: int) -> SealedReader:
        """Open a blob of `size` plain bytes; the caller closes it.

        Raise FileNotFoundError if there is no file, `Corrupted` if it is not the one that was stored.
        """
        reader = self._open(blob, domain, key, size)
        if self._opened is not None:
            reader.lease = self._opened.get(blob, size, lambda: self._open(blob, domain, key, size))
        return reader

    def delete(self, blob: BlobId) -> None:
        """Remove the blob, finished or not. Who has it open can read on."""
        if self._opened is not None:
            self._opened.forget(blob)
        self._store.delete(blob)

    def close(self) -> None:
        self._side.close()
        if self._opened is not None:
            self._opened.close_all()

    def _open(self, blob: BlobId, domain: int, key: BlobKey, size: int) -> SealedReader:
        """1. The file is as long as the size makes it. 2. Its header is this blob's. 3. Empty is truly empty.

        The frames are authenticated as they are read.
        """
        file = self._store.open(blob)
        try:
            # 1
            if file.size != sealed_size(size):
                raise Corrupted(what=blob.hex())
            # 2
            frames = FrameReader(file, blob, domain, key, size, frame_count(size) - 1, self._buffers)
            # 3
            if not size:
                frames.check_empty()
        except BaseException:
            file.close()
            raise
        return SealedReader(file, frames)
