"""Reading a sealed file at any place. No byte is returned that is not authenticated."""

from __future__ import annotations

from typing import Protocol

from moorage.base.errors.ourselves import Corrupted
from moorage.keys.buffers import Buffers
from moorage.keys.frames import (
    FRAME_BYTES,
    HEADER_BYTES,
    STRIDE_BYTES,
    TAG_BYTES,
    BlobKey,
    FrameOpener,
    NotAuthentic,
    frame_offset,
    frames_of,
)
from moorage.keys.opened import Lease
from moorage.store.blobs.api import BlobId, StoredBlob

BATCH_FRAMES = 8  # 512 KiB at a time: the fastest of 64 KiB to 1 MiB
BATCH_BYTES = BATCH_FRAMES * STRIDE_BYTES


class _Readable(Protocol):
    def read_into(self, buffer: memoryview, offset: int) -> int: ...


class FrameReader:
    """The plain bytes in the frames of a file. Several threads may read at once."""

    def __init__(
        self,
        file: _Readable,
        blob: BlobId,
        domain: int,
        key: BlobKey,
        size: int,
        last: int | None,
        buffers: Buffers,
    ) -> None:
        """`last` is the index of the frame that proves the end, None if none does yet. Raise `Corrupted`."""
        self.size = size
        self._file, self._blob, self._buffers = file, blob, buffers
        header = bytearray(HEADER_BYTES)
        count = file.read_into(memoryview(header), 0)
        try:
            self._opener = FrameOpener(bytes(header[:count]), blob, domain, key, last)
        except NotAuthentic as error:
            raise Corrupted(what=blob.hex()) from error

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` with plain bytes from `offset`; fewer only at the end. Raise `Corrupted`."""
        wanted = max(0, min(len(buffer), self.size - offset))
        filled = 0
        with self._buffers.taken() as sealed:
            while filled < wanted:
                filled += self._read_batch(buffer[filled:wanted], offset + filled, sealed)
        return wanted

    def check_empty(self) -> None:
        """The one frame of an empty blob is its true end. Raise `Corrupted`."""
        self._open(0, self._read_sealed(memoryview(bytearray(TAG_BYTES)), 0), memoryview(bytearray()))

    def _read_batch(self, buffer: memoryview, offset: int, sealed: memoryview) -> int:
        """Fill what one batch of frames has of `buffer`; return how much."""
        frames = frames_of(offset, offset + len(buffer))[:BATCH_FRAMES]
        plain = min(frames.stop * FRAME_BYTES, self.size) - frames.start * FRAME_BYTES
        batch = self._read_sealed(sealed[: plain + len(frames) * TAG_BYTES], frames.start)
        skipped, filled = offset - frames.start * FRAME_BYTES, 0
        for index in frames:
            frame, batch = batch[:STRIDE_BYTES], batch[STRIDE_BYTES:]
            filled += self._open_part(index, frame, skipped, buffer[filled:])
            skipped = 0
        return filled

    def _open_part(self, index: int, frame: memoryview, skipped: int, buffer: memoryview) -> int:
        """Open a frame and give `buffer` its plain bytes after the first `skipped`."""
        size = len(frame) - TAG_BYTES
        if not skipped and size <= len(buffer):
            self._open(index, frame, buffer[:size])
            return size
        plain = memoryview(bytearray(size))
        self._open(index, frame, plain)
        part = plain[skipped : skipped + len(buffer)]
        buffer[: len(part)] = part
        return len(part)

    def _read_sealed(self, sealed: memoryview, first: int) -> memoryview:
        if self._file.read_into(sealed, frame_offset(first)) != len(sealed):
            raise Corrupted(what=self._blob.hex())
        return sealed

    def _open(self, index: int, frame: memoryview, plain: memoryview) -> None:
        try:
            self._opener.open_into(index, frame, plain)
        except NotAuthentic as error:
            raise Corrupted(what=self._blob.hex()) from error


class SealedReader:
    """An open blob (a `BlobSource`). Its methods block; several threads may read at once."""

    def __init__(self, file: StoredBlob, frames: FrameReader) -> None:
        self._file, self._frames = file, frames
        self.size = frames.size
        """Plain bytes."""
        self.lease: Lease | None = None
        """Holds the blob open in memory, if it is there."""

    @property
    def descriptor(self) -> int | None:
        """A file in memory of the plain bytes, good until `close`."""
        return self.lease.descriptor if self.lease is not None else None

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` with plain bytes from `offset`; fewer only at the end.

        Raise `Corrupted`, and then nothing in the buffer counts. Fastest at multiples of 64 KiB: whole frames
        are opened straight into `buffer`.
        """
        return self._frames.read_into(buffer, offset)

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` plain bytes from `offset`: for what is small."""
        buffer = bytearray(max(0, min(length, self.size - offset)))
        self.read_into(memoryview(buffer), offset)
        return bytes(buffer)

    def close(self) -> None:
        self._file.close()
        if self.lease is not None:
            self.lease.close()
            self.lease = None
