"""TLS on a connection: a protocol towards the socket's transport, a transport towards the HTTP protocol (ADR 7).

The loop's own TLS cannot be lent: here a sending thread has the cipher for as long as it sends a blob, so that
encryption too runs beside the loop, and a slow client holds one piece instead of full buffers.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from moorage.server.channels import TlsChannel

HANDSHAKE_S = 20.0
RECEIVE_BYTES = 256 << 10
HELD_BYTES_MAX = 64 << 10  # of what a client sends on while it is sent a blob
_HANDSHAKE_RECORD = 0x16
_received = memoryview(bytearray(RECEIVE_BYTES))
"""Of all connections of the loop: what is in it is taken before the loop reads from another."""

Opened = Callable[["TlsTransport"], asyncio.BaseProtocol]


class TlsTransport(asyncio.BufferedProtocol, asyncio.Transport):
    def __init__(
        self,
        context: ssl.SSLContext,
        loop: asyncio.AbstractEventLoop,
        opened: Opened,
        plain_answer: Callable[[], bytes],
    ) -> None:
        """`opened` makes the protocol when the handshake is done; `plain_answer` is for who speaks without TLS."""
        asyncio.Transport.__init__(self)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._loop = loop
        self._opened = opened
        self._plain_answer = plain_answer
        self._transport: asyncio.Transport | None = None
        self._protocol: asyncio.BaseProtocol | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_begun = False
        self._is_closing = False
        self._is_paused = False
        self._is_delivering = False
        self._is_lent = False
        self._held: list[bytes] = []
        """What came while a thread had the cipher."""

    # Towards the socket: asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # uvloop's is a Transport, but says so to nobody
        self._deadline = self._loop.call_later(HANDSHAKE_S, self.abort)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _received

    def buffer_updated(self, nbytes: int) -> None:
        self.feed(_received[:nbytes])

    def feed(self, data: memoryview | bytes) -> None:
        """What came from the client."""
        if self._is_lent:
            self._hold(bytes(data))
            return
        if not self._is_begun:
            self._is_begun = True
            if data[0] != _HANDSHAKE_RECORD:
                self._raw.write(self._plain_answer())
                self._raw.close()
                return
        self._incoming.write(data)
        if self._protocol is None:
            self._shake_hands()
        else:
            self._deliver()

    def eof_received(self) -> bool:
        self._deliver()
        if isinstance(self._protocol, asyncio.Protocol | asyncio.BufferedProtocol):
            self._protocol.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._stop_deadline()
        if self._protocol is not None:
            self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    # Towards HTTP: asyncio.Transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self._tls
        if name == "sslcontext":
            return self._tls.context
        return self._raw.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def pause_reading(self) -> None:
        self._is_paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """What is decrypted already is delivered in a turn of its own: who resumes may not expect it yet."""
        self._is_paused = False
        if self._is_lent or self._is_closing:
            return
        self._raw.resume_reading()
        self._loop.call_soon(self._deliver)

    def is_reading(self) -> bool:
        return not self._is_paused

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        assert not self._is_lent, "a thread has the cipher"
        if data and not self._is_closing:
            self._tls.write(data)
            self._flush()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def is_closing(self) -> bool:
        return self._is_closing or self._raw.is_closing()

    def close(self) -> None:
        """Say so to the client; its answer is not waited for."""
        if self._is_closing:
            return
        if self._is_lent or self._protocol is None:
            self.abort()
            return
        self._is_closing = True
        with suppress(ssl.SSLError):  # "wants to read": the client's word
            self._tls.unwrap()
        self._flush()
        self._raw.close()

    def abort(self) -> None:
        self._is_closing = True
        self._raw.abort()

    # For a thread that sends

    def lend(self) -> TlsChannel:
        """Until `take_back` the cipher is the channel's: nothing is written here, and nothing read. The write buffer
        must be empty.
        """
        self._is_lent = True
        descriptor: int = self._raw.get_extra_info("socket").fileno()
        return TlsChannel(os.dup(descriptor), self._tls, self._outgoing)

    def take_back(self) -> None:
        self._is_lent = False
        held, self._held = self._held, []
        for data in held:
            self._incoming.write(data)
        if not self._is_paused:
            self.resume_reading()

    # Within

    @property
    def _raw(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError:  # the client is told why by an alert
            self._flush()
            self._raw.close()
            return
        self._flush()
        self._stop_deadline()
        self._protocol = self._opened(self)
        self._protocol.connection_made(self)
        self._deliver()

    def _deliver(self) -> None:
        if self._is_delivering or self._protocol is None:
            return
        self._is_delivering = True
        try:
            while not (self._is_paused or self._is_lent or self._is_closing):
                if not self._deliver_piece(self._protocol):
                    self._end()
        except ssl.SSLWantReadError:
            self._flush()  # an answer to the client's own upkeep, such as new keys
        except ssl.SSLError:
            self.abort()
        finally:
            self._is_delivering = False

    def _deliver_piece(self, protocol: asyncio.BaseProtocol) -> bool:
        """False when the client has said that nothing more will come."""
        if not isinstance(protocol, asyncio.BufferedProtocol):
            data = self._tls.read(RECEIVE_BYTES)
            if data:
                protocol.data_received(data)  # type: ignore[attr-defined]  # a Protocol, then
            return bool(data)
        buffer = memoryview(protocol.get_buffer(RECEIVE_BYTES))
        filled, count = 0, 1
        try:
            while filled < len(buffer) and count:  # a record at a time
                # typeshed knows of bytearrays only.
                count = self._tls.read(len(buffer) - filled, buffer[filled:])  # type: ignore[assignment]
                filled += count
        finally:
            if filled:
                protocol.buffer_updated(filled)
        return bool(count)

    def _end(self) -> None:
        if isinstance(self._protocol, asyncio.Protocol | asyncio.BufferedProtocol):
            self._protocol.eof_received()
        self.close()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._raw.write(data)

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        if sum(map(len, self._held)) >= HELD_BYTES_MAX:
            self._raw.pause_reading()

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
