"""The short way of an answer that is kept: stages 1, 2, 4 and 7 of the pipeline, by the same functions.

It answers only where nothing has to be asked of the database or told to anybody; all else is for the pipeline.
"""

from __future__ import annotations

from moorage.access.authorizer import Way
from moorage.access.call import Services
from moorage.access.passwords import Passwords
from moorage.access.rates import Rates
from moorage.base.addresses import Registry
from moorage.base.errors.endpoints import EndpointRefused
from moorage.base.http import Arrival, Headers, Reply, Request
from moorage.oci.routes import Route
from moorage.server.audit import operation_of
from moorage.server.kept import Kept, KeptAnswers
from moorage.server.metrics import Metrics, is_pull
from moorage.server.telemetry import Recorder
from moorage.server.wire import render_constant, render_varying

_CHANGES_ANSWER = frozenset({b"connection", b"expect", b"if-none-match", b"if-range", b"range"})


class FromMemory:
    def __init__(
        self,
        services: Services,
        passwords: Passwords,
        recorder: Recorder,
        metrics: Metrics,
        rates: Rates | None,
        *,
        are_traced: bool,
    ) -> None:
        """`are_traced`: requests that belong to somebody's trace go through the pipeline, which tells of them."""
        self._services = services
        self._passwords = passwords
        self._recorder = recorder
        self._metrics = metrics
        self._rates = rates
        self._changes_answer = _CHANGES_ANSWER | {b"traceparent"} if are_traced else _CHANGES_ANSWER
        self._kept = KeptAnswers()

    def keep(
        self,
        request: Request,
        registry: Registry,
        route: Route,
        resource: str,
        tag: str | None,
        reply: Reply,
    ) -> None:
        """What the pipeline has answered, if it may be given again."""
        body = reply.body
        if reply.kept_while is None or not isinstance(body, bytes):
            return
        repository, epoch = reply.kept_while
        has_own_length = any(name == b"content-length" for name, _ in reply.headers)
        rest = render_constant(reply.headers, None if has_own_length else len(body), closes=False)
        kept = Kept(
            registry=registry,
            operation=operation_of(route),
            actions=route.actions,
            resource=resource,
            tag=tag or "",
            repository=repository,
            epoch=epoch,
            status=reply.status,
            rest=rest if request.method == "HEAD" else rest + body,
            tally=self._metrics.kept(f"{request.method} {route.kind}", reply.status),
            pulls=self._metrics.pulls(resource) if is_pull(route, request, reply) else None,
            until=reply.kept_until,
            image=reply.pulled_image,
        )
        self._kept.keep(request.method.encode(), request.target, request.raw_host, kept)

    def answer(
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
            elif name in self._changes_answer:
                return None
        kept = self._kept.get(method, target, host)
        if kept is None:
            return None
        if kept.repository and self._services.db.epoch(kept.repository) != kept.epoch:
            self._kept.forget(method, target, host)
            return None
        now, region = self._services.clock(), kept.registry.region
        if kept.until and kept.until <= now:
            self._kept.forget(method, target, host)
            return None
        login = self._passwords.remembered(authorization.decode("latin-1"), region, now)
        if login is None:
            return None
        endpoints = self._services.endpoints
        if arrival.listener and not endpoints.is_current:
            return None
        try:
            way = Way(arrival, endpoints.find(arrival, "ecr.dkr"), region)
        except EndpointRefused:
            return None
        remembered = self._services.authorizer.remembered
        for action in kept.actions:
            if not remembered(login.principal, action, kept.resource, way, kept.tag):
                return None
        if self._rates is not None and not self._rates.allows(
            login.principal.account, kept.registry, kept.operation, now
        ):
            return None  # the pipeline says so
        if kept.image:
            self._services.pull_times.note(kept.image, login.principal, kept.registry, now)
        kept.tally.count += 1
        kept.tally.sent += len(kept.rest)
        if kept.pulls is not None:
            kept.pulls.count += 1
        return render_varying(kept.status, date, self._recorder.next_request_id()) + kept.rest
