"""What the composition root puts together. Here as it is; `traced.py` has the same parts with spans.

So nothing asks whether it is traced, except the two lines that a request passes (`app.py`, `pipeline.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from moorage.access.authorizer import Authorizer
from moorage.access.call import Work
from moorage.access.epochs import Epochs
from moorage.access.grants import StoredGrants
from moorage.keys.opened import OpenedBlobs
from moorage.keys.sealed import SealedBlobs
from moorage.remote.egress import Egress
from moorage.remote.rules import Rules
from moorage.server.telemetry import Traces
from moorage.store.blobs.api import BlobStore
from moorage.store.db.api import Database
from moorage.store.jobs.queue import Jobs

if TYPE_CHECKING:  # loaded when the ports are open
    from moorage.server.jobs import Handler
    from moorage.server.schedule import Periodic


class Parts:
    requests: Traces | None = None

    def database(self, db: Database) -> Database:
        return db

    def authorizer(self, stored: StoredGrants, epochs: Epochs) -> Authorizer:
        return Authorizer(stored, epochs)

    def blobs(self, store: BlobStore, opened: OpenedBlobs | None) -> SealedBlobs:
        return SealedBlobs(store, opened)

    def work(self, work: Work) -> Work:
        return work

    def jobs(self, process: str) -> Jobs:
        return Jobs(process)

    def egress(self, rules: Rules) -> Egress:
        """To strangers."""
        return Egress(rules)

    def peer_egress(self, rules: Rules) -> Egress:
        """To other installations of ours, which may know whose trace it is."""
        return Egress(rules)

    def handlers(self, handlers: Mapping[str, Handler]) -> Mapping[str, Handler]:
        return handlers

    def periodic(self, periodic: Sequence[Periodic]) -> Sequence[Periodic]:
        return periodic

    async def close(self) -> None:
        """Send what waits to be sent, within a second."""


UNTRACED = Parts()
