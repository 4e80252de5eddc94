"""What a registry lists: itself, repositories, tags, referrers (distribution-spec end-1, end-8, end-12)."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from moorage.access.call import Call
from moorage.base.errors.upstream import UnableToListUpstreamImageReferrers
from moorage.base.errors.wire import PageSizeInvalid
from moorage.base.http import Reply, Request, reply_json
from moorage.oci.target import Target
from moorage.registry.images import find
from moorage.registry.images import referrers as relations
from moorage.registry.images.manifest import OCI_INDEX
from moorage.registry.images.referrers import Referrer
from moorage.registry.repositories import repository as repositories

PAGE_MAX = 1_000
_NUMBER_DIGITS = 9


async def ping(call: Call, target: Target, request: Request) -> Reply:
    reply = reply_json(200, b"{}")
    reply.kept_while = (0, 0)
    return reply


class _Extensions(msgspec.Struct):
    extensions: list[dict[str, str]]


async def extensions(call: Call, target: Target, request: Request) -> Reply:
    """No extensions; the list says so (distribution-spec, extensions/_oci.md)."""
    return reply_json(200, msgspec.json.encode(_Extensions([])))


class _Catalog(msgspec.Struct):
    repositories: list[str]


async def catalog(call: Call, target: Target, request: Request) -> Reply:
    limit, last = _page_asked(request)
    found = await repositories.page(call, None, last, limit + 1) if limit else []
    names = [repository.name for repository in found[:limit]]
    link = _next_link("/v2/_catalog", {"n": limit, "last": names[-1]}) if len(found) > limit else []
    return reply_json(200, msgspec.json.encode(_Catalog(names)), link)


class _Tags(msgspec.Struct):
    name: str
    tags: list[str]


async def tags(call: Call, target: Target, request: Request) -> Reply:
    """In byte order, at most 1,000, with a Link to the rest. An empty list is `[]`, never null."""
    repository = await repositories.find(call, target.name)
    limit, last = _page_asked(request)
    found = await find.tag_page(call, repository, last, limit + 1) if limit else []
    names = found[:limit]
    more = len(found) > limit
    link = _next_link(f"/v2/{target.name}/tags/list", {"n": limit, "last": names[-1]}) if more else []
    return reply_json(200, msgspec.json.encode(_Tags(target.name, names)), link)


class _Descriptor(msgspec.Struct, rename="camel", omit_defaults=True):
    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: dict[str, str] = {}


class _Index(msgspec.Struct, rename="camel"):
    schema_version: int
    media_type: str
    manifests: list[_Descriptor]


async def referrers(call: Call, target: Target, request: Request) -> Reply:
    """An image index of what refers to the digest, also of a digest that is not here: always 200."""
    repository = await repositories.find(call, target.name)
    subject = target.digest()
    query = dict(request.query())
    wanted = query.get("artifactType")
    after = int(query["after"]) if query.get("after", "").isdecimal() and len(query["after"]) < 19 else 0
    artifact_types = [wanted] if wanted else []
    try:
        found = await relations.page(call, repository, subject, artifact_types, after, PAGE_MAX)
    except UnableToListUpstreamImageReferrers:
        found = []
    headers = [(b"oci-filters-applied", b"artifactType")] if wanted else []
    if len(found) == PAGE_MAX:
        parameters: dict[str, object] = {"after": found[-1].cursor}
        if wanted:
            parameters["artifactType"] = wanted
        headers += _next_link(f"/v2/{target.name}/referrers/{subject}", parameters)
    shown = [_descriptor(referrer) for referrer in found if referrer.status in find.ACTIVE]
    body = msgspec.json.encode(_Index(2, OCI_INDEX, shown))
    return Reply(200, [(b"content-type", OCI_INDEX.encode()), *headers], body)


def _descriptor(referrer: Referrer) -> _Descriptor:
    return _Descriptor(
        media_type=referrer.media_type,
        digest=str(referrer.digest),
        size=referrer.size,
        artifact_type=referrer.artifact_type,
        annotations=referrer.annotations,
    )


def _page_asked(request: Request) -> tuple[int, str]:
    """`n` (clamped to 1,000) and `last`."""
    query = dict(request.query())
    asked = query.get("n")
    if asked is None:
        return PAGE_MAX, query.get("last", "")
    if not (asked.isascii() and asked.isdecimal()):
        raise PageSizeInvalid()
    # A number of any length is a large one: int() would refuse 5,000 digits.
    limit = PAGE_MAX if len(asked.lstrip("0")) > _NUMBER_DIGITS else min(int(asked), PAGE_MAX)
    return limit, query.get("last", "")


def _next_link(path: str, parameters: dict[str, object]) -> list[tuple[bytes, bytes]]:
    return [(b"link", f'<{path}?{urlencode(parameters)}>; rel="next"'.encode())]
