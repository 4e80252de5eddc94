"""Sending blobs: worker threads unseal and write to the connection, or let the kernel send from memory.

A thread never waits long for a client: when the channel takes no more for a moment, the transfer is parked, holding
nothing but its position (over TLS one encrypted piece too), and goes on when the loop sees the socket writable. So the
number of slow clients costs no memory, and a thread for each core is enough: more of them only take the interpreter's
lock from each other (64 MiB by 8 readers on 2 cores: 2.2 GB/s with 2 threads, 1.6 with 16).
"""

from __future__ import annotations

import asyncio
import select
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from moorage.base.errors.ourselves import Corrupted
from moorage.base.http import Arriving, BlobBody
from moorage.server.channels import Channel

BATCH_BYTES = (
    1 << 20
)  # 64 MiB by 8 readers: 1.8, 2.2, 2.4 GB/s at 256 KiB, 512 KiB, 1 MiB; 2 MiB is no better
TURN_BYTES = 32 << 20  # then another transfer has the thread, if one waits
PATIENCE_MS = 4  # a client on this machine is ready again within that; 50 ms was no better
STALL_S = 60.0  # a client that takes nothing for so long is left


class Outgoing:
    """The worker threads of all connections."""

    def __init__(self, threads: int, cores: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="send")
        self._ahead = ThreadPoolExecutor(max(cores - 1, 1), thread_name_prefix="unseal")
        self._cores = cores
        self._active = 0

    async def send(self, channel: Channel, head: bytes, body: BlobBody, lost: asyncio.Future[None]) -> None:
        """Write `head` and `body`. `lost` is resolved with an exception when the client leaves. Close channel and
        source.
        """
        loop = asyncio.get_running_loop()
        transfer = _Transfer(channel, head, body)
        self._active += 1
        try:
            while not transfer.is_done:
                ahead = self._ahead if self._active < self._cores else None
                await loop.run_in_executor(self._threads, transfer.run, ahead)
                if lost.done():
                    lost.result()
                if transfer.is_parked:
                    await _writable(loop, channel.socket, lost)
                elif transfer.starved_at is not None and body.arriving is not None:
                    await _arrived(body.arriving, transfer.starved_at, lost)
        finally:
            self._active -= 1
            transfer.close()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._ahead.shutdown(wait=False, cancel_futures=True)


