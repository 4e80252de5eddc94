"""A request from wire to wire. The order of the stages stands here and nowhere else.

registry (`/v2/`)        AWS (`/`)
1 identify               1 identify            password, or signature: who asks
2 find the route         2 find the operation  and whether its rate is exceeded, where rates are limited
3 decode                 3 decode              names and digests; the model's constraints
4 authorize              4 authorize           before anything is looked up: existence is not revealed
5 act                    5 act                 one function of one slice
6 encode                 6 encode              errors in the protocol's own form
7 record                 7 record
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import unquote_to_bytes

from moorage.access.authorize import authorize
from moorage.access.authorizer import IMAGE_TAG, Circumstances
from moorage.access.bearers import Bearers
from moorage.access.call import Call, Services
from moorage.access.downloads import ACTION, PREFIX, read_download
from moorage.access.endpoints.names import OF_CALLS
from moorage.access.located import located
from moorage.access.passwords import Passwords
from moorage.access.principals import ANONYMOUS, Principal
from moorage.access.rates import Rates
from moorage.access.signatures import Signatures, Signer
from moorage.access.throttle import LoginThrottle
from moorage.aws.operation import Operation, find_operation, refusal
from moorage.aws.query import form_of
from moorage.aws.shapes import SERVICES
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.digest import Digest
from moorage.base.errors.access import InvalidSignature, TokenExpired, Unauthorized, UnrecognizedClient
from moorage.base.errors.error import MoorageError
from moorage.base.errors.identities import IdentityTokenExpired, IDPRejectedClaim, InvalidIdentityToken
from moorage.base.errors.ourselves import Server
from moorage.base.errors.requests import UnknownOperation
from moorage.base.errors.wire import MethodNotAllowed, PathUnknown
from moorage.base.http import Reply, Request
from moorage.oci import blobs, errors, manifests
from moorage.oci.challenge import challenge
from moorage.oci.routes import Route, find_route
from moorage.oci.target import Target
from moorage.server.audit import Audit, Seen, operation_of, route_of
from moorage.server.from_memory import FromMemory
from moorage.server.metrics import Metrics, is_pull
from moorage.server.telemetry import Recorder, Traces, without_token

AWS_BODY_MAX = 32 << 20  # 20 MiB of a layer part in base64, or 4 MiB of manifest escaped six-fold
_TARGETS = {service.target: name for name, service in SERVICES.items() if service.target}

_SIGNED_FOR = re.compile(r"Credential=[^/,\s]{1,128}/[^/,\s]{1,32}/[^/,\s]{1,32}/([a-z0-9-]{1,32})/")

# Of operations that nobody signs, because their credentials are members.
_FAILED_TOKENS = (IDPRejectedClaim, IdentityTokenExpired, InvalidIdentityToken)

_log = logging.getLogger("moorage")


@dataclass(frozen=True, slots=True)
class Identification:
    """What tells who calls, and from where."""

    bearers: Bearers
    passwords: Passwords
    signatures: Signatures
    throttle: LoginThrottle


class Pipeline:
    def __init__(
        self,
        services: Services,
        identify: Identification,
        recorder: Recorder,
        audit: Audit,
        metrics: Metrics,
        operations: asyncio.Future[Any],
        rates: Rates,
        traces: Traces | None = None,
    ) -> None:
        """`operations` is done when all that answers AWS calls is registered."""
        self._services = services
        self._identify = identify
        self._recorder = recorder
        self._audit = audit
        self._metrics = metrics
        self._operations = operations
        self._rates = rates if rates.are_limited else None
        self._traces = traces
        self.from_memory = FromMemory(
            services, identify.passwords, recorder, metrics, self._rates, are_traced=traces is not None
        )

    async def answer(self, request: Request, request_id: str) -> Reply:
        """Never raises: what is our own fault is logged under the request id and answered 500."""
        began, seen, refused = perf_counter(), Seen(), None
        try:
            if request.path == "/":
                reply = await self._aws_call(request, request_id, seen)
            elif request.path.startswith("/v2/") or request.path == "/v2":
                reply = await self._registry_call(request, request_id, seen)
            elif request.path.startswith(PREFIX):
                reply = await self._download(request, request_id, seen)
            else:
                raise PathUnknown()
        except Exception as error:
            refused = error if isinstance(error, MoorageError) else Server()
            reply = self.refuse(request, error, request_id)
        # 7
        self._recorder.record(request, reply.status, request_id)
        self._audit.note(request, request_id, seen, refused)
        self._count(request, seen, reply, perf_counter() - began)
        if self._traces is not None:
            self._traces.note(request, seen, reply, refused)
        return reply

    def _count(self, request: Request, seen: Seen, reply: Reply, seconds: float) -> None:
        sent = len(reply.body) if isinstance(reply.body, bytes) else reply.body.length
        self._metrics.note(route_of(request, seen), reply.status, seconds, request.body.announced or 0, sent)
        if seen.route is not None and is_pull(seen.route, request, reply):
            self._metrics.pulls(seen.resources[0]).count += 1

    async def _registry_call(self, request: Request, request_id: str, seen: Seen) -> Reply:
        registry = seen.registry = self._services.addresses.registry_at(request.host)
        # 1
        around = seen.around = await self._around(request, registry.region, "ecr.dkr")
        principal = seen.principal = await self._log_in(request, registry.region)
        # 2, 3
        route, target = seen.route, seen.target = find_route(
            request.method, request.raw_path.decode("latin-1")
        )
        if self._rates is not None:
            self._rates.take(principal.account, registry, operation_of(route), around.now)
        # 4
        call = self._begin(principal, registry, request, request_id, around)
        resource = _resource_of(registry, target, route)
        seen.resources = (resource,)
        tags = manifests.tags_named(target, request) if route.kind == "manifest" else (None,)
        for action in route.actions:
            for tag in tags:
                await authorize(call, action, resource, None if tag is None else {IMAGE_TAG: tag})
        # 5
        reply = seen.answer = await route.handler(call, target, request)
        # 6
        self.from_memory.keep(request, registry, route, resource, tags[0], reply)
        return reply

    async def _log_in(self, request: Request, region: str) -> Principal:
        now, address = self._services.clock(), request.arrival.address
        authorization = request.header(b"authorization") or ""
        self._identify.throttle.check(address, now)
        try:
            login = await self._identify.passwords.check(authorization, region, now)
        except Unauthorized:
            if authorization:
                self._login_failed(address, now)
            raise
        self._services.usage.note(login.principal, "ecr", region, now)
        return login.principal

    def _login_failed(self, address: str, now: int) -> None:
        self._identify.throttle.failed(address, now)
        self._metrics.failed_logins += 1

    async def _aws_call(self, request: Request, request_id: str, seen: Seen) -> Reply:
        if request.method not in ("GET", "POST"):
            raise MethodNotAllowed(method=request.method, allowed="GET, POST")
        target = request.header(b"x-amz-target")
        body = await request.body.read(AWS_BODY_MAX)
        if not self._operations.done():  # in the first moments
            await asyncio.shield(self._operations)
        # 1
        addressed = _TARGETS.get((target or "").rpartition(".")[0])
        text = body if request.method == "POST" else request.raw_query
        signer = await self._signer(request, body, text, addressed)
        if signer is not None:
            seen.principal, seen.registry = (
                signer.principal,
                Registry(signer.principal.account, signer.region),
            )
        # 2
        form = dict(form_of(text)) if target is None else {}
        operation = seen.operation = find_operation(target, form.get("Action"), form.get("Version"))
        if signer is not None:
            signer.check_service(operation.service.name)
            if self._rates is not None and operation.service.name == "ecr":
                registry = Registry(signer.principal.account, signer.region)
                self._rates.take(registry.account, registry, operation.name, self._services.clock())
        # 3
        asked = seen.asked = operation.decode(text)
        # 4
        call = await self._call_of(signer, operation, request, request_id)
        seen.around, seen.resources = call.around, []
        for resource in operation.resources(asked, call.account, call.region):
            named = await located(call.db, call.principal, resource)
            seen.resources.append(named)
            for context in operation.contexts(asked):
                await authorize(call, operation.action, named, context)
        # 5
        try:
            answer = seen.answer = await operation.act(call, asked)
        except _FAILED_TOKENS:
            self._login_failed(request.arrival.address, call.now)
            raise
        # 6
        return operation.answer(answer, request_id)

    async def _signer(
        self, request: Request, body: bytes, text: bytes, addressed: str | None
    ) -> Signer | None:
        """Who signed it. None for the operations that need no signature, because their credentials are members."""
        now, address = self._services.clock(), request.arrival.address
        self._identify.throttle.check(address, now)
        if addressed is None and not _is_signed(request) and _needs_no_signature(text):
            return None
        try:
            signer = await self._identify.signatures.check(request, body, addressed, now)
        except (InvalidSignature, UnrecognizedClient):
            self._login_failed(address, now)
            raise
        self._services.usage.note(signer.principal, signer.service, signer.region, now)
        return signer

    async def _call_of(
        self, signer: Signer | None, operation: Operation, request: Request, request_id: str
    ) -> Call:
        principal = signer.principal if signer is not None else ANONYMOUS
        registry = self._services.addresses.default
        if signer is not None:
            registry = Registry(principal.account, signer.region)
        service = operation.service.name
        around = await self._around(request, registry.region, OF_CALLS.get(service, service))
        return self._begin(principal, registry, request, request_id, around)

    async def _download(self, request: Request, request_id: str, seen: Seen) -> Reply:
        """A URL of GetDownloadUrlForLayer: the token says who (1) may have what (2, 3); the rest is as for a blob."""
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(method=request.method, allowed="GET, HEAD")
        download = read_download(self._services, request.path.removeprefix(PREFIX))
        principal = await self._identify.bearers.principal_of(download.bearer)
        if principal is None:
            raise TokenExpired()
        seen.principal = principal
        registry = seen.registry = download.registry
        around = await self._around(request, registry.region, "ecr.dkr", "ecr.api")
        call = self._begin(principal, registry, request, request_id, around)
        resource = str(RepositoryArn(registry.account, registry.region, download.repository))
        seen.resources = (resource,)
        await authorize(call, ACTION, resource)  # 4
        return await blobs.serve(call, download.repository, Digest.parse(download.digest), request)

    async def _around(self, request: Request, region: str, *services: str) -> Circumstances:
        """Raise `EndpointRefused` where a private listener carries none of the services."""
        arrival, endpoints = request.arrival, self._services.endpoints
        if arrival.listener and not endpoints.is_current:
            await endpoints.refresh()
        return Circumstances(
            arrival,
            endpoints.find(arrival, *services),
            region,
            self._services.clock(),
            request.header(b"user-agent") or "",
            request.header(b"referer") or "",
            request.header(b"x-moorage-replica") or "",
        )

    def _begin(
        self,
        principal: Principal,
        registry: Registry,
        request: Request,
        request_id: str,
        around: Circumstances,
    ) -> Call:
        return Call(
            principal=principal,
            account=registry.account,
            region=registry.region,
            host=request.host,
            now=around.now,
            request_id=request_id,
            services=self._services,
            around=around,
        )

    def refuse(self, request: Request, error: Exception, request_id: str) -> Reply:
        """The answer for an error, in the form of the protocol spoken."""
        refused = self._understood(error, request, request_id)
        if request.path == "/":
            return refusal(_service_of(request), refused, request_id)
        return self._registry_refusal(request, refused)

    def _understood(self, error: Exception, request: Request, request_id: str) -> MoorageError:
        """The error to tell; what is ours is logged, and told without detail."""
        path = without_token(request.path)
        if isinstance(error, MoorageError):
            if error.status >= 500:
                _log.error("%s %s %r: %s", request_id, request.method, path, error)
            return error
        if not isinstance(error, ConnectionError):  # of a client that left; nobody reads the answer
            _log.error("%s %s %r", request_id, request.method, path, exc_info=error)
        return Server()

    def _registry_refusal(self, request: Request, error: MoorageError) -> Reply:
        """On the registry wire. docker asks `/v2/` whether its password is still good; it logs in again on 401 only."""
        is_ping = request.path in ("/v2", "/v2/")
        if isinstance(error, TokenExpired) and is_ping:
            error = Unauthorized(str(error))
        reply = errors.reply_for(error)
        return challenge(request, reply) if isinstance(error, Unauthorized) else reply


def _is_signed(request: Request) -> bool:
    return request.header(b"authorization") is not None or b"X-Amz-" in request.raw_query


def _needs_no_signature(text: bytes) -> bool:
    """Looked at before anybody is known: no more of a form is read than which operation it names."""
    form = dict(form_of(text))
    try:
        return not find_operation(None, form.get("Action"), form.get("Version")).is_signed
    except UnknownOperation:
        return False


def _resource_of(registry: Registry, target: Target, route: Route) -> str:
    """What an action is asked for: the repository of the path, or all of the registry."""
    if not route.actions:
        return "*"
    return str(RepositoryArn(registry.account, registry.region, target.name or "*"))


def _service_of(request: Request) -> str:
    """Whose form a refusal takes: JSON for a target; for a form or a query XML, of the service that is signed for."""
    target = request.header(b"x-amz-target")
    if target is not None:
        return _TARGETS.get(target.rpartition(".")[0], "ecr")
    is_query = request.method == "GET" or "form" in (request.header(b"content-type") or "")
    if not is_query:
        return "ecr"
    signed = _SIGNED_FOR.search(
        request.header(b"authorization") or unquote_to_bytes(request.raw_query).decode("latin-1")
    )
    service = SERVICES.get(signed[1]) if signed else None
    return service.name if service is not None and not service.target else "sts"
