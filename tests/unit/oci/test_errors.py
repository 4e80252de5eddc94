"""Errors on the registry wire."""

from __future__ import annotations

import json

import pytest

from moorage.base.errors import access, images, layers, ourselves, repositories, wire
from moorage.base.errors.error import MoorageError
from moorage.oci.errors import reply_for


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (repositories.RepositoryNotFound(name="a", registry_id="1"), 404, "NAME_UNKNOWN"),
        (images.ManifestUnknown(), 404, "MANIFEST_UNKNOWN"),
        (images.ImageTagAlreadyExists(tag="t", name="a"), 400, "TAG_INVALID"),
        (layers.DigestMismatch(), 400, "DIGEST_INVALID"),
        (access.TokenExpired(), 403, "DENIED"),
        (access.Unauthorized(), 401, "UNAUTHORIZED"),
        (ourselves.StorageFull(), 507, "UNKNOWN"),
        (ourselves.Server(), 500, "UNKNOWN"),
        (layers.LayerPartTooSmall(), 400, "UNKNOWN"),
    ],
)
def test_reply_for_has_the_status_and_the_code(error: MoorageError, status: int, code: str) -> None:
    reply = reply_for(error)

    assert reply.status == status
    assert isinstance(reply.body, bytes)
    assert json.loads(reply.body) == {"errors": [{"code": code, "message": str(error)}]}
    assert dict(reply.headers)[b"content-type"] == b"application/json"


@pytest.mark.parametrize("text", ["a\r\nx-evil: 1", "\0", "é\U0001f433", "a" * 10_000, "{braces} {0}"])
def test_reply_for_hostile_text_keeps_its_header_a_line(text: str) -> None:
    reply = reply_for(layers.InvalidDigest(digest=text))

    value = dict(reply.headers)[b"x-moorage-error"]
    assert len(value) <= 512
    assert all(0x20 <= byte <= 0x7E for byte in value)
    assert isinstance(reply.body, bytes)
    assert text in json.loads(reply.body)["errors"][0]["message"]


def test_reply_for_a_range_outside_tells_the_size() -> None:
    assert (b"content-range", b"bytes */7") in reply_for(wire.RangeNotSatisfiable(size=7)).headers


def test_reply_for_a_method_lists_the_allowed() -> None:
    assert (b"allow", b"GET, HEAD") in reply_for(
        wire.MethodNotAllowed(method="X", allowed="GET, HEAD")
    ).headers
