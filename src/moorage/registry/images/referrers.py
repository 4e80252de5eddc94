"""Who refers to an image: signatures, SBOMs, attestations (distribution-spec, "Listing Referrers").

The relation is recorded when the referrer is pushed. Clients that did not know the API left an index under a fallback
tag instead (`sha256-<hex>`); what it lists is merged in. So is what an upstream registry lists of an image that came
from there: those that were not pulled yet come when they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import msgspec

from moorage.access.call import Call
from moorage.base.digest import Digest
from moorage.base.errors.images import ManifestInvalid
from moorage.base.errors.layers import InvalidDigest
from moorage.base.errors.upstream import (
    UnableToListUpstreamImageReferrers,
    UpstreamAccessDenied,
    UpstreamTooManyRequests,
    UpstreamUnavailable,
)
from moorage.keys.keyring import Domain
from moorage.registry.images import find
from moorage.registry.images import manifest as manifests
from moorage.registry.images.find import Status
from moorage.registry.images.manifest import INDEX_TYPES, OCI_INDEX
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Row, Values

FALLBACK_HEX = 64  # the tag grammar has no room for the 128 of sha512
_LISTED = 10**17  # cursors from here on are places in what indexes list: no row has so high an id
_LOOKED_UP_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Referrer:
    """`cursor` orders the pages: those that are recorded, then those that indexes list."""

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
    """At most `limit`: those that are recorded, in order of arrival, then those that indexes list.

    Raise `UnableToListUpstreamImageReferrers` where an upstream registry would have to say, and nothing is known here.
    """
    recorded: list[Referrer] = []
    if after < _LISTED:
        recorded = await _recorded(call, repository, subject, artifact_types, after, limit)
    if len(recorded) == limit:
        return recorded
    listed = await _listed_under_fallback_tag(call, repository, subject)
    listed += await _listed_upstream(call, repository, subject, is_any_known=bool(recorded or listed))
    once = {referrer.digest: referrer for referrer in listed}
    known = await _known_among(call, repository, subject, list(once))
    numbered = [
        replace(referrer, cursor=_LISTED + place)
        for place, referrer in enumerate(once.values(), 1)
        if referrer.digest not in known
    ]
    wanted = [each for each in numbered if not artifact_types or each.artifact_type in artifact_types]
    return recorded + [each for each in wanted if each.cursor > after][: limit - len(recorded)]


async def _recorded(
    call: Call, repository: Repository, subject: Digest, artifact_types: Sequence[str], after: int, limit: int
) -> list[Referrer]:
    values: Values = {"repository": repository.id, "subject": subject.packed, "after": after, "limit": limit}
    if artifact_types:
        rows = await call.db.all(
            "images.referrers_of_type", {**values, "artifact_types": list(artifact_types)}
        )
    else:
        rows = await call.db.all("images.referrers", values)
    domain = await call.keys.domain_by_id(repository.domain)
    return [_referrer(call, repository, domain, row) for row in rows]


async def _known_among(
    call: Call, repository: Repository, subject: Digest, digests: Sequence[Digest]
) -> set[Digest]:
    """Those that are recorded, on whatever page."""
    known: set[Digest] = set()
    for start in range(0, len(digests), _LOOKED_UP_AT_ONCE):
        packed = [digest.packed for digest in digests[start : start + _LOOKED_UP_AT_ONCE]]
        values: Values = {"repository": repository.id, "subject": subject.packed, "digests": packed}
        rows = await call.db.all("images.recorded_referrers", values)
        known |= {Digest.unpack(row[0]) for row in rows}
    return known


def fallback_tag(subject: Digest) -> str:
    return f"{subject.algorithm}-{subject.hex[:FALLBACK_HEX]}"


class Entry(msgspec.Struct, rename="camel", omit_defaults=True):
    """Of an index that lists referrers."""

    media_type: str
    digest: str
    size: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None


class _Index(msgspec.Struct):
    manifests: list[Entry] | None = None


class _Listing(msgspec.Struct, rename="camel"):
    schema_version: int
    media_type: str
    manifests: list[Entry]


def entries_in(index: bytes) -> list[Entry]:
    """Raise `ManifestInvalid`."""
    try:
        entries = msgspec.json.decode(index, type=_Index).manifests or []
        for entry in entries:
            Digest.parse(entry.digest)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidDigest, RecursionError):
        raise ManifestInvalid(reason="it is no index of referrers") from None
    return entries


def index_of(entries: Iterable[Entry]) -> bytes:
    return msgspec.json.encode(_Listing(2, OCI_INDEX, list(entries)))


async def _listed_under_fallback_tag(call: Call, repository: Repository, subject: Digest) -> list[Referrer]:
    image = await find.by_tag(call.db, repository, fallback_tag(subject))
    if image is None or image.media_type not in INDEX_TYPES:
        return []
    return _listed_in(await find.manifest_of(call, repository, image))


async def _listed_upstream(
    call: Call, repository: Repository, subject: Digest, *, is_any_known: bool
) -> list[Referrer]:
    of_registry = replace(call, account=repository.registry.account)
    try:
        index = await call.services.upstreams.referrers(of_registry, repository.name, subject)
    except (UpstreamAccessDenied, UpstreamTooManyRequests, UpstreamUnavailable) as error:
        if is_any_known or await _is_any_recorded(call, repository, subject):
            return []
        raise UnableToListUpstreamImageReferrers(reason=error) from None
    return _listed_in(index) if index is not None else []


async def _is_any_recorded(call: Call, repository: Repository, subject: Digest) -> bool:
    values: Values = {"repository": repository.id, "subject": subject.packed, "after": 0, "limit": 1}
    return bool(await call.db.all("images.referrers", values))


def _listed_in(index: bytes) -> list[Referrer]:
    try:
        return [_listed(entry) for entry in entries_in(index)]
    except ManifestInvalid:
        return []  # an index of another purpose under that name


def _listed(entry: Entry) -> Referrer:
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
