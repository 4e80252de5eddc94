"""Spans of what goes out: to upstream registries, identity providers, webhooks and peers.

Where to is known by host and port only. Paths and queries are left out: those of webhooks and of signed redirects are
secrets. Whose trace it is, is told to peers alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, Tracer

from moorage.remote.egress import Egress, Method, Response
from moorage.remote.errors import RemoteRefused
from moorage.remote.rules import Rules
from moorage.remote.urls import Url
from moorage.server.tracing.spans import Attributes, begin, failing, is_traced
from moorage.server.tracing.traceparent import TraceParent


class TracedEgress(Egress):
    def __init__(self, rules: Rules, tracer: Tracer, *, tells: bool) -> None:
        super().__init__(rules)
        self._tracer = tracer
        self._tells = tells

    @asynccontextmanager
    async def ask(
        self, method: Method, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> AsyncIterator[Response]:
        """The span ends with the block in which the answer is read."""
        if not is_traced():
            async with super().ask(method, url, headers=headers, body=body) as response:
                yield response
            return
        attributes = {"http.request.method": method, **self._place(url)}
        with failing(begin(self._tracer, method, attributes, kind=SpanKind.CLIENT)) as span:
            if self._tells:
                headers = {**(headers or {}), "traceparent": _told(span.get_span_context())}
            async with super().ask(method, url, headers=headers, body=body) as response:
                span.set_attribute("http.response.status_code", response.status)
                if response.status >= 500:  # a 404 is an answer: it is asked whether something is there
                    span.set_attribute("error.type", str(response.status))
                    span.set_status(Status(StatusCode.ERROR))
                yield response

    def _place(self, url: str) -> Attributes:
        try:
            place = Url.parse(url, self._rules.schemes)
        except RemoteRefused:  # as it is going to be
            return {}
        return {"server.address": place.host, "server.port": place.port}


def _told(context: SpanContext) -> str:
    return str(TraceParent(context.trace_id, context.span_id, context.trace_flags.sampled))
