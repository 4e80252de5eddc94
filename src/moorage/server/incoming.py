"""Receiving a request's body.

A large body of known length is received by the kernel straight into pooled buffers: the connection's protocol steps
aside (`asyncio.BufferedProtocol`) until the last byte, so that neither parser nor copy stands between socket and
hashing. What is chunked, or small, comes through the parser.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol, cast

from uvicorn.protocols.http.flow_control import FlowControl

from moorage.base.errors.requests import RequestEntityTooLarge

BATCH_BYTES = 512 << 10  # eight frames: what one pass of sealing writes at once
BUFFERS = 3  # of one upload: one being sealed, one full, one filling
DIRECT_FROM = 128 << 10  # what is left of a body must be worth stepping aside
PARSED_MAX = 512 << 10  # held of a body that comes through the parser, before reading pauses
POOL_MAX = 24


class Connection(Protocol):
    """What a body asks of the connection that it comes over."""

    transport: asyncio.Transport
    flow: FlowControl
    loop: asyncio.AbstractEventLoop
    waiting_since: float | None

    def after_direct_body(self, *, is_complete: bool) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class IncomingBody:
    """`base.http.Body` over a connection. Fed by the protocol, read by one handler."""

    def __init__(self, connection: Connection, announced: int | None) -> None:
        self.announced = announced
        self.is_over = announced == 0
        """Nothing more will come: all was received, or the client left."""
        self.received = 0
        self._connection = connection
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_lost = False
        self._wakes: asyncio.Future[None] | None = None
        self._expects_continue = False
        self._receiver: _Receiver | None = None

    # For the protocol

    def expect_continue(self) -> None:
        """The client waits for `100 Continue` before it sends: it is told when somebody begins to read."""
        self._expects_continue = True

    @property
    def awaits_continue(self) -> bool:
        return self._expects_continue

    def feed(self, data: bytes) -> None:
        self.received += len(data)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes >= PARSED_MAX or self._is_large():
            self._connection.flow.pause_reading()
            self._connection.waiting_since = None
            self._wake()  # whoever reads must take it before more can come
        elif self._held_bytes >= BATCH_BYTES // 2:
            self._wake()

    def end(self) -> None:
        self.is_over = True
        self._wake()

    def lose(self) -> None:
        self._is_lost = not self.is_over
        self.is_over = True
        self._wake()

    def abandon(self) -> None:
        """The handler is through: it may have given up in the middle of what was received directly."""
        if self._receiver is None or self.announced is None:
            return
        receiver, self._receiver = self._receiver, None
        receiver.stop()
        self.received = self.announced - receiver.unread
        self.is_over = receiver.unread == 0 or receiver.is_lost

    @property
    def unread(self) -> int | None:
        """Bytes still to come from the client; None when it did not say."""
        if self.is_over:
            return 0
        return None if self.announced is None else self.announced - self.received

    def _is_large(self) -> bool:
        unread = self.unread
        return unread is not None and unread >= DIRECT_FROM

    # For the handler

    async def read(self, limit: int) -> bytes:
        if self.announced is not None and self.announced > limit:
            raise RequestEntityTooLarge(limit=limit)
        self._begin()
        parts: list[bytes] = []
        size = 0
        while True:
            held = self._take()
            self._resume()
            size += len(held)
            if size > limit:
                raise RequestEntityTooLarge(limit=limit)
            parts.append(held)
            if self.is_over and not self._held:
                self._check()
                return b"".join(parts)
            await self._more()

    async def batches(self) -> AsyncIterator[memoryview]:
        """Pieces of some 512 KiB; each is the reader's until it asks for the next."""
        self._begin()
        while True:
            if self._is_large():  # reading is paused: what the parser saw of it is all that it will see
                held = self._take()
                if len(held) >= BATCH_BYTES:
                    yield memoryview(held)
                    held = b""
                async for piece in self._direct(held):
                    yield piece
                return
            if self._held:
                held = self._take()
                self._resume()
                yield memoryview(held)
            if self.is_over and not self._held:
                self._check()
                return
            if self._held_bytes < BATCH_BYTES // 2:
                await self._more()

    async def _direct(self, held: bytes) -> AsyncIterator[memoryview]:
        assert self.announced is not None
        self._receiver = receiver = _Receiver(self._connection, self.announced - self.received, held)
        receiver.start()
        try:
            while (piece := await receiver.next()) is not None:
                yield piece
        finally:
            self.abandon()
        self._is_lost = receiver.is_lost
        self._check()

    def _begin(self) -> None:
        if self._expects_continue:
            self._expects_continue = False
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._connection.waiting_since = self._connection.loop.time()

    def _resume(self) -> None:
        """What was held is taken: the client may send on, and owes it unless all is there."""
        self._connection.flow.resume_reading()
        if not self.is_over:
            self._connection.waiting_since = self._connection.loop.time()

    def _take(self) -> bytes:
        held = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        self._held, self._held_bytes = [], 0
        return held

    async def _more(self) -> None:
        if self.is_over:
            return
        self._wakes = asyncio.get_running_loop().create_future()
        await self._wakes

    def _wake(self) -> None:
        if self._wakes is not None and not self._wakes.done():
            self._wakes.set_result(None)

    def _check(self) -> None:
        if self._is_lost:
            raise ConnectionResetError("the client left before the end of the body")


