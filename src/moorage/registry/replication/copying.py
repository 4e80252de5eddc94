"""One image, made at a destination as it is here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from moorage.access.authorize import authorize
from moorage.access.authorizer import IMAGE_TAG
from moorage.access.call import Call, Services
from moorage.access.service_events import ServiceEvent
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.digest import Digest
from moorage.base.errors.error import MoorageError
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.registry.account import replicas, setting_changes
from moorage.registry.account.destinations import deleting_destinations_of, destinations_of
from moorage.registry.account.replicas import Replica
from moorage.registry.account.setting_changes import Change
from moorage.registry.images import announce, find, push
from moorage.registry.images.archive import ask_place
from moorage.registry.images.delete import erase
from moorage.registry.images.find import Image
from moorage.registry.images.manifest import Manifest
from moorage.registry.replication.below import closure, target_of
from moorage.registry.replication.calls import call_in
from moorage.registry.replication.carrying import settle_mutability_first
from moorage.registry.replication.layers import LayerCopies
from moorage.registry.replication.means import Means
from moorage.registry.replication.sending import Source
from moorage.registry.replication.wanted import wants
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Completion, Repository
from moorage.registry.templates.creation import context_of, make_repository
from moorage.registry.templates.template import matching
from moorage.registry.uploads import layers
from moorage.store.db.api import Reads, Transaction, Values

REFERRERS_MAX = 1_000  # of one image, that are brought along
CHILDREN_MAX = 40_000  # a manifest has no room for more
_LOOKED_UP_AT_ONCE = 500
_ELSEWHERE = 0  # no repository here: what is there is seen when it is sent


@dataclass(frozen=True, slots=True)
class Way:
    """From a repository here to one there; the calls are made for the account that has the images."""

    here: Call
    source: Repository
    there: Call
    target: Repository


async def settle(services: Services, means: Means, replica: Replica, asked: int | None = None) -> bool:
    """Make an image there as it is here, whatever has happened to it since. False if it is not to go there.

    `asked` is when the change was made: what was set before it, of what protects tags, is set there before.

    1. What is here: the repository, the image. Where that is gone, so it is there, if a rule replicates deletions.
       What is archived does not go, nor a tag that the operator keeps from that destination, nor anything to where no
       rule leads any more.
    2. May the account write there, and make the repository if that is missing? The policies there say so.
    3. The image, what it refers to first (`bring`), under its tag if that still points at it here and may be set there.
    4. Who refers to it, and is not there, becomes work of its own.
    5. What has happened to it here meanwhile: the tag goes if it was taken off, and the image if it was deleted; where
       the tag has moved, the image that it is on now is sent again, so that it arrives last.

    To another installation the image is sent in place of 2 and 3: that decides by itself.

    Raise `AccessDenied`; or any other error, after which it can be tried again.
    """
    # 1
    source = await repositories.find_by_id(services.db, replica.repository)
    if source is None:
        return False
    here = call_in(services, source.registry, source.registry.account)
    image = await find.by_digest(here.db, source, replica.digest)
    if image is None:
        await remove(here, means, source, replica)
        return False
    if not await _goes(means, here, source, image, replica):
        return False
    is_tagged = bool(replica.tag) and await target_of(here.db, source, replica.tag) == replica.digest
    if replica.tag:
        before = services.clock() if asked is None else asked
        await settle_mutability_first(services, means, source, replica.destination, before)
    sender = means.peers.get(replica.destination)
    if sender is not None:
        await sender.send(Source(here, source), image, replica.tag)
        target = _ELSEWHERE
    else:
        # 2
        way = await way_to(here, source, replica.destination, replica.tag)
        # 3
        await bring(means.copies, way, image, replica.tag)
        target = way.target.id
    # 4
    await _ask_for_referrers(here, source, target, replica)
    # 5
    return await _catch_up(here, means, source, replica, is_tagged=is_tagged)


async def _goes(means: Means, here: Call, source: Repository, image: Image, replica: Replica) -> bool:
    to = replica.destination
    if image.status not in find.ACTIVE:
        return False
    if to not in destinations_of(await replicas.rules_of(here.db, source.registry), source.name):
        return False
    return await wants(means.tags, here.db, source, to, replica.tag, image.subject)


async def _catch_up(
    here: Call, means: Means, source: Repository, replica: Replica, *, is_tagged: bool
) -> bool:
    """5. False if the image is not here any more."""
    if await repositories.find_by_id(here.db, source.id) is None:
        return False  # the deletion of a repository is not replicated
    is_here = await _is_here(here.db, source, replica.digest)
    current = await target_of(here.db, source, replica.tag) if replica.tag else None
    if not is_here or (replica.tag and current is None):
        await remove(here, means, source, replica)
    elif is_tagged and current is not None and current != replica.digest:
        async with here.db.transaction() as tx:
            moved = Replica(source.id, current, replica.tag, replica.destination)
            await replicas.put(here.services, tx, moved)
    return is_here


def failure_code(error: MoorageError) -> str:
    """As ECR's callers know it: the name of the error."""
    return type(error).__name__


