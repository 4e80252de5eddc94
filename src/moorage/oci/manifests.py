"""Manifests on the registry wire: GET, HEAD, PUT, DELETE (distribution-spec end-3, end-7, end-9)."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.base.digest import Digest
from moorage.base.errors.images import ManifestTooLarge, ManifestUnknown
from moorage.base.errors.layers import DigestMismatch, InvalidDigest
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.base.errors.requests import RequestEntityTooLarge
from moorage.base.errors.wire import TagInvalid, TooManyTagParameters
from moorage.base.http import Reply, Request
from moorage.base.names import TAG_PATTERN, is_tag
from moorage.oci.create_on_push import find_or_create
from moorage.oci.target import Target
from moorage.registry.images import delete as deletes
from moorage.registry.images import find
from moorage.registry.images.find import Image
from moorage.registry.images.push import push_image
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository

IMMUTABLE = b"max-age=31536000, immutable, no-transform, private"
MAY_CHANGE = b"no-transform, private"


TAGS_AUTHORIZED_MAX = 1_000
"""More than `tags_in_one_push` may ever be: `put` refuses what is beyond its own bound."""


async def get(call: Call, target: Target, request: Request) -> Reply:
    """The stored bytes under their exact type; HEAD is the same without the body."""
    repository, image, epoch, until = await _to_pull(call, target)
    digest = str(image.digest).encode()
    headers = [
        (b"docker-content-digest", digest),
        (b"etag", b'"%b"' % digest),
        (b"cache-control", IMMUTABLE if target.is_digest else MAY_CHANGE),
    ]
    if _has(request, digest):
        return Reply(304, headers)
    content = await find.manifest_of(call, repository, image)
    reply = Reply(200, [(b"content-type", image.media_type.encode("latin-1", "replace")), *headers], content)
    reply.kept_while, reply.kept_until = (repository.id, epoch), until
    if request.method == "GET":  # asking whether it is there (HEAD) is no pull
        call.services.pull_times.note(image.id, call.principal, repository.registry, call.now)
        reply.pulled_image = image.id
    return reply


async def put(call: Call, target: Target, request: Request) -> Reply:
    """Push by tag, by digest, or by digest with tags in the query (end-7b)."""
    repository = await find_or_create(call, target.name)
    tags = _tags_to_set(call, target, request)
    digest = target.digest() if target.is_digest else None
    try:
        content = await request.body.read(call.limits.manifest_bytes)
    except RequestEntityTooLarge:
        raise ManifestTooLarge(limit=call.limits.manifest_bytes) from None
    algorithm = digest.algorithm if digest else "sha256"
    if digest is not None and Digest.of(content, algorithm) != digest:
        raise DigestMismatch()
    media_type = (request.header(b"content-type") or "").partition(";")[0].strip() or None
    pushed = await push_image(
        call, repository, content, media_type, tags, algorithm=algorithm, strict=call.limits.strict_immutable
    )
    headers = [
        (b"location", target.manifest_location(pushed.digest)),
        (b"docker-content-digest", str(pushed.digest).encode()),
    ]
    if pushed.manifest.subject:
        headers.append((b"oci-subject", str(pushed.manifest.subject).encode()))
    if digest is not None and tags:
        headers.append((b"oci-tag", ", ".join(tags).encode()))
    return Reply(201, headers)


async def delete(call: Call, target: Target, request: Request) -> Reply:
    """Of a tag: the tag goes, the image stays. Of a digest: the image goes with all its tags."""
    repository = await repositories.find(call, target.name)
    if target.is_digest:
        found = await deletes.remove_image(call, repository, target.digest())
    else:
        found = await deletes.remove_tag(call, repository, target.reference)
    if not found:
        raise ManifestUnknown()
    return Reply(202)


async def _to_pull(call: Call, target: Target) -> tuple[Repository, Image, int, int]:
    """The image, brought from an upstream registry where a rule says so; the epoch, and until when the answer holds."""
    upstreams = call.services.upstreams
    until = 0
    try:
        repository = await repositories.find(call, target.name)
        if not target.is_digest:
            until = await upstreams.freshen(call, repository.id, target.name, target.reference)
        epoch = call.db.epoch(repository.id)
        image = await _find(call, repository, target)
    except (ManifestUnknown, RepositoryNotFound):
        if not await upstreams.image(call, target.name, target.reference):
            raise
        repository = await repositories.find(call, target.name)
        epoch = call.db.epoch(repository.id)
        image = await _find(call, repository, target)
        until = call.now if not target.is_digest else 0
    return repository, image, epoch, until


def tags_named(target: Target, request: Request) -> tuple[str | None, ...]:
    """The tags that a request reads, moves or deletes, each to be authorized by itself; None: it names none."""
    if not target.is_digest:
        return (target.reference,)
    if request.method != "PUT":
        return (None,)
    sent = [value for key, value in request.query() if key == "tag"]
    return tuple(dict.fromkeys(sent[:TAGS_AUTHORIZED_MAX])) or (None,)


async def _find(call: Call, repository: Repository, target: Target) -> Image:
    """By digest or tag. What is neither cannot exist: 404, as the conformance suite asks `.INVALID_MANIFEST_NAME`."""
    image = None
    if target.is_digest:
        try:
            image = await find.by_digest(call.db, repository, target.digest())
        except InvalidDigest:
            image = None
    elif target.tag() is not None:
        image = await find.by_tag(call.db, repository, target.reference)
    if image is None or image.status not in find.ACTIVE:
        raise ManifestUnknown()
    return image


def _tags_to_set(call: Call, target: Target, request: Request) -> list[str]:
    sent = [value for key, value in request.query() if key == "tag"]
    tags = sent if target.is_digest else [target.reference]
    if len(tags) > call.limits.tags_in_one_push:
        raise TooManyTagParameters(limit=call.limits.tags_in_one_push)
    for tag in tags:
        if not is_tag(tag):
            raise TagInvalid(pattern=TAG_PATTERN)
    return list(dict.fromkeys(tags))


def _has(request: Request, digest: bytes) -> bool:
    """The client says it has it already (RFC 9110, If-None-Match)."""
    sent = request.header(b"if-none-match")
    return sent is not None and digest.decode() in sent
