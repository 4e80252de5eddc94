"""One HTTP/1.1 connection: uvicorn's protocol, with our limits, our answers to malformed input, and our byte path.

uvicorn parses, keeps alive, queues pipelined requests and drains on shutdown. Added here:
- an answer that is kept (`kept.py`) is written without starting a task;
- bodies are received in large pieces (`incoming.py`), blobs are sent by worker threads (`outgoing.py`);
- limits on what a stranger sends before we know who it is, and JSON for every refusal.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from moorage.base.http import Arrival, BlobBody, Headers, Reply
from moorage.server.channels import Channel, PlainChannel
from moorage.server.incoming import IncomingBody
from moorage.server.outgoing import Outgoing, read_whole
from moorage.server.secured import TlsTransport
from moorage.server.wire import NO_BODY, render_head, render_refusal

HEAD_BYTES_MAX = 80 << 10  # an ECR password is 2 KiB, a Range header of 1,024 parts some 24 KiB
TARGET_BYTES_MAX = 16 << 10
DRAIN_BYTES = 256 << 10  # an unread body up to this is read and dropped, and the connection lives on
LINGER_BYTES_MAX = 256 << 20  # of a longer one so much is dropped, so that the client can read the answer
INLINE_BYTES = 128 << 10  # a blob up to this is unsealed on the loop: 80 µs; handing it to a thread costs 130
READ_BYTES = 256 << 10  # at most what the loop reads at once
TLS_HELLO = 0x16
_MALFORMED = "This is not a valid HTTP/1.1 request"
_TLS_REQUIRED = "This registry is served to other machines over TLS only: use https"
_HEAD_TOO_LONG = f"The request's headers are longer than {HEAD_BYTES_MAX} bytes"


class Front(Protocol):
    """What a connection asks of the application besides running it."""

    outgoing: Outgoing

    def kept_answer(
        self, method: bytes, target: bytes, headers: Headers, date: bytes, arrival: Arrival
    ) -> bytes | None: ...

    def next_request_id(self) -> bytes: ...


Arrives = Callable[[asyncio.BaseTransport], Arrival]


class RegistryProtocol(HttpToolsProtocol):
    def __init__(self, *arguments: Any, arrives: Arrives | None = None, **keywords: Any) -> None:
        """`arrives` says how a connection came, once it is made; without it, that it came openly."""
        super().__init__(*arguments, **keywords)
        self._arrives = arrives or arrives_openly
        self.serves_loopback_only = False
        """Others have to come over TLS."""
        self.front = cast(Front, self.config.app)
        self.body: IncomingBody | None = None
        """Of the request that the parser is at."""
        self.waiting_since: float | None = self.loop.time()
        """Since when the client owes us something; None while it is our turn. The sweeper closes who waits too long."""
        self.arrival = Arrival()
        self.is_idle = True
        """Between requests."""
        self.sending: asyncio.Future[None] | None = None
        self.is_refused = False
        """Nothing that comes is read as a request any more."""
        self._is_in_head = False
        self._head_bytes = 0
        """Of the chunks before this one that the head came in; the first may have begun with something else."""
        self._chunk_bytes = 0
        self._was_kept = False
        self._dropped = 0
        self._is_lingering = False

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.arrival = self._arrives(transport)

    def data_received(self, data: bytes) -> None:
        if self.is_refused:
            if self._is_lingering:
                self._drop(len(data))
            return
        if self.is_idle and data[0] == TLS_HELLO:
            # docker tries TLS first. Without an answer it waits ten seconds; without one in HTTP, docker 26 with the
            # containerd store does not fall back to plain HTTP.
            self._refuse(400, "This port speaks plain HTTP, not TLS")
            return
        self._chunk_bytes = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:  # an offer (curl's h2c), which is not taken up
            if rest := data[upgrade.args[0] :]:
                self.data_received(rest)
            return
        except httptools.HttpParserError:
            self._refuse(400, _MALFORMED)
            return
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX + READ_BYTES:
                self._refuse(431, _HEAD_TOO_LONG)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.body is not None:
            self.body.lose()
        if self.sending is not None and not self.sending.done():
            self.sending.set_exception(ConnectionResetError("the client left"))
        super().connection_lost(exc)

    # What the parser tells

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.is_idle = False
        self.waiting_since = self.loop.time()
        self._was_kept = False
        self._is_in_head, self._head_bytes = True, 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > TARGET_BYTES_MAX:
            self._refuse(414, f"The request's target is longer than {TARGET_BYTES_MAX} bytes")

    def on_headers_complete(self) -> None:
        if self.is_refused:
            return
        self._is_in_head = False
        method = self.parser.get_method()
        announced, hosts = _announced_length_and_hosts(self.headers)
        if hosts != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            self._refuse(400, "A request has one Host header")
            return
        if self.serves_loopback_only and not is_loopback(self.arrival.address):
            self._refuse(403, _TLS_REQUIRED, "DENIED")
            return
        if self._head_bytes + self._chunk_bytes > HEAD_BYTES_MAX and _size(self.headers) > HEAD_BYTES_MAX:
            self._refuse(431, _HEAD_TOO_LONG)
            return
        self.waiting_since = None if announced == 0 or self.expect_100_continue else self.loop.time()
        is_alone = self.cycle is None or self.cycle.response_complete
        if announced == 0 and is_alone and self._answer_kept(method):
            return
        exchange = Exchange(self, IncomingBody(self, announced), self.front.next_request_id())
        if self.expect_100_continue:
            exchange.body.expect_continue()
            self.expect_100_continue = False  # the body says when, not uvicorn
        self.body = exchange.body
        self.scope["extensions"] = {"moorage": exchange}  # type: ignore[dict-item]  # our own extension
        super().on_headers_complete()
        exchange.cycle = self.cycle

    def on_body(self, body: bytes) -> None:
        self.waiting_since = self.loop.time()
        if self.body is None or self.is_refused:
            return
        if self.cycle.response_complete:
            self._drop(len(body))
        else:
            self.body.feed(body)

    def on_message_complete(self) -> None:
        self.is_idle = True
        if self._was_kept:
            self.waiting_since = self.loop.time()
            return
        if self.body is not None:
            self.body.end()
            self.body = None
        if self._is_lingering:
            self.transport.close()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self.waiting_since = self.loop.time()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def after_direct_body(self, *, is_complete: bool) -> None:
        """The body went past the parser, which therefore is still inside it: the next request gets a new one."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.is_idle = True
        self.waiting_since = None
        if not is_complete:  # the handler gave up: what comes now would be taken for a request
            self.is_refused = True
            return
        body, self.body = self.body, None
        if body is not None:
            body.end()

    # Answering

    def date(self) -> bytes:
        headers = self.server_state.default_headers
        return headers[0][1] if headers else b""

    def finish(self, cycle: RequestResponseCycle, *, closes: bool) -> None:
        """The answer is on its way: on to the next request, or to the end of the connection."""
        cycle.response_started = cycle.response_complete = True
        closes = closes or (self.is_refused and not self.pipeline)
        if closes and self.body is not None and not self.body.is_over:
            # Closing now would reset the connection under the client's reading of the answer.
            self._is_lingering = True
            self.flow.resume_reading()
        elif closes:
            self.transport.close()
        cycle.on_response()

    def lend(self) -> Channel:
        """What a thread sends on. The loop keeps its own descriptor, and writes nothing until `take_back`."""
        if isinstance(self.transport, TlsTransport):
            return self.transport.lend()
        return PlainChannel(os.dup(self.transport.get_extra_info("socket").fileno()))

    def take_back(self) -> None:
        if isinstance(self.transport, TlsTransport):
            self.transport.take_back()

    def _answer_kept(self, method: bytes) -> bool:
        if method not in (b"GET", b"HEAD") or not self.parser.should_keep_alive():
            return False
        if self.flow.write_paused:  # who does not read is not written to
            return False
        answer = self.front.kept_answer(method, self.url, self.headers, self.date(), self.arrival)
        if answer is None:
            return False
        self._was_kept = True
        self.server_state.total_requests += 1
        self.transport.write(answer)
        return True

    def _drop(self, size: int) -> None:
        """An unread body, after the answer."""
        self._dropped += size
        unread = self.body.unread if self.is_refused and self.body is not None else None
        if self._dropped > LINGER_BYTES_MAX or (unread is not None and self._dropped >= unread):
            self.transport.close()

    def _refuse(self, status: int, message: str, code: str = "UNSUPPORTED") -> None:
        """Answer what cannot be read, and read nothing more.

        1. Bad bytes after a good request: that one is answered, then the connection ends.
        2. A bad body of a request that has its answer, or whose turn to be answered has not come: nothing can be said.
        3. Otherwise the refusal is the answer; a handler that reads the body learns that the client is gone.
        """
        if self.is_refused:
            return
        self.is_refused = True
        if self.cycle is not None and (self.body is not None or not self.cycle.response_complete):
            if self.body is None:
                self.cycle.keep_alive = False  # 1
                return
            if self.cycle.response_started or self.pipeline:
                self.transport.abort()  # 2
                return
            self.cycle.disconnected = True  # 3
        request_id = self.front.next_request_id()
        self.transport.write(render_refusal(status, code, message, self.date(), request_id))
        self.transport.close()