async def way_to(here: Call, source: Repository, destination: Registry, tag: str = "") -> Way:
    """The repository there, made by its template if it is missing. Raise `AccessDenied`, and then nothing was made."""
    there = call_in(here.services, destination, source.registry.account)
    arn = str(RepositoryArn(destination.account, destination.region, source.name))
    await authorize(there, "ecr:ReplicateImage", arn, {IMAGE_TAG: tag} if tag else None)
    try:
        target = await repositories.find(there, source.name)
    except RepositoryNotFound:
        template = await matching(there.db, destination, source.name, "REPLICATION")
        await authorize(there, "ecr:CreateRepository", arn, context_of(template) if template else None)
        target = await make_repository(
            there, source.name, "REPLICATION", _carrying(here, source, destination)
        )
    return Way(here, source, there, target)


def _carrying(here: Call, source: Repository, destination: Registry) -> Completion | None:
    """The settings that go along to a repository that is made there, as work of its own; they are not its own."""
    services = here.services
    chosen = setting_changes.carried_to(services, destination)

    async def carry(tx: Transaction, made: Repository) -> None:
        for setting in chosen:
            await setting_changes.note(tx, made, setting, Change(0, source.registry))
        await setting_changes.put_all(services, tx, source, destination)

    return carry if chosen else None


async def bring(copies: LayerCopies, way: Way, image: Image, tag: str) -> None:
    """Bring the image with all below it, byte for byte.

    1. An index's children, however deep, in an order in which each finds its own there.
    2. Of each that is not there: its layers; then its manifest, whose bytes and so whose digest stay the same.
    3. The image itself, also if it is there: it may be archived there, or have another tag.
    """
    # 1
    *below, _ = await closure(way.here, way.source, image)
    # 2
    for digest in below:
        there = await find.by_digest(way.there.db, way.target, digest)
        child = await find.by_digest(way.here.db, way.source, digest)
        if child is not None and (there is None or there.status not in find.ACTIVE):
            await _bring_one(copies, way, child, "")
    # 3
    await _bring_one(copies, way, image, tag)


async def remove(here: Call, means: Means, source: Repository, replica: Replica) -> None:
    """Take there off what was taken off here, if a rule wants deletions replicated; only what replication brought.

    In another account that takes the right to delete (`ecr:BatchDeleteImage`): the right to bring images is less.
    """
    rules = await replicas.rules_of(here.db, source.registry)
    if replica.destination not in deleting_destinations_of(rules, source.name):
        return
    sender = means.peers.get(replica.destination)
    if sender is not None:
        await sender.remove(Source(here, source), replica.digest, replica.tag)
        return
    there = call_in(here.services, replica.destination, source.registry.account)
    try:
        target = await repositories.find(there, source.name)
    except RepositoryNotFound:
        return
    context = {IMAGE_TAG: replica.tag} if replica.tag else None
    await authorize(there, "ecr:BatchDeleteImage", target.arn, context)
    async with there.db.transaction() as tx:
        await repositories.confirm(tx, target)
        if await repositories.find_by_id(tx, source.id) is None:  # its deletion is not replicated
            return
        is_less = await _take_off(there, tx, source, target, replica)
    if is_less:
        there.services.service_events.tell(_on_record(source, target, replica))


