"""What is below an image: of an index its children, however deep."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.base.digest import Digest
from moorage.registry.images import find
from moorage.registry.images import manifest as manifests
from moorage.registry.images.find import Image
from moorage.registry.images.manifest import INDEX_TYPES
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads


async def closure(call: Call, repository: Repository, image: Image) -> list[Digest]:
    """The image and all below it that are there, children first. Each once: indexes may share them."""
    done: dict[Digest, None] = {}
    stack = [(image.digest, await _children(call, repository, image))]
    while stack:
        digest, children = stack[-1]
        waiting = [child for child in children if child not in done]
        if digest in done or not waiting:
            done[digest] = None
            stack.pop()
            continue
        for child in waiting:
            found = await find.by_digest(call.db, repository, child)
            if found is not None:
                stack.append((child, await _children(call, repository, found)))
            children.remove(child)
    return list(done)


async def target_of(reads: Reads, repository: Repository, tag: str) -> Digest | None:
    """Where a tag points."""
    row = await reads.one("images.tag_target", {"repository": repository.id, "tag": tag})
    return Digest.unpack(row[0]) if row is not None else None


async def _children(call: Call, repository: Repository, image: Image) -> list[Digest]:
    if image.media_type not in INDEX_TYPES:
        return []
    manifest = manifests.parse(await find.manifest_of(call, repository, image), image.media_type)
    return list(dict.fromkeys(child.digest for child in manifest.children))
