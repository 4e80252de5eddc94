"""The storage class of an image: ACTIVE, ARCHIVED, and ACTIVATING on the way back (ECR user guide, "Archiving").

An archived image keeps its tags, and cannot be pulled. What refers to it goes with it and comes back with it.
"""

from __future__ import annotations

from moorage.access.call import Services
from moorage.access.service_events import ServiceEvent
from moorage.registry.account.replicas import replicate_push
from moorage.registry.images import announce, find
from moorage.registry.images.find import Image
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Transaction
from moorage.store.jobs.queue import Job

ACTIVATE = "images.activate"
"""Job by the id of an image that is being restored."""
PLACE = "images.place"
"""Job by the id of an image that was archived, or pushed again."""


async def archive(
    services: Services, tx: Transaction, repository: Repository, image: Image, now: int
) -> list[Image]:
    """With what refers to it, and to that. Return them, the image first; none if it is not ACTIVE."""
    if not await tx.run("images.archive", {"image": image.id, "now": now}):
        return []
    archived = [image]
    await announce.storage_class_updated(services, tx, repository, image, "ARCHIVE")
    await ask_place(services, tx, image.id, now)
    for follower in await find.followers(tx, repository, image.digest):
        if await tx.run("images.archive", {"image": follower.id, "now": now}):
            await announce.storage_class_updated(services, tx, repository, follower, "ARCHIVE")
            await ask_place(services, tx, follower.id, now)
            archived.append(follower)
    tx.changed(repository.id)
    return archived


async def restore(
    services: Services, tx: Transaction, repository: Repository, image: Image, now: int
) -> bool:
    """ACTIVE again in a while, with what refers to it. False if it is not ARCHIVED."""
    if not await tx.run("images.begin_restore", {"image": image.id}):
        return False
    due = now + services.limits.restore_us
    await services.jobs.put(tx, ACTIVATE, str(image.id), now=now, due=due)
    for follower in await find.followers(tx, repository, image.digest):
        if await tx.run("images.begin_restore", {"image": follower.id}):
            await services.jobs.put(tx, ACTIVATE, str(follower.id), now=now, due=due)
    tx.changed(repository.id)
    return True


async def activate(services: Services, job: Job) -> None:
    """The end of a restoration, unless a push was quicker. Its layers come back first."""
    await place(services, job)
    now = services.clock()
    async with services.db.transaction() as tx:
        found = await find.by_id(tx, int(job.subject))
        repository = await repositories.find_by_id(tx, found[0]) if found else None
        if found is None or repository is None:
            return
        image = found[1]
        if not await tx.run("images.activate", {"image": image.id, "now": now}):
            return
        await announce.storage_class_updated(services, tx, repository, image, "STANDARD", now)
        await replicate_push(services, tx, repository, image.digest, await find.tags_of(tx, image))
        tx.changed(repository.id)
    services.service_events.tell(_activated(repository, image))


def _activated(repository: Repository, image: Image) -> ServiceEvent:
    details = {
        "repositoryName": repository.name,
        "imageDigest": str(image.digest),
        "targetStorageClass": "STANDARD",
        "result": "SUCCESS",
        "imageStatus": "ACTIVE",
    }
    return ServiceEvent("ImageActivationEvent", repository.registry, repository.arn, details)


async def ask_place(services: Services, tx: Transaction, image: int, now: int) -> None:
    """Have the layers of an image put where they belong."""
    if services.tiers is not None:
        await services.jobs.put(tx, PLACE, str(image), now=now)


async def place(services: Services, job: Job) -> None:
    """Layers that only archived images use go to the cheaper store, if there is one; others come back."""
    if services.tiers is None:
        return
    for (blob,) in await services.db.all("images.blobs_of", {"image": int(job.subject)}):
        is_near = await services.db.one("images.stays_near", {"blob": blob}) is not None
        await services.work(services.tiers.bring_near if is_near else services.tiers.move_away, blob)
