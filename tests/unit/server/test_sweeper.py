"""Who is closed for owing us something too long, and who waits for us instead. Time is an argument."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import uvloop

from moorage.base.http import Body, Reply
from moorage.server.sweeper import BODY_S, HEAD_S, IDLE_S, close_stalled

from .conftest import Serving, serving, until

SLACK_S = 5.0  # between the event and the question, on a loaded machine
Scenario = Callable[[Serving], Awaitable[None]]


def run(scenario: Scenario, handler: Callable[[Body], Awaitable[Reply]] | None = None) -> None:
    async def main() -> None:
        async with serving(handler or read_all) as server:
            await scenario(server)

    uvloop.run(main())


async def read_all(body: Body) -> Reply:
    async for _ in body.batches():
        pass
    return Reply(204)


def closed_after(server: Serving, seconds: float) -> int:
    return close_stalled(server.state, asyncio.get_running_loop().time() + seconds)


def test_connection_that_says_nothing_is_closed_after_the_idle_time() -> None:
    async def scenario(server: Serving) -> None:
        reader, _ = await server.connect()
        await until(lambda: len(server.state.connections) == 1)

        assert closed_after(server, IDLE_S - SLACK_S) == 0
        assert closed_after(server, IDLE_S + 1) == 1
        with suppress(ConnectionResetError):
            assert await reader.read() == b""

    run(scenario)


@pytest.mark.parametrize("piece", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: slow"])
def test_head_that_never_ends_is_closed_after_the_head_time(piece: bytes) -> None:
    async def scenario(server: Serving) -> None:
        _, writer = await server.connect()
        writer.write(piece)
        await until(lambda: bool(server.state.connections) and not server.connection.is_idle)

        assert closed_after(server, HEAD_S - SLACK_S) == 0
        assert closed_after(server, HEAD_S + 1) == 1

    run(scenario)


def test_head_that_begins_after_a_long_idle_time_has_the_whole_head_time() -> None:
    async def scenario(server: Serving) -> None:
        _, writer = await server.connect()
        await until(lambda: len(server.state.connections) == 1)
        server.connection.waiting_since = asyncio.get_running_loop().time() - 80
        writer.write(b"GET / HTTP/1.1\r\n")
        await until(lambda: not server.connection.is_idle)

        assert closed_after(server, 0) == 0
        assert closed_after(server, HEAD_S + 1) == 1

    run(scenario)


@pytest.mark.parametrize(
    ("framing", "sent"),
    [
        (b"Content-Length: 10\r\n", b""),
        (b"Content-Length: 10\r\n", b"12345"),
        (b"Content-Length: 10000000\r\n", b""),
        (b"Content-Length: 10000000\r\n", b"12345"),
        (b"Content-Length: 10000000\r\n", b"x" * 700_000),
        (b"Transfer-Encoding: chunked\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\n12"),
        (b"Content-Length: 10\r\nExpect: 100-continue\r\n", b""),
    ],
)
def test_body_that_stalls_is_closed_after_the_body_time_and_its_handler_told(
    framing: bytes, sent: bytes
) -> None:
    async def scenario(server: Serving) -> None:
        _, writer = await server.connect()
        writer.write(b"PUT / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n" + sent)
        await until(lambda: bool(server.state.connections) and server.connection.body is not None)
        await until(lambda: server.connection.waiting_since is not None)

        assert closed_after(server, BODY_S - SLACK_S) == 0
        assert closed_after(server, BODY_S + 1) == 1
        await until(lambda: not server.state.connections and bool(server.application.errors))

    run(scenario)


@pytest.mark.parametrize("size", [0, 10, 100_000, 2_000_000])
def test_client_that_waits_for_our_answer_is_never_closed(size: int) -> None:
    may_answer = asyncio.Event()

    async def slow(body: Body) -> Reply:
        await read_all(body)
        await may_answer.wait()
        return Reply(204)

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect()
        writer.write(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await writer.drain()
        await until(lambda: bool(server.state.connections) and server.connection.cycle is not None)
        await until(lambda: server.connection.body is None)

        assert closed_after(server, 10_000) == 0
        may_answer.set()
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 204")
        await until(lambda: server.connection.cycle.response_complete)
        assert closed_after(server, IDLE_S - SLACK_S) == 0
        assert closed_after(server, IDLE_S + 1) == 1

    run(scenario, slow)


@pytest.mark.parametrize("framing", [b"Content-Length: 10000000\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_client_whose_body_we_hold_up_is_never_closed(framing: bytes) -> None:
    may_read = asyncio.Event()

    async def late(body: Body) -> Reply:
        await may_read.wait()
        return await read_all(body)

    async def scenario(server: Serving) -> None:
        _, writer = await server.connect()
        piece = b"a0000\r\n" + bytes(0xA0000) + b"\r\n" if b"chunked" in framing else bytes(700_000)
        writer.write(b"PUT / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n" + piece)
        await until(lambda: bool(server.state.connections) and server.connection.body is not None)
        await until(lambda: server.connection.waiting_since is None)

        assert closed_after(server, 10_000) == 0
        may_read.set()
        await until(lambda: server.connection.waiting_since is not None)
        assert closed_after(server, BODY_S - SLACK_S) == 0
        assert closed_after(server, BODY_S + 1) == 1

    run(scenario, late)
