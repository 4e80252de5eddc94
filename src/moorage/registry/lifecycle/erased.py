"""What a policy has taken can be brought back for a while, if the setting says so (an extension).

The manifest is kept, sealed as it was, and the layers stay as long: bringing an image back is pushing it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from moorage.access.call import Services
from moorage.base.digest import Digest
from moorage.registry.images.find import Image
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads, Transaction, Values

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Erased:
    digest: Digest
    media_type: str
    tags: tuple[str, ...]
    erased: int
    until: int


async def keep(
    services: Services,
    tx: Transaction,
    repository: Repository,
    image: Image,
    tags: Sequence[str],
    now: int,
) -> int:
    """Until when the layers have to stay."""
    window = services.limits.undelete_us
    if window:
        await tx.run(
            "lifecycle.keep_erased",
            {
                "repository": repository.id,
                "digest": image.digest.packed,
                "media_type": image.media_type,
                "tags": msgspec.json.encode(list(tags)).decode(),
                "sealed_manifest": image.sealed_manifest,
                "now": now,
                "until": now + window,
            },
        )
    return now + max(window, services.limits.grace_us)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Of an erased image: what is needed to push it again."""

    digest: Digest
    media_type: str
    tags: tuple[str, ...]
    sealed: bytes = field(repr=False)


async def find(reads: Reads, repository: int, digest: Digest, now: int) -> Manifest | None:
    """None if it cannot be brought back, or not any more."""
    values: Values = {"repository": repository, "digest": digest.packed, "now": now}
    row = await reads.one("lifecycle.erased_image", values)
    if row is None:
        return None
    media_type, tags, sealed = row
    return Manifest(digest, media_type, msgspec.json.decode(tags, type=tuple[str, ...]), sealed)


async def page(
    reads: Reads, repository: Repository, after: Digest | None, now: int, limit: int = PAGE
) -> list[Erased]:
    """By digest."""
    values: Values = {
        "repository": repository.id,
        "after": after.packed if after else b"",
        "now": now,
        "limit": limit,
    }
    return [
        Erased(Digest.unpack(digest), media_type, msgspec.json.decode(tags, type=tuple[str, ...]), *rest)
        for digest, media_type, tags, *rest in await reads.all("lifecycle.erased", values)
    ]
