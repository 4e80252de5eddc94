"""How far the replication of an image is: a row for each destination that is settled, and the jobs that are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from moorage.base.addresses import Registry
from moorage.registry.account import setting_changes
from moorage.registry.account.replicas import KIND, Replica, subjects_of
from moorage.registry.images.find import Image
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads, Transaction

GIVEN_UP = "InternalError"
"""The failure code where not replication failed, but we."""


@dataclass(frozen=True, slots=True)
class Status:
    destination: Registry
    status: Literal["IN_PROGRESS", "COMPLETE", "FAILED"]
    failure: str = ""


async def of_image(reads: Reads, repository: Repository, image: Image) -> list[Status]:
    """By destination. What is under way counts more than how it went before.

    The jobs are read first: one that ends between the two reads has left its outcome.
    """
    first = subjects_of(repository.id, image.digest)
    beyond = first[:-1] + chr(ord(first[-1]) + 1)
    pending = await reads.all("replication.pending", {"kind": KIND, "first": first, "beyond": beyond})
    found: dict[Registry, Status] = {}
    for account, region, failure in await reads.all("replication.statuses", {"image": image.id}):
        destination = Registry(account, region)
        found[destination] = Status(destination, "FAILED" if failure else "COMPLETE", failure)
    for subject, is_given_up in pending:
        destination = Replica.parse(subject).destination
        if is_given_up:
            found.setdefault(destination, Status(destination, "FAILED", GIVEN_UP))
        else:
            found[destination] = Status(destination, "IN_PROGRESS")
    return sorted(found.values(), key=lambda each: (each.destination.region, each.destination.account))


async def note(tx: Transaction, replica: Replica, asked: int, now: int, failure: str = "") -> None:
    """Of an image that is here; with none it does nothing. `failure` is empty if it is there."""
    await tx.run(
        "replication.note_status",
        {
            "repository": replica.repository,
            "digest": replica.digest.packed,
            "account": replica.destination.account,
            "region": replica.destination.region,
            "failure": failure,
            "asked": asked,
            "now": now,
        },
    )


async def lag_us(reads: Reads, now: int) -> int:
    """For how long the oldest change waits that is not replicated yet."""
    row = await reads.one("replication.oldest", {"kinds": [KIND, setting_changes.KIND]})
    return max(0, now - row[0]) if row is not None else 0
