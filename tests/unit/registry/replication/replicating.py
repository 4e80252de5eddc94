"""A registry in memory with a second region and a second account, and the runner of its jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from moorage.access import resource_policy
from moorage.access.call import Call
from moorage.access.grants import registry_arn
from moorage.aws.shapes.ecr import (
    DeleteReplication,
    ReplicationConfiguration,
    ReplicationDestination,
    ReplicationRule,
    RepositoryFilter,
)
from moorage.base.addresses import Registry
from moorage.base.digest import Digest
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.registry.account import replicas, replication, setting_changes
from moorage.registry.images import archive, find
from moorage.registry.images.find import Image
from moorage.registry.images.manifest import OCI_INDEX
from moorage.registry.replication import backfill, job
from moorage.registry.replication.tag_filters import TagFilters
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.server.jobs import Handler, JobRunner

from ..memory import call_of
from ..registry import ACCOUNT, REGION, MemoryRegistry

HERE = Registry(ACCOUNT, REGION)
THERE = Registry(ACCOUNT, "far-1")
FURTHER = Registry(ACCOUNT, "far-2")
OTHERS = Registry("210987654321", REGION)


async def configure(
    registry: MemoryRegistry,
    *destinations: Registry,
    source: Registry = HERE,
    prefixes: Sequence[str] = (),
    deletes: bool = False,
) -> None:
    rule = ReplicationRule(
        destinations=[
            ReplicationDestination(region=to.region, registry_id=to.account) for to in destinations
        ],
        repository_filters=[RepositoryFilter(filter=each, filter_type="PREFIX_MATCH") for each in prefixes]
        or None,
        delete_replication=DeleteReplication(enabled=True) if deletes else None,
    )
    configuration = ReplicationConfiguration(rules=[rule] if destinations else [])
    async with registry.db.transaction() as tx:
        await replication.store(tx, source, configuration, registry.now)


async def run(registry: MemoryRegistry, tags: TagFilters | None = None) -> None:
    """All jobs that are due, and what comes of them."""
    replicator = job.Replicator(tags=tags)
    handlers = {
        archive.ACTIVATE: Handler(archive.activate),
        replicas.KIND: Handler(replicator.replicate, job.AT_ONCE, job.ATTEMPTS),
        setting_changes.KIND: Handler(replicator.carry, job.AT_ONCE, job.ATTEMPTS),
        backfill.KIND: Handler(replicator.backfill),
    }
    await JobRunner(registry.services, handlers).run_due()


def at(registry: MemoryRegistry, place: Registry) -> Call:
    return call_of(registry, place.account, place.region)


async def repository_at(registry: MemoryRegistry, place: Registry, name: str) -> Repository | None:
    try:
        return await repositories.find_in(registry.db, place, name)
    except RepositoryNotFound:
        return None


async def image_at(registry: MemoryRegistry, place: Registry, name: str, digest: Digest) -> Image | None:
    """With its tags."""
    found = await repository_at(registry, place, name)
    image = await find.by_digest(registry.db, found, digest) if found else None
    return (await find.with_tags(registry.db, [image]))[0] if image else None


async def tags_at(
    registry: MemoryRegistry, place: Registry, name: str, digest: Digest
) -> tuple[str, ...] | None:
    image = await image_at(registry, place, name, digest)
    return image.tags if image is not None else None


async def manifest_at(registry: MemoryRegistry, place: Registry, name: str, digest: Digest) -> bytes:
    found, image = (
        await repository_at(registry, place, name),
        await image_at(registry, place, name, digest),
    )
    assert found is not None
    assert image is not None
    return await find.manifest_of(at(registry, place), found, image)


async def layer_at(registry: MemoryRegistry, place: Registry, name: str, digest: Digest) -> bytes:
    found = await repository_at(registry, place, name)
    assert found is not None
    return await registry.pull_layer(found, digest)


async def allow(registry: MemoryRegistry, place: Registry, *actions: str, source: str = ACCOUNT) -> None:
    """By the policy of the registry at `place`."""
    statement: dict[str, Any] = {
        "Sid": "replication",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{source}:root"},
        "Action": list(actions),
        "Resource": f"arn:aws:ecr:{place.region}:{place.account}:repository/*",
    }
    text = msgspec.json.encode({"Version": "2012-10-17", "Statement": [statement]}).decode()
    async with registry.services.epochs.changing(place.account) as tx:
        await resource_policy.store(tx, registry_arn(place.account, place.region), text, registry.now)


def index_of(*children: tuple[Digest, bytes]) -> bytes:
    manifests = [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": str(digest),
            "size": len(content),
        }
        for digest, content in children
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).encode()
