"""The table of the registry's HTTP API: method, kind of path, handler, IAM actions.

A repository name contains slashes and may itself be called `a/manifests/b`, so a path is read from the right.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from moorage.access.call import Call
from moorage.base.errors.wire import MethodNotAllowed, NameInvalid, PathUnknown
from moorage.base.http import Reply, Request
from moorage.base.names import is_repository_name
from moorage.oci import blobs, listing, manifests, uploads
from moorage.oci.target import Target

Handler = Callable[[Call, Target, Request], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    kind: str
    handler: Handler
    actions: tuple[str, ...]
    """All are needed, on the repository of the path. None: a valid password is enough."""


# DELETE of a blob has no ECR counterpart; status and cancel need the right to upload (decisions, 9).
ROUTES = (
    Route("GET",    "ping",      listing.ping,        ()),
    Route("GET",    "discover",  listing.extensions,  ()),
    Route("GET",    "catalog",   listing.catalog,     ("ecr:DescribeRepositories",)),
    Route("GET",    "tags",      listing.tags,        ("ecr:ListImages",)),
    Route("GET",    "referrers", listing.referrers,   ("ecr:BatchGetImage",)),
    Route("GET",    "manifest",  manifests.get,       ("ecr:BatchGetImage",)),
    Route("HEAD",   "manifest",  manifests.get,       ("ecr:BatchGetImage",)),
    Route("PUT",    "manifest",  manifests.put,       ("ecr:PutImage",)),
    Route("DELETE", "manifest",  manifests.delete,    ("ecr:BatchDeleteImage",)),
    Route("GET",    "blob",      blobs.get,           ("ecr:GetDownloadUrlForLayer",)),
    Route("HEAD",   "blob",      blobs.head,          ("ecr:BatchCheckLayerAvailability",)),
    Route("DELETE", "blob",      blobs.delete,        ("ecr:BatchDeleteImage",)),
    Route("POST",   "uploads",   uploads.begin,       ("ecr:InitiateLayerUpload",)),
    Route("GET",    "upload",    uploads.status,      ("ecr:UploadLayerPart",)),
    Route("PATCH",  "upload",    uploads.append,      ("ecr:UploadLayerPart",)),
    Route("PUT",    "upload",    uploads.finish,      ("ecr:CompleteLayerUpload",)),
    Route("DELETE", "upload",    uploads.cancel,      ("ecr:UploadLayerPart",)),
)  # fmt: skip

_BY_KIND: dict[str, dict[str, Route]] = {}
for _route in ROUTES:
    _BY_KIND.setdefault(_route.kind, {})[_route.method] = _route

_FIXED = {
    "/v2": "ping",
    "/v2/": "ping",
    "/v2/_catalog": "catalog",
    "/v2/_oci/ext/discover": "discover",
}
_NAMED = re.compile(
    r"/v2/(?P<name>.+)/(?:"
    r"blobs/uploads/(?P<upload>[^/]+)|(?P<uploads>blobs/uploads/?)|blobs/(?P<blob>[^/]+)|"
    r"manifests/(?P<manifest>[^/]*)|(?P<tags>tags/list)|referrers/(?P<referrers>[^/]+))",
    re.DOTALL,
)


def find_route(method: str, raw_path: str) -> tuple[Route, Target]:
    """The row for a request and what its path names. `raw_path` is as on the wire.

    Raise `PathUnknown`, `MethodNotAllowed` or `NameInvalid`.
    """
    path = unquote(raw_path)
    kind, target = _read(path)
    if not (target.name == "" or is_repository_name(target.name)):
        raise NameInvalid()
    routes = _BY_KIND[kind]
    route = routes.get(method) or (routes.get("GET") if method == "HEAD" else None)
    if route is None:
        allowed = routes.keys() | ({"HEAD"} if "GET" in routes else set())
        raise MethodNotAllowed(method=method, allowed=", ".join(sorted(allowed)))
    return route, target


def _read(path: str) -> tuple[str, Target]:
    if path in _FIXED:
        return _FIXED[path], Target()
    match = _NAMED.fullmatch(path)
    if match is None:
        raise PathUnknown()
    kind = match.lastgroup
    assert kind is not None  # one alternative always matches
    return kind, Target(match["name"], match[kind])