class _Receiver(asyncio.BufferedProtocol):
    """Takes the connection's place until `unread` bytes have come, never one more.

    The first piece begins with `held`, so that the pieces are whole frames: those are sealed where they lie.
    """

    def __init__(self, connection: Connection, unread: int, held: bytes) -> None:
        self.is_lost = False
        self.unread = unread
        self._connection = connection
        self._filled = len(held)
        self._buffer = _POOL.take()
        self._buffer[: len(held)] = held
        self._full: deque[tuple[memoryview, int]] = deque()
        self._lent: memoryview | None = None
        self._owned = 1
        self._is_paused = False
        self._is_installed = False
        self._wakes: asyncio.Future[None] | None = None

    def start(self) -> None:
        connection = self._connection
        connection.waiting_since = connection.loop.time()
        connection.flow.resume_reading()
        connection.transport.pause_reading()
        connection.transport.set_protocol(self)
        connection.transport.resume_reading()
        self._is_installed = True

    async def next(self) -> memoryview | None:
        """The next piece; the one before goes back to the kernel. None at the end."""
        self._reclaim()
        while not self._full:
            if self.unread == 0 or self.is_lost:
                return None
            self._wakes = asyncio.get_running_loop().create_future()
            await self._wakes
        buffer, size = self._full.popleft()
        self._lent = buffer
        return buffer[:size]

    def stop(self) -> None:
        """Give the connection back: at the end, or because the handler will not read on."""
        self._reclaim()
        for buffer, _ in self._full:
            _POOL.give(buffer)
        self._full.clear()
        _POOL.give(self._buffer)
        self._hand_back(is_complete=self.unread == 0)

    # asyncio.BufferedProtocol

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer[self._filled : min(BATCH_BYTES, self._filled + self.unread)]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        self.unread -= nbytes
        self._connection.waiting_since = self._connection.loop.time()
        if self._filled < BATCH_BYTES and self.unread:
            return
        self._full.append((self._buffer, self._filled))
        self._filled = 0
        self._buffer = _EMPTY
        if self.unread == 0:
            self._hand_back(is_complete=True)
        elif self._owned < BUFFERS:
            self._owned += 1
            self._buffer = _POOL.take()
        else:
            self._is_paused = True
            self._connection.waiting_since = None
            self._connection.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._lose()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose()
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def _reclaim(self) -> None:
        """The lent buffer is free: fill it again if reading waits for one."""
        buffer, self._lent = self._lent, None
        if buffer is None:
            return
        if self._is_paused and self.unread:
            self._buffer = buffer
            self._is_paused = False
            self._connection.waiting_since = self._connection.loop.time()
            if not self._connection.transport.is_closing():
                self._connection.transport.resume_reading()
            return
        self._owned -= 1
        _POOL.give(buffer)

    def _hand_back(self, *, is_complete: bool) -> None:
        if not self._is_installed:
            return
        self._is_installed = False
        transport = self._connection.transport
        if transport.is_closing():
            return
        if not self._is_paused:
            transport.pause_reading()
        transport.set_protocol(cast(asyncio.BaseProtocol, self._connection))  # it is one
        self._connection.after_direct_body(is_complete=is_complete)
        transport.resume_reading()

    def _lose(self) -> None:
        self.is_lost = self.unread > 0
        self._wake()

    def _wake(self) -> None:
        if self._wakes is not None and not self._wakes.done():
            self._wakes.set_result(None)


_EMPTY = memoryview(bytearray(0))


class _Pool:
    """Buffers kept between uploads: touching fresh memory costs as much as a quarter of the sealing."""

    def __init__(self) -> None:
        self._free: list[memoryview] = []

    def take(self) -> memoryview:
        return self._free.pop() if self._free else memoryview(bytearray(BATCH_BYTES))

    def give(self, buffer: memoryview) -> None:
        if len(buffer) and len(self._free) < POOL_MAX:
            self._free.append(buffer)


_POOL = _Pool()
