"""A registry in memory with images of any age, and what its jobs do."""

from __future__ import annotations

import json
from typing import Any

from moorage.base.digest import Digest
from moorage.registry.images import find
from moorage.registry.images.push import push_image
from moorage.registry.lifecycle import stored
from moorage.registry.repositories.repository import Repository
from moorage.server.jobs import JobRunner
from moorage.server.schedule import HANDLERS

from ..registry import MANIFEST_TYPE, MemoryRegistry, image_of

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
UNTAGGED_BEYOND_ONE = {
    "tagStatus": "untagged",
    "countType": "imageCountMoreThan",
    "countNumber": 1,
}


def policy_of(*selections: dict[str, Any], action: dict[str, str] | None = None) -> str:
    rules = [
        {"rulePriority": number, "selection": each, "action": action or {"type": "expire"}}
        for number, each in enumerate(selections, 1)
    ]
    return json.dumps({"rules": rules})


def older_than(days: int, status: str = "any", **more: Any) -> dict[str, Any]:
    return {
        "tagStatus": status,
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": days,
        **more,
    }


async def run_jobs(registry: MemoryRegistry) -> None:
    await JobRunner(registry.services, HANDLERS).run_due()


async def apply_now(registry: MemoryRegistry, repository: Repository) -> None:
    async with registry.db.transaction() as tx:
        await stored.ask(tx, registry.services.jobs, repository.id, now=registry.now, due=registry.now)
    await run_jobs(registry)


async def push(
    registry: MemoryRegistry,
    repository: Repository,
    name: str,
    *tags: str,
    subject: Digest | None = None,
) -> Digest:
    """An image of its own layer, a second after the one before."""
    registry.pass_time(1_000_000)
    contents = [b"{}", name.encode()]
    for content in contents:
        await registry.push_layer(repository, content)
    document = json.loads(image_of(contents))
    if subject is not None:
        document["subject"] = {"mediaType": MANIFEST_TYPE, "digest": str(subject), "size": 1}
    return (
        await push_image(registry.call, repository, json.dumps(document).encode(), MANIFEST_TYPE, tags)
    ).digest


async def push_index(
    registry: MemoryRegistry, repository: Repository, children: list[Digest], *tags: str
) -> Digest:
    registry.pass_time(1_000_000)
    manifests = [{"mediaType": MANIFEST_TYPE, "digest": str(child), "size": 1} for child in children]
    document = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests}
    content = json.dumps(document).encode()
    return (await push_image(registry.call, repository, content, INDEX_TYPE, tags)).digest


async def status_of(registry: MemoryRegistry, repository: Repository, digest: Digest) -> str:
    image = await find.by_digest(registry.db, repository, digest)
    return "gone" if image is None else image.status
