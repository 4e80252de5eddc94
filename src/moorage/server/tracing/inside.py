"""Spans of what a request or a job does inside: decisions, transactions, layers that are sealed and stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar, copy_context
from threading import Lock
from time import time_ns
from types import TracebackType
from typing import Any

from opentelemetry.trace import Span, Tracer

from moorage.access.authorizer import Authorizer
from moorage.access.call import Result, Work
from moorage.access.epochs import Epochs
from moorage.access.grants import StoredGrants
from moorage.access.policies.decide import Decision
from moorage.access.principals import Principal
from moorage.keys.sealed import SealedWriter
from moorage.server.tracing.spans import begin, failing, is_traced, note_failure
from moorage.store.db.api import Database, Transaction


class TracedAuthorizer(Authorizer):
    """What is remembered has no span: it is known in a microsecond or two."""

    def __init__(self, stored: StoredGrants, epochs: Epochs, tracer: Tracer) -> None:
        super().__init__(stored, epochs)
        self._tracer = tracer

    async def decide(self, principal: Principal, action: str, *asked: Any, **more: Any) -> Decision:
        if not is_traced():
            return await super().decide(principal, action, *asked, **more)
        with failing(begin(self._tracer, "authorize", {"moorage.action": action})) as span:
            decision = await super().decide(principal, action, *asked, **more)
            span.set_attribute("moorage.allowed", decision.allowed)
            return decision


class TracedDatabase:
    """Transactions have spans; a read is over sooner than one is written down."""

    def __init__(self, db: Database, tracer: Tracer) -> None:
        self._db = db
        self._tracer = tracer
        self.one, self.all, self.epoch, self.close = db.one, db.all, db.epoch, db.close

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        transaction = self._db.transaction()
        return TracedTransaction(transaction, self._tracer) if is_traced() else transaction


class TracedTransaction:
    """1. Wait for those before. 2. Event `begun`: the body. 3. Event `commit`: to the disk."""

    _span: Span

    def __init__(self, transaction: AbstractAsyncContextManager[Transaction], tracer: Tracer) -> None:
        self._transaction = transaction
        self._tracer = tracer

    async def __aenter__(self) -> Transaction:
        self._span = begin(self._tracer, "transaction", {})
        try:
            begun = await self._transaction.__aenter__()
        except BaseException as error:
            note_failure(self._span, error)
            self._span.end()
            raise
        self._span.add_event("begun")
        return begun

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        with failing(self._span):
            if error is None:
                self._span.add_event("commit")
            else:
                note_failure(self._span, error)
            return await self._transaction.__aexit__(kind, error, trace)


class Sealing:
    """What was sealed and written for one request or job, by whichever threads: one span, not one for each piece."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self._lock = Lock()
        self._began = self._ended = self._busy = self._bytes = 0

    def note(self, began: int, ended: int, size: int) -> None:
        with self._lock:
            self._began = self._began or began
            self._ended = ended
            self._busy += ended - began
            self._bytes += size

    def end(self) -> None:
        """Write the span of what was noted, if there was anything."""
        with self._lock:
            began, ended = self._began, self._ended
            attributes = {"moorage.bytes": self._bytes, "moorage.busy_us": self._busy // 1_000}
            self._began = self._ended = self._busy = self._bytes = 0
        if began:
            begin(self.tracer, "seal", attributes, start=began).end(ended)


SEALING: ContextVar[Sealing | None] = ContextVar("sealing", default=None)
"""Of the request or job that runs."""


class TracedWriter(SealedWriter):
    """Its methods run in worker threads, in the context of who asked (`in_context`)."""

    def append(self, view: memoryview) -> None:
        sealing = SEALING.get()
        if sealing is None:
            super().append(view)
            return
        began = time_ns()
        super().append(view)
        sealing.note(began, time_ns(), len(view))

    def finish(self) -> None:
        sealing = SEALING.get()
        if sealing is None or self.is_finished:
            super().finish()
            return
        sealing.end()
        with failing(begin(sealing.tracer, "store", {"moorage.bytes": self.received})):
            super().finish()


def in_context(work: Work) -> Work:
    """The same, with the work belonging to the span of who has it done."""

    def run(function: Callable[..., Result], /, *arguments: object) -> Awaitable[Result]:
        return work(copy_context().run, function, *arguments)

    return run
