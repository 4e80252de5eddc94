"""Bring back what a policy has taken: the job behind `moorage lifecycle undelete`."""

from __future__ import annotations

import msgspec

from moorage.access.authorizer import Circumstances
from moorage.access.call import Call, Services
from moorage.access.principals import root_of
from moorage.base.digest import Digest
from moorage.base.http import Arrival
from moorage.registry.images import find
from moorage.registry.images.push import push_image
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Values
from moorage.store.jobs.queue import Job

BRING_BACK = "lifecycle.undelete"
"""Job by the id of a repository and a digest."""


def subject_of(repository: Repository, digest: Digest) -> str:
    return f"{repository.id}/{digest}"


async def bring_back(services: Services, job: Job) -> None:
    """The manifest is pushed again, with those of its tags that nobody has set meanwhile."""
    number, _, text = job.subject.partition("/")
    repository, digest = await repositories.find_by_id(services.db, int(number)), Digest.parse(text)
    if repository is None:
        return
    now = services.clock()
    key: Values = {"repository": repository.id, "digest": digest.packed}
    row = await services.db.one("lifecycle.erased_image", {**key, "now": now})
    if row is None:
        return
    media_type, tags, sealed = row
    domain = await services.keys.domain_by_id(repository.domain)
    content = services.keys.open_manifest(domain, repository.id, digest, sealed)
    free = [
        tag
        for tag in msgspec.json.decode(tags, type=list[str])
        if await find.by_tag(services.db, repository, tag) is None
    ]
    call = _call(services, repository, now)
    await push_image(call, repository, content, media_type, free, algorithm=digest.algorithm)
    async with services.db.transaction() as tx:
        await tx.run("lifecycle.forget_erased", key)


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
