"""Puts calls on record: noted when they are answered, written together a few times a second.

`writes` records what changes something, what begins a session, every refusal, and what the service does by itself;
`all` also what reads, except what the fleet asks all the time and is answered from memory; `none` nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moorage.access.authorizer import Circumstances
from moorage.access.call import Services
from moorage.access.principals import Principal
from moorage.access.service_events import ServiceEvent
from moorage.aws.operation import Operation
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.clock import HOUR
from moorage.base.errors.access import (
    AccessDenied,
    ExpiredToken,
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
    TokenExpired,
    Unauthorized,
    UnrecognizedClient,
)
from moorage.base.errors.endpoints import EndpointRefused
from moorage.base.errors.error import MoorageError
from moorage.base.errors.identities import IdentityTokenExpired, IDPRejectedClaim, InvalidIdentityToken
from moorage.base.http import Reply, Request
from moorage.oci.routes import Route
from moorage.oci.target import Target
from moorage.registry.audit import trail
from moorage.registry.audit.record import Called, Record, dated, record_of, record_of_event, told
from moorage.store.jobs.bell import Bell

LINGER_S = 0.25  # what is answered meanwhile is written together
RETRY_S = 1.0
LOOK_S = 10.0
BATCH = 50  # records a transaction: 2 ms, in which nobody else is answered
WAITING_MAX = 20_000
PRUNE_EVERY_US = HOUR
_DAY = 24 * HOUR

_REFUSALS = (
    AccessDenied, EndpointRefused, ExpiredToken, IDPRejectedClaim, IdentityTokenExpired, IncompleteSignature,
    InvalidIdentityToken, InvalidSignature, MissingAuthenticationToken, TokenExpired, Unauthorized,
    UnrecognizedClient,
)  # fmt: skip
_READS = re.compile(
    r"(?:BatchCheck|BatchGet|Describe|Explain|Generate\w*Report|Get|List|Lookup|Simulate|Validate)"
)
_BEGINS_A_SESSION = re.compile(r"AssumeRole|GetSessionToken|GetFederationToken")
_CLAIMED = re.compile(r"Credential=([A-Z0-9]{16,128})/")
_NAME = re.compile(r"[A-Za-z]{1,64}")
# What the routes of /v2/ are called where their action does not tell it.
_NAMES = {
    ("DELETE", "blob"): "BatchDeleteImage",
    ("DELETE", "upload"): "CancelLayerUpload",
    ("GET", "referrers"): "ListImageReferrers",
    ("GET", "upload"): "GetLayerUploadStatus",
}
_OF_A_REFERENCE = {"blob": "layerDigest", "upload": "uploadId"}
_PING = "GetAuthorizationToken"

_log = logging.getLogger("moorage")


@dataclass(slots=True)
class Seen:
    """What the stages of one request have found out about it, for the record."""

    registry: Registry | None = None
    principal: Principal | None = None
    around: Circumstances | None = None
    route: Route | None = None
    target: Target | None = None
    operation: Operation | None = None
    asked: Any = None
    answer: Any = None
    resources: list[str] | tuple[str, ...] = ()


def route_of(request: Request, seen: Seen) -> str:
    """What was asked for, in words of ours: `GET manifest`, `ecr:PutImage`."""
    if seen.route is not None:
        return f"{request.method} {seen.route.kind}"
    if seen.operation is not None:
        return f"{seen.operation.service.name}:{seen.operation.name}"
    return "GET download" if seen.resources else "other"


class Audit:
    def __init__(
        self, services: Services, *, mode: str, chained: bool = False, file: Path | None = None, days: int = 0
    ) -> None:
        self._services = services
        self._mode = mode
        self._chained = chained
        self._file = file
        self._kept_us = days * _DAY
        self._pruned = 0
        self._waiting: deque[Record] = deque()
        self._bell = Bell()
        self.dropped = 0
        """Records that were not written because too many waited, since the start."""
        if mode != "none":
            services.service_events.listen(self.note_event)

    # A call has been answered

    def note(self, request: Request, request_id: str, seen: Seen, error: MoorageError | None) -> None:
        if self._mode == "none" or not self._is_wanted(request, seen, error):
            return
        if self._has_room():
            self._waiting.append(record_of(self._called(request, request_id, seen, error)))
            self._bell.ring()

    def note_event(self, event: ServiceEvent) -> None:
        """The service has done something by itself."""
        if self._has_room():
            self._waiting.append(record_of_event(event, str(uuid.uuid4()), self._services.clock()))
            self._bell.ring()

    def _has_room(self) -> bool:
        if len(self._waiting) < WAITING_MAX:
            return True
        self.dropped += 1
        return False

    def _is_wanted(self, request: Request, seen: Seen, error: MoorageError | None) -> bool:
        if isinstance(error, _REFUSALS):
            # Each docker asks without credentials first: nobody was refused anything.
            return not isinstance(error, Unauthorized) or request.header(b"authorization") is not None
        if seen.operation is not None:
            name = seen.operation.name
            return self._mode == "all" or not _READS.match(name) or bool(_BEGINS_A_SESSION.match(name))
        if seen.route is not None:
            return self._mode == "all" or request.method not in ("GET", "HEAD")
        return False

    def _called(self, request: Request, request_id: str, seen: Seen, error: MoorageError | None) -> Called:
        source, name, is_read_only = _what(request, seen)
        principal = seen.principal if seen.principal is not None and seen.principal.account else None
        registry = seen.registry or self._services.addresses.default
        parameters = _parameters(request, seen)
        endpoint = seen.around.endpoint if seen.around is not None else None
        return Called(
            id=str(uuid.uuid4()),
            occurred=self._services.clock(),
            account=registry.account,
            region=registry.region,
            principal=principal,
            claimed_key=_claimed_key(request) if principal is None else "",
            source=source,
            name=name,
            is_read_only=is_read_only,
            address=request.arrival.address,
            agent=request.header(b"user-agent") or "",
            request_id=request_id,
            parameters=parameters,
            elements=_elements(seen),
            resources=_resources(seen, registry),
            error_code=_code(error),
            error_message=str(error) if error is not None else "",
            endpoint=endpoint.id if endpoint is not None else "",
        )

    # Writing

    async def run(self) -> None:
        """Until cancelled; what waits then is for `flush`."""
        while True:
            await self._bell.rung(LOOK_S)
            await asyncio.sleep(LINGER_S)
            try:
                await self.flush()
                await self._prune()
            except Exception:
                _log.exception("records of calls could not be written; it is tried again")
                await asyncio.sleep(RETRY_S)

    async def flush(self) -> None:
        """Write what waits."""
        while self._waiting:
            batch = [self._waiting[n] for n in range(min(BATCH, len(self._waiting)))]
            async with self._services.db.transaction() as tx:
                await trail.append(tx, batch, chained=self._chained)
            for _ in batch:
                self._waiting.popleft()
            if self._file is not None:
                await self._services.work(_append, self._file, batch)

    async def _prune(self) -> None:
        now = self._services.clock()
        if not self._kept_us or now - self._pruned < PRUNE_EVERY_US:
            return
        self._pruned = now
        while await trail.prune(self._services.db, now - self._kept_us):
            pass


def _what(request: Request, seen: Seen) -> tuple[str, str, bool]:
    """Source, name, and whether it reads."""
    if seen.operation is not None:
        name = seen.operation.name
        is_read_only = bool(_READS.match(name) or _BEGINS_A_SESSION.match(name))
        return f"{seen.operation.service.name}.amazonaws.com", name, is_read_only
    is_read_only = request.method in ("GET", "HEAD")
    if seen.route is not None:
        name = "MountLayer" if _is_mount(request, seen) else operation_of(seen.route) or _PING
        return "ecr.amazonaws.com", name, is_read_only
    # Refused before it was known what is asked for: as it says itself.
    claimed = (request.header(b"x-amz-target") or "").rpartition(".")[2]
    if request.path == "/":
        return "sts.amazonaws.com", claimed if _NAME.fullmatch(claimed) else "Unknown", False
    return "ecr.amazonaws.com", "Login", is_read_only


def operation_of(route: Route) -> str:
    """What the API calls it; empty for what takes no right."""
    own = _NAMES.get((route.method, route.kind))
    return own or (route.actions[0].partition(":")[2] if route.actions else "")


def _is_mount(request: Request, seen: Seen) -> bool:
    """A layer was linked, and none was sent."""
    if seen.route is None or seen.route.kind != "uploads" or not isinstance(seen.answer, Reply):
        return False
    asked = dict(request.query()) if seen.answer.status == 201 else {}
    return "digest" not in asked and asked.get("mount") == _digest_of(seen.answer)


def _parameters(request: Request, seen: Seen) -> dict[str, Any] | None:
    if seen.asked is not None:
        return told(seen.asked)
    if seen.target is None or seen.registry is None or seen.route is None:
        return None
    parameters: dict[str, Any] = {
        "registryId": seen.registry.account,
        "repositoryName": seen.target.name,
    }
    reference, kind = seen.target.reference, seen.route.kind
    if kind == "referrers":
        parameters["subjectId"] = {"imageDigest": reference}
    elif kind in _OF_A_REFERENCE:
        parameters[_OF_A_REFERENCE[kind]] = reference
    elif kind == "manifest":
        parameters["imageDigest" if ":" in reference else "imageTag"] = reference
    if _is_mount(request, seen):
        asked = dict(request.query())
        parameters |= {"layerDigest": asked["mount"], "sourceRepositoryName": asked.get("from")}
    return parameters


def _elements(seen: Seen) -> dict[str, Any] | None:
    """What was changed, of ECR; what was pushed. Of what was given out only the id of a key, by which is found what
    is done with it.
    """
    if isinstance(seen.answer, Reply):
        return _pushed(seen, seen.answer)
    if seen.answer is not None and seen.operation is not None and seen.operation.service.name == "ecr":
        if _READS.match(seen.operation.name):
            return None
        members: dict[str, Any] = dated(told(seen.answer) or {})
        return {"image": members} if seen.operation.name == "UpdateImageStorageClass" else members
    for name in ("credentials", "access_key"):
        given = getattr(seen.answer, name, None)
        key = getattr(given, "access_key_id", None)
        if key is not None:
            wire = "credentials" if name == "credentials" else "accessKey"
            return {wire: {"accessKeyId": key}}
    return None


def _pushed(seen: Seen, answer: Reply) -> dict[str, Any] | None:
    digest = _digest_of(answer)
    if not digest or seen.target is None or seen.registry is None or seen.route is None:
        return None
    if seen.route.method not in ("POST", "PUT"):
        return None
    where = {"registryId": seen.registry.account, "repositoryName": seen.target.name}
    if seen.route.kind != "manifest":
        return {**where, "layerDigest": digest}
    reference = seen.target.reference
    tag = {} if ":" in reference else {"imageTag": reference}
    return {"image": {**where, "imageId": {"imageDigest": digest, **tag}}}


def _digest_of(answer: Reply) -> str:
    found = next((value for name, value in answer.headers if name == b"docker-content-digest"), b"")
    return found.decode()


def _resources(seen: Seen, registry: Registry) -> Sequence[str]:
    if seen.target is not None and seen.target.name:
        return (str(RepositoryArn(registry.account, registry.region, seen.target.name)),)
    return seen.resources


def _code(error: MoorageError | None) -> str:
    if error is None:
        return ""
    return "AccessDenied" if isinstance(error, AccessDenied) else error.code()


def _claimed_key(request: Request) -> str:
    found = _CLAIMED.search(request.header(b"authorization") or "")
    return found[1] if found else ""


def _append(file: Path, records: Sequence[Record]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        view = memoryview(b"".join(record.document.encode() + b"\n" for record in records))
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
