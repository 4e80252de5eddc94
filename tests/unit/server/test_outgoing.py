"""Bodies that are sent while they still arrive."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable

import pytest

from moorage.base.http import BlobBody
from moorage.server.outgoing import Outgoing

SIZE = 3_000_001
CONTENT = random.Random(1).randbytes(SIZE)


class Taking:
    """A channel to a client that takes everything."""

    def __init__(self) -> None:
        self.socket = os.open(os.devnull, os.O_WRONLY)
        self.taken = bytearray()
        self.is_closed = False

    def write(self, data: memoryview) -> int:
        self.taken += data
        return len(data)

    def send_file(self, descriptor: int, start: int, count: int) -> int:
        raise AssertionError("nothing here is in memory")

    def flush(self) -> None:
        pass

    def close(self) -> None:
        os.close(self.socket)
        self.is_closed = True


class Growing:
    """A source, and what says how far it can be read."""

    descriptor = None

    def __init__(self) -> None:
        self.reach = 0
        self.is_closed = False
        self.asked_beyond = False
        self.waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.is_starved = asyncio.Event()

    def read_into(self, buffer: memoryview, offset: int) -> int:
        self.asked_beyond = self.asked_beyond or offset + len(buffer) > self.reach
        piece = CONTENT[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self.is_closed = True

    async def passes(self, offset: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((offset, future))
        self.is_starved.set()
        await future

    def grow(self, reach: int) -> None:
        self.reach = reach
        for offset, future in self.waiting:
            if offset < reach and not future.done():
                self.is_starved.clear()
                future.set_result(None)

    def fail(self) -> None:
        for _, future in self.waiting:
            future.set_exception(ConnectionAbortedError("no more comes"))


Scenario = Callable[[Growing, Taking, "asyncio.Task[None]", "asyncio.Future[None]"], Awaitable[None]]


def sending(segments: tuple[bytes | tuple[int, int], ...], scenario: Scenario) -> tuple[Growing, Taking]:
    source, channel = Growing(), Taking()

    async def run() -> None:
        outgoing = Outgoing(2, 2)
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        body = BlobBody(source, segments, source)
        task = asyncio.ensure_future(outgoing.send(channel, b"head", body, lost))
        try:
            await scenario(source, channel, task, lost)
        finally:
            outgoing.close()

    asyncio.run(run())
    assert not source.asked_beyond
    assert source.is_closed
    assert channel.is_closed
    return source, channel


async def starved(source: Growing) -> None:
    await source.is_starved.wait()


def test_what_is_there_is_sent_at_once_and_the_rest_as_it_comes() -> None:
    async def scenario(
        source: Growing, channel: Taking, task: asyncio.Task[None], lost: asyncio.Future[None]
    ) -> None:
        for reach in (0, 65_536, 70_000, 2_000_000):
            source.grow(reach)
            await starved(source)
            assert bytes(channel.taken) == b"head" + CONTENT[:reach]
        source.grow(SIZE)
        await task

    _, channel = sending(((0, SIZE),), scenario)

    assert bytes(channel.taken) == b"head" + CONTENT


def test_ranges_of_what_arrives_come_in_the_order_asked() -> None:
    async def scenario(
        source: Growing, channel: Taking, task: asyncio.Task[None], lost: asyncio.Future[None]
    ) -> None:
        await starved(source)
        source.grow(1_000_000)
        await starved(source)
        source.grow(SIZE)
        await task

    _, channel = sending(((2_000_000, SIZE), b"then", (7, 300_000)), scenario)

    assert bytes(channel.taken) == b"head" + CONTENT[2_000_000:] + b"then" + CONTENT[7:300_000]


def test_what_never_comes_ends_the_answer_before_its_end() -> None:
    async def scenario(
        source: Growing, channel: Taking, task: asyncio.Task[None], lost: asyncio.Future[None]
    ) -> None:
        source.grow(65_536)
        await starved(source)
        source.fail()
        with pytest.raises(ConnectionAbortedError):
            await task

    _, channel = sending(((0, SIZE),), scenario)

    assert len(channel.taken) < SIZE


def test_a_client_that_leaves_while_nothing_comes_frees_the_source() -> None:
    async def scenario(
        source: Growing, channel: Taking, task: asyncio.Task[None], lost: asyncio.Future[None]
    ) -> None:
        await starved(source)
        lost.set_exception(ConnectionResetError("the client left"))
        with pytest.raises(ConnectionResetError):
            await task

    sending(((0, SIZE),), scenario)


def test_many_who_wait_hold_no_thread() -> None:
    """Two threads, and all of them wait: another body is sent all the same."""

    async def run() -> None:
        outgoing = Outgoing(2, 2)
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = [Growing() for _ in range(20)]
        tasks = [
            asyncio.ensure_future(outgoing.send(Taking(), b"", BlobBody(each, ((0, SIZE),), each), lost))
            for each in waiting
        ]
        for each in waiting:
            await starved(each)
        there, channel = Growing(), Taking()
        there.grow(SIZE)

        await outgoing.send(channel, b"", BlobBody(there, ((0, SIZE),), there), lost)

        assert bytes(channel.taken) == CONTENT
        for each in waiting:
            each.fail()
        await asyncio.gather(*tasks, return_exceptions=True)
        outgoing.close()

    asyncio.run(run())
