"""Push an image: the manifest, its references, its tags. Both doors push here (`PUT /v2/…/manifests/…`, PutImage)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from moorage.access.call import Call
from moorage.base.digest import Digest
from moorage.base.errors.images import (
    ImageTagAlreadyExists,
    LayersNotFound,
    LimitExceeded,
    ManifestTooLarge,
    ReferencedImagesNotFound,
)
from moorage.registry.account.replicas import replicate_push
from moorage.registry.images import announce
from moorage.registry.images import manifest as manifests
from moorage.registry.images.archive import ask_place
from moorage.registry.images.manifest import Manifest
from moorage.registry.repositories.repository import Repository, confirm
from moorage.store.db.api import Row, Transaction, UniqueViolation, Values

_LOOKED_UP_AT_ONCE = 500

Origin = Literal["push", "replica", "cache"]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A manifest that is about to be stored."""

    digest: Digest
    manifest: Manifest
    size: int
    """Of the manifest, in bytes."""
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    repository: Repository
    """As it is in the transaction: since the push began, it may have been made immutable."""
    image: int
    """Id of the row."""
    is_new: bool
    """The repository did not have the digest before."""
    was_restored: bool
    """It was archived."""


@dataclass(frozen=True, slots=True)
class Pushed:
    digest: Digest
    manifest: Manifest
    is_new: bool
    """The repository did not have the digest before."""
    was_restored: bool
    """It was archived."""
    moved: tuple[str, ...]
    """Tags that point at it now and did not before."""


async def push_image(
    call: Call,
    repository: Repository,
    content: bytes,
    media_type: str | None,
    tags: Sequence[str],
    *,
    algorithm: str = "sha256",
    strict: bool = False,
    moves_tags: bool = True,
) -> Pushed:
    """Accept a manifest as it is, byte for byte.

    1. Size and shape; what it refers to.
    2. In one transaction, so that nothing referred to can be collected meanwhile:
       a. every layer and child is in the repository (unless missing references are allowed here);
       b. the image is stored, or an archived one restored;
       c. its layers stop being candidates for collection;
       d. each tag is set; a protected tag that points elsewhere refuses the whole push;
       e. where the image is to be replicated, that is put down as work;
       f. it is told: an event for each tag.
    `strict`: a protected tag refuses the same digest as well (ECR's JSON API). Without `moves_tags`, those that point
    somewhere already stay there.
    """
    # 1
    incoming = await receive(call, repository, content, media_type, algorithm)
    digest = incoming.digest
    # 2
    try:
        async with call.db.transaction() as tx:
            stored = await store(call, tx, repository, incoming)
            if not moves_tags:
                tags = [tag for tag in tags if await _is_free(tx, repository, tag)]
            moved = [tag for tag in tags if await _set_tag(call, tx, stored, digest, tag, strict=strict)]
            if call.limits.aws_quotas:
                await _check_tag_quota(call, tx, repository, stored.image, tags)
            if stored.was_restored:
                await ask_place(call.services, tx, stored.image, call.now)
            if stored.is_new or stored.was_restored or moved:
                await replicate_push(call.services, tx, repository, digest, moved)
            if not strict or stored.is_new or stored.was_restored or moved:  # else the JSON API refuses it
                await announce.pushed(call.services, tx, repository, digest, incoming.manifest, tags)
            tx.changed(repository.id)
    except UniqueViolation:  # two pushes of one protected tag: the constraint let one of them through
        raise ImageTagAlreadyExists(tag=", ".join(tags), name=repository.name) from None
    return Pushed(digest, incoming.manifest, stored.is_new, stored.was_restored, tuple(moved))


async def receive(
    call: Call, repository: Repository, content: bytes, media_type: str | None, algorithm: str = "sha256"
) -> Incoming:
    """1. Read and seal a manifest. Raise `ManifestTooLarge` or `ManifestInvalid`."""
    if len(content) > call.limits.manifest_bytes:
        raise ManifestTooLarge(limit=call.limits.manifest_bytes)
    manifest = manifests.parse(content, media_type)
    digest = Digest.of(content, algorithm)
    domain = await call.keys.domain_by_id(repository.domain)
    sealed = call.keys.seal_manifest(domain, repository.id, digest, content)
    return Incoming(digest, manifest, len(content), sealed)


async def store(
    call: Call,
    tx: Transaction,
    repository: Repository,
    incoming: Incoming,
    *,
    origin: Origin = "push",
    may_miss_references: bool | None = None,
) -> Stored:
    """2a to 2c, without tags, inside the caller's transaction.

    `may_miss_references`: None is as the repository has it.
    """
    current = await confirm(tx, repository)
    may_miss = _may_miss_references(call, current) if may_miss_references is None else may_miss_references
    size = await _check_references(tx, current, incoming.manifest, may_miss=may_miss)
    stored = await _store(call, tx, current, incoming, size, origin)
    if stored.is_new and call.limits.aws_quotas:
        await _check_image_quota(call, tx, current)
    await _refer(tx, current, stored.image, incoming.manifest)
    return stored


async def set_tag_if_free(call: Call, tx: Transaction, stored: Stored, digest: Digest, tag: str) -> bool:
    """Point the tag at the image; False where it is protected and points elsewhere, and so stays."""
    try:
        await _set_tag(call, tx, stored, digest, tag, strict=False)
    except ImageTagAlreadyExists:
        return False
    return True


