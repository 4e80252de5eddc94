"""Blobs on the registry wire: GET with ranges, HEAD, DELETE (distribution-spec end-2, end-10)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from moorage.access.call import ArrivingLayer, Call
from moorage.base.digest import Digest
from moorage.base.errors.layers import BlobUnknown
from moorage.base.http import BlobBody, Headers, Reply, Request
from moorage.oci import ranges
from moorage.oci.ranges import Span
from moorage.oci.target import Target
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import layers
from moorage.registry.uploads.layers import Layer

_TYPE = b"application/octet-stream"
_WAITED_FOR = 1 << 20  # bytes of a layer from upstream: what is no longer is answered when it is all here
_Segments = tuple[bytes | Span, ...]


async def get(call: Call, target: Target, request: Request) -> Reply:
    """The blob, or the ranges asked for. The bytes never change, whatever encoding the client accepts."""
    return await serve(call, target.name, target.digest(), request)


async def head(call: Call, target: Target, request: Request) -> Reply:
    repository = await repositories.find(call, target.name)
    epoch = call.db.epoch(repository.id)
    layer = await _find(call, repository, target.digest())
    if _has(request, layer.digest):
        return Reply(304, list(_headers(layer.digest)))
    headers = [(b"content-type", _TYPE), *_headers(layer.digest), (b"content-length", b"%d" % layer.size)]
    reply = Reply(200, headers)
    # A candidate must be asked about each time: the question keeps it from being collected.
    is_kept = isinstance(layer, Layer) and not layer.is_candidate
    reply.kept_while = (repository.id, epoch) if is_kept else None
    return reply


async def delete(call: Call, target: Target, request: Request) -> Reply:
    repository = await repositories.find(call, target.name)
    await layers.remove(call, repository, target.digest())
    return Reply(202)


async def serve(call: Call, name: str, digest: Digest, request: Request) -> Reply:
    """Answer a GET of an authorized layer: also what a download URL of the API leads to."""
    repository = await repositories.find(call, name)
    layer = await _find(call, repository, digest)
    headers = _headers(digest)
    if _has(request, digest):
        return Reply(304, list(headers))
    condition = request.header(b"if-range")
    is_same = condition is None or condition.strip('"') == str(digest)
    header = request.header(b"range") if is_same else None
    spans = ranges.parse(header, layer.size)
    open_body = await _open(call, repository, layer)
    if spans is None:
        return Reply(200, [(b"content-type", _TYPE), *headers], open_body(((0, layer.size),)))
    if len(spans) == 1:
        content_range = (b"content-range", _content_range(spans[0], layer.size))
        return Reply(206, [(b"content-type", _TYPE), content_range, *headers], open_body((spans[0],)))
    boundary = secrets.token_hex(16).encode()
    multipart = (b"content-type", b"multipart/byteranges; boundary=" + boundary)
    return Reply(206, [multipart, *headers], open_body(_multipart(spans, layer.size, boundary)))


async def _find(call: Call, repository: Repository, digest: Digest) -> Layer | _Arriving:
    """What is here, or comes from the upstream registry just now."""
    try:
        return await layers.find(call, repository, digest)
    except BlobUnknown:
        arriving = await call.services.upstreams.layer(call, repository.name, digest)
        if arriving is not None and arriving.size > _WAITED_FOR:
            return _Arriving(digest, arriving.size, arriving)
        if arriving is not None:
            await arriving.arrived()
        return await layers.find(call, repository, digest)


@dataclass(frozen=True, slots=True)
class _Arriving:
    digest: Digest
    size: int
    layer: ArrivingLayer


async def _open(
    call: Call, repository: Repository, layer: Layer | _Arriving
) -> Callable[[_Segments], BlobBody]:
    if isinstance(layer, _Arriving):
        arriving = layer.layer
        try:
            source = await call.services.work(arriving.follow)
            return lambda segments: BlobBody(source, segments, arriving)
        except FileNotFoundError:  # the last of it was written meanwhile
            await arriving.arrived()
            layer = await layers.find(call, repository, layer.digest)
    reader = await layers.open_layer(call, layer)
    return lambda segments: BlobBody(reader, segments)


def _has(request: Request, digest: Digest) -> bool:
    """The client says it has it already (RFC 9110, If-None-Match)."""
    return str(digest) in (request.header(b"if-none-match") or "")


def _multipart(spans: list[Span], size: int, boundary: bytes) -> _Segments:
    parts: list[bytes | Span] = []
    for span in spans:
        head = b"\r\n--%b\r\ncontent-type: %b\r\ncontent-range: %b\r\n\r\n"
        parts += [head % (boundary, _TYPE, _content_range(span, size)), span]
    return (*parts, b"\r\n--%b--\r\n" % boundary)


def _content_range(span: Span, size: int) -> bytes:
    return b"bytes %d-%d/%d" % (span[0], span[1] - 1, size)


def _headers(digest: Digest) -> Headers:
    text = str(digest).encode()
    return (
        (b"docker-content-digest", text),
        (b"accept-ranges", b"bytes"),
        (b"etag", b'"%b"' % text),
        (b"cache-control", b"max-age=31536000, immutable, no-transform, private"),
    )
