"""Layers of a repository: what it has, linking, mounting, opening, removing.

A layer is a stored blob under a digest, linked to a repository. A link that no image refers to is a candidate for
collection; whoever asks about a candidate pushes that forward, so that a push that relies on the answer is safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from moorage.access.call import Call
from moorage.base.clock import MINUTE
from moorage.base.digest import Digest
from moorage.base.errors.layers import BlobUnknown, LayerReferenced
from moorage.base.errors.ourselves import Corrupted
from moorage.keys.sealed import SealedReader
from moorage.registry.repositories.repository import Repository, confirm
from moorage.store.db.api import Transaction, Values

RENEW_AFTER = 10 * MINUTE  # a candidate is pushed forward at most so often
HOLDERS_TRIED = 16  # repositories tried by a mount that names none (decisions, 21)


@dataclass(frozen=True, slots=True)
class Layer:
    digest: Digest
    size: int
    blob: bytes
    domain: int
    sha256: Digest
    wrapped_key: bytes
    is_candidate: bool
    """Nothing refers to it yet (or any more): each question about it keeps it from being collected."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A repository of the registry that has a layer."""

    repository: str
    repository_id: int
    blob: bytes


async def find(call: Call, repository: Repository, digest: Digest) -> Layer:
    """Raise `BlobUnknown` also for what only archived images use."""
    row = await call.db.one("uploads.layer", {"repository": repository.id, "digest": digest.packed})
    if row is None:
        raise BlobUnknown(digest=digest, name=repository.name)
    blob, domain, sha256, size, wrapped_key, not_before = row
    if not_before is None and await archived(call, repository, [digest]):
        raise BlobUnknown(digest=digest, name=repository.name)
    if await _renew(call, repository, [(digest, not_before)]):
        raise BlobUnknown(digest=digest, name=repository.name)
    return Layer(digest, size, blob, domain, Digest.unpack(sha256), wrapped_key, not_before is not None)


async def sizes(call: Call, repository: Repository, digests: Sequence[Digest]) -> dict[Digest, int]:
    """Those of the digests that the repository has, with their sizes in bytes."""
    rows = await call.db.all(
        "uploads.layers", {"repository": repository.id, "digests": [digest.packed for digest in digests]}
    )
    asked = [(Digest.unpack(packed), not_before) for packed, _, not_before in rows]
    gone = await _renew(call, repository, asked)
    return {Digest.unpack(packed): size for packed, size, _ in rows if Digest.unpack(packed) not in gone}


async def archived(call: Call, repository: Repository, digests: Sequence[Digest]) -> set[Digest]:
    """Those that only archived images use: they are here, and cannot be had until one of those is restored."""
    packed = [digest.packed for digest in digests]
    rows = await call.db.all("uploads.archived", {"repository": repository.id, "digests": packed})
    return {Digest.unpack(digest) for (digest,) in rows}


async def open_layer(call: Call, layer: Layer) -> SealedReader:
    """The caller closes it. Raise `Corrupted` if row or file is not what was stored."""
    if (
        layer.digest.algorithm == "sha256" and layer.digest != layer.sha256
    ):  # the link leads to another's blob
        raise Corrupted(what=layer.digest)
    domain = await call.keys.domain_by_id(layer.domain)
    key = call.keys.unwrap_blob_key(domain, layer.blob, layer.sha256, layer.wrapped_key)
    try:
        return call.blobs.open(layer.blob, layer.domain, key, layer.size)
    except FileNotFoundError:
        if await call.db.one("uploads.blob_exists", {"blob": layer.blob}):
            raise Corrupted(what=layer.digest) from None
        raise BlobUnknown(digest=layer.digest, name="") from None  # deleted since the row was read


