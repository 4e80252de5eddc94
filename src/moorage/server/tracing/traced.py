"""The parts with spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moorage.access.authorizer import Authorizer
from moorage.access.call import Work
from moorage.access.epochs import Epochs
from moorage.access.grants import StoredGrants
from moorage.keys.opened import OpenedBlobs
from moorage.keys.sealed import SealedBlobs
from moorage.remote.egress import Egress
from moorage.remote.rules import Rules
from moorage.server.jobs import Handler
from moorage.server.schedule import Periodic
from moorage.server.tracing.background import TracedJobs, traced_handlers, traced_periodic
from moorage.server.tracing.exporting import Exporting
from moorage.server.tracing.inside import TracedAuthorizer, TracedDatabase, TracedWriter, in_context
from moorage.server.tracing.outbound import TracedEgress
from moorage.server.tracing.parts import Parts
from moorage.server.tracing.requests import TracedRequests
from moorage.store.blobs.api import BlobStore
from moorage.store.db.api import Database
from moorage.store.jobs.queue import Jobs


class TracedParts(Parts):
    def __init__(self, exporting: Exporting) -> None:
        self._exporting = exporting
        self._tracer = exporting.tracer
        self.requests = TracedRequests(self._tracer)

    @classmethod
    def open(cls, url: str) -> TracedParts:
        return cls(Exporting.to(url))

    def database(self, db: Database) -> Database:
        return TracedDatabase(db, self._tracer)

    def authorizer(self, stored: StoredGrants, epochs: Epochs) -> Authorizer:
        return TracedAuthorizer(stored, epochs, self._tracer)

    def blobs(self, store: BlobStore, opened: OpenedBlobs | None) -> SealedBlobs:
        return SealedBlobs(store, opened, TracedWriter)

    def work(self, work: Work) -> Work:
        return in_context(work)

    def jobs(self, process: str) -> Jobs:
        return TracedJobs(process)

    def egress(self, rules: Rules) -> Egress:
        return TracedEgress(rules, self._tracer, tells=False)

    def peer_egress(self, rules: Rules) -> Egress:
        return TracedEgress(rules, self._tracer, tells=True)

    def handlers(self, handlers: Mapping[str, Handler]) -> Mapping[str, Handler]:
        return traced_handlers(handlers, self._tracer)

    def periodic(self, periodic: Sequence[Periodic]) -> Sequence[Periodic]:
        return traced_periodic(periodic, self._tracer)

    async def close(self) -> None:
        await self._exporting.close()
