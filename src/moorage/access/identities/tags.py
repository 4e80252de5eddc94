"""Tags of users, roles, managed policies and identity providers. Keys are unique without regard to case.

An owner is the id of a principal, or the ARN of a policy or provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from moorage.base.errors.identities import InvalidInput
from moorage.base.errors.images import LimitExceeded
from moorage.store.db.api import Reads, Transaction

MOST = 50
RESERVED = "aws:"

Tags = Sequence[tuple[str, str]]


async def of(reads: Reads, owner: str) -> list[tuple[str, str]]:
    """Key and value, by key."""
    return [(key, value) for key, value in await reads.all("identities.tags_of", {"owner": owner})]


async def of_all(reads: Reads, owners: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Key and value, by the owner."""
    found: dict[str, list[tuple[str, str]]] = {owner: [] for owner in owners}
    for owner, key, value in await reads.all("identities.tags_of_all", {"owners": owners}):
        found[owner].append((key, value))
    return found


def key_of(tag: tuple[str, str]) -> str:
    """Orders tags as they are listed."""
    return tag[0].lower()


def check(tags: Tags) -> None:
    """Raise `InvalidInput` for a key that is there twice, or that is not for callers to set."""
    if len({key.lower() for key, _ in tags}) != len(tags):
        raise InvalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.lower().startswith(RESERVED) for key, _ in tags):
        raise InvalidInput("Tag keys that begin with 'aws:' are reserved.")


async def add(tx: Transaction, owner: str, tags: Tags) -> None:
    """Set them; a key that is there in another case is replaced. Raise `InvalidInput`, `LimitExceeded`."""
    check(tags)
    await tx.run(
        "identities.set_tag",
        [{"owner": owner, "key": key, "folded": key.lower(), "value": value} for key, value in tags],
    )
    row = await tx.one("identities.count_tags", {"owner": owner})
    if row is not None and row[0] > MOST:
        raise LimitExceeded(f"The number of tags has reached the maximum limit of {MOST}.")


async def remove(tx: Transaction, owner: str, keys: Iterable[str]) -> None:
    """Those that are there."""
    await tx.run("identities.unset_tags", {"owner": owner, "folded": sorted({key.lower() for key in keys})})