async def store(
    call: Call,
    repository: Repository,
    *,
    upload_id: str,
    blob: bytes,
    size: int,
    wrapped_key: bytes,
    names: Iterable[Digest],
) -> bool:
    """Name a durable blob and link it, in one transaction.

    Return False if the domain had one of that digest already: then that is linked, and this file is doomed. The blob
    itself may be it: whoever was cut off while this was committed does not know that it was.
    """
    sha256, *others = names
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        existing = await tx.one("uploads.stored", {"domain": repository.domain, "digest": sha256.packed})
        if existing is None:
            row: Values = {"id": blob, "domain": repository.domain, "digest": sha256.packed, "size": size}
            await tx.run("uploads.insert_blob", {**row, "wrapped_key": wrapped_key, "created": call.now})
        stored: bytes = blob if existing is None else existing[0]
        if stored != blob:
            await tx.run("uploads.doom_file", {"blob": blob})
        for digest in (sha256, *others):
            await tx.run(
                "uploads.insert_digest",
                {"domain": repository.domain, "digest": digest.packed, "blob": stored},
            )
            await _link(call, tx, repository, digest, stored)
        await tx.run("uploads.end", {"id": upload_id})
        tx.changed(repository.id)
    return stored == blob


async def holders(call: Call, repository: Repository, digest: Digest, source: str | None) -> list[Holder]:
    """Repositories of the same registry and encryption domain that could give the layer: `source`, or any few."""
    values: Values = {
        "digest": digest.packed,
        "account": repository.registry.account,
        "region": repository.registry.region,
        "domain": repository.domain,
    }
    if source is not None:
        rows = await call.db.all("uploads.holder", {**values, "name": source})
    else:
        rows = await call.db.all("uploads.holders", {**values, "limit": HOLDERS_TRIED})
    return [Holder(*row) for row in rows]


async def mount(call: Call, repository: Repository, digest: Digest, holder: Holder) -> bool:
    """Link the holder's layer; False if the holder lost it meanwhile."""
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        held = await tx.one("uploads.layer", {"repository": holder.repository_id, "digest": digest.packed})
        if held is None:
            return False
        await _link(call, tx, repository, digest, held[0])
        tx.changed(repository.id)
    return True


async def link_stored(call: Call, repository: Repository, digest: Digest) -> bool:
    """Link what the encryption domain has of the digest. For the service's own copying: nobody's rights are asked."""
    stored: Values = {"domain": repository.domain, "digest": digest.packed}
    if await call.db.one("uploads.stored", stored) is None:
        return False
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        row = await tx.one("uploads.stored", stored)
        if row is None:  # it was collected since
            return False
        await _link(call, tx, repository, digest, row[0])
        tx.changed(repository.id)
    return True


async def remove(call: Call, repository: Repository, digest: Digest) -> None:
    """Unlink a layer that no image uses; its blob goes with the last link."""
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        values: Values = {"repository": repository.id, "digest": digest.packed}
        row = await tx.one("uploads.unlink", values)
        if row is None:
            if await tx.one("uploads.is_referenced", values):
                raise LayerReferenced(digest=digest)
            raise BlobUnknown(digest=digest, name=repository.name)
        await tx.run("uploads.drop_candidate", values)
        await doom_unlinked(tx, [row[0]])
        tx.changed(repository.id)


async def doom_unlinked(tx: Transaction, blobs: Sequence[bytes]) -> None:
    """Those that no repository has any more lose their row (and key) now, and their file after the commit."""
    if await tx.run("uploads.doom_unlinked", {"blobs": blobs}):
        await tx.run("uploads.delete_doomed_blobs", {"blobs": blobs})


async def _link(call: Call, tx: Transaction, repository: Repository, digest: Digest, blob: bytes) -> None:
    values: Values = {"repository": repository.id, "digest": digest.packed}
    await tx.run("uploads.link", {**values, "blob": blob, "linked": call.now})
    await tx.run("uploads.add_candidate", {**values, "not_before": call.now + call.limits.grace_us})


async def _renew(
    call: Call, repository: Repository, asked: Iterable[tuple[Digest, int | None]]
) -> set[Digest]:
    """Push candidates forward that were not pushed lately; layers in use cost no write.

    Return those that were collected since they were read.
    """
    grace = call.limits.grace_us
    horizon = call.now + grace
    stale = [
        digest
        for digest, not_before in asked
        if not_before is not None and not_before < horizon - min(RENEW_AFTER, grace // 2)
    ]
    if not stale:
        return set()
    packed = [digest.packed for digest in stale]
    async with call.db.transaction() as tx:
        rows = await tx.all("uploads.layers", {"repository": repository.id, "digests": packed})
        left = [digest for digest, *_ in rows]
        await tx.run(
            "uploads.add_candidate",
            [{"repository": repository.id, "digest": digest, "not_before": horizon} for digest in left],
        )
    return set(stale) - set(map(Digest.unpack, left))
