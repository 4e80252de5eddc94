"""Who refers to an image: signatures, SBOMs, attestations (distribution-spec, "Listing Referrers").

The relation is recorded when the referrer is pushed. Clients that did not know the API left an index under a fallback
tag instead (`sha256-<hex>`); what it lists is merged in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from moorage.access.call import Call
from moorage.base.digest import Digest
from moorage.base.errors.layers import InvalidDigest
from moorage.keys.keyring import Domain
from moorage.registry.images import find
from moorage.registry.images import manifest as manifests
from moorage.registry.images.find import Status
from moorage.registry.images.manifest import INDEX_TYPES
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Row, Values

FALLBACK_HEX = 64  # the tag grammar has no room for the 128 of sha512


@dataclass(frozen=True, slots=True)
class Referrer:
    """`cursor` orders the pages; entries of a fallback tag have none and come on the first."""

    digest: Digest
    media_type: str
    size: int
    artifact_type: str | None
    annotations: dict[str, str]
    status: Status
    cursor: int


async def page(
    call: Call, repository: Repository, subject: Digest, artifact_types: Sequence[str], after: int, limit: int
) -> list[Referrer]:
    """At most `limit` that are recorded, in order of arrival; the first page also has those of the fallback tag."""
    values: Values = {"repository": repository.id, "subject": subject.packed, "after": after, "limit": limit}
    if artifact_types:
        rows = await call.db.all(
            "images.referrers_of_type", {**values, "artifact_types": list(artifact_types)}
        )
    else:
        rows = await call.db.all("images.referrers", values)
    domain = await call.keys.domain_by_id(repository.domain)
    recorded = [_referrer(call, repository, domain, row) for row in rows]
    if after:
        return recorded
    listed = await _listed_under_fallback_tag(call, repository, subject)
    known = {referrer.digest for referrer in recorded}
    wanted = set(artifact_types)
    return recorded + [
        referrer
        for referrer in listed
        if referrer.digest not in known and (not wanted or referrer.artifact_type in wanted)
    ]


def fallback_tag(subject: Digest) -> str:
    return f"{subject.algorithm}-{subject.hex[:FALLBACK_HEX]}"


class _Entry(msgspec.Struct, rename="camel"):
    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None


class _Index(msgspec.Struct):
    manifests: list[_Entry] | None = None


async def _listed_under_fallback_tag(call: Call, repository: Repository, subject: Digest) -> list[Referrer]:
    image = await find.by_tag(call.db, repository, fallback_tag(subject))
    if image is None or image.media_type not in INDEX_TYPES:
        return []
    content = await find.manifest_of(call, repository, image)
    try:
        entries = msgspec.json.decode(content, type=_Index).manifests or []
        return [_listed(entry) for entry in entries]
    except (msgspec.DecodeError, InvalidDigest, RecursionError):
        return []  # an index of another purpose under that name


def _listed(entry: _Entry) -> Referrer:
    return Referrer(
        digest=Digest.parse(entry.digest),
        media_type=entry.media_type,
        size=entry.size,
        artifact_type=entry.artifact_type,
        annotations=entry.annotations or {},
        status="ACTIVE",
        cursor=0,
    )


def _referrer(call: Call, repository: Repository, domain: Domain, row: Row) -> Referrer:
    id_, packed, media_type, artifact_type, size, sealed, status = row
    digest = Digest.unpack(packed)
    # Annotations are as secret as the rest of the manifest: they stand nowhere else.
    manifest = manifests.parse(call.keys.open_manifest(domain, repository.id, digest, sealed), media_type)
    return Referrer(
        digest=digest,
        media_type=media_type,
        size=size,
        artifact_type=artifact_type,
        annotations=manifest.annotations,
        status=status,
        cursor=id_,
    )
