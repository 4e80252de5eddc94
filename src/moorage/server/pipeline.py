"""A request from wire to wire. The order of the stages stands here and nowhere else.

    registry (`/v2/`)        AWS (`/`)
    1 identify               1 identify            password, or signature: who asks
    2 find the route         2 find the operation
    3 decode                 3 decode              names and digests; the model's constraints
    4 authorize              4 authorize           before anything is looked up: existence is not revealed
    5 act                    5 act                 one function of one slice
    6 encode                 6 encode              errors in the protocol's own form
    7 record                 7 record
"""

from __future__ import annotations

import logging
from urllib.parse import unquote

from moorage.access.authorize import authorize, decide
from moorage.access.call import Call, Services
from moorage.access.passwords import Passwords
from moorage.access.principals import Principal
from moorage.access.signatures import Signatures
from moorage.aws import wire as aws_wire
from moorage.aws.operation import Operation, find_operation
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.errors import MethodNotAllowed, MoorageError, PathUnknown, Server, TokenExpired, Unauthorized
from moorage.base.http import BlobBody, Headers, Reply, Request
from moorage.oci import errors as oci_errors
from moorage.oci.blobs import download
from moorage.oci.challenge import challenge
from moorage.oci.routes import Route, find_route
from moorage.oci.target import Target
from moorage.server.kept import Kept, KeptAnswers
from moorage.server.telemetry import Recorder
from moorage.server.wire import NO_BODY, render_constant, render_varying

AWS_BODY_MAX = 32 << 20  # 20 MiB of a layer part in base64, or 4 MiB of manifest escaped six-fold
DOWNLOADS = "/_layers/"

_log = logging.getLogger("moorage")
_NEVER_KEPT = frozenset({b"range", b"if-none-match", b"if-range", b"connection"})
"""Headers under which the answer, or the connection after it, is another one."""


class Pipeline:
    def __init__(self, services: Services, passwords: Passwords, signatures: Signatures, recorder: Recorder) -> None:
        self._services = services
        self._passwords = passwords
        self._signatures = signatures
        self._recorder = recorder
        self._kept = KeptAnswers()

    async def answer(self, request: Request, request_id: str) -> Reply:
        """Never raises: what is our own fault is logged under the request id and answered 500."""
        is_registry = request.path.startswith("/v2/") or request.path == "/v2"
        try:
            if is_registry:
                reply = await self._registry_call(request, request_id)
            elif request.path == "/":
                reply = await self._aws_call(request, request_id)
            elif request.path.startswith(DOWNLOADS):
                reply = await self._download(request, request_id)
            else:
                raise PathUnknown()
        except MoorageError as error:
            if error.status >= 500:
                _log.error("%s %s %s: %s", request_id, request.method, request.path, error)
            reply = self._refuse(request, error)
        except ConnectionError:
            reply = self._refuse(request, Server())  # the client left; nobody reads this
        except Exception:
            _log.exception("%s %s %s", request_id, request.method, request.path)
            reply = self._refuse(request, Server())
        self._recorder.record(request, reply.status)  # 7
        return reply

    async def _registry_call(self, request: Request, request_id: str) -> Reply:
        registry = self._services.addresses.registry_at(request.host)
        # 1
        login = await self._passwords.check(
            request.header(b"authorization") or "", registry.region, self._services.clock()
        )
        # 2, 3
        route, target = find_route(request.method, request.raw_path.decode("latin-1"))
        call = self._begin(login.principal, registry, request, request_id)
        # 4
        resource = _resource_of(registry, target, route)
        for action in route.actions:
            authorize(call, action, resource)
        # 5, 6
        reply = await route.handler(call, target, request)
        if reply.kept_for is not None and request.method in ("GET", "HEAD"):
            self._keep(request, registry, route, resource, reply)
        return reply

    async def _aws_call(self, request: Request, request_id: str) -> Reply:
        wire = aws_wire.of(request)
        try:
            body = await request.body.read(AWS_BODY_MAX)
            # 1
            signed = await self._signatures.check(request, body, wire, self._services.clock())
            # 2
            operation = find_operation(wire, body, request, service=signed.service)
            # 3
            asked = operation.decode(body, request)
            registry = Registry(signed.principal.account, signed.region)
            call = self._begin(signed.principal, registry, request, request_id)
            # 4
            for resource in operation.resources(asked, call.account, call.region):
                authorize(call, operation.action, resource)
            # 5
            answer = await operation.run(call, asked)
        except MoorageError as error:
            if error.status >= 500:
                _log.error("%s %s: %s", request_id, request.header(b"x-amz-target"), error)
            return wire.refuse(error, request_id)
        # 6
        return wire.encode(operation, answer, request_id)

    async def _download(self, request: Request, request_id: str) -> Reply:
        """A download URL of GetDownloadUrlForLayer: the sealed token in the path says who, what and until when."""
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(method=request.method, allowed="GET, HEAD")
        raise NotImplementedError

    # Answers that are kept

    def kept_answer(self, method: bytes, target: bytes, headers: Headers, date: bytes) -> bytes | None:
        """The whole answer, if one is kept, for a caller who is known and may have it (1 and 4 as above)."""
        authorization = host = b""
        for name, value in headers:
            if name == b"authorization":
                authorization = value
            elif name == b"host":
                host = value
            elif name in _NEVER_KEPT:
                return None
        kept = self._kept.get(method, target, host)
        if kept is None:
            return None
        if kept.repository and self._services.db.epoch(kept.repository) != kept.epoch:
            self._kept.forget(method, target, host)
            return None
        login = self._passwords.remembered(
            authorization.decode("latin-1"), kept.registry.region, self._services.clock()
        )
        if login is None or not all(decide(login.principal, action, kept.resource) for action in kept.actions):
            return None
        self._recorder.count(kept.status)
        return render_varying(kept.status, date, self._recorder.next_request_id()) + kept.rest
