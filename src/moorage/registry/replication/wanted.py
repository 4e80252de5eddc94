"""Does a tag go to a destination? By the tag filters of the configuration, for images and for what refers to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from moorage.base.addresses import Registry
from moorage.base.digest import Digest
from moorage.registry.account.filters import wildcard_matches
from moorage.registry.images import find
from moorage.registry.replication.tag_filters import TagFilters
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads

_FALLBACK = re.compile(r"sha256-([0-9a-f]{64})(?:\..*)?")


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
