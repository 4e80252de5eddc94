"""AWS JSON 1.1: bodies to requests, responses and errors to answers (ECR API reference, §1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from moorage.aws.explain import convert, pattern_check
from moorage.aws.model import structure_of
from moorage.aws.shapes import Shape
from moorage.base.errors.error import MoorageError
from moorage.base.errors.requests import Serialization
from moorage.base.http import Reply

S = TypeVar("S", bound=Shape)

CONTENT_TYPE = (b"content-type", b"application/x-amz-json-1.1")

# Errors whose own names belong to the registry wire, by what the JSON services call them.
_CODES = {
    "BlobUnknownException": "LayersNotFoundException",
    "CorruptedException": "ServerException",
    "DigestMismatchException": "InvalidLayerException",
    "InvalidDigestException": "InvalidParameterException",
    "ManifestInvalidException": "InvalidParameterException",
    "ManifestTooLargeException": "InvalidParameterException",
    "ManifestUnknownException": "ImageNotFoundException",
    "NameInvalidException": "InvalidParameterException",
    "StorageFullException": "ServerException",
    "TagInvalidException": "InvalidParameterException",
}
_STATUSES = {"ServerException": 500, "RequestEntityTooLargeException": 413}

_encode = msgspec.json.Encoder().encode


def decoder(service: str, shape: type[S]) -> Callable[[bytes], S]:
    """Bodies to `shape`; an empty body is `{}`. Raise `Serialization`, `InvalidParameter` or `Validation`."""
    fast = msgspec.json.Decoder(shape).decode
    holds = pattern_check(structure_of(shape)) or (lambda _: True)

    def decode(body: bytes) -> S:
        try:
            request = fast(body or b"{}")
        except msgspec.ValidationError:
            return convert(service, shape, _parsed(body))
        except (ValueError, RecursionError):
            raise Serialization("The body is not valid JSON") from None
        return request if holds(request) else convert(service, shape, _parsed(body))

    return decode


def _parsed(body: bytes) -> object:
    """The slow way: msgspec stops at the first violation, so what follows it may still not be JSON."""
    try:
        tree = msgspec.json.decode(body or b"{}")
    except (ValueError, RecursionError):
        raise Serialization("The body is not valid JSON") from None
    if tree is None:
        raise Serialization("NULL_VALUE can not be converted to a Structure or Map")
    return tree


def encode(response: Shape) -> Reply:
    return Reply(200, [CONTENT_TYPE], _encode(response))


def encode_error(error: MoorageError) -> Reply:
    """`__type` and the header are the same; both spellings of `message`, since clients of either exist."""
    code = _CODES.get(error.code(), error.code())
    text = str(error)
    members = {name: error.facts[name] for name in error.members if name in error.facts}
    body = _encode({"__type": code, "message": text, "Message": text, **members})
    headers = [CONTENT_TYPE, (b"x-amzn-errortype", code.encode()), *error.quota_header]
    return Reply(_STATUSES.get(code, 400), headers, body)
