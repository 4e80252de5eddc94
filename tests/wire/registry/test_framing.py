"""HTTP itself: what is malformed, oversized, pipelined or half sent, and how the connection ends."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import suppress

import pytest

from ...conftest import Repository, Server, until
from .client import Answer, Connection, Gone, Wire, digest_of

MALFORMED = (400, "UNSUPPORTED", "This is not a valid HTTP/1.1 request")
ONE_HOST = (400, "UNSUPPORTED", "A request has one Host header")
HEAD_TOO_LONG = (431, "UNSUPPORTED", "The request's headers are longer than 81920 bytes")
TARGET_TOO_LONG = (414, "UNSUPPORTED", "The request's target is longer than 16384 bytes")


@pytest.fixture(scope="module")
def shared(repository: Repository) -> str:
    return repository("wire/framing")


def exchange(wire: Wire, *pieces: bytes) -> Answer:
    """The only answer to raw bytes, after which the server must close."""
    with wire.connect() as connection:
        for piece in pieces:
            connection.send(piece)
        answer = connection.answer()
        assert answer.header("connection") == "close"
        assert connection.is_closed()
        return answer


def wait_until_taken(wire: Wire, location: str) -> Answer:
    """What a second writer is told while another request holds the session."""
    for _ in until(20, "nobody takes the session"):
        answer = wire.ask("PATCH", location)
        if answer.status == 416:
            return answer
    raise AssertionError


def wait_until_free(wire: Wire, location: str) -> Answer:
    for _ in until(20, "the session stays taken"):
        answer = wire.ask("PATCH", location)
        if answer.status == 202:
            return answer
    raise AssertionError


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 preface"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", id="CONNECT"),
        pytest.param(b"GET v2 HTTP/1.1\r\nHost: x\r\n\r\n", id="relative target"),
        pytest.param(b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n", id="empty authority"),
        pytest.param(b"GET /v2/\xe9 HTTP/1.1\r\nHost: x\r\n\r\n", id="target not ASCII"),
        pytest.param(b"GET /v2/\0 HTTP/1.1\r\nHost: x\r\n\r\n", id="NUL in target"),
        pytest.param(b"GET /v2/ HTTP/3.7\r\nHost: x\r\n\r\n", id="HTTP/3.7"),
        pytest.param(b"BREW /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", id="unknown method"),
        pytest.param(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", id="folded header"),
        pytest.param(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n", id="space before colon"),
        pytest.param(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", id="NUL in header"),
        pytest.param(b"GET /v2/ HTTP/1.1\nHost: x\n\n", id="line feeds only"),
        pytest.param(b"\x80\x01\x02\x03", id="noise"),
    ],
)
def test_what_is_not_http_is_refused_in_json_and_closed(nobody: Wire, sent: bytes) -> None:
    assert exchange(nobody, sent).error == MALFORMED


@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: b\r\n", b"Host: a\r\nHost: a\r\n"])
def test_request_without_exactly_one_host_is_refused(wire: Wire, hosts: bytes) -> None:
    authorization = f"Authorization: {wire.authorization}\r\n\r\n".encode()

    assert exchange(wire, b"GET /v2/ HTTP/1.1\r\n" + hosts + authorization).error == ONE_HOST


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: 99999999999999999999999999\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
    ],
)
def test_contradictory_length_is_refused_and_what_follows_is_not_a_request(
    wire: Wire, shared: str, lengths: bytes
) -> None:
    location = wire.begin(shared)
    head = wire.head("PATCH", location)[:-2] + lengths + b"\r\n"

    assert exchange(wire, head + b"0\r\n\r\n" + wire.head("DELETE", location)).error == MALFORMED
    assert wire.ask("GET", location).header("range") == "0-0"


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloXX\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nhello\r\n",
        b"-1\r\n\r\n",
    ],
)
@pytest.mark.parametrize("in_one_piece", [True, False])
def test_bad_chunk_framing_is_refused_and_closed(
    wire: Wire, shared: str, chunks: bytes, in_one_piece: bool
) -> None:
    location = wire.begin(shared)
    head = wire.head("PATCH", location, {"Transfer-Encoding": "chunked"})

    pieces = (head + chunks,) if in_one_piece else (head, chunks)
    assert exchange(wire, *pieces).error == MALFORMED

    assert wait_until_free(wire, location).status == 202


@pytest.mark.parametrize("kibibytes", [100, 200, 300, 1_000])
def test_header_flood_is_refused_with_431(wire: Wire, kibibytes: int) -> None:
    flood = wire.head("GET", "/v2/", {"X-Flood": "a" * (kibibytes << 10)})

    assert exchange(wire, flood).error == HEAD_TOO_LONG


def test_flood_of_small_headers_is_refused_with_431(wire: Wire) -> None:
    assert exchange(wire, wire.head("GET", "/v2/", [("X", "a")] * 20_000)).error == HEAD_TOO_LONG


def test_headers_that_never_end_are_refused_with_431(nobody: Wire) -> None:
    pieces = [b"X: " + b"a" * 8_000 + b"\r\n"] * 100

    assert exchange(nobody, b"GET /v2/ HTTP/1.1\r\nHost: x\r\n", *pieces).error == HEAD_TOO_LONG


def test_headers_of_70_kib_are_read(wire: Wire) -> None:
    assert wire.ask("GET", "/v2/", {"X-Long": "a" * (70 << 10)}).status == 200


@pytest.mark.parametrize("kibibytes", [17, 64, 1_024])
def test_long_target_is_refused_with_414(wire: Wire, kibibytes: int) -> None:
    assert exchange(wire, wire.head("GET", "/v2/" + "a" * (kibibytes << 10))).error == TARGET_TOO_LONG


def test_target_of_15_kib_is_read(wire: Wire) -> None:
    assert wire.ask("GET", "/v2/" + "a/" * 7_500 + "tags/list").error[:2] == (400, "NAME_INVALID")


def test_trap_24_tls_hello_on_the_plain_port_is_answered_in_http_and_closed_at_once(nobody: Wire) -> None:
    """docker 26 with the containerd store falls back to plain HTTP only when it is told that this is HTTP."""
    with nobody.connect() as connection:
        connection.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")

        assert connection.answer().status == 400
        assert connection.is_closed()


def test_trap_24_sequential_closing_requests_complete(wire: Wire) -> None:
    for _ in range(45):
        with wire.connect() as connection:
            connection.send(wire.head("GET", "/v2/", {"Connection": "close"}))
            answer = connection.answer()

            assert (answer.status, answer.body, answer.header("connection")) == (200, b"{}", "close")
            assert connection.is_closed()


@pytest.mark.parametrize("connection_header", ["", "Connection: keep-alive\r\n"])
def test_http_1_0_is_answered_and_closed(wire: Wire, connection_header: str) -> None:
    lines = f"GET /v2/ HTTP/1.0\r\nAuthorization: {wire.authorization}\r\n{connection_header}\r\n"

    assert exchange(wire, lines.encode()).body == b"{}"


def test_absolute_target_is_answered_as_its_path(wire: Wire) -> None:
    assert wire.ask("GET", f"http://{wire.host}/v2/").body == b"{}"


def test_offer_of_another_protocol_is_not_taken_up(wire: Wire) -> None:
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}

    with wire.connect() as connection:
        connection.send(wire.head("GET", "/v2/", offer) + wire.head("GET", "/v2/"))
        assert connection.answer().body == b"{}"
        assert connection.answer().body == b"{}"

        connection.send(wire.head("GET", "/v2/"))
        assert connection.answer().body == b"{}"


def test_pipelined_requests_are_answered_in_order(wire: Wire, shared: str) -> None:
    small, large = wire.push_blob(shared, b"small"), wire.push_blob(shared, bytes(300_000))
    targets = [f"/v2/{shared}/blobs/{digest}" for digest in (large, small, large, small)]

    with wire.connect() as connection:
        connection.send(b"".join(wire.head("GET", target) for target in ["/v2/", *targets, "/v2/"]))

        bodies = [connection.answer().body for _ in range(6)]

    assert bodies == [b"{}", bytes(300_000), b"small", bytes(300_000), b"small", b"{}"]


def test_pipelined_chunks_are_appended_in_order(wire: Wire, shared: str) -> None:
    location = wire.begin(shared)
    requests = [wire.head("PATCH", location, length=4) + b"%04d" % number for number in range(50)]

    with wire.connect() as connection:
        connection.send(b"".join(requests))
        ranges = [connection.answer("PATCH").header("range") for _ in requests]

    assert ranges == [f"0-{4 * number + 3}" for number in range(50)]
    digest = digest_of(b"".join(b"%04d" % number for number in range(50)))
    assert wire.ask("PUT", f"{location}?digest={digest}").status == 201


def test_noise_after_a_good_request_is_answered_after_the_good_one(wire: Wire) -> None:
    with wire.connect() as connection:
        connection.send(wire.head("GET", "/v2/_catalog?n=1") + b"\x80 noise\r\n\r\n")

        answers = [connection.answer()]
        with suppress(Gone):
            answers.append(connection.answer())

    assert answers[0].status == 200
    assert [answer.status for answer in answers[1:]] in ([], [400])


@pytest.mark.parametrize("size", [10, 200_000, 5_000_000])
def test_request_after_a_body_on_the_same_connection_is_answered(wire: Wire, shared: str, size: int) -> None:
    content = bytes(size)
    upload = f"/v2/{shared}/blobs/uploads/?digest={digest_of(content)}"

    with wire.connect() as connection:
        connection.send(wire.head("POST", upload, length=size) + content + wire.head("GET", "/v2/"))

        assert connection.answer("POST").status == 201
        assert connection.answer().body == b"{}"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_trap_9_unauthenticated_50_mib_get_a_readable_401(
    nobody: Wire, wire: Wire, shared: str, framing: str
) -> None:
    target = f"/v2/{shared}/blobs/uploads/00000000-0000-0000-0000-000000000000?digest=sha256:{'0' * 64}"
    piece = bytes(1 << 20)
    with nobody.connect() as connection:
        if framing == "length":
            connection.socket.sendall(nobody.head("PUT", target, length=50 << 20))
            for _ in range(50):
                connection.socket.sendall(piece)
        else:
            connection.socket.sendall(nobody.head("PUT", target, {"Transfer-Encoding": "chunked"}))
            for _ in range(50):
                connection.socket.sendall(b"100000\r\n" + piece + b"\r\n")
            connection.socket.sendall(b"0\r\n\r\n")

        answer = connection.answer("PUT")

        assert answer.error == (401, "UNAUTHORIZED", "Not Authorized")
        assert answer.header("www-authenticate") is not None
        assert answer.header("connection") == "close"
        assert connection.is_closed()
    assert wire.ask("GET", "/v2/").status == 200


def test_trap_9_a_small_unread_body_does_not_end_the_connection(
    nobody: Wire, wire: Wire, shared: str
) -> None:
    with nobody.connect() as connection:
        connection.send(nobody.head("PUT", f"/v2/{shared}/manifests/a", length=1_000) + bytes(1_000))
        assert connection.answer("PUT").status == 401

        connection.send(wire.head("GET", "/v2/"))
        assert connection.answer().body == b"{}"


def test_trap_9_expect_denied_is_answered_without_reading(nobody: Wire, shared: str) -> None:
    target = f"/v2/{shared}/blobs/uploads/?digest=sha256:{'0' * 64}"

    with nobody.connect() as connection:
        connection.send(nobody.head("POST", target, {"Expect": "100-continue"}, length=50 << 20))
        answer = connection.answer("POST")

        assert answer.status == 401
        assert answer.header("connection") == "close"


@pytest.mark.parametrize("size", [5, 2 << 20])
def test_expect_allowed_gets_100_after_authorization_and_then_the_answer(
    wire: Wire, shared: str, size: int
) -> None:
    content = bytes(size)
    target = f"/v2/{shared}/blobs/uploads/?digest={digest_of(content)}"

    with wire.connect() as connection:
        connection.send(wire.head("POST", target, {"Expect": "100-continue"}, length=size))
        assert connection.answer("POST").status == 100

        connection.send(content)
        assert connection.answer("POST").status == 201


def test_expect_of_an_unknown_session_is_answered_without_100(wire: Wire, shared: str) -> None:
    with wire.connect() as connection:
        connection.send(
            wire.head(
                "PATCH", f"/v2/{shared}/blobs/uploads/unknown", {"Expect": "100-continue"}, length=1 << 30
            )
        )

        assert connection.answer("PATCH").status == 404


@pytest.mark.parametrize(
    ("announced", "sent"), [(10, 4), (500_000, 200_000), (8_000_000, 3_000_000), (None, 300_000)]
)
def test_client_that_leaves_in_mid_chunk_can_resume_where_it_stands(
    wire: Wire, shared: str, announced: int | None, sent: int
) -> None:
    content = bytes(range(256)) * 31_250
    location = wire.begin(shared)
    with wire.connect() as connection:
        if announced is None:
            head = wire.head("PATCH", location, {"Transfer-Encoding": "chunked"})
            connection.send(head + b"7a120\r\n" + content[:sent])
        else:
            connection.send(wire.head("PATCH", location, length=announced) + content[:sent])
        wait_until_taken(wire, location)

    answer = wait_until_free(wire, location)

    last = int(str(answer.header("range")).removeprefix("0-"))
    received = last + 1 if last else 0
    assert received <= sent
    rest = content[received:]
    resumed = wire.ask("PATCH", location, {"Content-Range": f"{received}-{len(content) - 1}"}, rest)
    assert resumed.status == 202
    assert wire.ask("PUT", f"{location}?digest={digest_of(content)}").status == 201


@pytest.mark.parametrize("size", [1_000, 4_000_000])
def test_truncated_body_stores_nothing(wire: Wire, shared: str, size: int) -> None:
    content = b"truncated" + bytes(size)
    digest = digest_of(content)
    for method, target in [
        ("POST", f"/v2/{shared}/blobs/uploads/?digest={digest}"),
        ("PUT", f"{wire.begin(shared)}?digest={digest}"),
        ("PUT", f"/v2/{shared}/manifests/truncated"),
    ]:
        with wire.connect() as connection:
            connection.send(wire.head(method, target, length=len(content)) + content[:-1])
            connection.socket.shutdown(socket.SHUT_WR)
            with pytest.raises(Gone):
                connection.answer(method)

    assert wire.ask("HEAD", f"/v2/{shared}/blobs/{digest}").status == 404
    assert wire.ask("HEAD", f"/v2/{shared}/manifests/truncated").status == 404


def test_single_post_that_breaks_leaves_no_file(wire: Wire, shared: str, server: Server) -> None:
    partial = server.data / "uploads"
    before = set(partial.rglob("*"))
    target = f"/v2/{shared}/blobs/uploads/?digest={digest_of(b'never whole')}"
    with wire.connect() as connection:
        connection.send(wire.head("POST", target, length=4_000_000) + bytes(3_000_000))
        for _ in until(20, "the upload never begins"):
            if set(partial.rglob("*")) - before:
                break
    for content_range in ("0-5", "x"):
        assert wire.ask("POST", target, {"Content-Range": content_range}, b"never whole").status == 400

    for _ in until(20, "what a broken upload wrote stays"):
        if set(partial.rglob("*")) <= before:
            break


def test_client_that_resets_while_a_blob_is_sent_harms_nobody(wire: Wire, shared: str) -> None:
    content = bytes(8 << 20)
    target = f"/v2/{shared}/blobs/{wire.push_blob(shared, content)}"
    for _ in range(4):
        connection = Connection(wire.host)
        connection.send(wire.head("GET", target))
        connection.socket.recv(1_000)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    assert wire.ask("GET", target).body == content


def test_trap_5_two_writers_on_one_upload_the_second_gets_416_at_once(wire: Wire, shared: str) -> None:
    location = wire.begin(shared)
    with wire.connect() as first:
        first.send(wire.head("PATCH", location, length=8) + b"1234")
        second = wait_until_taken(wire, location)

        assert second.header("location") == location
        assert str(second.header("range")).startswith("0-")
        assert second.error[:2] == (416, "BLOB_UPLOAD_INVALID")
        for method, target in [("PUT", f"{location}?digest={digest_of(b'')}"), ("DELETE", location)]:
            assert wire.ask(method, target).status == 416
        assert wire.ask("GET", location).status == 204

        first.send(b"5678")
        assert first.answer("PATCH").header("range") == "0-7"
    assert wire.ask("PUT", f"{location}?digest={digest_of(b'12345678')}").status == 201


def test_every_answer_has_the_headers_of_the_sheet(wire: Wire, server: Server) -> None:
    answer = wire.ask("GET", "/v2/")

    assert [name for name, _ in answer.headers] == [
        "date",
        "x-amzn-requestid",
        "docker-distribution-api-version",
        "x-content-type-options",
        "content-type",
        "content-length",
    ]
    assert answer.header("docker-distribution-api-version") == "registry/2.0"
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("content-type") == "application/json"
    assert json.loads(answer.body) == {}
