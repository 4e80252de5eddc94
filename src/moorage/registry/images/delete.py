"""Delete images and tags. What only they used becomes a candidate for collection."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.base.digest import Digest
from moorage.registry.images import find
from moorage.registry.images.find import Image
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Transaction


async def remove_tag(call: Call, repository: Repository, tag: str) -> bool:
    """Take the tag off; the image stays, untagged (distribution-spec: "Deleting tags"). False if there is none."""
    async with call.db.transaction() as tx:
        removed = await tx.run("images.delete_tag", {"repository": repository.id, "tag": tag})
        tx.changed(repository.id)
    return bool(removed)


async def remove_image(call: Call, repository: Repository, digest: Digest) -> bool:
    """Delete the image and every tag on it at once. An index that has it as a child becomes sparse. False if absent."""
    async with call.db.transaction() as tx:
        image = await find.by_digest(tx, repository, digest)
        if image is None:
            return False
        await erase(call, tx, image)
        tx.changed(repository.id)
    return True


async def parents(tx: Transaction, repository: Repository, digest: Digest) -> list[Digest]:
    """The indexes of the repository that have it as a child."""
    rows = await tx.all("images.parents", {"repository": repository.id, "child": digest.packed})
    return [Digest.unpack(packed) for (packed,) in rows]


async def erase(call: Call, tx: Transaction, image: Image) -> None:
    """Inside the caller's transaction: tags, what it referred to, the image."""
    await erase_row(tx, image.id, call.now + call.limits.grace_us)


async def erase_row(tx: Transaction, image: int, not_before: int) -> None:
    await tx.run("images.delete_tags_of", {"image": image})
    await tx.run("images.abandon_blobs", {"image": image, "not_before": not_before})
    await tx.run("images.delete", {"image": image})
