"""Errors on the registry wire: `{"errors":[{"code":...,"message":...}]}` (distribution-spec, "Error Codes").

The codes are chosen with care: docker repeats a push for 50 s unless it knows the code as final (reference: moby,
registry client, retry classes).
"""

from __future__ import annotations

import msgspec

from moorage.base.errors import (
    access,
    endpoints,
    images,
    layers,
    ourselves,
    repositories,
    requests,
    upstream,
    wire,
)
from moorage.base.errors.error import MoorageError
from moorage.base.http import Reply

# error                               status  code
_TABLE: dict[type[MoorageError], tuple[int, str]] = {
    access.AccessDenied:              (403, "DENIED"),
    wire.BadRequest:                  (400, "UNSUPPORTED"),
    layers.BlobUnknown:               (404, "BLOB_UNKNOWN"),
    ourselves.Corrupted:              (500, "UNKNOWN"),
    layers.DigestMismatch:            (400, "DIGEST_INVALID"),
    endpoints.EndpointRefused:        (403, "DENIED"),
    images.ImageNotFound:             (404, "MANIFEST_UNKNOWN"),
    images.ImageTagAlreadyExists:     (400, "TAG_INVALID"),
    layers.InvalidDigest:             (400, "DIGEST_INVALID"),
    ourselves.KmsFailure:             (403, "DENIED"),
    layers.LayerReferenced:           (405, "UNSUPPORTED"),
    images.LayersNotFound:            (400, "MANIFEST_BLOB_UNKNOWN"),
    images.LimitExceeded:             (400, "DENIED"),
    images.ManifestInvalid:           (400, "MANIFEST_INVALID"),
    images.ManifestTooLarge:          (413, "MANIFEST_INVALID"),
    images.ManifestUnknown:           (404, "MANIFEST_UNKNOWN"),
    wire.MethodNotAllowed:            (405, "UNSUPPORTED"),
    wire.NameInvalid:                 (400, "NAME_INVALID"),
    wire.PageSizeInvalid:             (400, "PAGINATION_NUMBER_INVALID"),
    wire.PathUnknown:                 (404, "NAME_UNKNOWN"),
    layers.RangeNotInOrder:           (416, "BLOB_UPLOAD_INVALID"),
    wire.RangeNotSatisfiable:         (416, "BLOB_UNKNOWN"),
    images.ReferencedImagesNotFound:  (400, "MANIFEST_BLOB_UNKNOWN"),
    repositories.RepositoryNotFound:  (404, "NAME_UNKNOWN"),
    requests.RequestEntityTooLarge:   (413, "SIZE_INVALID"),
    layers.SizeInvalid:               (400, "SIZE_INVALID"),
    ourselves.StorageFull:            (507, "UNKNOWN"),
    wire.TagInvalid:                  (400, "TAG_INVALID"),
    repositories.TemplateUnusable:    (403, "DENIED"),
    access.Throttled:                 (429, "TOOMANYREQUESTS"),
    access.TokenExpired:              (403, "DENIED"),
    access.TooManyRequests:           (429, "TOOMANYREQUESTS"),
    wire.TooManyTagParameters:        (414, "TAG_INVALID"),
    access.Unauthorized:              (401, "UNAUTHORIZED"),
    layers.UploadNotFound:            (404, "BLOB_UPLOAD_UNKNOWN"),
    upstream.UpstreamAccessDenied:    (403, "DENIED"),
    upstream.UpstreamImageUnknown:    (404, "MANIFEST_UNKNOWN"),
    upstream.UpstreamTooManyRequests: (429, "TOOMANYREQUESTS"),
    upstream.UpstreamUnavailable:     (503, "UNAVAILABLE"),
}  # fmt: skip


class _Error(msgspec.Struct):
    code: str
    message: str


class _Errors(msgspec.Struct):
    errors: list[_Error]


def reply_for(error: MoorageError) -> Reply:
    """An answer in the registry's form. Doors add what the error's kind wants: a challenge, `Allow`, a range."""
    status, code = _TABLE.get(type(error), (error.status, "UNKNOWN"))
    body = msgspec.json.encode(_Errors([_Error(code, str(error))]))
    headers = [(b"content-type", b"application/json"), (b"x-moorage-error", _one_line(str(error)))]
    headers += error.quota_header
    if isinstance(error, access.Throttled):
        headers.append((b"retry-after", b"1"))
    if isinstance(error, wire.MethodNotAllowed):
        headers.append((b"allow", str(error.facts["allowed"]).encode()))
    if isinstance(error, wire.RangeNotSatisfiable):
        headers.append((b"content-range", b"bytes */%d" % int(str(error.facts["size"]))))
    if isinstance(error, upstream.UpstreamTooManyRequests):
        headers.append((b"retry-after", b"%d" % int(str(error.facts["retry_after"]))))
    return Reply(status, headers, body)


def _one_line(text: str) -> bytes:
    """containerd shows no error body, so the reason travels in a header too: printable ASCII, bounded."""
    return "".join(char if " " <= char <= "~" else "?" for char in text[:512]).encode()
