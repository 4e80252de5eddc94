"""Buffers that are used again: allocating half a MiB anew for each batch costs page faults."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Buffers:
    """Buffers of one size. As many exist as are in use at once; at most `kept` stay afterwards."""

    def __init__(self, size: int, kept: int) -> None:
        self._size = size
        self._free: deque[bytearray] = deque(maxlen=kept)  # its operations are atomic

    @contextmanager
    def taken(self) -> Iterator[memoryview]:
        """A buffer with any content, for the length of the block."""
        try:
            buffer = self._free.pop()
        except IndexError:
            buffer = bytearray(self._size)
        try:
            yield memoryview(buffer)
        finally:
            self._free.append(buffer)