async def _take_off(
    there: Call, tx: Transaction, source: Repository, target: Repository, replica: Replica
) -> bool:
    """The tag if it is off here, then the image if it is gone here, and untagged there and in no index."""
    row = await tx.one("replication.replica", {"repository": target.id, "digest": replica.digest.packed})
    image = await find.by_digest(tx, target, replica.digest)
    if row is None or image is None:
        return False
    id_, parents = row
    told: list[str] | None = None
    is_off = replica.tag and await target_of(tx, source, replica.tag) is None
    if is_off and await target_of(tx, target, replica.tag) == replica.digest:
        await tx.run("images.delete_tag", {"repository": target.id, "tag": replica.tag})
        told = [replica.tag]
    is_gone = await find.by_digest(tx, source, replica.digest) is None
    if is_gone and not parents and not await tx.all("images.tags_of", {"image": id_}):
        await _put_children(there, tx, id_, replica)
        await erase(tx, id_, there.now + there.limits.grace_us)
        told = told or []
    if told is not None:
        await announce.deleted(there.services, tx, target, image, told)
        tx.changed(target.id)
    return told is not None


def _on_record(source: Repository, target: Repository, replica: Replica) -> ServiceEvent:
    details = {
        "repositoryName": target.name,
        "imageDigest": str(replica.digest),
        "imageTag": replica.tag or None,
        "sourceRegistryId": source.registry.account,
        "sourceRegion": source.registry.region,
        "result": "SUCCESS",
    }
    return ServiceEvent("ReplicateDeletion", target.registry, target.arn, details, is_read_only=False)


async def _put_children(there: Call, tx: Transaction, image: int, replica: Replica) -> None:
    """Of an index that goes there, those that are not here either: they stayed as long as it had them."""
    values: Values = {"image": image, "source": replica.repository, "limit": CHILDREN_MAX}
    for (packed,) in await tx.all("replication.children_gone", values):
        child = Replica(replica.repository, Digest.unpack(packed), "", replica.destination)
        await replicas.put(there.services, tx, child)


async def _bring_one(copies: LayerCopies, way: Way, image: Image, tag: str) -> None:
    """Layers, manifest, tag. Where something it refers to is not here either, it was accepted without, and is there."""
    digest, content = image.digest, await find.manifest_of(way.here, way.source, image)
    incoming = await push.receive(way.there, way.target, content, image.media_type, digest.algorithm)
    is_whole = await _bring_layers(copies, way, incoming.manifest)
    for child in incoming.manifest.children:
        is_whole = is_whole and await find.by_digest(way.here.db, way.source, child.digest) is not None
    async with way.there.db.transaction() as tx:
        if not await _is_here(tx, way.source, digest):  # deleted meanwhile, and maybe not whole any more
            return
        stored = await push.store(
            way.there, tx, way.target, incoming, origin="replica", may_miss_references=not is_whole
        )
        # It may have moved here meanwhile: the look and the setting are one transaction.
        if tag and await target_of(tx, way.source, tag) == digest:
            await push.set_tag_if_free(way.there, tx, stored, digest, tag)
        if stored.was_restored:
            await ask_place(way.there.services, tx, stored.image, way.there.now)
        tx.changed(way.target.id)


async def _is_here(reads: Reads, source: Repository, digest: Digest) -> bool:
    is_there = await repositories.find_by_id(reads, source.id) is not None
    return is_there and await find.by_digest(reads, source, digest) is not None


async def _bring_layers(copies: LayerCopies, way: Way, manifest: Manifest) -> bool:
    """False if some of them are not here either."""
    digests = list(dict.fromkeys(blob.digest for blob in manifest.blobs))
    is_whole = True
    for start in range(0, len(digests), _LOOKED_UP_AT_ONCE):
        some = digests[start : start + _LOOKED_UP_AT_ONCE]
        present = await layers.sizes(way.there, way.target, some)
        missing = [digest for digest in some if digest not in present]
        # None is cancelled when another fails: a layer that is being written is written to its end.
        brought = await asyncio.gather(
            *(copies.bring(way.here, way.source, way.there, way.target, digest) for digest in missing),
            return_exceptions=True,
        )
        for outcome in brought:
            if isinstance(outcome, BaseException):
                raise outcome
            is_whole &= outcome
    return is_whole


async def _ask_for_referrers(here: Call, source: Repository, target: int, replica: Replica) -> None:
    rows = await here.db.all(
        "replication.missing_referrers",
        {
            "repository": source.id,
            "subject": replica.digest.packed,
            "target": target,
            "limit": REFERRERS_MAX,
        },
    )
    if not rows:
        return
    async with here.db.transaction() as tx:
        for (packed,) in rows:
            referrer = Replica(source.id, Digest.unpack(packed), "", replica.destination)
            await replicas.put(here.services, tx, referrer)
