"""Delete images and tags. What only they used becomes a candidate for collection."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.access.call import Call
from moorage.base.digest import Digest
from moorage.registry.account.replicas import replicate_removal
from moorage.registry.images import announce, find, tag_rights
from moorage.registry.images.find import Image
from moorage.registry.images.identify import Failure, identify
from moorage.registry.images.tag_rights import TagRights
from moorage.registry.repositories.repository import Repository, confirm
from moorage.store.db.api import Transaction

_ACTION = "ecr:BatchDeleteImage"

Removed = list[tuple[Digest, str | None]]
"""A pair for each tag that went; for an untagged image one without tag."""


async def remove_tag(call: Call, repository: Repository, tag: str) -> bool:
    """Take the tag off; the image stays, untagged (distribution-spec: "Deleting tags"). False if there is none."""
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        image = await find.by_tag(tx, repository, tag)
        if image is None:
            return False
        await tx.run("images.delete_tag", {"repository": repository.id, "tag": tag})
        await announce.deleted(call.services, tx, repository, image, [tag])
        await replicate_removal(call.services, tx, repository, [(image.digest, tag)])
        tx.changed(repository.id)
    return True


async def remove_image(call: Call, repository: Repository, digest: Digest) -> bool:
    """Delete the image and every tag on it at once. An index that has it as a child becomes sparse. False if absent."""
    while True:
        rights = await tag_rights.ask(call, _ACTION, repository, [str(digest)])
        async with call.db.transaction() as tx:
            await confirm(tx, repository)
            image = await find.by_digest(tx, repository, digest)
            if image is None:
                return False
            tags = await find.tags_of(tx, image)
            if not rights.cover(image, tags):
                continue
            await erase(tx, image.id, call.now + call.limits.grace_us)
            await announce.deleted(call.services, tx, repository, image, tags)
            await replicate_removal(call.services, tx, repository, [(digest, tag) for tag in (*tags, None)])
            tx.changed(repository.id)
        return True


async def remove_all(
    call: Call, repository: Repository, asked: Sequence[tuple[str | None, str | None]]
) -> list[Removed | Failure]:
    """BatchDeleteImage: for each (digest, tag) what went, or why not, in the order asked; all in one transaction.

    An index goes before what it has as children, so that those are free in the same request.
    """
    results: dict[int, Removed | Failure] = {}
    whole = [digest for digest, tag in asked if digest and tag is None]
    while True:
        rights = await tag_rights.ask(call, _ACTION, repository, whole)
        async with call.db.transaction() as tx:
            await confirm(tx, repository)
            if not await _cover(tx, repository, whole, rights):
                continue
            found = [await identify(tx, repository, digest, tag) for digest, tag in asked]
            for n in await _parents_first(tx, repository, found):
                result = results[n] = await _remove_one(call, tx, repository, *asked[n])
                if not isinstance(result, Failure):
                    await replicate_removal(call.services, tx, repository, result)
            tx.changed(repository.id)
        return [results[n] for n in range(len(asked))]


async def _cover(tx: Transaction, repository: Repository, digests: Sequence[str], rights: TagRights) -> bool:
    """Whoever may not delete a tag may not delete its image by the digest either."""
    if rights.tags is None:
        return True
    for digest in digests:
        image = await identify(tx, repository, digest, None)
        if isinstance(image, Image) and not rights.cover(image, await find.tags_of(tx, image)):
            return False
    return True


async def erase(tx: Transaction, image: int, not_before: int) -> None:
    """Inside the caller's transaction: tags, what the image referred to, the image. `announce.deleted` tells of it."""
    await tx.run("images.delete_tags_of", {"image": image})
    await tx.run("images.abandon_blobs", {"image": image, "not_before": not_before})
    await tx.run("images.delete", {"image": image})


async def _parents_first(
    tx: Transaction, repository: Repository, found: Sequence[Image | Failure]
) -> list[int]:
    """The places in `found`, an index before its children however deep they are nested."""
    digests = [image.digest for image in found if isinstance(image, Image)]
    parents = {digest: await _parents(tx, repository, digest) for digest in dict.fromkeys(digests)}
    ranks: dict[Digest, int] = {}

    def visit(digest: Digest) -> None:
        if digest in parents and digest not in ranks:
            for parent in parents[digest]:
                visit(parent)
            ranks[digest] = len(ranks)

    for digest in parents:
        visit(digest)
    return sorted(range(len(found)), key=lambda n: _rank(found[n], ranks))


def _rank(found: Image | Failure, ranks: dict[Digest, int]) -> int:
    return ranks[found.digest] if isinstance(found, Image) else 0


async def _remove_one(
    call: Call, tx: Transaction, repository: Repository, digest: str | None, tag: str | None
) -> Removed | Failure:
    image = await identify(tx, repository, digest, tag)
    if isinstance(image, Failure):
        return image
    tags = await find.tags_of(tx, image)
    parents = await _parents(tx, repository, image.digest)
    if tag is not None and (parents or len(tags) > 1):  # an index's child stays, untagged
        await tx.run("images.delete_tag", {"repository": repository.id, "tag": tag})
        await announce.deleted(call.services, tx, repository, image, [tag])
        return [(image.digest, tag)]
    if parents:
        listed = ", ".join(map(str, parents))
        return Failure(
            "ImageReferencedByManifestList", f"Requested image referenced by manifest list: [{listed}]"
        )
    await erase(tx, image.id, call.now + call.limits.grace_us)
    await announce.deleted(call.services, tx, repository, image, tags)
    return [(image.digest, name) for name in tags] or [(image.digest, None)]


async def _parents(tx: Transaction, repository: Repository, digest: Digest) -> list[Digest]:
    """The indexes of the repository that have it as a child."""
    rows = await tx.all("images.parents", {"repository": repository.id, "child": digest.packed})
    return [Digest.unpack(packed) for (packed,) in rows]
