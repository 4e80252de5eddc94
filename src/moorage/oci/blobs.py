"""Blobs on the registry wire: GET with ranges, HEAD, DELETE (distribution-spec end-2, end-10)."""

from __future__ import annotations

import secrets

from moorage.access.call import Call
from moorage.base.digest import Digest
from moorage.base.http import BlobBody, Headers, Reply, Request
from moorage.oci import ranges
from moorage.oci.ranges import Span
from moorage.oci.target import Target
from moorage.registry.repositories import repository as repositories
from moorage.registry.uploads import layers
from moorage.registry.uploads.layers import Layer

_TYPE = b"application/octet-stream"


async def get(call: Call, target: Target, request: Request) -> Reply:
    """The blob, or the ranges asked for. The bytes never change, whatever encoding the client accepts."""
    repository = await repositories.find(call, target.name)
    layer = await layers.find(call, repository, target.digest())
    return await send(call, layer, request)


async def head(call: Call, target: Target, request: Request) -> Reply:
    repository = await repositories.find(call, target.name)
    epoch = call.db.epoch(repository.id)
    layer = await layers.find(call, repository, target.digest())
    if _has(request, layer.digest):
        return Reply(304, list(_headers(layer.digest)))
    headers = [(b"content-type", _TYPE), *_headers(layer.digest), (b"content-length", b"%d" % layer.size)]
    reply = Reply(200, headers)
    # A candidate must be asked about each time: the question keeps it from being collected.
    reply.kept_while = None if layer.is_candidate else (repository.id, epoch)
    return reply


async def delete(call: Call, target: Target, request: Request) -> Reply:
    repository = await repositories.find(call, target.name)
    await layers.remove(call, repository, target.digest())
    return Reply(202)


async def send(call: Call, layer: Layer, request: Request) -> Reply:
    """Answer a GET of an authorized layer: also what a download URL of the API leads to."""
    headers = _headers(layer.digest)
    if _has(request, layer.digest):
        return Reply(304, list(headers))
    condition = request.header(b"if-range")
    is_same = condition is None or condition.strip('"') == str(layer.digest)
    header = request.header(b"range") if is_same else None
    spans = ranges.parse(header, layer.size)
    source = await layers.open_layer(call, layer)
    if spans is None:
        return Reply(200, [(b"content-type", _TYPE), *headers], BlobBody(source, ((0, layer.size),)))
    if len(spans) == 1:
        content_range = (b"content-range", _content_range(spans[0], layer.size))
        return Reply(206, [(b"content-type", _TYPE), content_range, *headers], BlobBody(source, (spans[0],)))
    boundary = secrets.token_hex(16).encode()
    multipart = (b"content-type", b"multipart/byteranges; boundary=" + boundary)
    return Reply(206, [multipart, *headers], BlobBody(source, _multipart(spans, layer.size, boundary)))


def _has(request: Request, digest: Digest) -> bool:
    """The client says it has it already (RFC 9110, If-None-Match)."""
    return str(digest) in (request.header(b"if-none-match") or "")


def _multipart(spans: list[Span], size: int, boundary: bytes) -> tuple[bytes | Span, ...]:
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
