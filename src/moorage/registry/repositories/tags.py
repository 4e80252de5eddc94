"""Resource tags: key and value pairs on an ARN (TagResource)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moorage.base.errors.repositories import InvalidTagParameter, TooManyTags
from moorage.store.db.api import Reads, Transaction

TAGS_MAX = 50
KEY_MAX, VALUE_MAX = 128, 256


async def of(reads: Reads, arn: str) -> list[tuple[str, str]]:
    return [(key, value) for key, value in await reads.all("repositories.tags_of", {"arn": arn})]


def is_tag(key: str, value: str) -> bool:
    return 1 <= len(key) <= KEY_MAX and len(value) <= VALUE_MAX and not key.lower().startswith("aws:")


async def set_all(tx: Transaction, arn: str, tags: Mapping[str, str]) -> None:
    """Set those, keep the others; refuse the whole when a tag is invalid, or more than 50 or two of one name
    would remain."""
    if not all(is_tag(key, value) for key, value in tags.items()):
        raise InvalidTagParameter()
    if not tags:
        return
    await tx.run(
        "repositories.set_tag", [{"arn": arn, "key": key, "value": value} for key, value in tags.items()]
    )
    stored = [key for key, _ in await tx.all("repositories.tags_of", {"arn": arn})]
    if len(stored) > TAGS_MAX:
        raise TooManyTags()
    if len({key.lower() for key in stored}) < len(stored):  # conditions ask for a key without regard to case
        raise InvalidTagParameter()


def check_keys(keys: Sequence[str]) -> None:
    """Of tags to be taken off. Raise `InvalidTagParameter`."""
    if any(key.lower().startswith("aws:") for key in keys):
        raise InvalidTagParameter()


async def unset(tx: Transaction, arn: str, keys: Sequence[str]) -> None:
    await tx.run("repositories.unset_tags", {"arn": arn, "keys": list(keys)})
