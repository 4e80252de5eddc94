"""The client of upstream registries, at registries on loopback that mean no good."""

from __future__ import annotations

import asyncio
import base64
import socket
import time
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from moorage.base.clock import SECOND
from moorage.base.digest import Digest
from moorage.base.errors.upstream import (
    UpstreamAccessDenied,
    UpstreamImageUnknown,
    UpstreamTooManyRequests,
    UpstreamUnavailable,
)
from moorage.registry.upstream import client as client_module
from moorage.registry.upstream.client import Login, Source, UpstreamClient
from moorage.registry.upstream.reach import Reach
from moorage.remote.egress import Egress

from .loopback import say, serving

LIMIT = 4 << 20
LOGIN = Login("ci", "very-secret")
BASIC = "Basic " + base64.b64encode(b"ci:very-secret").decode()
MANIFEST = b'{"schemaVersion": 2}'
TYPE = "application/vnd.oci.image.manifest.v1+json"
Use = Callable[[UpstreamClient], Awaitable[Any]]
Request = BaseHTTPRequestHandler


class Clock:
    """Microseconds, turned by hand."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


def using(use: Use, *ports: int, clock: Clock | None = None) -> Any:
    """A client that may go to those ports."""

    async def session() -> Any:
        reach = Reach.parse(", ".join(f"http://127.0.0.1:{port}" for port in ports), "")
        egress = Egress(reach.other_rules)
        try:
            return await use(UpstreamClient(egress, clock or Clock()))
        finally:
            await egress.close()

    return asyncio.run(session())


def source(port: int, login: Login | None = None, *realms: str) -> Source:
    return Source(f"http://127.0.0.1:{port}", "library/debian", frozenset(realms), login)


def manifest(port: int, login: Login | None = None, *realms: str) -> Use:
    return lambda client: client.manifest(source(port, login, *realms), "12", LIMIT)


def blob(port: int, size: int, login: Login | None = None) -> Use:
    async def use(client: UpstreamClient) -> bytes:
        async with client.blob(source(port, login), Digest.of(b"x"), size) as pieces:
            return b"".join([piece async for piece in pieces])

    return use


def credentials(request: Request) -> str | None:
    return request.headers["authorization"]


def say_manifest(request: Request, **headers: str) -> None:
    say(request, MANIFEST, headers={"Content-Type": f"{TYPE}; charset=utf-8", **headers})


def test_a_manifest_comes_with_its_type_and_the_types_that_we_take_are_asked_for() -> None:
    seen: list[tuple[str, str]] = []

    def answer(request: Request) -> None:
        seen.append((request.path, request.headers["accept"]))
        say_manifest(request, **{"Docker-Content-Digest": str(Digest.of(MANIFEST))})

    with serving(answer) as port:
        found = using(manifest(port), port)

    assert (found.content, found.media_type, found.claimed) == (MANIFEST, TYPE, Digest.of(MANIFEST))
    assert seen[0][0] == "/v2/library/debian/manifests/12"
    assert all(kind in seen[0][1] for kind in ("oci.image.index", "manifest.list.v2", TYPE))


def test_basic_is_answered_with_the_login_of_the_rule_and_remembered() -> None:
    seen: list[str | None] = []

    def answer(request: Request) -> None:
        seen.append(credentials(request))
        if credentials(request) != BASIC:
            return say(request, b"", 401, {"WWW-Authenticate": 'Basic realm="x"'})
        return say_manifest(request)

    with serving(answer) as port:

        async def twice(client: UpstreamClient) -> None:
            for _ in range(2):
                await client.manifest(source(port, LOGIN), "12", LIMIT)

        using(twice, port)

    assert seen == [None, BASIC, BASIC]


def test_a_token_comes_from_the_registry_itself_for_our_scope_and_not_for_theirs() -> None:
    seen: list[tuple[str, str | None]] = []

    def answer(request: Request) -> None:
        seen.append((request.path, credentials(request)))
        if request.path.startswith("/token"):
            return say(request, b'{"token": "t0ken", "expires_in": 300}')
        if credentials(request) != "Bearer t0ken":
            realm = f"http://{request.headers['host']}/token"
            scope = "repository:library/debian:push,pull,delete"
            challenge = f'Bearer realm="{realm}",service="registry.example",scope="{scope}"'
            return say(request, b"", 401, {"WWW-Authenticate": challenge})
        return say_manifest(request)

    with serving(answer) as port:
        using(manifest(port, LOGIN), port)

    asked, sent = seen[1]
    assert asked == "/token?scope=repository%3Alibrary%2Fdebian%3Apull&service=registry.example"
    assert sent == BASIC


@pytest.mark.parametrize("login", [None, LOGIN])
def test_a_realm_elsewhere_is_not_asked_and_gets_no_credential(login: Login | None) -> None:
    reached: list[str] = []

    with serving(lambda request: reached.append(request.path)) as elsewhere:
        realm = f"http://127.0.0.1:{elsewhere}/token"

        def answer(request: Request) -> None:
            say(request, b"", 401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'})

        with serving(answer) as port, pytest.raises(UpstreamUnavailable, match="sends us for a token"):
            using(manifest(port, login), port, elsewhere)

    assert not reached


def test_a_realm_that_is_known_to_be_the_registry_s_is_asked() -> None:
    def give(request: Request) -> None:
        say(request, b'{"access_token": "t0ken"}')

    with serving(give) as issuer:
        realm = f"http://127.0.0.1:{issuer}"

        def answer(request: Request) -> None:
            if credentials(request) == "Bearer t0ken":
                return say_manifest(request)
            return say(request, b"", 401, {"WWW-Authenticate": f'Bearer realm="{realm}/token"'})

        with serving(answer) as port:
            assert using(manifest(port, LOGIN, realm), port, issuer).content == MANIFEST


@pytest.mark.parametrize("challenge", ['Basic realm="x"', 'Bearer realm="{own}/token"', "", "Negotiate"])
def test_a_registry_that_never_has_enough_is_asked_twice_at_the_most(challenge: str) -> None:
    asked: list[str] = []

    def answer(request: Request) -> None:
        asked.append(request.path)
        if request.path.startswith("/token"):
            return say(request, b'{"token": "t0ken"}')
        own = f"http://{request.headers['host']}"
        return say(request, b"", 401, {"WWW-Authenticate": challenge.format(own=own)})

    with serving(answer) as port, pytest.raises(UpstreamAccessDenied):
        using(manifest(port, LOGIN), port)

    assert len([path for path in asked if path.startswith("/v2/")]) <= 2


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"token": ""}', b'{"token": "a\\r\\nHost: b"}', b"x" * 100_000]
)
def test_a_token_that_is_none_is_not_sent(body: bytes) -> None:
    sent: list[str | None] = []

    def answer(request: Request) -> None:
        if request.path.startswith("/token"):
            return say(request, body)
        sent.append(credentials(request))
        realm = f"http://{request.headers['host']}/token"
        return say(request, b"", 401, {"WWW-Authenticate": f'Bearer realm="{realm}"'})

    with serving(answer) as port, pytest.raises(UpstreamUnavailable):
        using(manifest(port), port)

    assert sent == [None]


def test_a_redirect_goes_to_the_storage_without_the_credential() -> None:
    seen: list[str | None] = []

    def store(request: Request) -> None:
        seen.append(credentials(request))
        say(request, b"layer")

    with serving(store) as storage:

        def answer(request: Request) -> None:
            if credentials(request) != BASIC:
                return say(request, b"", 401, {"WWW-Authenticate": 'Basic realm="x"'})
            return say(request, b"", 307, {"Location": f"http://127.0.0.1:{storage}/layer"})

        with serving(answer) as port:
            assert using(blob(port, 5, LOGIN), port, storage) == b"layer"

    assert seen == [None]


def test_a_challenge_behind_a_redirect_is_not_answered() -> None:
    seen: list[str | None] = []

    def store(request: Request) -> None:
        seen.append(credentials(request))
        say(request, b"", 401, {"WWW-Authenticate": 'Basic realm="x"'})

    with serving(store) as storage:

        def answer(request: Request) -> None:
            say(request, b"", 307, {"Location": f"http://127.0.0.1:{storage}/layer"})

        with serving(answer) as port, pytest.raises(UpstreamAccessDenied):
            using(blob(port, 5, LOGIN), port, storage)

    assert seen == [None]


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "http://[::1]:8080/",
        "file:///etc/passwd",
        "http://0/",
    ],
)
def test_a_redirect_into_private_places_is_not_followed(location: str) -> None:
    with (
        serving(lambda request: say(request, b"", 307, {"Location": location})) as port,
        pytest.raises(UpstreamUnavailable),
    ):
        using(blob(port, 5), port)


def test_a_redirect_loop_ends() -> None:
    with (
        serving(lambda request: say(request, b"", 307, {"Location": request.path})) as port,
        pytest.raises(UpstreamUnavailable, match="redirects"),
    ):
        using(blob(port, 5), port)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, UpstreamAccessDenied),
        (404, UpstreamImageUnknown),
        (429, UpstreamTooManyRequests),
        (500, UpstreamUnavailable),
        (503, UpstreamUnavailable),
        (206, UpstreamUnavailable),
    ],
)
def test_what_a_registry_refuses_has_an_error_of_its_own(status: int, error: type[Exception]) -> None:
    with serving(lambda request: say(request, b"{}", status)) as port, pytest.raises(error):
        using(manifest(port), port)


def test_who_says_that_it_was_too_much_is_left_alone_as_long_as_it_wants() -> None:
    asked: list[str] = []
    clock = Clock()

    def answer(request: Request) -> None:
        asked.append(request.path)
        say(request, b"{}", 429, {"Retry-After": "30"})

    with serving(answer) as port:

        async def use(client: UpstreamClient) -> None:
            for passed, expected in ((0, 1), (29, 1), (2, 2)):
                clock.now += passed * SECOND
                with pytest.raises(UpstreamTooManyRequests):
                    await client.manifest(source(port), "12", LIMIT)
                assert len(asked) == expected

        using(use, port, clock=clock)


@pytest.mark.parametrize(
    "retry_after", ["99999999999999999999", "-1", "soon", "Wed, 21 Oct 2099 07:28:00 GMT"]
)
def test_a_retry_after_that_is_absurd_keeps_nobody_away_for_long(retry_after: str) -> None:
    with (
        serving(lambda request: say(request, b"{}", 429, {"Retry-After": retry_after})) as port,
        pytest.raises(UpstreamTooManyRequests) as caught,
    ):
        using(manifest(port), port)

    assert int(str(caught.value.facts["retry_after"])) <= 900


def test_a_manifest_that_does_not_end_is_left() -> None:
    def answer(request: Request) -> None:
        request.send_response(200)
        request.end_headers()
        request.close_connection = True
        while True:
            request.wfile.write(bytes(1 << 20))

    with serving(answer) as port, pytest.raises(UpstreamUnavailable, match="more than"):
        using(manifest(port), port)


def test_a_layer_longer_than_it_should_be_is_left() -> None:
    def answer(request: Request) -> None:
        request.send_response(200)
        request.end_headers()
        request.close_connection = True
        request.wfile.write(bytes(100_000))

    with serving(answer) as port, pytest.raises(UpstreamUnavailable, match="more than"):
        using(blob(port, 99_999), port)


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"Content-Encoding": "zstd"}])
def test_a_layer_that_was_compressed_on_the_way_is_refused(headers: dict[str, str]) -> None:
    with (
        serving(lambda request: say(request, b"12345", headers=headers)) as port,
        pytest.raises(UpstreamUnavailable, match="compresses"),
    ):
        using(blob(port, 5), port)


def test_a_layer_of_another_length_is_refused_before_it_is_read() -> None:
    with (
        serving(lambda request: say(request, b"123456")) as port,
        pytest.raises(UpstreamUnavailable, match="6 bytes"),
    ):
        using(blob(port, 5), port)


def test_a_registry_that_stops_half_way_is_no_end() -> None:
    def answer(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        request.wfile.write(bytes(50_000))
        request.wfile.flush()
        request.connection.shutdown(socket.SHUT_RDWR)

    with serving(answer) as port, pytest.raises(UpstreamUnavailable):
        using(blob(port, 100_000), port)


def test_a_manifest_that_drips_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ANSWER_S", 0.5)

    def answer(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        for _ in range(1_000):
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.02)

    with serving(answer) as port, pytest.raises(UpstreamUnavailable, match="takes longer"):
        using(manifest(port), port)


def test_a_login_is_in_no_text() -> None:
    shown = repr((LOGIN, source(1, LOGIN)))

    assert "very-secret" not in shown
    assert base64.b64encode(b"ci:very-secret").decode() not in shown


def test_what_a_check_finds_is_whether_the_login_is_taken() -> None:
    def answer(request: Request) -> None:
        assert request.path == "/v2/"
        if credentials(request) != BASIC:
            return say(request, b"", 401, {"WWW-Authenticate": 'Basic realm="x"'})
        return say(request, b"{}")

    with serving(answer) as port:
        using(lambda client: client.check(source(port, LOGIN)), port)
        with pytest.raises(UpstreamAccessDenied):
            using(lambda client: client.check(source(port, Login("ci", "wrong"))), port)


def referrers(port: int, limit: int = LIMIT) -> Use:
    return lambda client: client.referrers(source(port), Digest.of(b"x"), limit)


INDEX = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
PAGES = f"/v2/library/debian/referrers/{Digest.of(b'x')}"


def test_pages_of_referrers_are_followed_to_their_end() -> None:
    def answer(request: Request) -> None:
        number = int(request.path.rpartition("=")[2]) if "=" in request.path else 1
        link = {"Link": f'<{PAGES}?page={number + 1}>; rel="next"'} if number < 3 else {}
        say(request, b"%d" % number, headers={**INDEX, **link})

    with serving(answer) as port:
        assert using(referrers(port), port) == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    "link", ["http://127.0.0.1:1/v2/other", "/v2/library/other/referrers/x", "/admin", "http://[", "//[:"]
)
def test_a_link_that_leads_away_is_not_followed(link: str) -> None:
    def answer(request: Request) -> None:
        assert request.path == PAGES
        say(request, b"{}", headers={**INDEX, "Link": f'<{link}>; rel="next"'})

    with serving(answer) as port:
        assert using(referrers(port), port) == [b"{}"]


def test_pages_without_end_are_left_after_some() -> None:
    def answer(request: Request) -> None:
        say(request, b"{}", headers={**INDEX, "Link": f'<{PAGES}?again>; rel="next"'})

    with serving(answer) as port:
        assert len(using(referrers(port), port)) == client_module.REFERRERS_PAGES


def test_more_referrers_than_a_listing_may_have_are_refused() -> None:
    with (
        serving(lambda request: say(request, bytes(1_001), headers=INDEX)) as port,
        pytest.raises(UpstreamUnavailable),
    ):
        using(referrers(port, 1_000), port)


@pytest.mark.parametrize(("status", "headers"), [(404, INDEX), (200, {"Content-Type": "text/html"})])
def test_a_registry_that_knows_no_referrers_says_so(status: int, headers: dict[str, str]) -> None:
    with (
        serving(lambda request: say(request, b"<html>", status, headers)) as port,
        pytest.raises(UpstreamImageUnknown),
    ):
        using(referrers(port), port)