async def _check_references(
    tx: Transaction, repository: Repository, manifest: Manifest, *, may_miss: bool
) -> int:
    """2a. Return the size of the image: its layers, or of an index the largest child (ECR: ImageDetail)."""
    blobs = list(dict.fromkeys(blob.digest for blob in manifest.blobs))
    present = {packed for packed, *_ in await _look_up(tx, "uploads.layers", repository, blobs)}
    children = list(dict.fromkeys(child.digest for child in manifest.children))
    sizes: dict[bytes, int] = dict(await _look_up(tx, "images.existing", repository, children))
    if not may_miss:
        facts = {"name": repository.name, "registry_id": repository.registry.account}
        absent = [str(digest) for digest in blobs if digest.packed not in present]
        if absent:
            raise LayersNotFound(digests=", ".join(absent), **facts)
        absent = [str(child) for child in children if child.packed not in sizes]
        if absent:
            raise ReferencedImagesNotFound(digests=", ".join(absent), **facts)
    return max(sizes.values(), default=0) if children else manifest.layers_size


async def _look_up(
    tx: Transaction, statement: str, repository: Repository, digests: Sequence[Digest]
) -> list[Row]:
    """The rows of those digests. A manifest has room for 35,000, and a statement's cost grows with their square."""
    rows: list[Row] = []
    for start in range(0, len(digests), _LOOKED_UP_AT_ONCE):
        packed = [digest.packed for digest in digests[start : start + _LOOKED_UP_AT_ONCE]]
        rows += await tx.all(statement, {"repository": repository.id, "digests": packed})
    return rows


def _may_miss_references(call: Call, repository: Repository) -> bool:
    own = repository.allow_missing_references
    return call.limits.allow_missing_references if own is None else own


async def _store(
    call: Call, tx: Transaction, repository: Repository, incoming: Incoming, size: int, origin: Origin
) -> Stored:
    """2b. `size` is that of the image."""
    digest, manifest = incoming.digest, incoming.manifest
    key: Values = {"repository": repository.id, "digest": digest.packed}
    inserted = await tx.run(
        "images.insert",
        {
            **key,
            "media_type": manifest.media_type,
            "artifact_type": manifest.artifact_type,
            "config_media_type": manifest.config_media_type,
            "manifest_size": incoming.size,
            "image_size": size,
            "subject": manifest.subject.packed if manifest.subject else None,
            "pushed": call.now,
            "origin": origin,
            "sealed_manifest": incoming.sealed,
        },
    )
    restored = 0 if inserted else await tx.run("images.restore", {**key, "now": call.now})
    row = await tx.one("images.id_of", key)
    assert row is not None  # it was inserted or it was there
    return Stored(repository, row[0], bool(inserted), bool(restored))


async def _refer(tx: Transaction, repository: Repository, image: int, manifest: Manifest) -> None:
    """2c."""
    for_image: Values = {"image": image, "repository": repository.id}
    blobs = {blob.digest.packed for blob in manifest.blobs}
    if blobs:
        await tx.run("images.insert_blob", [{**for_image, "digest": packed} for packed in blobs])
        await tx.run(
            "uploads.drop_candidate", [{"repository": repository.id, "digest": packed} for packed in blobs]
        )
    children = {child.digest.packed for child in manifest.children}
    if children:
        await tx.run("images.insert_child", [{**for_image, "child": packed} for packed in children])


async def _set_tag(
    call: Call, tx: Transaction, stored: Stored, digest: Digest, tag: str, *, strict: bool
) -> bool:
    """2d. Return whether the tag points elsewhere than before."""
    repository = stored.repository
    row: Values = {"repository": repository.id, "tag": tag}
    target = await tx.one("images.tag_target", row)
    is_protected = repository.mutability.protects(tag)
    is_same = target is not None and target[0] == digest.packed
    if target is not None and is_protected and (strict or not is_same):
        raise ImageTagAlreadyExists(tag=tag, name=repository.name)
    if is_same:
        return False
    statement = "images.insert_tag" if is_protected else "images.move_tag"
    await tx.run(statement, {**row, "image": stored.image, "now": call.now})
    return True


async def _check_image_quota(call: Call, tx: Transaction, repository: Repository) -> None:
    most = call.limits.quotas.images
    if await tx.one("images.is_beyond", {"repository": repository.id, "most": most}):
        raise LimitExceeded(
            f"The repository with name '{repository.name}' in registry with id '{repository.registry.account}' already "
            f"has the maximum allowed number of images which is '{most}'",
            quota="images",
        )


async def _is_free(tx: Transaction, repository: Repository, tag: str) -> bool:
    return await tx.one("images.tag_target", {"repository": repository.id, "tag": tag}) is None


async def _check_tag_quota(
    call: Call, tx: Transaction, repository: Repository, image: int, tags: Sequence[str]
) -> None:
    most = call.limits.quotas.tags
    if len(await tx.all("images.tags_of", {"image": image})) > most:
        raise LimitExceeded(
            f"Adding tag '{tags[-1]}' to an image in the repository with name '{repository.name}' in registry with id "
            f"'{repository.registry.account}' exceeds the maximum allowed number of tags per image which is '{most}'",
            quota="tags",
        )