class Exchange:
    """One request on a connection, as the application sees it."""

    cycle: RequestResponseCycle

    def __init__(self, connection: RegistryProtocol, body: IncomingBody, request_id: bytes) -> None:
        self.body = body
        self.request_id = request_id
        self._connection = connection

    @property
    def arrival(self) -> Arrival:
        return self._connection.arrival

    async def respond(self, reply: Reply) -> None:
        """Write the answer. A body that breaks while it is sent breaks the connection: nothing false is completed."""
        connection, cycle = self._connection, self.cycle
        self.body.abandon()
        await connection.flow.drain()
        if cycle.disconnected or connection.transport.is_closing():
            cycle.disconnected = True  # uvicorn would complain that nobody answered
            _close(reply)
            return
        closes = self._closes()
        head = self._head(reply, closes=closes)
        if isinstance(reply.body, bytes):
            connection.transport.write(head if cycle.scope["method"] == "HEAD" else head + reply.body)
        elif cycle.scope["method"] == "HEAD":
            _close(reply)
            connection.transport.write(head)
        elif reply.body.length <= INLINE_BYTES and reply.body.arriving is None:
            connection.transport.write(head + read_whole(reply.body))
        else:
            await self._send_blob(head, reply.body)
        # The server may have been told to stop while a long body was sent: it waits for this connection to end.
        connection.finish(cycle, closes=closes or not cycle.keep_alive)

    async def _send_blob(self, head: bytes, body: BlobBody) -> None:
        connection = self._connection
        # The thread writes past the transport: an earlier answer of a pipeline must have left it.
        connection.transport.set_write_buffer_limits(high=0)
        await connection.flow.drain()
        if connection.transport.is_closing():
            body.source.close()
            raise ConnectionResetError("the client left")
        connection.transport.set_write_buffer_limits()
        self.cycle.response_started = True
        lost: asyncio.Future[None] = connection.loop.create_future()
        connection.sending = lost
        try:
            await connection.front.outgoing.send(connection.lend(), head, body, lost)
        except BaseException:
            connection.transport.abort()
            raise
        else:
            connection.take_back()
        finally:
            connection.sending = None
            if not lost.cancel():
                lost.exception()

    def _head(self, reply: Reply, *, closes: bool) -> bytes:
        has_own = any(name == b"content-length" for name, _ in reply.headers)
        length: int | None = len(reply.body) if isinstance(reply.body, bytes) else reply.body.length
        if has_own or reply.status in NO_BODY:
            length = None
        return render_head(
            reply.status, reply.headers, length, self._connection.date(), self.request_id, closes=closes
        )

    def _closes(self) -> bool:
        """The connection cannot be used again: the client says so, or leaves more behind than we would read."""
        if not self.cycle.keep_alive or self._connection.is_refused:
            return True
        unread = self.body.unread
        return self.body.awaits_continue or unread is None or unread > DRAIN_BYTES


def arrives_openly(transport: asyncio.BaseTransport) -> Arrival:
    return Arrival(address=peer_address(transport))


def peer_address(transport: asyncio.BaseTransport) -> str:
    """Of the client, "" on a Unix socket: no IPv4 in IPv6 and no zone, so that one client has one address."""
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        return ""
    return normal_address(str(peer[0]))


def is_loopback(address: str) -> bool:
    return bool(address) and ip_address(address).is_loopback


def normal_address(text: str) -> str:
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _close(reply: Reply) -> None:
    if isinstance(reply.body, BlobBody):
        reply.body.source.close()


def _announced_length_and_hosts(headers: Headers) -> tuple[int | None, int]:
    """Content-Length: 0 without a body, None for a chunked one. The parser has refused what is contradictory."""
    announced: int | None = 0
    hosts = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            announced = int(value)
        elif name == b"transfer-encoding":
            announced = None
    return announced, hosts


def _size(headers: Headers) -> int:
    """Bytes on the wire."""
    return sum(len(name) + len(value) + len(": \r\n") for name, value in headers)
