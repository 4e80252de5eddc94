"""A collector of OpenTelemetry on loopback, which keeps the spans that it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .loopback import say, serving


@dataclass(frozen=True)
class Seen:
    """A span as it came over the wire. Ids are hex; `parent` is empty for the first of a trace."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    is_error: bool
    attributes: dict[str, Any]
    links: tuple[str, ...]
    text: str


@dataclass
class Collector:
    port: int = 0
    spans: list[Seen] = field(default_factory=list)
    resource: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]

    def of_trace(self, trace: str) -> list[Seen]:
        return [span for span in self.spans if span.trace == trace]

    def below(self, parent: Seen) -> list[str]:
        """The names of its parts."""
        return sorted(span.name for span in self.spans if span.parent == parent.id)


@contextmanager
def collecting(answer: Callable[[BaseHTTPRequestHandler], None] | None = None) -> Iterator[Collector]:
    """`answer` instead of a 200."""
    collector = Collector()

    def take(request: BaseHTTPRequestHandler) -> None:
        collector.requests.append(f"{request.command} {request.path}")
        body = request.rfile.read(int(request.headers["content-length"]))
        if answer is not None:
            answer(request)
            return
        _read(collector, body)
        say(request, b"", headers={"content-type": "application/x-protobuf"})

    with serving(take) as port:
        collector.port = port
        yield collector


def _read(collector: Collector, body: bytes) -> None:
    message = ExportTraceServiceRequest()
    message.ParseFromString(body)
    for resource in message.resource_spans:
        collector.resource = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                collector.spans.append(
                    Seen(
                        trace=span.trace_id.hex(),
                        id=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        name=span.name,
                        kind=span.kind,
                        is_error=span.status.code == 2,
                        attributes=_attributes(span.attributes),
                        links=tuple(link.span_id.hex() for link in span.links),
                        text=str(span),
                    )
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
