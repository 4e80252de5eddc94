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

from moorage.access.authorize import authorize, decide
from moorage.access.call import Call, Services
from moorage.access.credentials import Credentials
from moorage.access.downloads import ACTION, PREFIX, read_download
from moorage.access.passwords import Passwords
from moorage.access.principals import Principal
from moorage.access.signatures import Signatures
from moorage.aws.operation import find_operation, refusal
from moorage.aws.query import form_of
from moorage.aws.shapes import SERVICES
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.digest import Digest
from moorage.base.errors import (
    MethodNotAllowed,
    MoorageError,
    PathUnknown,
    Server,
    TokenExpired,
    Unauthorized,
)
from moorage.base.http import Arrival, Headers, Reply, Request
from moorage.oci import blobs, errors
from moorage.oci.challenge import challenge
from moorage.oci.routes import Route, find_route
from moorage.oci.target import Target
from moorage.registry.repositories import repository as repositories
from moorage.registry.uploads import layers
from moorage.server.kept import Kept, KeptAnswers
from moorage.server.telemetry import Recorder
from moorage.server.wire import render_constant, render_varying

AWS_BODY_MAX = 32 << 20  # 20 MiB of a layer part in base64, or 4 MiB of manifest escaped six-fold
_TARGETS = {service.target: name for name, service in SERVICES.items() if service.target}

_log = logging.getLogger("moorage")


