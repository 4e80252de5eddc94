"""The bytes of an HTTP/1.1 answer's head."""

from __future__ import annotations

import http

import msgspec

from moorage.base.http import Headers

NO_BODY = frozenset({204, 304})

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}

# On every answer: nothing may be cached, sniffed or compressed on the way unless its own headers say so.
_ALWAYS = b"docker-distribution-api-version: registry/2.0\r\nx-content-type-options: nosniff\r\n"


def render_head(
    status: int, headers: Headers, length: int | None, date: bytes, request_id: bytes, *, closes: bool
) -> bytes:
    """`length` None: the headers have their own Content-Length, or the status has none."""
    return b"".join(
        (render_varying(status, date, request_id), render_constant(headers, length, closes=closes))
    )


def render_varying(status: int, date: bytes, request_id: bytes) -> bytes:
    """What differs between two equal answers: it comes first, so that the rest can be kept."""
    return b"%bdate: %b\r\nx-amzn-requestid: %b\r\n" % (_STATUS_LINES[status], date, request_id)


def render_constant(headers: Headers, length: int | None, *, closes: bool) -> bytes:
    parts = [_ALWAYS]
    for name, value in headers:
        # A header's value never carries a line of its own, whatever it was made from.
        parts.append(b"%b: %b\r\n" % (name, value.replace(b"\r", b" ").replace(b"\n", b" ")))
    if length is not None:
        parts.append(b"content-length: %d\r\n" % length)
    parts.append(b"connection: close\r\n\r\n" if closes else b"\r\n")
    return b"".join(parts)


def render_refusal(status: int, code: str, message: str, date: bytes, request_id: bytes) -> bytes:
    """The whole answer to what is not a request that could be read: JSON as everywhere, and the connection closes."""
    body = msgspec.json.encode({"errors": [{"code": code, "message": message}]})
    headers = ((b"content-type", b"application/json"),)
    return render_head(status, headers, len(body), date, request_id, closes=True) + body
