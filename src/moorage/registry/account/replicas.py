"""What a change of an image makes of the replication configuration: work, put down in the change's own transaction.

It is a job for each image, tag and destination: "make it there as it is here". What it does is decided when it runs
(`registry/replication`), from what is there then: it may run twice, late, or in another order. Its payload is the time
of the change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from moorage.access.call import Services
from moorage.base.addresses import Registry
from moorage.base.digest import Digest
from moorage.registry.account import replication
from moorage.registry.account.destinations import Rule, deleting_destinations_of, destinations_of, rules_in
from moorage.store.db.api import Reads, Transaction

KIND = "replicate"


class Place(Protocol):
    """A repository whose images are replicated."""

    @property
    def id(self) -> int: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Replica:
    """One image under one tag (or under none, ""), and where it is to be."""

    repository: int
    """Id of the one that it is in."""
    digest: Digest
    tag: str
    destination: Registry

    @property
    def subject(self) -> str:
        """Of its job."""
        to = self.destination
        return f"{subjects_of(self.repository, self.digest)}{to.account}/{to.region}/{self.tag}"

    @classmethod
    def parse(cls, subject: str) -> Replica:
        repository, digest, account, region, tag = subject.split("/", 4)
        return cls(int(repository), Digest(digest), tag, Registry(account, region))


def subjects_of(repository: int, digest: Digest) -> str:
    """What the subjects of all jobs about an image begin with."""
    return f"{repository}/{digest}/"


async def rules_of(reads: Reads, registry: Registry) -> list[Rule]:
    return rules_in(await replication.configuration_of(reads, registry))


async def replicate_push(
    services: Services, tx: Transaction, place: Place, digest: Digest, tags: Sequence[str]
) -> None:
    """Have the image brought to where the rules say, under the tags it got by this push (or has, if restored)."""
    for destination in destinations_of(await rules_of(tx, place.registry), place.name):
        for tag in tags or [""]:
            await put(services, tx, Replica(place.id, digest, tag, destination))


async def replicate_removal(
    services: Services, tx: Transaction, place: Place, removed: Iterable[tuple[Digest, str | None]]
) -> None:
    """Have a deletion done where the rules say that deletions are. A pair without tag is an untagged image."""
    destinations = deleting_destinations_of(await rules_of(tx, place.registry), place.name)
    for digest, tag in removed if destinations else ():
        for destination in destinations:
            await put(services, tx, Replica(place.id, digest, tag or "", destination))


async def put(services: Services, tx: Transaction, replica: Replica) -> None:
    now = services.clock()
    await services.jobs.put(tx, KIND, replica.subject, str(now), now=now)
