"""The images of a repository as rules see them, read page by page while pushes and pulls go on.

What changes meanwhile is no harm: before an image is taken, it is looked at again (`taking.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from moorage.base.digest import Digest
from moorage.registry.lifecycle.evaluate import ImageFacts
from moorage.registry.lifecycle.tags import TagFacts
from moorage.registry.lifecycle.uses import uses_of
from moorage.store.db.api import Reads, Row, Value

PAGE = 1_000  # rows: about a millisecond


async def survey(reads: Reads, repository: int, now: int) -> list[ImageFacts]:
    tags = await _tags(reads, repository)
    used_by: dict[str, list[str]] = {}
    for use in await uses_of(reads, repository, now):
        used_by.setdefault(use.digest.text, []).append(use.consumer)
    rows = [row async for row in _rows(reads, "lifecycle.images", repository, _after_digest)]
    digests = {row[0]: Digest.unpack(row[1]).text for row in rows}
    parents = await _parents(reads, repository, digests)
    return [
        image_facts(
            row,
            tuple(tags.get(row[0], ())),
            tuple(parents.get(row[1], ())),
            ", ".join(used_by.get(digests[row[0]], ())),
        )
        for row in rows
    ]


async def survey_tags(reads: Reads, repository: int, images: Sequence[ImageFacts]) -> list[TagFacts]:
    """Tags of images that can be pulled."""
    by_id = {image.id: image for image in images if image.status == "ACTIVE"}
    return [
        TagFacts(tag, by_id[image].digest, moved, by_id[image].used_by)
        async for tag, image, moved in _rows(reads, "lifecycle.tags", repository, _after_tag)
        if image in by_id
    ]


def image_facts(row: Row, tags: tuple[str, ...], parents: tuple[str, ...], used_by: str = "") -> ImageFacts:
    """`row` is of the statement `images`."""
    id_, digest, pushed, status, archived, activated, pulled, subject = row
    return ImageFacts(
        id=id_,
        digest=Digest.unpack(digest).text,
        tags=tags,
        pushed=pushed,
        status=status,
        archived=archived,
        activated=activated,
        pulled=pulled,
        subject=Digest.unpack(subject).text if subject else None,
        parents=parents,
        used_by=used_by,
    )


async def _tags(reads: Reads, repository: int) -> dict[int, list[str]]:
    """By image, in byte order."""
    tags: dict[int, list[str]] = {}
    async for tag, image, _ in _rows(reads, "lifecycle.tags", repository, _after_tag):
        tags.setdefault(image, []).append(tag)
    return tags


async def _parents(reads: Reads, repository: int, digests: Mapping[int, str]) -> dict[bytes, list[str]]:
    """By packed digest of the child."""
    parents: dict[bytes, list[str]] = {}
    async for child, image in _rows(reads, "lifecycle.children", repository, _after_child):
        if image in digests:
            parents.setdefault(child, []).append(digests[image])
    return parents


async def _rows(
    reads: Reads, statement: str, repository: int, after: Callable[[Row | None], dict[str, Value]]
) -> AsyncIterator[Row]:
    last: Row | None = None
    while True:
        page = await reads.all(statement, {"repository": repository, "limit": PAGE, **after(last)})
        for row in page:
            yield row
        if len(page) < PAGE:
            return
        last = page[-1]
        await asyncio.sleep(0)  # pushes and pulls have their turn


def _after_digest(row: Row | None) -> dict[str, Value]:
    return {"after": row[1] if row else b""}


def _after_tag(row: Row | None) -> dict[str, Value]:
    return {"after": row[0] if row else ""}


def _after_child(row: Row | None) -> dict[str, Value]:
    return {"child": row[0] if row else b"", "image": row[1] if row else 0}
