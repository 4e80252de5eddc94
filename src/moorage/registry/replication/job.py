"""The background work of replication: a job for each image, tag and destination, and one for each backfill."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence

from moorage.access.call import Services
from moorage.access.service_events import ServiceEvent
from moorage.base.arn import RepositoryArn
from moorage.base.clock import Clock, system_clock
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.error import MoorageError
from moorage.registry.account.replicas import Replica
from moorage.registry.account.setting_changes import Carried
from moorage.registry.events import shapes
from moorage.registry.events.outbox import emit
from moorage.registry.events.shapes import Event
from moorage.registry.peers.peer import Peer
from moorage.registry.replication import backfill, statuses
from moorage.registry.replication.below import target_of
from moorage.registry.replication.carrying import is_refusal, settle_setting, turn_of
from moorage.registry.replication.copying import failure_code, settle
from moorage.registry.replication.means import Means
from moorage.registry.replication.sending import Sender
from moorage.registry.replication.tag_filters import TagFilters
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.remote.egress import Egress
from moorage.remote.rules import Rules
from moorage.store.jobs.queue import Job

ATTEMPTS = 12
"""Then the image's status is FAILED: the retries of one take half an hour."""
AT_ONCE = 4

_log = logging.getLogger("moorage")


class Replicator:
    """What one process replicates."""

    def __init__(
        self,
        peers: Sequence[Peer] = (),
        tags: TagFilters | None = None,
        clock: Clock = system_clock,
        connect: Callable[[Rules], Egress] = Egress,
    ) -> None:
        senders = {peer.registry: Sender(peer, clock, connect(peer.rules)) for peer in peers}
        self._means = Means(peers=senders, tags=tags or {})

    async def close(self) -> None:
        for sender in self._means.peers.values():
            await sender.close()

    async def replicate(self, services: Services, job: Job) -> None:
        """Where the policies say no, another attempt would not help; of all else the last one's failure stays."""
        replica = Replica.parse(job.subject)
        source = await repositories.find_by_id(services.db, replica.repository)
        if source is None:
            return
        is_here, failure = True, ""
        try:
            is_here = await settle(services, self._means, replica, int(job.payload))
        except MoorageError as error:
            if not isinstance(error, AccessDenied) and job.attempts < ATTEMPTS:
                raise
            failure = failure_code(error)
        if not is_here:
            return
        async with services.db.transaction() as tx:
            await statuses.note(tx, replica, int(job.payload), services.clock(), failure)
            current = await target_of(tx, source, replica.tag) if replica.tag else replica.digest
            if current is None and not failure:
                return  # the tag went: that is told as a deletion
            if current != replica.digest and not failure:
                replica = dataclasses.replace(replica, tag="")  # it came without, for it has moved on
            await emit(services, tx, _told(replica, source, failure))
        if replica.destination not in self._means.peers:  # there it is on record as the push that it is
            services.service_events.tell(_on_record(replica, source, failure))

    async def carry(self, services: Services, job: Job) -> int | None:
        """A setting that is refused stays as it is there, and the job to be seen: another attempt would not help.

        Return when it is its turn, if it is not.
        """
        carried = Carried.parse(job.subject)
        source = await repositories.find_by_id(services.db, carried.repository)
        if source is None:
            return None
        failure = ""
        try:
            if (later := await turn_of(services, carried)) is not None:
                return later
            if not await settle_setting(services, self._means, carried):
                return None
        except MoorageError as error:
            if not is_refusal(error):
                raise
            failure, said = failure_code(error), f"{failure_code(error)}: {error}"
            _log.warning("job %s %r is given up: %s", job.kind, job.subject, said)
            await services.jobs.fail(services.db, job, said, services.clock(), attempts=job.attempts)
        if carried.destination not in self._means.peers:  # there it is on record as the call that it is
            services.service_events.tell(_setting_on_record(carried, source, failure))
        return None

    async def backfill(self, services: Services, job: Job) -> None:
        await backfill.run(services, self._means, job)


def _told(replica: Replica, source: Repository, failure: str) -> Event:
    return shapes.image_replicated(
        replica.destination,
        source.name,
        str(replica.digest),
        replica.tag or None,
        source.registry,
        outcome="FAILED" if failure else "SUCCESS",
    )


def _on_record(replica: Replica, source: Repository, failure: str) -> ServiceEvent:
    to = replica.destination
    details = {
        "repositoryName": source.name,
        "imageDigest": str(replica.digest),
        "imageTag": replica.tag or None,
        "sourceRegistryId": source.registry.account,
        "sourceRegion": source.registry.region,
        "result": "FAILED" if failure else "SUCCESS",
    }
    arn = str(RepositoryArn(to.account, to.region, source.name))
    return ServiceEvent("ReplicateImage", to, arn, details, is_read_only=False, error_code=failure)


def _setting_on_record(carried: Carried, source: Repository, failure: str) -> ServiceEvent:
    to = carried.destination
    details = {
        "repositoryName": source.name,
        "setting": carried.setting,
        "sourceRegistryId": source.registry.account,
        "sourceRegion": source.registry.region,
        "result": "FAILED" if failure else "SUCCESS",
    }
    arn = str(RepositoryArn(to.account, to.region, source.name))
    return ServiceEvent("ReplicateSetting", to, arn, details, is_read_only=False, error_code=failure)
