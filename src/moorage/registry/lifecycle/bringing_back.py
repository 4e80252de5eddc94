"""Bring back what a policy has taken: at once, or by the job behind `moorage lifecycle undelete`."""

from __future__ import annotations

from moorage.access.authorizer import Circumstances
from moorage.access.call import Call, Services
from moorage.access.principals import root_of
from moorage.base.digest import Digest
from moorage.base.http import Arrival
from moorage.registry.images.push import push_image
from moorage.registry.lifecycle import erased
from moorage.registry.lifecycle.erased import Manifest
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.store.jobs.queue import Job

BRING_BACK = "lifecycle.undelete"
"""Job by the id of a repository and a digest."""


def subject_of(repository: Repository, digest: Digest) -> str:
    return f"{repository.id}/{digest}"


async def bring_back(services: Services, job: Job) -> None:
    """Also when nobody waits for it any more."""
    number, _, text = job.subject.partition("/")
    repository = await repositories.find_by_id(services.db, int(number))
    if repository is None:
        return
    now = services.clock()
    kept = await erased.find(services.db, repository.id, Digest.parse(text), now)
    if kept is not None:
        await restore(_call(services, repository, now), repository, kept)


async def restore(call: Call, repository: Repository, kept: Manifest) -> list[str]:
    """The manifest is pushed again, with those of its tags that nobody has set meanwhile: return them.

    Raises what a push raises: `LayersNotFound`, `ReferencedImagesNotFound` for children that are not back yet.
    """
    content = await content_of(call, repository, kept)
    algorithm = kept.digest.algorithm
    pushed = await push_image(
        call, repository, content, kept.media_type, kept.tags, algorithm=algorithm, moves_tags=False
    )
    async with call.db.transaction() as tx:
        await tx.run("lifecycle.forget_erased", {"repository": repository.id, "digest": kept.digest.packed})
    return list(pushed.moved)


async def content_of(call: Call, repository: Repository, kept: Manifest) -> bytes:
    domain = await call.keys.domain_by_id(repository.domain)
    return call.keys.open_manifest(domain, repository.id, kept.digest, kept.sealed)


def _call(services: Services, repository: Repository, now: int) -> Call:
    registry = repository.registry
    return Call(
        principal=root_of(registry.account, "lifecycle"),
        account=registry.account,
        region=registry.region,
        host="",
        now=now,
        request_id="lifecycle",
        services=services,
        around=Circumstances(Arrival(), None, registry.region, now),
    )
