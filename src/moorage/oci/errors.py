"""Errors on the registry wire: `{"errors":[{"code":...,"message":...}]}` (distribution-spec, "Error Codes").

The codes are chosen with care: docker repeats a push for 50 s unless it knows the code as final (reference: moby,
registry client, retry classes).
"""

from __future__ import annotations

import msgspec

from moorage.base import errors as e
from moorage.base.errors import MoorageError
from moorage.base.http import Reply

# error                        status  code
_TABLE: dict[type[MoorageError], tuple[int, str]] = {
    e.AccessDenied:             (403, "DENIED"),
    e.BadRequest:               (400, "UNSUPPORTED"),
    e.BlobUnknown:              (404, "BLOB_UNKNOWN"),
    e.Corrupted:                (500, "UNKNOWN"),
    e.DigestMismatch:           (400, "DIGEST_INVALID"),
    e.EndpointRefused:          (403, "DENIED"),
    e.ImageNotFound:            (404, "MANIFEST_UNKNOWN"),
    e.ImageTagAlreadyExists:    (400, "TAG_INVALID"),
    e.InvalidDigest:            (400, "DIGEST_INVALID"),
    e.KmsFailure:               (403, "DENIED"),
    e.LayerReferenced:          (405, "UNSUPPORTED"),
    e.LayersNotFound:           (400, "MANIFEST_BLOB_UNKNOWN"),
    e.LimitExceeded:            (400, "DENIED"),
    e.ManifestInvalid:          (400, "MANIFEST_INVALID"),
    e.ManifestTooLarge:         (413, "MANIFEST_INVALID"),
    e.ManifestUnknown:          (404, "MANIFEST_UNKNOWN"),
    e.MethodNotAllowed:         (405, "UNSUPPORTED"),
    e.NameInvalid:              (400, "NAME_INVALID"),
    e.PageSizeInvalid:          (400, "PAGINATION_NUMBER_INVALID"),
    e.PathUnknown:              (404, "NAME_UNKNOWN"),
    e.RangeNotInOrder:          (416, "BLOB_UPLOAD_INVALID"),
    e.RangeNotSatisfiable:      (416, "BLOB_UNKNOWN"),
    e.ReferencedImagesNotFound: (400, "MANIFEST_BLOB_UNKNOWN"),
    e.RepositoryNotFound:       (404, "NAME_UNKNOWN"),
    e.RequestEntityTooLarge:    (413, "SIZE_INVALID"),
    e.SizeInvalid:              (400, "SIZE_INVALID"),
    e.StorageFull:              (507, "UNKNOWN"),
    e.TagInvalid:               (400, "TAG_INVALID"),
    e.TemplateUnusable:         (403, "DENIED"),
    e.TokenExpired:             (403, "DENIED"),
    e.TooManyRequests:          (429, "TOOMANYREQUESTS"),
    e.TooManyTagParameters:     (414, "TAG_INVALID"),
    e.Unauthorized:             (401, "UNAUTHORIZED"),
    e.UploadNotFound:           (404, "BLOB_UPLOAD_UNKNOWN"),
    e.UpstreamAccessDenied:     (403, "DENIED"),
    e.UpstreamImageUnknown:     (404, "MANIFEST_UNKNOWN"),
    e.UpstreamTooManyRequests:  (429, "TOOMANYREQUESTS"),
    e.UpstreamUnavailable:      (503, "UNAVAILABLE"),
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
    if isinstance(error, e.MethodNotAllowed):
        headers.append((b"allow", str(error.facts["allowed"]).encode()))
    if isinstance(error, e.RangeNotSatisfiable):
        headers.append((b"content-range", b"bytes */%d" % int(str(error.facts["size"]))))
    if isinstance(error, e.UpstreamTooManyRequests):
        headers.append((b"retry-after", b"%d" % int(str(error.facts["retry_after"]))))
    return Reply(status, headers, body)


def _one_line(text: str) -> bytes:
    """containerd shows no error body, so the reason travels in a header too: printable ASCII, bounded."""
    return "".join(char if " " <= char <= "~" else "?" for char in text[:512]).encode()