async def _writable(loop: asyncio.AbstractEventLoop, socket: int, lost: asyncio.Future[None]) -> None:
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(socket, wake)
    try:
        await asyncio.wait((ready, lost), timeout=STALL_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_writer(socket)
    if lost.done():
        lost.result()
    if not ready.done():
        raise TimeoutError("the client takes nothing")


async def _arrived(arriving: Arriving, offset: int, lost: asyncio.Future[None]) -> None:
    """No thread waits for bytes that are still on their way to us."""
    passes = asyncio.ensure_future(arriving.passes(offset))
    try:
        await asyncio.wait((passes, lost), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not passes.cancel():
            passes.exception()
    if lost.done():
        lost.result()
    passes.result()


class _Transfer:
    """Position in one answer. `run` is called by one thread at a time."""

    def __init__(self, channel: Channel, head: bytes, body: BlobBody) -> None:
        self.is_done = False
        self.is_parked = False
        self.starved_at: int | None = None
        """Where the source ends for now, when it was read up to there."""
        self._channel = channel
        self._body = body
        self._segments = list(reversed((head, *body.segments)))
        self._turn = 0

    def run(self, ahead: ThreadPoolExecutor | None) -> None:
        """Send until all is sent, the socket is full, or others should have a turn."""
        self.is_parked, self.starved_at, self._turn = False, None, TURN_BYTES
        while self._segments and not self.is_parked and self.starved_at is None and self._turn > 0:
            segment = self._segments.pop()
            if isinstance(segment, bytes):
                self._send_literal(segment)
            elif self._body.arriving is not None:
                self._send_arrived(*segment, self._body.arriving.reach)
            elif self._body.source.descriptor is not None:
                self._send_file(self._body.source.descriptor, *segment)
            elif ahead is not None and segment[1] - segment[0] > 2 * BATCH_BYTES:
                self._send_unsealed_ahead(*segment, ahead)
            else:
                self._send_unsealed(*segment)
        self.is_done = not self._segments and self._flush()

    def close(self) -> None:
        self._channel.close()
        self._body.source.close()

    def _send_literal(self, data: bytes) -> None:
        sent = self._write(memoryview(data))
        if sent < len(data):
            self._segments.append(data[sent:])

    def _send_file(self, descriptor: int, start: int, stop: int) -> None:
        while start < stop and self._turn > 0:
            try:
                sent = self._channel.send_file(descriptor, start, min(stop - start, self._turn))
            except BlockingIOError:
                if not self._wait():
                    break
                continue
            if not sent:
                raise Corrupted(what="a blob in memory")
            start += sent
            self._turn -= sent
        self._keep(start, stop)

    def _send_arrived(self, start: int, stop: int, reach: int) -> None:
        there = min(stop, reach)
        if there <= start:
            self.starved_at = start
            self._keep(start, stop)
        else:
            self._keep(there, stop)
            self._send_unsealed(start, there)

    def _send_unsealed(self, start: int, stop: int) -> None:
        buffer = _buffers.first
        while start < stop and self._turn > 0 and not self.is_parked:
            filled = self._fill(buffer, start, stop)
            start += self._write(buffer[:filled])
        self._keep(start, stop)

    def _send_unsealed_ahead(self, start: int, stop: int, ahead: ThreadPoolExecutor) -> None:
        """The next batch is unsealed by another thread while this one is sent: worth it when a core is idle."""
        buffers = (_buffers.first, _buffers.second)
        turn = 0
        filled = self._fill(buffers[0], start, stop)
        while start < stop and not self.is_parked:
            following: Future[int] | None = None
            if start + filled < stop and self._turn > filled:
                following = ahead.submit(self._fill, buffers[1 - turn], start + filled, stop)
            try:
                start += self._write(buffers[turn][:filled])
            finally:
                unsealed = following.result() if following else 0
            if following is None:
                break
            filled, turn = unsealed, 1 - turn
        self._keep(start, stop)

    def _fill(self, buffer: memoryview, start: int, stop: int) -> int:
        # Batches end at frame borders, so that no frame is unsealed twice.
        wanted = min(stop - start, BATCH_BYTES - start % BATCH_BYTES)
        filled = self._body.source.read_into(buffer[:wanted], start)
        if filled != wanted:
            raise Corrupted(what="a blob shorter than its row says")
        return filled

    def _write(self, view: memoryview) -> int:
        """Write what the channel takes; park if it stays full. Return the bytes taken."""
        sent = 0
        while sent < len(view):
            try:
                sent += self._channel.write(view[sent:])
            except BlockingIOError:
                if not self._wait():
                    break
        self._turn -= sent
        return sent

    def _flush(self) -> bool:
        """What was taken last has gone too; park if it does not go."""
        while True:
            try:
                self._channel.flush()
            except BlockingIOError:
                if not self._wait():
                    return False
            else:
                return True

    def _wait(self) -> bool:
        poll = select.poll()
        poll.register(self._channel.socket, select.POLLOUT)
        self.is_parked = not poll.poll(PATIENCE_MS)
        return not self.is_parked

    def _keep(self, start: int, stop: int) -> None:
        if start < stop:
            self._segments.append((start, stop))


class _Buffers(threading.local):
    """Two batches for each sending thread, made once."""

    def __init__(self) -> None:
        self.first = memoryview(bytearray(BATCH_BYTES))
        self.second = memoryview(bytearray(BATCH_BYTES))


_buffers = _Buffers()


def read_whole(body: BlobBody) -> bytes:
    """A small body, unsealed at once. Close the source."""
    try:
        return b"".join(
            part if isinstance(part, bytes) else _read(body, part[0], part[1] - part[0])
            for part in body.segments
        )
    finally:
        body.source.close()


def _read(body: BlobBody, start: int, size: int) -> bytes:
    buffer = bytearray(size)
    if size and body.source.read_into(memoryview(buffer), start) != size:
        raise Corrupted(what="a blob shorter than its row says")
    return bytes(buffer)
