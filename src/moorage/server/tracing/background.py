"""Spans of background work: each job is a trace of its own, linked to the request that put it.

The link is kept in memory, so there is none after a restart, and none for what follows from an event: those have gone
through the outbox.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Link, SpanContext, SpanKind, Tracer, get_current_span, set_span_in_context

from moorage.access.call import Services
from moorage.server.jobs import Handler
from moorage.server.schedule import Periodic
from moorage.server.tracing.inside import SEALING, Sealing
from moorage.server.tracing.spans import Attributes, begin, failing
from moorage.store.db.api import Transaction
from moorage.store.jobs.queue import Job, Jobs

ORIGINS_MAX = 4_096
OFTEN_S = 5.0
"""What is done by the clock more often has no trace: it would be most of all that there is to see."""


class TracedJobs(Jobs):
    def __init__(self, process: str) -> None:
        super().__init__(process)
        self._origins: OrderedDict[tuple[str, str], SpanContext] = OrderedDict()

    async def put(
        self, tx: Transaction, kind: str, subject: str, payload: str = "", *, now: int, due: int | None = None
    ) -> None:
        span = get_current_span()
        if span.is_recording():
            self._origins[(kind, subject)] = span.get_span_context()
            while len(self._origins) > ORIGINS_MAX:
                self._origins.popitem(last=False)
        await super().put(tx, kind, subject, payload, now=now, due=due)

    def origin(self, job: Job) -> SpanContext | None:
        """The span in which it was put last; asked once."""
        return self._origins.pop((job.kind, job.subject), None)


def traced_handlers(handlers: Mapping[str, Handler], tracer: Tracer) -> dict[str, Handler]:
    return {
        kind: replace(handler, run=_traced_job(handler.run, tracer)) for kind, handler in handlers.items()
    }


def traced_periodic(periodic: Sequence[Periodic], tracer: Tracer) -> list[Periodic]:
    return [
        each if each.every_s < OFTEN_S else replace(each, run=_traced_turn(each, tracer)) for each in periodic
    ]


def _traced_job(
    run: Callable[[Services, Job], Awaitable[int | None]], tracer: Tracer
) -> Callable[[Services, Job], Awaitable[int | None]]:
    async def traced(services: Services, job: Job) -> int | None:
        origin = services.jobs.origin(job) if isinstance(services.jobs, TracedJobs) else None
        links = (Link(origin),) if origin is not None else ()
        attributes: Attributes = {"moorage.job.kind": job.kind, "moorage.job.attempt": job.attempts}
        with _trace(tracer, f"job {job.kind}", attributes, SpanKind.CONSUMER, links):
            return await run(services, job)

    return traced


def _traced_turn(periodic: Periodic, tracer: Tracer) -> Callable[[Services], Awaitable[object]]:
    async def traced(services: Services) -> object:
        with _trace(tracer, periodic.name, {}, SpanKind.INTERNAL, ()):
            return await periodic.run(services)

    return traced


@contextmanager
def _trace(
    tracer: Tracer, name: str, attributes: Attributes, kind: SpanKind, links: tuple[Link, ...]
) -> Iterator[None]:
    """One of its own, whatever span there is already."""
    span = begin(tracer, name, attributes, kind=kind, context=Context(), links=links)
    sealing = Sealing(tracer) if span.is_recording() else None
    attached, told = attach(set_span_in_context(span, Context())), SEALING.set(sealing)
    try:
        with failing(span):
            try:
                yield
            finally:
                if sealing is not None:
                    sealing.end()
    finally:
        SEALING.reset(told)
        detach(attached)
