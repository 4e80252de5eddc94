"""Ways in. Public ones: plain HTTP and TLS. Private ones: each is trusted for one thing, and says so of what arrives.

A connection shows what its listener asks for before anything of it is read as HTTP:
- an address: nothing;
- a socket file: the user at its other end is allowed;
- a client certificate: the handshake has verified it;
- a proxy: it is a trusted one, and sends its header first. Nowhere else does such a header mean anything.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import cast

import uvicorn

from moorage.base.http import Arrival
from moorage.config.addresses import host_and_port
from moorage.config.private_listener import Network, PrivateListener
from moorage.config.settings import NONE, Settings
from moorage.server.protocol import Arrives, RegistryProtocol, peer_address
from moorage.server.proxy import Proxied, ProxyHeaderRefused, parse
from moorage.server.secured import TlsTransport
from moorage.server.tls import Certificates, identity_of
from moorage.server.wire import render_refusal

BACKLOG = 2_048
HEADER_S = 10.0  # for a proxy to send its header
_CREDENTIALS = struct.Struct("3i")  # SO_PEERCRED: process, user, group

Make = Callable[[Arrives], RegistryProtocol]
Refusal = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket, and what it asks of a connection."""

    socket: socket.socket
    name: str = ""
    """"" is a public one."""
    certificates: Certificates | None = None
    allow_uids: tuple[int, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    path: Path | None = None
    serves_loopback_only: bool = False

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def close(self) -> None:
        self.socket.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Listeners:
    plain: Listener | None
    secure: Listener | None
    private: tuple[Listener, ...] = field(default=())

    @property
    def all(self) -> tuple[Listener, ...]:
        public = tuple(listener for listener in (self.plain, self.secure) if listener is not None)
        return public + self.private

    @property
    def certificates(self) -> list[Certificates]:
        return [listener.certificates for listener in self.all if listener.certificates is not None]

    @property
    def port(self) -> int | None:
        return self.plain.port if self.plain is not None else None

    @property
    def secure_port(self) -> int | None:
        return self.secure.port if self.secure is not None else None


def bind(settings: Settings) -> Listeners:
    """All of them, or none. Raise OSError, or `CertificatesRefused`."""
    bound: list[Listener] = []

    def add(listener: Listener) -> Listener:
        bound.append(listener)
        return listener

    try:
        plain = secure = None
        if settings.listen != NONE:
            plain = add(Listener(_bind(settings.listen), serves_loopback_only=settings.require_tls))
        if settings.listen_tls:
            certificates = Certificates(settings.certificates_folder)
            secure = add(Listener(_bind(settings.listen_tls), certificates=certificates))
        private = tuple(
            add(_bind_private(listener, settings.certificates_folder)) for listener in settings.listeners
        )
    except BaseException:
        for listener in bound:
            listener.close()
        raise
    return Listeners(plain, secure, private)


class Server(uvicorn.Server):
    """uvicorn's, with more than one kind of way in."""

    def __init__(
        self, config: uvicorn.Config, listeners: Sequence[Listener], next_request_id: Callable[[], bytes]
    ) -> None:
        super().__init__(config)
        self._listeners = listeners
        self._next_request_id = next_request_id

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()

        def make(arrives: Arrives) -> RegistryProtocol:
            return RegistryProtocol(
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
                _loop=loop,
                arrives=arrives,
            )

        self.servers = []
        for listener in self._listeners:
            entrance = partial(_entrance, listener, make, self._refuse, loop)
            create = loop.create_unix_server if listener.path is not None else loop.create_server
            server = await create(entrance, sock=listener.socket, backlog=BACKLOG)
            self.servers.append(server)
        self.started = True

    def _refuse(self, message: str) -> bytes:
        """The whole answer to what is no request."""
        headers = self.server_state.default_headers
        date = headers[0][1] if headers else b""
        return render_refusal(400, "UNSUPPORTED", message, date, self._next_request_id())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for listener in self._listeners:
            listener.close()


def _entrance(
    listener: Listener, make: Make, refusal: Refusal, loop: asyncio.AbstractEventLoop
) -> asyncio.BaseProtocol:
    """What a new connection meets first."""
    if listener.trusted_proxies:
        return _ProxyGate(listener, make, refusal, loop)
    if listener.path is not None:
        return _UserGate(listener, make)
    if listener.certificates is not None:
        return _secured(listener, make, refusal, loop, Arrival(listener=listener.name))
    protocol = make(partial(_arrives, Arrival(listener=listener.name)))
    protocol.serves_loopback_only = listener.serves_loopback_only
    return protocol


def _arrives(known: Arrival, transport: asyncio.BaseTransport) -> Arrival:
    """What is `known` of it, and its address, if no proxy gave one."""
    return Arrival(
        listener=known.listener,
        address=known.address or peer_address(transport),
        secure=known.secure,
        identity=known.identity,
        vpce=known.vpce,
    )


def _secured(
    listener: Listener, make: Make, refusal: Refusal, loop: asyncio.AbstractEventLoop, known: Arrival
) -> TlsTransport:
    assert listener.certificates is not None

    def opened(transport: TlsTransport) -> asyncio.BaseProtocol:
        identity = identity_of(transport.get_extra_info("ssl_object"))
        secured = Arrival(known.listener, known.address, True, identity, known.vpce)
        return make(partial(_arrives, secured))

    return TlsTransport(
        listener.certificates.context(time.monotonic()),
        loop,
        opened,
        lambda: refusal("This port speaks TLS, not plain HTTP"),
    )


class _UserGate(asyncio.Protocol):
    """Of a socket file: lets in whom it may."""

    def __init__(self, listener: Listener, make: Make) -> None:
        self._listener = listener
        self._make = make

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        through = cast(asyncio.Transport, transport)
        if self._listener.allow_uids and _user_of(through) not in self._listener.allow_uids:
            through.abort()
            return
        protocol = self._make(partial(_arrives, Arrival(listener=self._listener.name)))
        through.set_protocol(protocol)
        protocol.connection_made(through)


class _ProxyGate(asyncio.Protocol):
    """Of a listener behind a balancer: takes its header off."""

    def __init__(
        self, listener: Listener, make: Make, refusal: Refusal, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._listener = listener
        self._make = make
        self._refusal = refusal
        self._loop = loop
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = through = cast(asyncio.Transport, transport)
        if not self._is_trusted(peer_address(through)):
            through.abort()
            return
        self._deadline = self._loop.call_later(HEADER_S, through.abort)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        try:
            header = parse(self._received)
        except ProxyHeaderRefused as error:
            self._stop_deadline()
            self._transport.write(self._refusal(str(error).capitalize()))
            self._transport.close()
            return
        if header is not None:
            self._stop_deadline()
            self._pass_on(self._transport, header, self._received[header.size :])

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()

    def _is_trusted(self, address: str) -> bool:
        if not address:  # it has left already
            return False
        source = ip_address(address)
        return any(source in network for network in self._listener.trusted_proxies)

    def _pass_on(self, through: asyncio.Transport, header: Proxied, rest: bytes) -> None:
        name = self._listener.name
        known = Arrival(listener=name, address=header.address, secure=header.secure, vpce=header.vpce)
        protocol: RegistryProtocol | TlsTransport
        if self._listener.certificates is None:
            protocol = self._make(partial(_arrives, known))
        else:
            protocol = _secured(self._listener, self._make, self._refusal, self._loop, known)
        through.pause_reading()  # the kind of protocol is looked at when reading begins
        through.set_protocol(protocol)
        protocol.connection_made(through)
        if rest:
            feed = protocol.feed if isinstance(protocol, TlsTransport) else protocol.data_received
            feed(rest)
        through.resume_reading()

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()


def _user_of(transport: asyncio.Transport) -> int:
    connected: socket.socket = transport.get_extra_info("socket")
    packed = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(packed)[1])


def _bind_private(listener: PrivateListener, certificates: Path) -> Listener:
    served = Certificates(certificates, listener.client_ca) if listener.tls else None
    if listener.unix is not None:
        return Listener(
            _bind_unix(listener.unix, is_open=bool(listener.allow_uids)),
            name=listener.name,
            allow_uids=listener.allow_uids,
            path=listener.unix,
        )
    return Listener(
        _bind(listener.listen),
        name=listener.name,
        certificates=served,
        trusted_proxies=listener.trusted_proxies,
    )


def _bind(address: str) -> socket.socket:
    host, port = host_and_port(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _bind_unix(path: Path, *, is_open: bool) -> socket.socket:
    """`is_open`: who may is asked of each connection, so everybody may connect; else only our own user."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_left_behind(path):
            path.unlink()
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        if is_open:
            path.chmod(0o666)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _is_left_behind(path: Path) -> bool:
    """A socket file at which nobody listens any more."""
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
        probe.connect(str(path))
        return False
    return True
