"""The spans of what goes out. The connections are a stand-in: what is sent is what matters here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from moorage.remote.egress import Method
from moorage.remote.errors import RemoteFailed, RemoteRefused
from moorage.remote.rules import Rules
from moorage.remote.urls import Url
from moorage.server.tracing.outbound import TracedEgress
from moorage.server.tracing.traceparent import TraceParent

from .conftest import Traced, is_below

URL = "https://hooks.example:8443/services/SECRET?token=SECRET"


class Answered:
    """To every request, and notes its headers."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.headers: dict[str, str] = {}

    async def pieces(self) -> AsyncIterator[bytes]:
        yield b"x"

    def close(self) -> None:
        pass


def asked(traced: Traced, *, tells: bool, status: int = 200, fails: bool = False) -> Mapping[str, str]:
    """The headers that went out."""
    sent: dict[str, str] = {}

    class Stood(TracedEgress):
        async def _send(  # type: ignore[override]
            self, method: Method, url: Url, headers: Mapping[str, str], body: bytes | None
        ) -> Answered:
            sent.update(headers)
            if fails:
                raise RemoteFailed("SECRET breaks off")
            return Answered(status)

    async def over() -> None:
        egress = Stood(Rules(), traced.tracer, tells=tells)
        with traced.tracer.start_as_current_span("request"):
            async with egress.ask("POST", URL, headers={"authorization": "SECRET"}) as response:
                await response.read(9)

    asyncio.run(over())
    return sent


def test_a_request_that_goes_out_is_a_client_span_without_path_and_query(traced: Traced) -> None:
    asked(traced, tells=False, status=404)

    span = traced.one("POST")
    assert span.kind is SpanKind.CLIENT
    assert is_below(span, traced.one("request"))
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 404,
        "server.address": "hooks.example",
        "server.port": 8443,
    }
    assert "SECRET" not in span.to_json()


@pytest.mark.parametrize(("status", "code"), [(404, StatusCode.UNSET), (503, StatusCode.ERROR)])
def test_only_what_fails_there_is_an_error(traced: Traced, status: int, code: StatusCode) -> None:
    asked(traced, tells=False, status=status)

    assert traced.one("POST").status.status_code is code


def test_strangers_are_not_told_whose_trace_it_is(traced: Traced) -> None:
    sent = asked(traced, tells=False)

    assert sorted(sent) == ["accept-encoding", "authorization", "user-agent"]


def test_peers_are_told_the_span_that_asks_them(traced: Traced) -> None:
    sent = asked(traced, tells=True)

    span = traced.one("POST")
    assert TraceParent.parse(sent["traceparent"]) == TraceParent(
        span.context.trace_id, span.context.span_id, True
    )


def test_nobody_is_told_of_what_is_not_recorded() -> None:
    sent = asked(Traced(ALWAYS_OFF), tells=True)

    assert "traceparent" not in sent


def test_a_failure_is_an_error_whose_words_are_not_written_down(traced: Traced) -> None:
    with pytest.raises(RemoteFailed, match="SECRET"):
        asked(traced, tells=False, fails=True)

    span = traced.one("POST")
    assert span.status.status_code is StatusCode.ERROR
    assert traced.attributes("POST")["error.type"] == "RemoteFailed"
    assert "SECRET" not in span.to_json()


def test_what_may_not_be_asked_is_refused_as_without_traces(traced: Traced) -> None:
    async def over() -> None:
        egress = TracedEgress(Rules(), traced.tracer, tells=False)
        with traced.tracer.start_as_current_span("request"):
            async with egress.ask("GET", "http://127.0.0.1/"):
                pass

    with pytest.raises(RemoteRefused):
        asyncio.run(over())

    assert traced.attributes("GET")["error.type"] == "RemoteRefused"