class Pipeline:
    def __init__(
        self,
        services: Services,
        credentials: Credentials,
        passwords: Passwords,
        signatures: Signatures,
        recorder: Recorder,
    ) -> None:
        self._services = services
        self._credentials = credentials
        self._passwords = passwords
        self._signatures = signatures
        self._recorder = recorder
        self._kept = KeptAnswers()

    async def answer(self, request: Request, request_id: str) -> Reply:
        """Never raises: what is our own fault is logged under the request id and answered 500."""
        try:
            if request.path == "/":
                reply = await self._aws_call(request, request_id)
            elif request.path.startswith("/v2/") or request.path == "/v2":
                reply = await self._registry_call(request, request_id)
            elif request.path.startswith(PREFIX):
                reply = await self._download(request, request_id)
            else:
                raise PathUnknown()
        except Exception as error:
            reply = self.refuse(request, error, request_id)
        self._recorder.record(request, reply.status, request_id)  # 7
        return reply

    async def _registry_call(self, request: Request, request_id: str) -> Reply:
        registry = self._services.addresses.registry_at(request.host)
        authorization = request.header(b"authorization") or ""
        # 1
        login = await self._passwords.check(authorization, registry.region, self._services.clock())
        # 2, 3
        route, target = find_route(request.method, request.raw_path.decode("latin-1"))
        # 4
        call = self._begin(login.principal, registry, request, request_id)
        resource = _resource_of(registry, target, route)
        for action in route.actions:
            authorize(call, action, resource)
        # 5
        reply = await route.handler(call, target, request)
        # 6
        if reply.kept_while is not None and isinstance(reply.body, bytes):
            self._keep(request, registry, route, resource, reply, reply.body, *reply.kept_while)
        return reply

    async def _aws_call(self, request: Request, request_id: str) -> Reply:
        if request.method not in ("GET", "POST"):
            raise MethodNotAllowed(method=request.method, allowed="GET, POST")
        target = request.header(b"x-amz-target")
        body = await request.body.read(AWS_BODY_MAX)
        # 1
        addressed = _TARGETS.get((target or "").rpartition(".")[0])
        signer = await self._signatures.check(request, body, addressed, self._services.clock())
        # 2
        text = body if request.method == "POST" else request.raw_query
        form = dict(form_of(text)) if target is None else {}
        operation = find_operation(target, form.get("Action"), form.get("Version"))
        signer.check_service(operation.service.name)
        # 3
        asked = operation.decode(text)
        # 4
        call = self._begin(
            signer.principal, Registry(signer.principal.account, signer.region), request, request_id
        )
        for resource in operation.resources(asked, call.account, call.region):
            authorize(call, operation.action, resource)
        # 5
        answer = await operation.act(call, asked)
        # 6
        return operation.answer(answer, request_id)

    async def _download(self, request: Request, request_id: str) -> Reply:
        """A URL of GetDownloadUrlForLayer: the token says who (1) may have what (2, 3); the rest is as for a blob."""
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(method=request.method, allowed="GET, HEAD")
        download = read_download(self._services, request.path.removeprefix(PREFIX))
        key = await self._credentials.find(download.access_key_id)
        if key is None or not key.is_active:
            raise TokenExpired()
        registry = download.registry
        call = self._begin(key.principal, registry, request, request_id)
        authorize(
            call, ACTION, str(RepositoryArn(registry.account, registry.region, download.repository))
        )  # 4
        repository = await repositories.find(call, download.repository)
        layer = await layers.find(call, repository, Digest.parse(download.digest))
        return await blobs.send(call, layer, request)

    def _begin(self, principal: Principal, registry: Registry, request: Request, request_id: str) -> Call:
        return Call(
            principal=principal,
            account=registry.account,
            region=registry.region,
            host=request.host,
            arrival=request.arrival,
            now=self._services.clock(),
            request_id=request_id,
            services=self._services,
        )

    def refuse(self, request: Request, error: Exception, request_id: str) -> Reply:
        """The answer for an error, in the form of the protocol spoken."""
        refused = self._understood(error, request, request_id)
        if request.path == "/":
            return refusal(_service_of(request), refused, request_id)
        return self._registry_refusal(request, refused)

    def _understood(self, error: Exception, request: Request, request_id: str) -> MoorageError:
        """The error to tell; what is ours is logged, and told without detail."""
        if isinstance(error, MoorageError):
            if error.status >= 500:
                _log.error("%s %s %r: %s", request_id, request.method, request.path, error)
            return error
        if not isinstance(error, ConnectionError):  # of a client that left; nobody reads the answer
            _log.error("%s %s %r", request_id, request.method, request.path, exc_info=error)
        return Server()

    def _registry_refusal(self, request: Request, error: MoorageError) -> Reply:
        """On the registry wire. docker asks `/v2/` whether its password is still good; it logs in again on 401 only."""
        is_ping = request.path in ("/v2", "/v2/")
        if isinstance(error, TokenExpired) and is_ping:
            error = Unauthorized(str(error))
        reply = errors.reply_for(error)
        return challenge(request, reply) if isinstance(error, Unauthorized) else reply

    # Answers that are kept

    def _keep(
        self,
        request: Request,
        registry: Registry,
        route: Route,
        resource: str,
        reply: Reply,
        body: bytes,
        repository: int,
        epoch: int,
    ) -> None:
        has_own_length = any(name == b"content-length" for name, _ in reply.headers)
        rest = render_constant(reply.headers, None if has_own_length else len(body), closes=False)
        kept = Kept(
            registry=registry,
            actions=route.actions,
            resource=resource,
            repository=repository,
            epoch=epoch,
            status=reply.status,
            rest=rest if request.method == "HEAD" else rest + body,
        )
        self._kept.keep(request.method.encode(), request.target, request.raw_host, kept)

    def kept_answer(
        self, method: bytes, target: bytes, headers: Headers, date: bytes, arrival: Arrival
    ) -> bytes | None:
        """The whole answer, if one is kept, for a caller who is known (1) and may have it (4)."""
        if self._recorder.writes_lines:  # a line is written for each request, by the pipeline
            return None
        authorization = host = b""
        for name, value in headers:
            if name == b"authorization":
                if authorization:  # a second one: which counts is for the pipeline to say
                    return None
                authorization = value
            elif name == b"host":
                host = value
            elif name in _CHANGES_ANSWER:
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
        if login is None or not all(
            decide(login.principal, action, kept.resource) for action in kept.actions
        ):
            return None
        return render_varying(kept.status, date, self._recorder.next_request_id()) + kept.rest


_CHANGES_ANSWER = frozenset({b"connection", b"expect", b"if-none-match", b"if-range", b"range"})


def _resource_of(registry: Registry, target: Target, route: Route) -> str:
    """What an action is asked for: the repository of the path, or all of the registry."""
    if not route.actions:
        return "*"
    return str(RepositoryArn(registry.account, registry.region, target.name or "*"))


def _service_of(request: Request) -> str:
    """Whose form a refusal takes: JSON for a target, XML for a form or a query."""
    target = request.header(b"x-amz-target")
    if target is not None:
        return _TARGETS.get(target.rpartition(".")[0], "ecr")
    is_query = request.method == "GET" or "form" in (request.header(b"content-type") or "")
    return "sts" if is_query else "ecr"
