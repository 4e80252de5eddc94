"""Where the bytes of an answer go, as a sending thread sees it: the bare socket, or TLS on it (decisions, 26; ADR 7).

A channel takes what the client takes, and raises `BlockingIOError` when that is nothing for now. It belongs to one
thread at a time, together with the writing side of the connection.
"""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from typing import Protocol

# What a client that stops reading leaves encrypted. With 64 KiB a GiB costs a fifth more of a core, with 256 no less.
PIECE_BYTES = 128 << 10


class Channel(Protocol):
    socket: int
    """A descriptor of its own: wait on it, do not write to it."""

    def write(self, data: memoryview) -> int:
        """Return how much of `data` is taken."""
        ...

    def send_file(self, descriptor: int, start: int, count: int) -> int:
        """Return how much of a file in memory is taken; 0 at its end."""
        ...

    def flush(self) -> None:
        """Return when all that was taken is on its way."""
        ...

    def close(self) -> None: ...


class PlainChannel:
    """The kernel has what is taken."""

    def __init__(self, socket: int) -> None:
        self.socket = socket

    def write(self, data: memoryview) -> int:
        return os.write(self.socket, data)

    def send_file(self, descriptor: int, start: int, count: int) -> int:
        return os.sendfile(self.socket, descriptor, start, count)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        os.close(self.socket)


class TlsChannel:
    """A piece is encrypted when all before it has gone, so that a slow client costs one piece."""

    def __init__(self, socket: int, tls: ssl.SSLObject, encrypted: ssl.MemoryBIO) -> None:
        self.socket = socket
        self._tls = tls
        self._encrypted = encrypted
        self._unsent = memoryview(b"")

    def write(self, data: memoryview) -> int:
        self.flush()
        piece = data[:PIECE_BYTES]
        self._tls.write(piece)  # into memory: it takes all
        self._unsent = memoryview(self._encrypted.read())
        with suppress(BlockingIOError):
            self.flush()
        return len(piece)

    def send_file(self, descriptor: int, start: int, count: int) -> int:
        self.flush()
        piece = os.pread(descriptor, min(count, PIECE_BYTES), start)
        return self.write(memoryview(piece)) if piece else 0

    def flush(self) -> None:
        while self._unsent:
            self._unsent = self._unsent[os.write(self.socket, self._unsent) :]

    def close(self) -> None:
        os.close(self.socket)
