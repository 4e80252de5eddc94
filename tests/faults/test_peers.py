"""Clients that stall or leave, and the end of the server while they are at work."""

from __future__ import annotations

import hashlib
import random
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ..wire.registry.client import Connection, Gone
from .conftest import MIB, Image, Running, Wire, digest_of, eventually, serving, start

NAME = "peers"
READERS = 100
LEAVERS = 200
READER_BYTES = 512 << 10  # of memory for each reader that stalls, at the most
CACHE = 32 * MIB


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with serving(tmp_path / "data", "--memory-cache", "0") as server:
        server.client().create_repository(repositoryName=NAME)
        yield server


def test_readers_that_stop_reading_cost_little(server: Running, record_property: pytest.RecordProperty) -> None:
    wire = server.wire()
    content = _content(64 * MIB)
    digest = _push(wire, content)
    assert _is_pulled_whole(wire, digest)
    before, descriptors = server.resident_bytes(), server.descriptors()

    stalled = [_begin_pull(wire, digest) for _ in range(READERS)]
    highest = before
    for _ in range(10):
        assert _is_pulled_whole(wire, digest)  # others are served meanwhile
        highest = max(highest, server.resident_bytes())
    for reader in stalled:
        reader.close()

    record_property("bytes_per_stalled_reader", (highest - before) // READERS)
    print(f"{READERS} stalled readers: {(highest - before) >> 10} KiB more in all")
    assert highest - before < READERS * READER_BYTES
    eventually(lambda: server.descriptors() <= descriptors, "descriptors of clients that left stay open")


def test_clients_that_leave_in_mid_download_leave_nothing(server: Running) -> None:
    wire = server.wire()
    digest = _push(wire, _content(16 * MIB))
    assert _is_pulled_whole(wire, digest)
    wire.close()
    settled = _settled_descriptors(server)
    source = random.Random(1)

    for _ in range(LEAVERS):
        reader = _begin_pull(wire, digest)
        reader.socket.recv(source.choice([1, 1_000, 300_000]))
        _leave(reader, source)

    assert _is_pulled_whole(wire, digest)
    wire.close()
    eventually(lambda: server.descriptors() <= settled, f"{server.descriptors()} descriptors, not {settled}")


def test_clients_that_leave_in_mid_upload_leave_a_session_that_can_go_on_or_be_cancelled(server: Running) -> None:
    wire = server.wire()
    Image.random(0, "warm", (MIB, 10)).push(wire, NAME)
    wire.close()
    settled = _settled_descriptors(server)
    source = random.Random(2)
    content = _content(2 * MIB)
    sessions = []

    for number in range(LEAVERS):
        location = wire.begin(NAME)
        sessions.append(location)
        sent = source.choice([0, 10, 70_000, 700_000, len(content) - 1])
        writer = wire.connect()
        way = ("PATCH", location) if number % 2 else ("PUT", f"{location}?digest={digest_of(content)}")
        writer.send(wire.head(*way, length=len(content)) + content[:sent])
        _leave(writer, source)
    _finish_one(wire, sessions.pop(), content)
    for location in sessions:
        eventually(lambda: wire.ask("DELETE", location).status == 204, f"{location} cannot be cancelled")  # noqa: B023

    wire.close()
    assert not server.uploads()
    assert not server.rows("SELECT 1 FROM uploads")
    eventually(lambda: server.descriptors() <= settled, f"{server.descriptors()} descriptors, not {settled}")


def test_sessions_of_clients_that_left_do_not_outlive_their_process(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        server.client().create_repository(repositoryName=NAME)
        wire = server.wire()
        for _ in range(20):
            writer = wire.connect()
            writer.send(wire.head("PATCH", wire.begin(NAME), length=MIB) + bytes(MIB // 2))
            writer.close()
        assert server.uploads()
        assert server.stop() == 0

    with serving(tmp_path / "data") as server:
        eventually(lambda: not server.uploads(), "partial files of a process that ended")
        assert not server.rows("SELECT 1 FROM uploads")


def test_a_pull_that_runs_at_sigterm_is_finished(tmp_path: Path) -> None:
    size = 200 * MIB
    server = start(tmp_path / "data", "--memory-cache", "0")
    assert server is not None
    try:
        server.client().create_repository(repositoryName=NAME)
        wire = server.wire()
        digest = _push(wire, _content(size))
        reader = wire.connect()
        reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 << 10)
        reader.send(wire.head("GET", f"/v2/{NAME}/blobs/{digest}"))
        head = _head_of(reader)
        assert f"content-length: {size}".encode() in head.lower()

        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not _accepts(server), "new clients are still accepted")

        assert _hash_of_rest(reader, size) == digest
        # Though the client keeps its connection: it asked for nothing more.
        assert server.wait(20) == 0
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.wait()


@pytest.mark.parametrize("is_finished", [True, False], ids=["finished", "left"])
def test_an_upload_that_runs_at_sigterm_ends_cleanly(tmp_path: Path, is_finished: bool) -> None:
    content = _content(8 * MIB)
    with serving(tmp_path / "data") as server:
        server.client().create_repository(repositoryName=NAME)
        wire = server.wire()
        authorization = wire.authorization
        Image.random(0, "kept", (MIB, 10)).push(wire, NAME)
        writer = wire.connect()
        writer.send(
            wire.head("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest_of(content)}", length=len(content))
        )
        writer.send(content[: 4 * MIB])
        eventually(lambda: bool(server.uploads()), "the upload has not begun")

        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not _accepts(server), "new clients are still accepted")
        if is_finished:
            writer.send(content[4 * MIB :])
            assert writer.answer().status == 201
        writer.close()
        assert server.wait() == 0

    with serving(tmp_path / "data") as server:
        wire = Wire(server.host, authorization)
        Image.random(0, "kept", (MIB, 10)).check(wire, NAME)
        answer = wire.ask("GET", f"/v2/{NAME}/blobs/{digest_of(content)}")
        assert (answer.status, answer.body == content) == ((200, True) if is_finished else (404, False))
        eventually(lambda: not server.uploads(), "the partial file is still there")


def test_slow_readers_do_not_hold_up_pushes(server: Running) -> None:
    wire = server.wire()
    digest = _push(wire, _content(64 * MIB))
    stalled = [_begin_pull(wire, digest) for _ in range(READERS)]
    done = threading.Event()

    def push() -> None:
        Image.random(1, "beside", (3 * MIB, 10)).push(wire.as_caller(wire.authorization), NAME)
        done.set()

    threading.Thread(target=push, daemon=True).start()

    assert done.wait(30)
    for reader in stalled:
        reader.close()


def _content(size: int) -> bytes:
    """Quickly made; no two frames are equal."""
    block = random.Random(size).randbytes(MIB)
    return b"".join(number.to_bytes(8, "big") + block[8:] for number in range(size // MIB))


def _push(wire: Wire, content: bytes) -> str:
    return wire.push_blob(NAME, content)


def _begin_pull(wire: Wire, digest: str) -> Connection:
    """A client with a small window, that has read nothing yet."""
    reader = wire.connect()
    reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
    reader.send(wire.head("GET", f"/v2/{NAME}/blobs/{digest}"))
    return reader


def _is_pulled_whole(wire: Wire, digest: str) -> bool:
    return digest_of(wire.ask("GET", f"/v2/{NAME}/blobs/{digest}").body) == digest


def _leave(connection: Connection, source: random.Random) -> None:
    """In good order, or with a reset."""
    if source.random() < 0.5:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def _finish_one(wire: Wire, location: str, content: bytes) -> None:
    """The session goes on where it stands, as soon as the server knows that the other client left."""

    def is_finished() -> bool:
        status = wire.ask("GET", location)
        assert status.status == 204, status
        last = int((status.header("range") or "").partition("-")[2])
        first = last + 1 if last else 0  # "0-0": nothing yet, or one byte, which this test never sends
        headers = {"Content-Range": f"{first}-{len(content) - 1}"}
        return wire.ask("PUT", f"{location}?digest={digest_of(content)}", headers, content[first:]).status == 201

    eventually(is_finished, "the session cannot go on")
    assert wire.ask("GET", f"/v2/{NAME}/blobs/{digest_of(content)}").body == content


def _settled_descriptors(server: Running) -> int:
    """When those of earlier connections are closed."""
    counts: list[int] = []

    def is_settled() -> bool:
        counts.append(server.descriptors())
        return len(counts) >= 5 and len(set(counts[-5:])) == 1

    eventually(is_settled, "the number of open descriptors does not settle")
    return counts[-1]


def _accepts(server: Running) -> bool:
    with suppress(OSError, Gone):
        Wire(server.host).ask("GET", "/v2/")
        return True
    return False


def _head_of(reader: Connection) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += reader.socket.recv(1)
    return head


def _hash_of_rest(reader: Connection, size: int) -> str:
    state, missing = hashlib.sha256(), size
    while missing:
        part = reader.socket.recv(min(missing, MIB))
        assert part, f"broken off with {missing} bytes missing"
        state.update(part)
        missing -= len(part)
    return f"sha256:{state.hexdigest()}"
