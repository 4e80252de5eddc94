"""The client for everything outbound, at servers on loopback that mean no good."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from moorage.remote.addresses import Allowed
from moorage.remote.egress import Egress, Resolve
from moorage.remote.errors import RemoteFailed, RemoteRefused
from moorage.remote.rules import Rules

from .loopback import Certificates, certificates, say, serving

LOOPBACK = Allowed.parse("127.0.0.0/8")
PLAIN = Rules(allowed=LOOPBACK, schemes=frozenset({"http"}), idle_s=1.0, total_s=2.0)
Use = Callable[[Egress], Coroutine[Any, Any, Any]]


def resolving(*answers: Sequence[str]) -> Resolve:
    """A resolver that gives one answer after another, and the last for ever."""
    turns = itertools.chain(answers, itertools.repeat(answers[-1]))

    async def resolve(host: str, port: int) -> Sequence[str]:
        return next(turns)

    return resolve


def using(rules: Rules, use: Use, resolve: Resolve | None = None) -> Any:
    async def session() -> Any:
        egress = Egress(rules, resolve) if resolve else Egress(rules)
        try:
            return await use(egress)
        finally:
            await egress.close()

    return asyncio.run(session())


def getting(url: str, limit: int = 1_000) -> Use:
    return lambda egress: egress.get(url, limit)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"), "idp.example", "127.0.0.1")


def test_a_body_comes_and_the_host_is_the_name_asked_for() -> None:
    seen: list[dict[str, str]] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.append({name.lower(): value for name, value in request.headers.items()})
        say(request, request.path.encode())

    with serving(answer) as port:
        body = using(PLAIN, getting(f"http://idp.example:{port}/a%2Fb?c=%20d"), resolving(["127.0.0.1"]))

    assert body == b"/a%2Fb?c=%20d"
    assert seen[0]["host"] == f"idp.example:{port}"
    assert seen[0]["accept-encoding"] == "identity"
    assert not {"cookie", "authorization"} & set(seen[0])


def test_tls_is_for_the_name_and_not_for_the_address(tls: Certificates) -> None:
    rules = Rules(allowed=LOOPBACK, ca_file=tls.ca)

    with serving(lambda request: say(request, b"{}"), tls) as port:
        for name in ("idp.example", "127.0.0.1"):
            assert using(rules, getting(f"https://{name}:{port}/"), resolving(["127.0.0.1"])) == b"{}"
        with pytest.raises(RemoteFailed, match="certificate"):
            using(rules, getting(f"https://other.example:{port}/"), resolving(["127.0.0.1"]))


def test_ipv6_is_spoken_too(tmp_path: Path) -> None:
    tls = certificates(tmp_path, "idp.example", "::1")
    rules = Rules(allowed=Allowed.parse("::1/128"), ca_file=tls.ca)

    def answer(request: BaseHTTPRequestHandler) -> None:
        say(request, str(request.headers["host"]).encode())

    with serving(answer, tls, "::1") as port:
        for host in ("[::1]", "idp.example"):
            body = using(rules, getting(f"https://{host}:{port}/"), resolving(["::1"]))
            assert body == f"{host}:{port}".encode()


def test_a_server_that_never_shakes_hands_is_left() -> None:
    rules = Rules(allowed=LOOPBACK, connect_s=0.5, total_s=None)

    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(RemoteFailed, match="cannot be reached"),
    ):
        using(rules, getting(f"https://127.0.0.1:{silent.getsockname()[1]}/"))


def test_a_certificate_that_the_system_does_not_know_is_refused(tls: Certificates) -> None:
    with (
        serving(lambda request: say(request, b"{}"), tls) as port,
        pytest.raises(RemoteFailed, match="certificate"),
    ):
        using(Rules(allowed=LOOPBACK), getting(f"https://idp.example:{port}/"), resolving(["127.0.0.1"]))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.1", "[::ffff:127.0.0.1]"]
)
def test_what_is_not_allowed_is_never_connected_to(host: str) -> None:
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        say(request, b"secret")

    with serving(answer) as port, pytest.raises(RemoteRefused):
        using(Rules(schemes=frozenset({"http"})), getting(f"http://{host}:{port}/"))
    assert asked == []


def test_a_name_is_resolved_once_and_a_second_answer_is_never_asked_for() -> None:
    with serving(lambda request: say(request, b"ours")) as port:
        body = using(
            PLAIN, getting(f"http://rebinding.example:{port}/"), resolving(["127.0.0.1"], ["169.254.169.254"])
        )

    assert body == b"ours"


@pytest.mark.parametrize(
    "private", ["10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fd00:ec2::254"]
)
def test_a_name_with_one_private_address_is_refused_whole(private: str) -> None:
    with pytest.raises(RemoteRefused, match="has the address"):
        using(PLAIN, getting("http://mixed.example/"), resolving(["127.0.0.1", private]))


def test_a_name_that_turns_private_is_refused_when_it_does() -> None:
    async def twice(egress: Egress) -> None:
        assert await egress.get(f"http://rebinding.example:{port}/", 100) == b"ours"
        await egress.get(f"http://rebinding.example:{port}/", 100)

    with serving(lambda request: say(request, b"ours")) as port, pytest.raises(RemoteRefused):
        using(PLAIN, twice, resolving(["127.0.0.1"], ["10.0.0.1"]))


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    with serving(lambda request: say(request, b"here")) as port:
        body = using(PLAIN, getting(f"http://two.example:{port}/"), resolving(["127.0.0.2", "127.0.0.1"]))

    assert body == b"here"


def test_no_server_and_no_name_fail() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(RemoteFailed, match="cannot be resolved"):
        using(PLAIN, getting("http://nowhere.example/"), unknown)
    with serving(lambda request: say(request, b"")) as port:
        pass
    with pytest.raises(RemoteFailed, match="cannot be reached"):
        using(PLAIN, getting(f"http://127.0.0.1:{port}/"))


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    with serving(lambda request: say(request, b"direct")) as port:
        assert using(PLAIN, getting(f"http://127.0.0.1:{port}/")) == b"direct"


# Redirects


def redirecting(to: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path == "/start":
            say(request, b"moved", 302, {"location": to})
        else:
            say(request, str(request.headers.get("authorization")).encode())

    return answer


def test_a_redirect_within_the_origin_is_followed_with_its_credentials() -> None:
    async def use(egress: Egress) -> bytes:
        return await egress.get(f"http://127.0.0.1:{port}/start", 100, {"Authorization": "Bearer x"})

    with serving(redirecting("/end")) as port:
        assert using(PLAIN, use) == b"Bearer x"


@pytest.mark.parametrize(
    "to",
    [
        "http://other.example:{port}/end",
        "http://127.0.0.1:9/end",
        "https://127.0.0.1:{port}/end",
        "//169.254.169.254/latest/meta-data/",
        "http://user@127.0.0.1:{port}/end",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/",
        "http://2130706433:{port}/end",
    ],
)
def test_a_redirect_out_of_the_origin_is_refused(to: str) -> None:
    there: list[str] = [""]

    with serving(lambda request: redirecting(there[0])(request)) as port:
        there[0] = to.format(port=port)
        with pytest.raises(RemoteRefused):
            using(PLAIN, getting(f"http://127.0.0.1:{port}/start"), resolving(["127.0.0.1"]))


def test_where_redirects_may_leave_they_are_checked_again_and_lose_their_credentials() -> None:
    rules = Rules(allowed=LOOPBACK, schemes=frozenset({"http"}), across_origins=True)

    async def use(egress: Egress) -> bytes:
        headers = {"Authorization": "Bearer x", "X-Api-Key": "y", "Cookie": "z"}
        return await egress.get(f"http://first.example:{first}/start", 100, headers)

    with (
        serving(redirecting("/end")) as second,
        serving(redirecting(f"http://second.example:{second}/end")) as first,
    ):
        assert using(rules, use, resolving(["127.0.0.1"])) == b"None"
        with pytest.raises(RemoteRefused, match="has the address"):
            using(rules, use, resolving(["127.0.0.1"], ["10.0.0.1"]))


def test_a_redirect_from_https_to_http_is_refused(tls: Certificates) -> None:
    rules = Rules(allowed=LOOPBACK, schemes=frozenset({"http", "https"}), ca_file=tls.ca, across_origins=True)

    with (
        serving(redirecting("http://127.0.0.1:9000/end"), tls) as port,
        pytest.raises(RemoteRefused, match="https to"),
    ):
        using(rules, getting(f"https://127.0.0.1:{port}/start"))


def test_a_redirect_loop_ends() -> None:
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        say(request, b"", 307, {"location": "/again"})

    with serving(answer) as port, pytest.raises(RemoteRefused, match="more than 3 times"):
        using(PLAIN, getting(f"http://127.0.0.1:{port}/"))
    assert len(asked) == 4


def test_what_writes_is_not_sent_again() -> None:
    async def post(egress: Egress) -> int:
        async with egress.ask("POST", f"http://127.0.0.1:{port}/start", body=b"{}") as response:
            return response.status

    with serving(redirecting("/end")) as port:
        assert using(PLAIN, post) == 302


# Bodies


def endless(pause: float, piece: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(piece)
            time.sleep(pause)

    return answer


def test_an_infinite_body_ends_at_its_cap() -> None:
    with (
        serving(endless(0, bytes(65_536))) as port,
        pytest.raises(RemoteFailed, match="more than 1000 bytes"),
    ):
        using(PLAIN, getting(f"http://127.0.0.1:{port}/"))


def test_a_body_that_trickles_ends_with_its_time() -> None:
    began = time.monotonic()

    with serving(endless(0.05, b".")) as port, pytest.raises(RemoteFailed, match=r"longer than 2\.0 s"):
        using(PLAIN, getting(f"http://127.0.0.1:{port}/", 1_000_000))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"])
def test_a_server_that_falls_silent_is_left(before: bytes) -> None:
    is_over = threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        request.wfile.write(before)
        is_over.wait(60)

    with serving(answer) as port:
        with pytest.raises(RemoteFailed):
            using(PLAIN, getting(f"http://127.0.0.1:{port}/"))
        is_over.set()


def test_a_body_that_breaks_off_is_no_body() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")

    with serving(answer) as port, pytest.raises(RemoteFailed):
        using(PLAIN, getting(f"http://127.0.0.1:{port}/"))


def test_what_is_compressed_is_never_inflated() -> None:
    bomb = gzip.compress(bytes(10_000_000))

    def answer(request: BaseHTTPRequestHandler) -> None:
        say(request, bomb, 200, {"content-encoding": "gzip"})

    with serving(answer) as port, pytest.raises(RemoteFailed, match="compresses"):
        using(PLAIN, getting(f"http://127.0.0.1:{port}/", 100_000))


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_http_fails(head: bytes) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        request.wfile.write(head)

    with serving(answer) as port, pytest.raises(RemoteFailed):
        using(PLAIN, getting(f"http://127.0.0.1:{port}/"))


def test_an_error_status_is_a_failure_that_names_it() -> None:
    with (
        serving(lambda request: say(request, b"", 503)) as port,
        pytest.raises(RemoteFailed, match="answers 503"),
    ):
        using(PLAIN, getting(f"http://127.0.0.1:{port}/"))


def test_a_ca_file_is_read(tmp_path: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("not a certificate")

    with pytest.raises(RemoteFailed, match="CA file"):
        using(Rules(allowed=LOOPBACK, ca_file=broken), getting("https://127.0.0.1:9000/"))
