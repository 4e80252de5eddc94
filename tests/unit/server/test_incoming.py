"""Bodies: every byte once and in order, however they arrive and whoever gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from moorage.base.errors.requests import RequestEntityTooLarge
from moorage.base.http import Body, Reply
from moorage.server.incoming import BATCH_BYTES, BUFFERS, DIRECT_FROM

from .conftest import Serving, serving, until

SIZES = [
    1,
    1_000,
    DIRECT_FROM - 1,
    DIRECT_FROM,
    DIRECT_FROM + 1,
    BATCH_BYTES + 1,
    (BUFFERS + 2) * BATCH_BYTES + 7,
]
PING = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def run(scenario: Callable[[Serving], Awaitable[None]], handler: Callable[[Body], Awaitable[Reply]]) -> None:
    async def main() -> None:
        async with serving(handler) as server, asyncio.timeout(60):
            await scenario(server)

    uvloop.run(main())


def content_of(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def head_of(size: int, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n" % (size, lines)


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")), 0
    )
    return int(head.split()[1]), await reader.readexactly(length)


async def echo_batches(body: Body) -> Reply:
    return Reply(200, [], b"".join([bytes(piece) async for piece in body.batches()]))


async def echo_read(body: Body) -> Reply:
    return Reply(200, [], await body.read(100 << 20))


@pytest.mark.parametrize("handler", [echo_batches, echo_read])
@pytest.mark.parametrize("size", SIZES)
def test_body_arrives_whole_and_the_next_request_follows_it(
    handler: Callable[[Body], Awaitable[Reply]], size: int
) -> None:
    content = content_of(size)

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect()
        for _ in range(2):
            writer.write(head_of(size) + content + PING)
            assert await answer(reader) == (200, content)
            assert await answer(reader) == (200, b"")

    run(scenario, handler)


@pytest.mark.parametrize("handler", [echo_batches, echo_read])
@pytest.mark.parametrize("piece", [1_000, 40_000, 200_000])
def test_body_in_pieces_smaller_than_a_batch_does_not_stall(
    handler: Callable[[Body], Awaitable[Reply]], piece: int
) -> None:
    content = content_of(600_000)

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect()
        writer.write(head_of(len(content)))
        await until(lambda: bool(server.state.connections) and server.connection.body is not None)
        for start in range(0, len(content), piece):
            writer.write(content[start : start + piece])
            await writer.drain()
            await asyncio.sleep(0)
        assert await answer(reader) == (200, content)

    run(scenario, handler)


@pytest.mark.parametrize("handler", [echo_batches, echo_read])
@pytest.mark.parametrize("piece", [1, 70_000, 700_000])
def test_chunked_body_arrives_whole(handler: Callable[[Body], Awaitable[Reply]], piece: int) -> None:
    content = content_of(piece * 7)
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (piece, content[start : start + piece]) for start in range(0, len(content), piece)
    )

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect()
        head = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + chunks + b"0\r\n\r\n" + PING)
        assert await answer(reader) == (200, content)
        assert await answer(reader) == (200, b"")

    run(scenario, handler)


@pytest.mark.parametrize("taken", [0, 1, 2])
@pytest.mark.parametrize("size", [300_000, 3_000_000, 40_000_000])
def test_handler_that_gives_up_in_the_middle_is_heard_by_a_client_that_sends_all_first(
    size: int, taken: int
) -> None:
    async def give_up(body: Body) -> Reply:
        if taken:
            count = 0
            async for _ in body.batches():
                count += 1
                if count == taken:
                    break
        return Reply(507, [], b"full")

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect()
        content = bytes(1 << 20)
        writer.write(head_of(size))
        for start in range(0, size, len(content)):
            writer.write(content[: size - start])
            await writer.drain()  # raises if the connection was reset under us
        assert await answer(reader) == (507, b"full")
        writer.write(PING)  # a connection that lives on answers, one that ends says so
        rest = await reader.read(1)
        assert rest in (b"", b"H")

    run(scenario, give_up)


@pytest.mark.parametrize("size", [1_000, 200_000, 3_000_000])
def test_unread_body_is_dropped_and_never_taken_for_a_request(size: int) -> None:
    served = []

    async def ignore(body: Body) -> Reply:
        served.append(body.announced)
        return Reply(401, [], b"who")

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect()
        smuggled = (PING * (size // len(PING) + 1))[:size]
        writer.write(head_of(size) + smuggled)
        assert await answer(reader) == (401, b"who")
        writer.write_eof()
        await reader.read()

        assert served == [size]

    run(scenario, ignore)


@pytest.mark.parametrize("size", [1_000, 3_000_000])
def test_client_that_leaves_before_the_end_is_a_connection_error(size: int) -> None:
    for handler in (echo_batches, echo_read):

        async def scenario(server: Serving) -> None:
            _, writer = await server.connect()
            writer.write(head_of(size) + bytes(size - 1))
            await writer.drain()
            writer.close()
            await until(lambda: bool(server.application.errors))

            assert isinstance(server.application.errors[0], ConnectionResetError)

        run(scenario, handler)


@pytest.mark.parametrize("framing", [b"Content-Length: 11\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_body_larger_than_the_limit_is_refused(framing: bytes) -> None:
    async def limited(body: Body) -> Reply:
        try:
            await body.read(10)
        except RequestEntityTooLarge as error:
            return Reply(413, [], str(error).encode())
        return Reply(200)

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect()
        content = b"b\r\n12345678901\r\n0\r\n\r\n" if b"chunked" in framing else b"12345678901"
        writer.write(b"PUT / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n" + content)
        assert await answer(reader) == (413, b"The body is larger than 10 bytes")

    run(scenario, limited)


def test_continue_is_said_when_the_handler_reads_and_not_before() -> None:
    may_read = asyncio.Event()

    async def late(body: Body) -> Reply:
        await may_read.wait()
        return await echo_read(body)

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect()
        writer.write(head_of(3, b"Expect: 100-continue"))
        await until(lambda: bool(server.state.connections) and server.connection.body is not None)
        assert server.connection.body is not None
        assert server.connection.body.awaits_continue
        may_read.set()
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert await answer(reader) == (200, b"abc")

    run(scenario, late)
