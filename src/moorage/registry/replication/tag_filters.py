"""`[replication_tags]` of the configuration: which tags go to a destination. Amazon's rules cannot say that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moorage.base.addresses import Registry
from moorage.base.digest import Digest
from moorage.base.names import is_account_id, is_region
from moorage.registry.account.filters import wildcard_matches
from moorage.registry.images import find
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads

TagFilters = Mapping[Registry, Sequence[str]]
"""A destination that is not in it takes every tag."""
MOST = 100
_PATTERN = re.compile(r"[A-Za-z0-9_.*-]{1,128}")
_FALLBACK = re.compile(r"sha256-([0-9a-f]{64})(?:\..*)?")


class TagFiltersMisconfigured(Exception):
    """Says what is wrong."""


def filters_in(table: Any) -> TagFilters:
    """`"ACCOUNT/REGION" = ["v*"]`, where `*` is any characters. Raise `TagFiltersMisconfigured`."""
    if not isinstance(table, dict):
        raise TagFiltersMisconfigured("replication_tags has to be a table: [replication_tags]")
    filters = {}
    for place, patterns in table.items():
        account, _, region = place.partition("/")
        if not (is_account_id(account) and is_region(region)):
            raise TagFiltersMisconfigured(
                f"replication_tags: '{place}' is no destination: ACCOUNT/REGION, for instance 123456789012/eu-west-1"
            )
        if not isinstance(patterns, list) or not 0 < len(patterns) <= MOST:
            raise TagFiltersMisconfigured(f"replication_tags: {place} has to be a list of 1 to {MOST} texts")
        for pattern in patterns:
            if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
                raise TagFiltersMisconfigured(
                    f"replication_tags: {place} has {pattern!r}: a tag, in which * is any text"
                )
        filters[Registry(account, region)] = tuple(patterns)
    return filters


async def wants(
    filters: TagFilters, reads: Reads, source: Repository, to: Registry, tag: str, subject: Digest | None
) -> bool:
    """A tag that matches; and what refers to an image that has such a tag, by its manifest or the name of its tag."""
    patterns = filters.get(to)
    if patterns is None or _matches(patterns, [tag]):
        return True
    subject = subject or subject_of(tag)
    image = await find.by_digest(reads, source, subject) if subject is not None else None
    return image is not None and _matches(patterns, await find.tags_of(reads, image))


def subject_of(tag: str) -> Digest | None:
    """What clients without the referrers API say by a tag: `sha256-HEX`, cosign with `.sig` after it."""
    match = _FALLBACK.fullmatch(tag)
    return Digest.parse(f"sha256:{match[1]}") if match else None


def _matches(patterns: Sequence[str], tags: Iterable[str]) -> bool:
    return any(tag and wildcard_matches(pattern, tag) for tag in tags for pattern in patterns)
