"""Who runs which image: a consumer registers a digest, and no policy takes it (an extension).

A use may have an end, so that what a consumer forgets to take back does not stay for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from moorage.base.digest import Digest
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads, Transaction, Values

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Use:
    digest: Digest
    consumer: str
    since: int
    until: int | None


async def protect(
    tx: Transaction, repository: Repository, digest: Digest, consumer: str, now: int, until: int | None
) -> None:
    """Again, it has another end."""
    values: Values = {"repository": repository.id, "digest": digest.packed, "consumer": consumer}
    await tx.run("lifecycle.protect", {**values, "now": now, "until": until})


async def unprotect(tx: Transaction, repository: Repository, digest: Digest, consumer: str) -> bool:
    """False if it was not."""
    values: Values = {"repository": repository.id, "digest": digest.packed, "consumer": consumer}
    return bool(await tx.run("lifecycle.unprotect", values))


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
    packed = [digest.packed for digest in digests]
    values: Values = {"repository": repository, "digests": packed, "now": now}
    return {Digest.unpack(digest) for (digest,) in await reads.all("lifecycle.used_among", values)}
