"""The span of a request: from its head to the last byte of its answer.

What is written down is what an operator may read: what was asked for in words of ours, of whose repository, by what
kind of caller, with what outcome. Who it was stands in the audit record of the same request id. No query, no header
but the user agent, no token and no URL that is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import time_ns

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from moorage.access.downloads import PREFIX
from moorage.base.errors.error import MoorageError
from moorage.base.http import BlobBody, Reply, Request
from moorage.oci.routes import find_route
from moorage.server.audit import Seen
from moorage.server.telemetry import without_token
from moorage.server.tracing.inside import SEALING, Sealing
from moorage.server.tracing.spans import begin, failing
from moorage.server.tracing.traceparent import TraceParent

PATH_MAX = 512
AGENT_MAX = 120
PATHS = {
    "blob": "/v2/{name}/blobs/{digest}",
    "catalog": "/v2/_catalog",
    "discover": "/v2/_oci/ext/discover",
    "manifest": "/v2/{name}/manifests/{reference}",
    "ping": "/v2/",
    "referrers": "/v2/{name}/referrers/{digest}",
    "tags": "/v2/{name}/tags/list",
    "upload": "/v2/{name}/blobs/uploads/{id}",
    "uploads": "/v2/{name}/blobs/uploads/",
}
_REPOSITORY = ":repository/"


@dataclass(slots=True)
class _Passing:
    """A request on its way."""

    span: Span
    answered: int = 0
    """When its answer began to be written, if that is a blob; nanoseconds."""
    bytes: int = 0


_passing: ContextVar[_Passing | None] = ContextVar("passing", default=None)


class TracedRequests:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def request(self, request: Request, request_id: str) -> Iterator[None]:
        span = begin(
            self._tracer,
            request.method,
            {
                "http.request.method": request.method,
                "url.path": without_token(request.raw_path.decode("latin-1"))[:PATH_MAX],
                "url.scheme": "https" if request.arrival.secure else "http",
                "moorage.request_id": request_id,
            },
            kind=SpanKind.SERVER,
            context=_context_of(request.header_list(b"traceparent")),
        )
        is_recording = span.is_recording()
        passing, sealing = (_Passing(span), Sealing(self._tracer)) if is_recording else (None, None)
        attached = attach(set_span_in_context(span, Context()))
        told, passed = SEALING.set(sealing), _passing.set(passing)
        try:
            with failing(span):
                yield
                self._end_sending(passing)
        finally:
            _passing.reset(passed)
            SEALING.reset(told)
            detach(attached)

    def note(self, request: Request, seen: Seen, reply: Reply, refused: MoorageError | None) -> None:
        """It is known what was asked for and what is answered; a blob is still to be sent."""
        passing = _passing.get()
        if passing is None:
            return
        if (sealing := SEALING.get()) is not None:
            sealing.end()
        span = passing.span
        name, route = _name_and_route(request, seen)
        span.update_name(name)
        span.set_attributes(_attributes(request, seen, reply, refused))
        if route:
            span.set_attribute("http.route", route)
        if refused is not None and reply.status >= 500:
            span.set_attribute("error.type", type(refused).__name__)
            span.set_status(Status(StatusCode.ERROR))
        if isinstance(reply.body, BlobBody) and request.method != "HEAD":
            passing.answered, passing.bytes = time_ns(), reply.body.length

    def _end_sending(self, passing: _Passing | None) -> None:
        if passing is not None and passing.answered:
            attributes = {"moorage.bytes": passing.bytes}
            begin(self._tracer, "send", attributes, start=passing.answered).end()


def _context_of(headers: list[str]) -> Context:
    """Of two, nobody knows which one counts: a trace of our own is begun."""
    parent = TraceParent.parse(headers[0]) if len(headers) == 1 else None
    if parent is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if parent.is_sampled else TraceFlags.DEFAULT)
    remote = SpanContext(parent.trace, parent.span, is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(remote), Context())


def _name_and_route(request: Request, seen: Seen) -> tuple[str, str]:
    if seen.operation is not None:
        return f"{seen.operation.service.name} {seen.operation.name}", "/"
    route = _route_of(request)
    return f"{request.method} {route}".rstrip(), route


def _route_of(request: Request) -> str:
    """Also of what is refused before it is looked at, as each client's first question is."""
    if request.path == "/":
        return "/"
    if request.path.startswith(PREFIX):
        return PREFIX + "{token}"
    try:
        route, _ = find_route(request.method, request.raw_path.decode("latin-1"))
    except MoorageError:
        return ""
    return PATHS[route.kind]


def _attributes(
    request: Request, seen: Seen, reply: Reply, refused: MoorageError | None
) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "http.response.status_code": reply.status,
        "moorage.principal_kind": seen.principal.kind if seen.principal is not None else "unknown",
    }
    if agent := request.header(b"user-agent"):
        attributes["user_agent.original"] = agent[:AGENT_MAX]
    if request.body.announced:
        attributes["http.request.body.size"] = request.body.announced
    if seen.operation is not None:
        attributes["rpc.system.name"] = "aws-api"
        attributes["rpc.method"] = f"{seen.operation.service.name}/{seen.operation.name}"
    if seen.registry is not None:
        attributes["moorage.registry"] = f"{seen.registry.account}/{seen.registry.region}"
    if repository := _repository_of(seen):
        attributes["moorage.repository"] = repository
    if refused is not None:
        attributes["moorage.error"] = refused.code()
    return attributes


def _repository_of(seen: Seen) -> str:
    if seen.target is not None:
        return seen.target.name
    names = {arn.partition(_REPOSITORY)[2] for arn in seen.resources}
    return names.pop() if len(names) == 1 else ""
