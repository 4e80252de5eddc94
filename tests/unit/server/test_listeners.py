"""Ways in: what a connection shows becomes its arrival, and what it does not show keeps it out."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop

from moorage.base.http import Arrival, BlobBody, Body, Reply
from moorage.cli.authority import Authority, create_authority
from moorage.config.settings import Settings
from moorage.server import listeners as listeners_module
from moorage.server import protocol as protocol_module
from moorage.server import secured as secured_module
from moorage.server.listeners import Listener, Listeners, Server, bind
from moorage.server.protocol import RegistryProtocol
from moorage.server.proxy import SIGNATURE

from .conftest import Application, until

Reading = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PING = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
VPCE = "vpce-0123456789abcdef0"
HEADER = (
    SIGNATURE
    + struct.pack("!BBH", 0x21, 0x11, 12 + 3 + 1 + len(VPCE))
    + bytes([192, 0, 2, 7, 10, 0, 0, 1, 1, 2, 1, 187])
    + struct.pack("!BH", 0xEA, 1 + len(VPCE))
    + b"\x01"
    + VPCE.encode()
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """With a certificate of the server; `ca.pem` and `certs/` are those of a data directory."""
    now = datetime.now(UTC)
    authority = create_authority(Settings(data=tmp_path), now)
    issued = authority.sign_server(["localhost", "127.0.0.1"], 30, now)
    issued.write(tmp_path / "certs" / "server.pem", tmp_path / "certs" / "server.key")
    client = authority.sign_client("builder", "spiffe://example/builder", 30, now)
    client.write(tmp_path / "builder.pem", tmp_path / "builder.key")
    return authority


def trusting(folder: Path, client: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca" / "ca.pem"))
    if client is not None:
        context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
    return context


@dataclass
class Serving:
    application: Application
    listeners: Listeners
    server: Server

    async def connect(self, context: ssl.SSLContext | None = None, number: int = 0) -> Reading:
        """To a private listener by its number, or to a public one."""
        listener = self.listeners.all[number]
        if listener.path is not None:
            return await asyncio.open_unix_connection(listener.path)
        name = None if context is None else "localhost"
        return await asyncio.open_connection("127.0.0.1", listener.port, ssl=context, server_hostname=name)

    @property
    def connection(self) -> RegistryProtocol:
        [connection] = self.server.server_state.connections
        assert isinstance(connection, RegistryProtocol)
        return connection

    @property
    def listener(self) -> Listener:
        return self.listeners.all[0]


async def no_content(body: Body) -> Reply:
    await body.read(1 << 20)
    return Reply(204)


@asynccontextmanager
async def serving(settings: Settings, handler: Callable[[Body], Awaitable[Reply]]) -> AsyncIterator[Serving]:
    application = Application(handler)
    config = uvicorn.Config(application, http=RegistryProtocol, ws="none", lifespan="off", interface="asgi3")
    config.load()
    listeners = bind(settings)
    server = Server(config, listeners.all, application.next_request_id)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield Serving(application, listeners, server)
    finally:
        for each in server.servers:
            each.close()
        for listener in listeners.all:
            listener.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        application.outgoing.close()


def run(
    settings: Settings,
    scenario: Callable[[Serving], Awaitable[None]],
    handler: Callable[[Body], Awaitable[Reply]] = no_content,
) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), serving(settings, handler) as server:
            await scenario(server)

    uvloop.run(main())


def private(folder: Path, text: str) -> Settings:
    """Settings with no public listener and one private one."""
    file = folder / "moorage.toml"
    file.write_text(f'listen = "none"\ndata = "{folder}"\n[[listeners]]\nname = "p"\n{text}\n')
    return Settings.load({}, {}, file)


def public(folder: Path, **values: Any) -> Settings:
    return Settings(data=folder, listen="none", listen_tls="127.0.0.1:0", **values)


async def status(reading: Reading) -> int:
    head = await reading[0].readuntil(b"\r\n\r\n")
    return int(head.split()[1])


async def arrival(server: Serving, reading: Reading, *sent: bytes) -> Arrival:
    """Of a request on a connection."""
    for part in sent:
        reading[1].write(part)
        await reading[1].drain()
        await asyncio.sleep(0)
    reading[1].write(PING)
    assert await status(reading) == 204
    return server.application.arrivals[-1]


async def is_ended(reading: Reading) -> bool:
    try:
        return await reading[0].read() == b""
    except (ConnectionError, ssl.SSLError):
        return True


# Public


def test_plain_connection_has_an_address_and_nothing_else(tmp_path: Path) -> None:
    async def scenario(server: Serving) -> None:
        assert await arrival(server, await server.connect()) == Arrival(address="127.0.0.1")

    run(Settings(data=tmp_path, listen="127.0.0.1:0"), scenario)


def test_connection_with_tls_is_secure(tmp_path: Path, authority: Authority) -> None:
    async def scenario(server: Serving) -> None:
        reading = await server.connect(trusting(tmp_path))

        assert await arrival(server, reading) == Arrival(address="127.0.0.1", secure=True)

    run(public(tmp_path), scenario)


def test_ipv4_client_of_an_ipv6_listener_has_its_ipv4_address(tmp_path: Path) -> None:
    async def scenario(server: Serving) -> None:
        assert (await arrival(server, await server.connect())).address == "127.0.0.1"

    run(Settings(data=tmp_path, listen="[::]:0"), scenario)


@pytest.mark.parametrize("is_secure", [False, True])
@pytest.mark.parametrize("sent", [HEADER, b"PROXY TCP4 192.0.2.7 10.0.0.1 1 443\r\n"])
def test_proxy_header_where_none_is_due_is_refused(
    tmp_path: Path, authority: Authority, sent: bytes, is_secure: bool
) -> None:
    async def scenario(server: Serving) -> None:
        reading = await server.connect()
        reading[1].write(sent + PING)

        assert await status(reading) == 400
        assert server.application.arrivals == []

    run(public(tmp_path) if is_secure else Settings(data=tmp_path, listen="127.0.0.1:0"), scenario)


def test_proxy_header_within_tls_is_refused(tmp_path: Path, authority: Authority) -> None:
    async def scenario(server: Serving) -> None:
        reading = await server.connect(trusting(tmp_path))
        reading[1].write(HEADER + PING)

        assert await status(reading) == 400

    run(public(tmp_path), scenario)


def test_headers_that_name_another_address_say_nothing(tmp_path: Path) -> None:
    lying = (
        b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nForwarded: for=192.0.2.7;proto=https\r\n"
        b"X-Real-IP: 192.0.2.7\r\nTrue-Client-IP: 192.0.2.7\r\n"
    )

    async def scenario(server: Serving) -> None:
        reading = await server.connect()
        reading[1].write(PING[:-2] + lying + b"\r\n")

        assert await status(reading) == 204
        assert server.application.arrivals == [Arrival(address="127.0.0.1")]

    run(Settings(data=tmp_path, listen="127.0.0.1:0"), scenario)


def test_plain_request_where_tls_is_spoken_is_told_so(tmp_path: Path, authority: Authority) -> None:
    async def scenario(server: Serving) -> None:
        reading = await server.connect()
        reading[1].write(PING)

        answer = await reading[0].read()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"This port speaks TLS" in answer

    run(public(tmp_path), scenario)


def test_plain_http_from_another_machine_is_refused_where_tls_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(server: Serving) -> None:
        assert await arrival(server, await server.connect())
        monkeypatch.setattr(protocol_module, "is_loopback", lambda address: address != "127.0.0.1")
        reading = await server.connect()
        reading[1].write(PING)

        answer = await reading[0].read()
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"use https" in answer

    run(Settings(data=tmp_path, listen="127.0.0.1:0", require_tls=True), scenario)


# A client certificate


def test_client_certificate_is_an_identity(tmp_path: Path, authority: Authority) -> None:
    async def scenario(server: Serving) -> None:
        reading = await server.connect(trusting(tmp_path, "builder"))

        assert await arrival(server, reading) == Arrival(
            "p", address="127.0.0.1", secure=True, identity="spiffe://example/builder"
        )

    run(_mutual(tmp_path), scenario)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("client", [None, "stranger", "certs/server"])
def test_client_without_a_certificate_of_the_authority_for_clients_is_kept_out(
    tmp_path: Path, authority: Authority, client: str | None, version: ssl.TLSVersion
) -> None:
    other = create_authority(Settings(data=tmp_path / "other"), datetime.now(UTC))
    stranger = other.sign_client("builder", "spiffe://example/builder", 30, datetime.now(UTC))
    stranger.write(tmp_path / "stranger.pem", tmp_path / "stranger.key")
    context = trusting(tmp_path, client)
    context.minimum_version = context.maximum_version = version

    async def scenario(server: Serving) -> None:
        try:
            reading = await server.connect(context)
        except (ConnectionError, ssl.SSLError):
            return
        reading[1].write(PING)  # TLS 1.3: the client learns of it when it reads

        assert await is_ended(reading)
        assert server.application.arrivals == []

    run(_mutual(tmp_path), scenario)


def _mutual(folder: Path) -> Settings:
    return private(folder, f'listen = "127.0.0.1:0"\ntls = true\nclient_ca = "{folder}/ca/ca.pem"')


# A socket file


def test_user_that_may_comes_in_by_the_socket_file(tmp_path: Path) -> None:
    async def scenario(server: Serving) -> None:
        assert await arrival(server, await server.connect()) == Arrival("p")

    run(private(tmp_path, f'unix = "{tmp_path}/s"\nallow_uids = [{os.geteuid()}]'), scenario)
    assert not (tmp_path / "s").exists()


def test_user_that_may_not_is_kept_out_of_the_socket_file(tmp_path: Path) -> None:
    async def scenario(server: Serving) -> None:
        reading = await server.connect()
        reading[1].write(PING)

        assert await is_ended(reading)
        assert server.application.arrivals == []

    run(private(tmp_path, f'unix = "{tmp_path}/s"\nallow_uids = [{os.geteuid() + 1}]'), scenario)


@pytest.mark.parametrize(("allowed", "mode"), [("[]", 0o600), ("[5]", 0o666)])
def test_mode_of_the_socket_file_decides_where_no_users_are_named(
    tmp_path: Path, allowed: str, mode: int
) -> None:
    async def scenario(server: Serving) -> None:
        assert (tmp_path / "s").stat().st_mode & 0o777 == mode

    run(private(tmp_path, f'unix = "{tmp_path}/s"\nallow_uids = {allowed}'), scenario)


def test_socket_file_left_behind_is_replaced_and_one_in_use_is_not(tmp_path: Path) -> None:
    settings = private(tmp_path, f'unix = "{tmp_path}/s"')
    bind(settings).private[0].socket.close()  # as a killed process leaves it

    first = bind(settings)

    with pytest.raises(OSError):
        bind(settings)
    first.private[0].close()


def test_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")

    with pytest.raises(OSError):
        bind(private(tmp_path, f'unix = "{tmp_path}/s"'))

    assert (tmp_path / "s").read_text() == "precious"


# A proxy


def test_trusted_proxy_says_who_arrives(tmp_path: Path) -> None:
    async def scenario(server: Serving) -> None:
        assert await arrival(server, await server.connect(), HEADER) == Arrival(
            "p", address="192.0.2.7", vpce=VPCE
        )

    run(_proxied(tmp_path), scenario)


def test_header_in_pieces_and_with_the_request_behind_it_is_read(tmp_path: Path) -> None:
    async def scenario(server: Serving) -> None:
        pieces = [HEADER[index : index + 7] for index in range(0, len(HEADER), 7)]
        reading = await server.connect()
        for piece in pieces[:-1]:
            reading[1].write(piece)
            await asyncio.sleep(0.001)
        reading[1].write(pieces[-1] + PING)

        assert await status(reading) == 204
        assert server.application.arrivals == [Arrival("p", address="192.0.2.7", vpce=VPCE)]

    run(_proxied(tmp_path), scenario)


def test_proxy_that_speaks_for_itself_has_its_own_address_and_no_endpoint(tmp_path: Path) -> None:
    local = SIGNATURE + struct.pack("!BBH", 0x20, 0, 0)

    async def scenario(server: Serving) -> None:
        assert await arrival(server, await server.connect(), local) == Arrival("p", address="127.0.0.1")

    run(_proxied(tmp_path), scenario)


def test_connection_without_the_header_is_refused(tmp_path: Path) -> None:
    async def scenario(server: Serving) -> None:
        reading = await server.connect()
        reading[1].write(PING)

        assert await status(reading) == 400
        assert server.application.arrivals == []

    run(_proxied(tmp_path), scenario)


def test_header_of_an_untrusted_proxy_is_not_read(tmp_path: Path) -> None:
    async def scenario(server: Serving) -> None:
        reading = await server.connect()
        reading[1].write(HEADER + PING)

        assert await is_ended(reading)
        assert server.application.arrivals == []

    run(_proxied(tmp_path, trusted="192.0.2.0/24"), scenario)


def test_header_that_never_ends_is_waited_for_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners_module, "HEADER_S", 0.01)

    async def scenario(server: Serving) -> None:
        reading = await server.connect()
        reading[1].write(HEADER[:20])

        assert await is_ended(reading)

    run(_proxied(tmp_path), scenario)


def test_tls_begins_after_the_header(tmp_path: Path, authority: Authority) -> None:
    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect()
        writer.write(HEADER)
        await writer.start_tls(trusting(tmp_path), server_hostname="localhost")

        assert await arrival(server, (reader, writer)) == Arrival(
            "p", address="192.0.2.7", secure=True, vpce=VPCE
        )

    run(_proxied(tmp_path, "tls = true"), scenario)


def _proxied(folder: Path, text: str = "", trusted: str = "127.0.0.0/8") -> Settings:
    proxies = f'proxy_protocol = true\ntrusted_proxies = ["{trusted}"]'
    return private(folder, f'listen = "127.0.0.1:0"\n{proxies}\n{text}')


# What is bound is bound together


def test_listeners_that_cannot_all_be_bound_are_all_closed(tmp_path: Path) -> None:
    taken = bind(Settings(data=tmp_path, listen="127.0.0.1:0"))
    port = taken.port
    settings = private(
        tmp_path, f'unix = "{tmp_path}/s"\n[[listeners]]\nname = "q"\nlisten = "127.0.0.1:{port}"'
    )

    with pytest.raises(OSError):
        bind(settings)

    assert not (tmp_path / "s").exists()
    for listener in taken.all:
        listener.close()


# Bytes over TLS


@dataclass
class Blob:
    """A `BlobSource` of bytes that are its own offset."""

    size: int
    descriptor: int | None = None
    is_closed: bool = False

    def read_into(self, buffer: memoryview, offset: int) -> int:
        stop = min(self.size, offset + len(buffer))
        pattern = bytes(range(251))
        start = offset % 251
        content = (pattern * ((stop - offset) // 251 + 2))[start : start + stop - offset]
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self.is_closed = True

    @property
    def content(self) -> bytes:
        buffer = bytearray(self.size)
        self.read_into(memoryview(buffer), 0)
        return bytes(buffer)


@pytest.mark.parametrize("is_hot", [False, True])
@pytest.mark.parametrize("size", [128 << 10, (1 << 20) + 1, 40 << 20])
def test_blob_over_tls_is_whole_and_the_next_request_follows_it(
    tmp_path: Path, authority: Authority, size: int, is_hot: bool
) -> None:
    source = Blob(size)
    if is_hot:
        (tmp_path / "hot").write_bytes(source.content)
        source.descriptor = os.open(tmp_path / "hot", os.O_RDONLY)

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect(trusting(tmp_path))
        writer.write(PING + PING)  # the second comes while the first is sent
        for _ in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            assert f"content-length: {size}".encode() in head
            assert await reader.readexactly(size) == source.content
        writer.write(PING)
        await reader.readexactly(100)

    async def send(body: Body) -> Reply:
        return Reply(200, [], BlobBody(source, ((0, size),)))

    run(public(tmp_path), scenario, send)
    assert source.is_closed


def test_ranges_and_literals_over_tls_come_in_order(tmp_path: Path, authority: Authority) -> None:
    source = Blob(4 << 20)
    content = source.content

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect(trusting(tmp_path))
        writer.write(PING)
        await reader.readuntil(b"\r\n\r\n")
        wanted = b"first" + content[7:300_000] + b"then" + content[1_000_000:3_000_001]
        assert await reader.readexactly(len(wanted)) == wanted

    async def send(body: Body) -> Reply:
        return Reply(200, [], BlobBody(source, (b"first", (7, 300_000), b"then", (1_000_000, 3_000_001))))

    run(public(tmp_path), scenario, send)


def test_client_that_stops_reading_over_tls_is_parked_and_served_when_it_reads_again(
    tmp_path: Path, authority: Authority
) -> None:
    source = Blob(48 << 20)

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect(trusting(tmp_path))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(PING)
        await until(lambda: bool(server.application.arrivals) and server.connection.sending is not None)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(source.size) == source.content

    async def send(body: Body) -> Reply:
        return Reply(200, [], BlobBody(source, ((0, source.size),)))

    run(public(tmp_path), scenario, send)


def test_client_that_leaves_in_the_middle_over_tls_frees_the_blob(
    tmp_path: Path, authority: Authority
) -> None:
    source = Blob(64 << 20)

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect(trusting(tmp_path))
        writer.write(PING)
        await reader.readexactly(1_000)
        writer.transport.abort()

        await until(lambda: source.is_closed)
        await until(lambda: not server.server.server_state.connections)

    async def send(body: Body) -> Reply:
        return Reply(200, [], BlobBody(source, ((0, source.size),)))

    run(public(tmp_path), scenario, send)


@pytest.mark.parametrize("size", [1, 16_385, 200_000, 5_000_001])
def test_body_over_tls_is_whole_and_the_next_request_follows_it(
    tmp_path: Path, authority: Authority, size: int
) -> None:
    content = Blob(size).content

    async def scenario(server: Serving) -> None:
        reading = await server.connect(trusting(tmp_path))
        reader, writer = reading
        for _ in range(2):
            writer.write(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + content + PING)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(size) == content
            assert await status(reading) == 200

    async def echo(body: Body) -> Reply:
        return Reply(200, [], b"".join([bytes(piece) async for piece in body.batches()]))

    run(public(tmp_path), scenario, echo)


def test_client_that_is_silent_before_its_hello_is_left(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secured_module, "HANDSHAKE_S", 0.01)

    async def scenario(server: Serving) -> None:
        assert await is_ended(await server.connect())

    run(public(tmp_path), scenario)


def test_end_that_the_client_announces_ends_the_connection(tmp_path: Path, authority: Authority) -> None:
    async def scenario(server: Serving) -> None:
        reading = await server.connect(trusting(tmp_path))
        assert await arrival(server, reading)
        reading[1].close()

        await until(lambda: not server.server.server_state.connections)

    run(public(tmp_path), scenario)


def test_answer_that_closes_is_read_to_its_end(tmp_path: Path, authority: Authority) -> None:
    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect(trusting(tmp_path))
        writer.write(PING[:-2] + b"Connection: close\r\n\r\n")

        assert (await reader.read()).endswith(b"\r\n\r\n")

    run(public(tmp_path), scenario)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_session_is_resumed(tmp_path: Path, authority: Authority, version: ssl.TLSVersion) -> None:
    context = trusting(tmp_path)
    context.minimum_version = context.maximum_version = version

    def twice(port: int) -> bool:
        session = None
        is_reused = False
        for _ in range(2):
            with (
                socket.create_connection(("127.0.0.1", port)) as raw,
                context.wrap_socket(raw, server_hostname="localhost", session=session) as client,
            ):
                client.sendall(PING)
                client.recv(1_000)
                session, is_reused = client.session, bool(client.session_reused)
        return is_reused

    async def scenario(server: Serving) -> None:
        assert await asyncio.to_thread(twice, server.listener.port)

    run(public(tmp_path), scenario)


@pytest.mark.parametrize("sent", [b"\x16" + bytes(100), b"\x16\x03\x01\xff\xff" + bytes(70_000), b"\x16"])
def test_hello_that_is_none_ends_the_connection_alone(
    tmp_path: Path, authority: Authority, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secured_module, "HANDSHAKE_S", 0.05)

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect()
        writer.write(sent)
        with suppress(ConnectionError):
            assert b"HTTP" not in await reader.read()

        monkeypatch.undo()
        assert await arrival(server, await server.connect(trusting(tmp_path)))

    run(public(tmp_path), scenario)


def test_record_that_was_changed_on_the_way_is_not_read(tmp_path: Path, authority: Authority) -> None:
    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect()
        there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting(tmp_path).wrap_bio(there, here, server_hostname="localhost")
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(here.read())
                there.write(await reader.read(65_536))
        client.write(PING)
        sealed = bytearray(here.read())
        sealed[-1] ^= 1
        writer.write(sealed)

        await until(lambda: not server.server.server_state.connections)
        assert server.application.arrivals == []

    run(public(tmp_path), scenario)


def test_what_a_client_sends_on_while_it_is_sent_a_blob_is_bounded_and_read_afterwards(
    tmp_path: Path, authority: Authority
) -> None:
    source = Blob(20 << 20)
    body = 1 << 20

    async def scenario(server: Serving) -> None:
        reader, writer = await server.connect(trusting(tmp_path))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(PING)
        await until(lambda: bool(server.application.arrivals) and server.connection.sending is not None)
        writer.write(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % body + bytes(body))

        def held() -> int:
            return sum(map(len, server.connection.transport._held))  # type: ignore[attr-defined]

        await until(lambda: held() > 0)
        for _ in range(1_000):  # more would come in these turns if more were taken
            await asyncio.sleep(0)
        assert held() <= secured_module.HELD_BYTES_MAX + secured_module.RECEIVE_BYTES
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        for length in (source.size, 0):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 20")
            await reader.readexactly(length)

    async def send(request: Body) -> Reply:
        if request.announced:
            await request.read(2 * body)
            return Reply(204)
        return Reply(200, [], BlobBody(source, ((0, source.size),)))

    run(public(tmp_path), scenario, send)
