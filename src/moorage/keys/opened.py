"""Blobs that are asked for repeatedly, held open: their plain bytes in memory files that the kernel can send.

Nothing here is on a disk (`memfd_create`); the memory is capped and counted to the page.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from moorage.base.errors.ourselves import Corrupted

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_FILL_BYTES = 1 << 19
_ASKED_MAX = 4_096  # blobs whose last request is remembered
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class Source(Protocol):
    """Authenticated plain bytes. `read_into` raises `Corrupted`."""

    def read_into(self, buffer: memoryview, offset: int) -> int: ...

    def close(self) -> None: ...


class OpenedBlobs:
    """An LRU of memory files, filled by a thread of its own. Any thread may call; no call waits for a fill.

    `capacity` and `blob_limit` are bytes; a blob is opened by its second request within `window` seconds.
    """

    def __init__(
        self,
        capacity: int,
        blob_limit: int,
        window: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity, self._blob_limit, self._window = capacity, min(blob_limit, capacity), window
        self._monotonic = monotonic
        self._filler = ThreadPoolExecutor(1, "moorage-open")
        self._lock = Lock()
        self._files: OrderedDict[bytes, _MemoryFile] = OrderedDict()
        self._filling: dict[bytes, bool] = {}
        """Blob to: is it still wanted."""
        self._asked: OrderedDict[bytes, float] = OrderedDict()
        self._used = 0
        self._is_closed = False

    @property
    def used(self) -> int:
        """Bytes of memory held, those of forgotten files that somebody still reads included."""
        return self._used

    def get(self, blob: bytes, size: int, open_source: Callable[[], Source]) -> Lease | None:
        """A lease if the blob is open. The second request within the window opens it from `open_source`."""
        with self._lock:
            file = self._files.get(blob)
            if file is not None:
                self._files.move_to_end(blob)
                file.leases += 1
                return Lease(self, file)
            if not self._is_wanted(blob, size):
                return None
            self._filling[blob] = True
            self._used += _pages(size)
            self._filler.submit(self._fill, blob, size, open_source)
        return None

    def forget(self, blob: bytes) -> None:
        """The blob is gone. Its memory goes when the last lease ends."""
        with self._lock:
            file = self._files.pop(blob, None)
            if file is not None:
                self._drop(file)
            if blob in self._filling:
                self._filling[blob] = False

    def wait_filled(self) -> None:
        """Wait until all that was begun is there (tests, shutdown)."""
        self._filler.submit(int).result()

    def close_all(self) -> None:
        """Open nothing any more and close what nobody reads; leases out there end by themselves."""
        with self._lock:
            self._is_closed = True
            for blob in self._filling:
                self._filling[blob] = False
        self._filler.shutdown()
        with self._lock:
            while self._files:
                self._drop(self._files.popitem()[1])

    def release(self, file: _MemoryFile) -> None:
        """For `Lease`."""
        with self._lock:
            file.leases -= 1
            if file.is_dropped and not file.leases:
                self._close(file)

    def _is_wanted(self, blob: bytes, size: int) -> bool:
        """1. It may be opened. 2. It is asked for again in the window. 3. Room is there or can be made."""
        # 1
        if self._is_closed or blob in self._filling or not 0 < size <= self._blob_limit:
            return False
        # 2
        now = self._monotonic()
        before = self._asked.pop(blob, None)
        if before is None or now - before > self._window:
            self._asked[blob] = now
            if len(self._asked) > _ASKED_MAX:
                self._asked.popitem(last=False)
            return False
        # 3
        return self._make_room(_pages(size))

    def _make_room(self, wanted: int) -> bool:
        """Drop what was used longest ago and nobody reads, if that is enough."""
        missing = self._used + wanted - self._capacity
        victims = []
        for blob, file in self._files.items():
            if missing <= 0:
                break
            if not file.leases:
                victims.append(blob)
                missing -= _pages(file.size)
        if missing > 0:
            return False
        for blob in victims:
            self._drop(self._files.pop(blob))
        return True

    def _fill(self, blob: bytes, size: int, open_source: Callable[[], Source]) -> None:
        """In the filler's thread. What fails is not opened; who reads the blob meets the same error."""
        descriptor = None
        try:
            descriptor = _open_in_memory(size, open_source, lambda: self._filling[blob])
        except (Corrupted, OSError):
            pass
        finally:
            with self._lock:
                is_wanted = self._filling.pop(blob)
                if descriptor is None:
                    self._used -= _pages(size)
                else:
                    file = _MemoryFile(descriptor, size)
                    if is_wanted:
                        self._files[blob] = file
                    else:
                        self._drop(file)

    def _drop(self, file: _MemoryFile) -> None:
        file.is_dropped = True
        if not file.leases:
            self._close(file)

    def _close(self, file: _MemoryFile) -> None:
        os.close(file.descriptor)
        self._used -= _pages(file.size)


class Lease:
    """Keeps a memory file open. Close it once done; closing again does nothing."""

    def __init__(self, opened: OpenedBlobs, file: _MemoryFile) -> None:
        self._opened = opened
        self._file: _MemoryFile | None = file
        self.descriptor = file.descriptor
        self.size = file.size

    def close(self) -> None:
        if self._file is not None:
            self._opened.release(self._file)
            self._file = None


@dataclass(slots=True)
class _MemoryFile:
    descriptor: int
    size: int
    leases: int = 0
    is_dropped: bool = False


def _open_in_memory(size: int, open_source: Callable[[], Source], is_wanted: Callable[[], bool]) -> int:
    """A memory file of the whole source, which nobody can change any more."""
    source = open_source()
    try:
        descriptor = os.memfd_create("moorage-opened", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            _copy(source, descriptor, size, is_wanted)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        except BaseException:
            os.close(descriptor)
            raise
    finally:
        source.close()
    return descriptor


def _copy(source: Source, descriptor: int, size: int, is_wanted: Callable[[], bool]) -> None:
    buffer = memoryview(bytearray(min(size, _FILL_BYTES)))
    for offset in range(0, size, _FILL_BYTES):
        if not is_wanted():
            raise OSError(errno.ECANCELED, "the blob was forgotten while it was being opened")
        piece = buffer[: source.read_into(buffer, offset)]
        while piece:
            piece = piece[os.write(descriptor, piece) :]


def _pages(size: int) -> int:
    return -(-size // _PAGE_BYTES) * _PAGE_BYTES
