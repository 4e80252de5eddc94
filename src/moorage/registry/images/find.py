"""Find images: by tag or digest, and in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from moorage.access.call import Call
from moorage.base.digest import Digest
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads, Row, Values

Status = Literal["ACTIVE", "ARCHIVED", "ACTIVATING"]
ACTIVE: tuple[Status, ...] = ("ACTIVE",)
FOLLOWERS_MAX = 1_000
_SUBJECTS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Image:
    id: int
    digest: Digest
    media_type: str
    artifact_type: str | None
    config_media_type: str | None
    manifest_size: int
    image_size: int
    subject: Digest | None
    pushed: int
    status: Status
    archived: int | None
    activated: int | None
    pulled: int | None
    sealed_manifest: bytes = b""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageId:
    """One element of ListImages: a tag on a digest, or an untagged digest."""

    digest: Digest
    tag: str | None


async def by_digest(reads: Reads, repository: Repository, digest: Digest) -> Image | None:
    row = await reads.one("images.by_digest", {"repository": repository.id, "digest": digest.packed})
    return _image(row) if row else None


async def by_id(reads: Reads, id_: int) -> tuple[int, Image] | None:
    """With the number of its repository."""
    row = await reads.one("images.by_id", {"image": id_})
    return (row[-1], _image(row[:-1])) if row else None


async def by_tag(reads: Reads, repository: Repository, tag: str) -> Image | None:
    row = await reads.one("images.by_tag", {"repository": repository.id, "tag": tag})
    return _image(row) if row else None


async def followers(reads: Reads, repository: Repository, subject: Digest) -> list[Image]:
    """What refers to the digest, and to that, and so on; the farthest last."""
    found: list[Image] = []
    subjects = [subject]
    while subjects and len(found) < FOLLOWERS_MAX:
        packed = [each.packed for each in subjects[:_SUBJECTS_AT_ONCE]]
        values: Values = {"repository": repository.id, "subjects": packed, "limit": FOLLOWERS_MAX}
        nearer = [_image(row) for row in await reads.all("images.followers", values)]
        found += nearer
        subjects = [*subjects[_SUBJECTS_AT_ONCE:], *(each.digest for each in nearer)]
    return found


async def manifest_of(call: Call, repository: Repository, image: Image) -> bytes:
    """The bytes as they were pushed; raise `Corrupted` if the stored ones are not those."""
    domain = await call.keys.domain_by_id(repository.domain)
    return call.keys.open_manifest(domain, repository.id, image.digest, image.sealed_manifest)


async def tags_of(reads: Reads, image: Image) -> tuple[str, ...]:
    return tuple(tag for (tag,) in await reads.all("images.tags_of", {"image": image.id}))


async def with_tags(reads: Reads, images: Sequence[Image]) -> list[Image]:
    """The same images, each with its tags. Those that were deleted since they were read are left out."""
    tags: dict[int, list[str]] = {}
    for image, tag in await reads.all("images.tags_of_found", {"images": [image.id for image in images]}):
        tags.setdefault(image, []).extend([tag] if tag is not None else [])
    return [replace(image, tags=tuple(tags[image.id])) for image in images if image.id in tags]


async def page(
    call: Call,
    repository: Repository,
    tag_status: str,
    statuses: Sequence[str],
    after: tuple[int, bytes],
    limit: int,
) -> list[Image]:
    """Newest first, each with its tags, from after (pushed, packed digest). `tag_status`: TAGGED, UNTAGGED or ANY.

    Images and tags are one read: between two, a tag may move.
    """
    pushed, digest = after
    values: Values = {"repository": repository.id, "pushed": pushed, "digest": digest}
    rows = await call.db.all(
        "images.image_page" + _SUFFIX[tag_status], {**values, "statuses": list(statuses), "limit": limit}
    )
    tags: dict[int, list[str]] = {}
    images: dict[int, Row] = {}
    for *image, tag in rows:
        images[image[0]] = tuple(image)
        tags.setdefault(image[0], []).extend([tag] if tag is not None else [])
    return [replace(_image(row), tags=tuple(tags[id_])) for id_, row in images.items()]


async def id_page(
    call: Call,
    repository: Repository,
    tag_status: str,
    statuses: Sequence[str],
    after: tuple[bytes, str],
    limit: int,
) -> list[ImageId]:
    """By (digest, tag), from after that pair."""
    digest, tag = after
    values: Values = {
        "repository": repository.id,
        "digest": digest,
        "tag": tag,
        "statuses": list(statuses),
        "limit": limit,
    }
    rows = await call.db.all("images.id_page" + _SUFFIX[tag_status], values)
    return [ImageId(Digest.unpack(packed), name or None) for packed, name in rows]


async def tag_page(call: Call, repository: Repository, after: str, limit: int) -> list[str]:
    """In byte order."""
    rows = await call.db.all("images.tag_page", {"repository": repository.id, "after": after, "limit": limit})
    return [tag for (tag,) in rows]


_SUFFIX = {"ANY": "", "TAGGED": "_tagged", "UNTAGGED": "_untagged"}


def _image(row: Row) -> Image:
    (
        id_,
        digest,
        media,
        artifact,
        config,
        manifest_size,
        size,
        subject,
        pushed,
        status,
        archived,
        activated,
        *rest,
    ) = row
    return Image(
        id=id_,
        digest=Digest.unpack(digest),
        media_type=media,
        artifact_type=artifact,
        config_media_type=config,
        manifest_size=manifest_size,
        image_size=size,
        subject=Digest.unpack(subject) if subject else None,
        pushed=pushed,
        status=status,
        archived=archived,
        activated=activated,
        pulled=rest[0],
        sealed_manifest=rest[1] if len(rest) > 1 else b"",
    )
