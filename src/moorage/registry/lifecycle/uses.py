"""Who runs which image: a consumer registers a digest, and no policy takes it (an extension).

A use may have an end, so that what a consumer forgets to take back does not stay for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from moorage.base.digest import Digest
from moorage.base.errors.images import LimitExceeded
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads, Transaction, Values

PAGE = 1_000
CONSUMERS_MAX = 1_000
"""Of one image; who evaluates a policy reads them all."""

_LAST = b"\xff" * 65  # no packed digest comes after it


@dataclass(frozen=True, slots=True)
class Use:
    digest: Digest
    consumer: str
    since: int
    until: int | None


async def protect(
    tx: Transaction, repository: Repository, digest: Digest, consumer: str, now: int, until: int | None
) -> None:
    """Again, it has another end. Raise `LimitExceeded`."""
    values: Values = {"repository": repository.id, "digest": digest.packed, "consumer": consumer}
    await tx.run("lifecycle.protect", {**values, "now": now, "until": until})
    row = await tx.one("lifecycle.count_uses", {"repository": repository.id, "digest": digest.packed})
    if row is not None and row[0] > CONSUMERS_MAX:
        raise LimitExceeded(f"An image can be registered as in use by at most {CONSUMERS_MAX} consumers")


async def unprotect(tx: Transaction, repository: Repository, digest: Digest, consumer: str) -> bool:
    """False if it was not."""
    values: Values = {"repository": repository.id, "digest": digest.packed, "consumer": consumer}
    return bool(await tx.run("lifecycle.unprotect", values))


async def find(reads: Reads, repository: Repository, digest: Digest, consumer: str, now: int) -> Use | None:
    """None also for one that is over."""
    row = await reads.one(
        "lifecycle.use",
        {"repository": repository.id, "digest": digest.packed, "consumer": consumer, "now": now},
    )
    return Use(digest, consumer, *row) if row else None


async def page(
    reads: Reads,
    repository: Repository,
    after: tuple[bytes, str] | None,
    limit: int,
    now: int,
    *,
    consumer: str = "",
    digest: Digest | None = None,
) -> list[Use]:
    """By digest (packed) and consumer, from after such a pair; of one consumer or one image only, if given."""
    first, last = (digest.packed, digest.packed) if digest else (b"", _LAST)
    rows = await reads.all(
        "lifecycle.uses_page",
        {
            "repository": repository.id,
            "digest": after[0] if after else first,
            "consumer": after[1] if after else "",
            "last": last,
            "wanted": consumer,
            "now": now,
            "limit": limit,
        },
    )
    return [Use(Digest.unpack(packed), *rest) for packed, *rest in rows]


async def uses_of(reads: Reads, repository: int, now: int) -> list[Use]:
    """By digest and consumer."""
    found: list[Use] = []
    while True:
        rows = await reads.all(
            "lifecycle.uses",
            {
                "repository": repository,
                "digest": found[-1].digest.packed if found else b"",
                "consumer": found[-1].consumer if found else "",
                "now": now,
                "limit": PAGE,
            },
        )
        found += [Use(Digest.unpack(packed), *rest) for packed, *rest in rows]
        if len(rows) < PAGE:
            return found
        await asyncio.sleep(0)  # pushes and pulls have their turn


async def used_among(reads: Reads, repository: int, digests: Sequence[Digest], now: int) -> set[Digest]:
    if not digests:  # as of most images, which nothing refers to
        return set()
    packed = [digest.packed for digest in digests]
    values: Values = {"repository": repository, "digests": packed, "now": now}
    return {Digest.unpack(digest) for (digest,) in await reads.all("lifecycle.used_among", values)}
