"""Writing a sealed file while its bytes arrive: one pass hashes, seals and writes; no byte is written twice.

The last frame must say that it is the last, so up to 64 KiB (the tail) wait in memory for what comes next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from enum import Enum, auto
from threading import Lock

from moorage.base.digest import Digest
from moorage.keys.buffers import Buffers
from moorage.keys.frames import FRAME_BYTES, STRIDE_BYTES, TAG_BYTES, FrameSealer, frame_count
from moorage.keys.reading import FrameReader, SealedReader
from moorage.store.blobs.api import PartialBlob

_WRITEBACK_BYTES = 16 << 20
_HELPED_BYTES = 1 << 17  # hashing less is over before another thread has begun (90 µs)
_READ_BYTES = 1 << 19


class SealedWriter:
    """A blob being written. One thread at a time; its methods block.

    A failure leaves it good for `discard` only: what the file holds is unknown, and no frame is sealed twice.
    """

    def __init__(
        self,
        file: PartialBlob,
        sealer: FrameSealer,
        algorithms: Iterable[str],
        buffers: Buffers,
        side: SideThreads,
    ) -> None:
        self.key = sealer.key
        self.received = 0
        """Plain bytes."""
        self._file, self._sealer, self._buffers, self._side = file, sealer, buffers, side
        self._hashes = _Hashes(algorithms)
        self._tail = bytearray()
        self._unsynced = 0
        self._writeback: Future[None] | None = None
        self._state = _State.OPEN

    @property
    def is_open(self) -> bool:
        """More can be appended."""
        return self._state is _State.OPEN

    @property
    def is_finished(self) -> bool:
        """The file is durable under its name: `discard` leaves it."""
        return self._state is _State.FINISHED

    def append(self, view: memoryview) -> None:
        """Add bytes of any length; the view is the caller's again afterwards. Raise `StorageFull`."""
        with self._trying(then=_State.OPEN), self._side.hashing(self._hashes, view):
            self._write(self._full_frames(view))
            self._start_writeback()
        self.received += len(view)

    @property
    def readable(self) -> int:
        """Plain bytes, from the first, that `follow` can read by now: all once it is finished."""
        return self.received - len(self._tail)

    def follow(self, size: int) -> SealedReader:
        """Read beside the writer what will have `size` plain bytes; the caller closes it.

        What is beyond `readable` MUST NOT be asked for.
        """
        file = self._file.follow()
        try:
            blob, domain = self._sealer.blob, self._sealer.domain
            last = frame_count(size) - 1
            return SealedReader(file, FrameReader(file, blob, domain, self.key, size, last, self._buffers))
        except BaseException:
            file.close()
            raise

    def digests(self) -> dict[str, Digest]:
        """Of all received, by algorithm."""
        return self._hashes.digests()

    def rehash(self, algorithm: str) -> Digest:
        """The digest by an algorithm not announced: reads once more what was written, before `finish`."""
        state = hashlib.new(algorithm)
        with self._trying(then=_State.OPEN):
            if self.received > len(self._tail):
                self._read_back(state)
            state.update(self._tail)
        return Digest(f"{algorithm}:{state.hexdigest()}")

    def finish(self) -> None:
        """Seal the last frame and make the file durable under its name. Doing it again does nothing."""
        if self._state is _State.FINISHED:
            return
        with self._trying(then=_State.FINISHED):
            self._write([self._tail], last=True)
            self._tail = bytearray()
            self._end_writeback()
            self._file.commit()

    def discard(self) -> None:
        """Remove what was written, unless finished: a row may name it then (see `SealedBlobs.delete`)."""
        if self._state is _State.FINISHED:
            return
        self._state, self._tail = _State.FAILED, bytearray()
        if self._writeback is not None:
            self._writeback.exception()  # waits; a failure matters no more
        self._file.discard()

    @contextmanager
    def _trying(self, then: _State) -> Iterator[None]:
        """Whatever is raised inside leaves the writer failed."""
        if self._state is not _State.OPEN:
            raise ValueError("the blob is finished, discarded, or failed to be written")
        self._state = _State.FAILED
        yield
        self._state = then

    def _full_frames(self, view: memoryview) -> Iterator[bytearray | memoryview]:
        """The frames that something follows; what is left becomes the tail."""
        if self._tail:
            missing = FRAME_BYTES - len(self._tail)
            self._tail += view[:missing]
            view = view[missing:]
            if not view:
                return
            yield self._tail
            self._tail = bytearray()
        end = max(0, len(view) - 1) // FRAME_BYTES * FRAME_BYTES
        for start in range(0, end, FRAME_BYTES):
            yield view[start : start + FRAME_BYTES]
        self._tail += view[end:]

    def _write(self, frames: Iterable[bytearray | memoryview], *, last: bool = False) -> None:
        with self._buffers.taken() as sealed:
            filled = 0
            for frame in frames:
                if len(sealed) - filled < STRIDE_BYTES:
                    self._write_sealed(sealed[:filled])
                    filled = 0
                stop = filled + len(frame) + TAG_BYTES
                self._sealer.seal_into(frame, sealed[filled:stop], last=last)
                filled = stop
            self._write_sealed(sealed[:filled])

    def _write_sealed(self, sealed: memoryview) -> None:
        if sealed:
            self._file.write(sealed)
            self._unsynced += len(sealed)

    def _start_writeback(self) -> None:
        """At most one at a time; the error of the one before is ours."""
        if self._unsynced < _WRITEBACK_BYTES or (self._writeback is not None and not self._writeback.done()):
            return
        self._end_writeback()
        self._unsynced = 0
        self._writeback = self._side.start_writeback(self._file)

    def _end_writeback(self) -> None:
        if self._writeback is not None:
            self._writeback.result()
            self._writeback = None

    def _read_back(self, state: hashlib._Hash) -> None:
        """Hash the frames written so far. None of them is the last."""
        written = self.received - len(self._tail)
        sealer = self._sealer
        reader = FrameReader(self._file, sealer.blob, sealer.domain, self.key, written, None, self._buffers)
        buffer = memoryview(bytearray(_READ_BYTES))
        for offset in range(0, written, _READ_BYTES):
            state.update(buffer[: reader.read_into(buffer, offset)])


