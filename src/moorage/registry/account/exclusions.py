"""Principals whose pulls do not count for the time of the last pull: scanners, mirrors, backups."""

from __future__ import annotations

from moorage.base.addresses import Registry
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.repositories import ExclusionAlreadyExists, ExclusionNotFound
from moorage.store.db.api import Database, Reads, UniqueViolation

EXCLUSIONS_MAX = 100
"""Of a registry; all are held in memory (`access.pull_times`)."""


async def register(db: Database, registry: Registry, principal: str, now: int) -> None:
    """Raise `ExclusionAlreadyExists` or `LimitExceeded`."""
    try:
        async with db.transaction() as tx:
            values = {**_key(registry), "principal": principal}
            if len(await page(tx, registry, "", EXCLUSIONS_MAX)) >= EXCLUSIONS_MAX:
                raise LimitExceeded(
                    f"The registry with id '{registry.account}' already has the maximum allowed number of pull time "
                    f"update exclusions which is '{EXCLUSIONS_MAX}'",
                    quota="pull-time-exclusions",
                )
            await tx.run("account.exclude", {**values, "now": now})
    except UniqueViolation:
        raise ExclusionAlreadyExists(principal=principal, registry_id=registry.account) from None


async def deregister(db: Database, registry: Registry, principal: str) -> None:
    """Raise `ExclusionNotFound`."""
    async with db.transaction() as tx:
        if not await tx.run("account.include", {**_key(registry), "principal": principal}):
            raise ExclusionNotFound(principal=principal, registry_id=registry.account)


async def page(reads: Reads, registry: Registry, after: str, limit: int) -> list[str]:
    """ARNs in order, after one."""
    rows = await reads.all("account.exclusion_page", {**_key(registry), "after": after, "limit": limit})
    return [principal for (principal,) in rows]


async def of_all(reads: Reads) -> frozenset[tuple[Registry, str]]:
    """Of every registry, for the memory of pull times."""
    rows = await reads.all("account.exclusions")
    return frozenset((Registry(account, region), principal) for account, region, principal in rows)


def _key(registry: Registry) -> dict[str, str]:
    return {"account": registry.account, "region": registry.region}
