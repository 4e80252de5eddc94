"""Uploads on the registry wire (distribution-spec end-4, 5, 6, 11, 13, 14).

Progress is `Range: 0-N` without a unit, N the last byte so far, `0-0` when there is none. The location of a session
never changes, so that a client with an old one is answered like any other.
"""

from __future__ import annotations

import re

from moorage.access.authorize import allows, authorize
from moorage.access.call import Call
from moorage.base.arn import RepositoryArn
from moorage.base.digest import ALGORITHMS, Digest
from moorage.base.errors.layers import InvalidDigest, RangeNotInOrder, SizeInvalid, UploadNotFound
from moorage.base.errors.wire import BadRequest
from moorage.base.http import Reply, Request
from moorage.keys.receiving import OpenUpload
from moorage.oci.create_on_push import find_or_create
from moorage.oci.errors import reply_for
from moorage.oci.target import Target
from moorage.registry.account.settings import allows_mounting
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import layers, session

_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})(?:/(?:[0-9]+|\*))?")


async def begin(call: Call, target: Target, request: Request) -> Reply:
    """Mount a layer, take a whole one (`?digest=`), or open a session.

    A mount that is in any doubt opens a session: whether another repository has the layer is not told to those who
    may not read it.
    """
    query = dict(request.query())
    if "digest" in query:
        await _authorize(call, target, "ecr:UploadLayerPart", "ecr:CompleteLayerUpload")
    repository = await find_or_create(call, target.name)
    if "mount" in query and await allows_mounting(call.db, repository.registry):
        digest = await _mount(call, repository, query["mount"], query.get("from"))
        if digest is not None:
            return _created(target, digest)
    if "digest" in query:
        digest = Digest.parse(query["digest"])
        upload = await session.begin(call, repository, sha512=digest.algorithm == "sha512")
        try:
            return await _finish(call, target, request, repository, upload, digest)
        finally:  # its location was told to nobody, so nobody can go on with what is left of it
            if call.services.uploads.get(upload.id) is upload:
                await session.drop(call.services, upload)
    algorithm = query.get("digest-algorithm", "sha256")
    if algorithm not in ALGORITHMS:
        raise InvalidDigest(digest=algorithm)
    upload = await session.begin(call, repository, sha512=algorithm == "sha512")
    return _progress(202, target, upload)


async def status(call: Call, target: Target, request: Request) -> Reply:
    repository = await repositories.find(call, target.name)
    return _progress(204, target, session.find(call, repository, target.reference))


async def append(call: Call, target: Target, request: Request) -> Reply:
    """A chunk with `Content-Range`, or a stream without."""
    repository = await repositories.find(call, target.name)
    upload = session.find(call, repository, target.reference)
    try:
        await session.append(call, upload, request.body.batches(), first=_first_byte(request))
    except RangeNotInOrder as error:
        return _out_of_order(target, upload, error)
    return _progress(202, target, upload)


async def finish(call: Call, target: Target, request: Request) -> Reply:
    """The closing PUT: perhaps a last chunk, then the digest decides."""
    if request.body.announced != 0:
        await _authorize(call, target, "ecr:UploadLayerPart")
    repository = await repositories.find(call, target.name)
    digest = Digest.parse(dict(request.query()).get("digest", ""))
    try:
        upload = session.find(call, repository, target.reference)
    except UploadNotFound:
        # A client that lost our 201 repeats the closing PUT: the layer is there, so the answer is the same.
        if not await layers.sizes(call, repository, [digest]):
            raise
        return _created(target, digest)
    return await _finish(call, target, request, repository, upload, digest)


async def cancel(call: Call, target: Target, request: Request) -> Reply:
    repository = await repositories.find(call, target.name)
    await session.cancel(call, session.find(call, repository, target.reference))
    return Reply(204)


async def _authorize(call: Call, target: Target, *actions: str) -> None:
    """What else a request does at once, beside what its row of the table says."""
    arn = str(RepositoryArn(call.account, call.region, target.name))
    for action in actions:
        await authorize(call, action, arn)


async def _finish(
    call: Call, target: Target, request: Request, repository: Repository, upload: OpenUpload, digest: Digest
) -> Reply:
    try:
        await session.finish(
            call, repository, upload, [digest], request.body.batches(), first=_first_byte(request)
        )
    except RangeNotInOrder as error:
        return _out_of_order(target, upload, error)
    return _created(target, digest)


async def _mount(call: Call, repository: Repository, sent: str, source: str | None) -> Digest | None:
    """The digest, linked, if some repository that the caller may read has it in the same registry and domain."""
    try:
        digest = Digest.parse(sent)
    except InvalidDigest:
        return None
    for holder in await layers.holders(call, repository, digest, source):
        arn = str(RepositoryArn(call.account, call.region, holder.repository))
        if await allows(call, "ecr:GetDownloadUrlForLayer", arn) and await layers.mount(
            call, repository, digest, holder
        ):
            return digest
    return None


def _first_byte(request: Request) -> int | None:
    """Where the client says its chunk begins; the length it implies must be that of the body."""
    sent = request.header(b"content-range")
    if sent is None:
        return None
    match = _CONTENT_RANGE.fullmatch(sent.strip())
    if match is None:
        raise BadRequest(reason=f"Content-Range must be FIRST-LAST, inclusive, not '{sent[:100]}'")
    first, last = int(match["first"]), int(match["last"])
    announced = request.body.announced
    if announced is not None and announced != last - first + 1:
        raise SizeInvalid(received=announced, announced=last - first + 1)
    return first


def _progress(status_code: int, target: Target, upload: OpenUpload) -> Reply:
    return Reply(
        status_code,
        [
            (b"location", target.upload_location(upload.id)),
            (b"range", b"0-%d" % max(upload.writer.received - 1, 0)),
            (b"docker-upload-uuid", upload.id.encode()),
        ],
    )


def _out_of_order(target: Target, upload: OpenUpload, error: RangeNotInOrder) -> Reply:
    """416 with what was received, so that the client can go on from there; the session is intact."""
    from_error = reply_for(error)
    return Reply(416, from_error.headers + _progress(416, target, upload).headers, from_error.body)


def _created(target: Target, digest: Digest) -> Reply:
    return Reply(
        201,
        [(b"location", target.blob_location(digest)), (b"docker-content-digest", str(digest).encode())],
    )