class SideThreads:
    """Threads beside the one that seals: they hash while cores are idle, and move bytes to the disk early."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._hashers = ThreadPoolExecutor(cores, "moorage-hash")
        self._writebacks = ThreadPoolExecutor(4, "moorage-writeback")
        self._lock = Lock()
        self._active = 0

    @contextmanager
    def hashing(self, hashes: _Hashes, view: memoryview) -> Iterator[None]:
        """Hash the view, in another thread while the block runs if that pays; done when this returns."""
        with self._lock:
            self._active += 1
            is_helped = len(view) >= _HELPED_BYTES and self._active < self._cores
        try:
            if is_helped:
                hashed = self._hashers.submit(hashes.update, view)
                try:
                    yield
                finally:
                    hashed.result()
            else:
                hashes.update(view)
                yield
        finally:
            with self._lock:
                self._active -= 1

    def start_writeback(self, file: PartialBlob) -> Future[None]:
        return self._writebacks.submit(file.flush)

    def close(self) -> None:
        self._hashers.shutdown()
        self._writebacks.shutdown()


class _Hashes:
    def __init__(self, algorithms: Iterable[str]) -> None:
        self._states = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}

    def update(self, view: memoryview) -> None:
        for state in self._states.values():
            state.update(view)

    def digests(self) -> dict[str, Digest]:
        return {name: Digest(f"{name}:{state.hexdigest()}") for name, state in self._states.items()}


class _State(Enum):
    OPEN = auto()
    FINISHED = auto()
    FAILED = auto()
