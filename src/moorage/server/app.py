"""The composition root: settings become stores, keys, doors and one ASGI application. Only here is a backend named."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import uvicorn

from moorage.access import downloads, paging, passwords, sessions
from moorage.access.bearers import Bearers
from moorage.access.call import Limits, Result, Services
from moorage.access.credentials import AccessKey, Credentials
from moorage.access.endpoints.configured import read_endpoints
from moorage.access.endpoints.endpoints import Endpoints
from moorage.access.endpoints.table import EndpointMisconfigured
from moorage.access.epochs import Epochs
from moorage.access.grants import StoredGrants
from moorage.access.organization import Organization, organization_of
from moorage.access.organization_table import OrganizationMisconfigured
from moorage.access.passwords import Passwords
from moorage.access.rates import AWS_RATES, Rates
from moorage.access.sessions import Sessions
from moorage.access.signatures import Signatures
from moorage.access.throttle import LoginThrottle
from moorage.access.usage import Usage
from moorage.access.web_identity.provider_keys import ProviderKeys
from moorage.base.addresses import Addresses, Registry
from moorage.base.clock import HOUR, SECOND, system_clock
from moorage.base.errors.ourselves import Corrupted
from moorage.base.http import Request
from moorage.config.addresses import host_and_port
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.keys.keyring import Keyring
from moorage.keys.opened import OpenedBlobs
from moorage.keys.receiving import OpenUploads
from moorage.keys.root import RootKey, RootKeyRefused, create_root_key, read_root_key
from moorage.keys.sealed import SealedBlobs
from moorage.keys.tokens import Tokens
from moorage.registry.events.delivery import Delivery
from moorage.registry.events.targets import TargetMisconfigured
from moorage.registry.images import job as images_job
from moorage.registry.upstream.cache import PullThrough
from moorage.registry.upstream.client import UpstreamClient
from moorage.registry.upstream.peers import UpstreamPeers
from moorage.registry.upstream.sources import Sources
from moorage.remote.addresses import Allowed
from moorage.remote.rules import Rules
from moorage.server.audit import Audit
from moorage.server.listeners import Listeners, Server, bind
from moorage.server.metrics import Metrics, MetricsListener
from moorage.server.outgoing import Outgoing
from moorage.server.pipeline import Identification, Pipeline
from moorage.server.protocol import Exchange, RegistryProtocol
from moorage.server.sweeper import sweep
from moorage.server.telemetry import Recorder, Traces
from moorage.server.tls import look_for_changes, reload_all
from moorage.server.tracing.opening import open_parts
from moorage.server.tracing.parts import UNTRACED, Parts
from moorage.store.blobs.disk import DiskBlobs
from moorage.store.blobs.tiered import TieredBlobs
from moorage.store.db.api import Database
from moorage.store.db.connect import connect, open_sqlite_beside
from moorage.store.db.statements import Statements

ROOT_KEY_VARIABLE = "MOORAGE_ROOT_KEY"
LET_FIRST_S = 0.03
GRACE_S = 60  # for running transfers at SIGTERM; a second signal ends them
_TOKEN_PURPOSES = (downloads.PURPOSE, paging.PURPOSE, passwords.PURPOSE, sessions.PURPOSE)


@dataclass(frozen=True, slots=True)
class Installation:
    """An opened data directory."""

    settings: Settings
    services: Services
    credentials: Credentials
    default: Registry
    created: AccessKey | None
    """The root access key of the default account, until its keeper has called `credentials.claimed`."""


@asynccontextmanager
async def opened(
    settings: Settings, port: int | None, secure_port: int | None = None, parts: Parts = UNTRACED
) -> AsyncIterator[Installation]:
    """Open the data directory, made and filled at the first start. The ports are where clients will find us.

    Raise `DataDirectoryInUse`, `SchemaTooNew` or `RootKeyUnusable`; each says what to do.
    """
    organization = read_organization(settings)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    root = _root_key(settings)
    db = parts.database(await connect(f"sqlite:///{settings.database.resolve()}", Statements.discover()))
    cores = len(os.sched_getaffinity(0))
    waiting = ThreadPoolExecutor(4 * cores + 8, thread_name_prefix="wait")
    # One more than cores, since sealing writes: 64 MiB by 8 uploads on 2 cores 715 MB/s, with 16 threads 570.
    computing = ThreadPoolExecutor(cores + 1, thread_name_prefix="seal")
    blobs, tiered = _blobs(settings, parts)
    identity_providers = parts.egress(
        Rules(allowed=Allowed.parse(settings.identity_networks), ca_file=settings.identity_ca)
    )
    upstreams = _pull_through(settings, parts)
    try:
        keys = Keyring(db, root, system_clock)
        epochs = Epochs(db)
        credentials = Credentials(db, keys, epochs)
        account, created = await _default_account(credentials, settings)
        default = Registry(account, settings.region)
        tokens = Tokens(await keys.token_keys(_TOKEN_PURPOSES))
        process = secrets.token_hex(8)
        services = Services(
            db=db,
            blobs=blobs,
            keys=keys,
            tokens=tokens,
            addresses=_addresses(settings, default, port, secure_port),
            clock=system_clock,
            limits=_limits(settings),
            uploads=OpenUploads(),
            epochs=epochs,
            sessions=Sessions(db, tokens, epochs, system_clock),
            endpoints=_endpoints(settings, db, epochs, default),
            authorizer=parts.authorizer(StoredGrants(db, epochs, organization), epochs),
            usage=Usage(db),
            provider_keys=ProviderKeys(identity_providers, system_clock),
            process=process,
            work=parts.work(_work_in(waiting)),
            compute=parts.work(_work_in(computing)),
            tiers=tiered,
            replicated_settings=settings.replication_settings,
            jobs=parts.jobs(process),
            upstreams=upstreams,
        )
        yield Installation(settings, services, credentials, default, created)
    finally:
        await upstreams.close()
        computing.shutdown()
        waiting.shutdown()
        blobs.close()
        await identity_providers.close()
        await db.close()
        await parts.close()


@dataclass(frozen=True, slots=True)
class Beside:
    """What a command may use beside a server that runs: it learns of changes within a second."""

    db: Database
    epochs: Epochs
    credentials: Credentials

    async def default_account(self) -> str:
        """Raise `Corrupted` for a data directory that has none."""
        known = await self.credentials.default_account()
        if known is None:
            raise Corrupted(what="default account")
        return known[0]


@asynccontextmanager
async def opened_beside(settings: Settings) -> AsyncIterator[Beside]:
    """A data directory that exists, whether a server runs on it or not (ADR 6).

    Raise `FileNotFoundError`, `SchemaTooNew`, `SchemaTooOld` or `RootKeyRefused`.
    """
    root = _root_key(settings, may_create=False)
    db = open_sqlite_beside(settings.database.resolve(), Statements.discover())
    try:
        keys = Keyring(db, root, system_clock)
        await keys.token_keys(_TOKEN_PURPOSES)  # refuses a root key that is not this database's
        epochs = Epochs(db)
        yield Beside(db, epochs, Credentials(db, keys, epochs))
    finally:
        await db.close()


async def serve(settings: Settings, announce: Callable[[Installation, Listeners], None]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what runs. SIGHUP reads the certificates again.

    `announce` is called when the ports are open, and keeps what was created. Raise `CertificatesRefused` and
    `InvalidSettings` too.
    """
    parts = open_parts(settings.otlp_endpoint, os.environ)
    listeners = bind(settings)
    async with opened(settings, listeners.port, listeners.secure_port, parts) as installation:
        announce(installation, listeners)
        if installation.created is not None:
            await installation.credentials.claimed()
        services, delivery = installation.services, open_delivery(settings, parts)
        await delivery.begin(services)
        loop = asyncio.get_running_loop()
        loaded = loop.create_task(_load_soon())
        application = Application(installation, loaded, parts.requests)
        server = Server(_uvicorn_config(application), listeners.all, application.next_request_id)
        metrics = await _listen_for_metrics(application, services, settings)
        loop.add_signal_handler(signal.SIGHUP, reload_all, listeners.certificates)
        background = [
            loop.create_task(_work(loaded, services, settings, delivery, parts)),
            loop.create_task(sweep(server.server_state, loop)),
            loop.create_task(look_for_changes(listeners.certificates)),
            loop.create_task(application.audit.run()),
        ]
        try:
            await server.serve()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await delivery.close()
            await application.audit.flush()
            if metrics is not None:
                metrics.close()
            application.outgoing.close()
            await installation.services.usage.write()
            await images_job.write_pulls(installation.services)


Work = Callable[[Services, Settings, Delivery, Parts], Awaitable[None]]


def load_the_rest() -> Work:
    """A third of all that is imported, and nothing that `/v2/` needs: it is done when the ports are open already.

    Meanwhile who asks gets his turn soon. Return what works in the background.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(interval / 10)
    try:
        load_operations()
        from moorage.server.background import work
    finally:
        sys.setswitchinterval(interval)
    gc.freeze()  # else each full collection looks through it all, which takes as long as a thousand answers
    return work


async def _load_soon() -> Work:
    """Whoever has waited for the ports to open is answered first."""
    await asyncio.sleep(LET_FIRST_S)
    return await asyncio.get_running_loop().run_in_executor(None, load_the_rest)


async def _work(
    loaded: asyncio.Future[Work], services: Services, settings: Settings, delivery: Delivery, parts: Parts
) -> None:
    work = await asyncio.shield(loaded)
    await work(services, settings, delivery, parts)


def load_operations() -> tuple[ModuleType, ...]:
    """Register what answers AWS calls."""
    from moorage.access import operations as access_operations
    from moorage.registry import operations as registry_operations

    return (*access_operations.MODULES, *registry_operations.MODULES)


class Application:
    """ASGI, with the connection as an extension: bodies are received and blobs sent past the ASGI messages (D14)."""

    def __init__(
        self, installation: Installation, loaded: asyncio.Future[Any], traces: Traces | None = None
    ) -> None:
        """`loaded` is done when all that answers AWS calls is registered."""
        services = installation.services
        self._traces = traces
        self._recorder = Recorder(writes_lines=installation.settings.access_log)
        self.audit = _audit(installation)
        self.metrics = Metrics()
        bearers = Bearers(installation.credentials, services.sessions)
        self._pipeline = Pipeline(
            services,
            Identification(
                bearers,
                Passwords(services.tokens, bearers, services.epochs),
                Signatures(installation.credentials, services.sessions),
                LoginThrottle(installation.settings.login_failures),
            ),
            self._recorder,
            self.audit,
            self.metrics,
            loaded,
            _rates(installation.settings),
            traces,
        )
        self.kept_answer = self._pipeline.from_memory.answer
        self.next_request_id = self._recorder.next_request_id
        cores = len(os.sched_getaffinity(0))
        self.outgoing = Outgoing(installation.settings.workers or max(cores, 2), cores)

    async def __call__(self, scope: dict[str, Any], receive: object, send: object) -> None:
        exchange: Exchange = scope["extensions"]["moorage"]
        if exchange.cycle.disconnected:  # refused by what followed in its own head
            return
        request = Request(
            method=scope["method"],
            path=scope["path"],
            raw_path=scope["raw_path"],
            raw_query=scope["query_string"],
            headers=scope["headers"],
            body=exchange.body,
            arrival=exchange.arrival,
        )
        request_id = exchange.request_id.decode()
        if self._traces is None:
            await self._answer(exchange, request, request_id)
            return
        with self._traces.request(request, request_id):
            await self._answer(exchange, request, request_id)

    async def _answer(self, exchange: Exchange, request: Request, request_id: str) -> None:
        reply = await self._pipeline.answer(request, request_id)
        try:
            await exchange.respond(reply)
        except (ConnectionError, TimeoutError):
            pass  # the client left in the middle of its answer, or takes no more of it
        except Corrupted as error:
            # The connection is broken already, unless nothing was sent: what fails authentication is never completed.
            await exchange.respond(self._pipeline.refuse(request, error, request_id))


def read_organization(settings: Settings) -> Organization:
    """Raise `InvalidSettings` with the file that is wrong."""
    try:
        return organization_of(settings.organization)
    except OrganizationMisconfigured as error:
        raise InvalidSettings(str(error)) from None


def open_delivery(settings: Settings, parts: Parts = UNTRACED) -> Delivery:
    """Raise `InvalidSettings` for a target whose secret cannot be read."""
    try:
        return Delivery.open(settings.event_targets, parts.egress)
    except TargetMisconfigured as error:
        raise InvalidSettings(str(error)) from None


def _rates(settings: Settings) -> Rates:
    return Rates({**(AWS_RATES if settings.quotas == "aws" else {}), **settings.rates})


def _audit(installation: Installation) -> Audit:
    settings = installation.settings
    return Audit(
        installation.services,
        mode=settings.audit,
        chained=settings.audit_chain,
        file=settings.audit_file,
        days=settings.audit_days,
    )


async def _listen_for_metrics(
    application: Application, services: Services, settings: Settings
) -> asyncio.Server | None:
    if not settings.metrics_listen:
        return None
    host, port = host_and_port(settings.metrics_listen)
    return await MetricsListener(services, application.metrics).serve(host, port)


def _root_key(settings: Settings, may_create: bool = True) -> RootKey:
    """From the environment, else from its file, which is made at the first start and only then."""
    if value := os.environ.get(ROOT_KEY_VARIABLE):
        return RootKey.decode(value)
    try:
        return read_root_key(settings.root_key)
    except FileNotFoundError:
        if settings.database.exists() or not may_create:
            raise RootKeyRefused(
                f"{settings.root_key} is missing: without the root key nothing in {settings.data} can be read; restore "
                "it, or name it with --root-key-file"
            ) from None
        return create_root_key(settings.root_key)


def _blobs(settings: Settings, parts: Parts) -> tuple[SealedBlobs, TieredBlobs | None]:
    memory = settings.memory_cache_bytes
    near = DiskBlobs(settings.data)
    tiered = TieredBlobs(near, DiskBlobs(settings.archive_data)) if settings.archive_data else None
    return parts.blobs(tiered or near, OpenedBlobs(memory, memory // 2) if memory else None), tiered


def _pull_through(settings: Settings, parts: Parts) -> PullThrough:
    sources = Sources(
        settings.upstream_reach,
        lambda rules: UpstreamClient(parts.egress(rules), system_clock),
        UpstreamPeers(settings.upstream_peers, system_clock, parts.peer_egress),
    )
    return PullThrough(sources, imports_whole=settings.upstream_import == "whole")


async def _default_account(credentials: Credentials, settings: Settings) -> tuple[str, AccessKey | None]:
    """The account of this installation; at the first start it is created, with the key of its root."""
    known = await credentials.default_account()
    if known is not None:
        return known
    created = await credentials.create_account(settings.account or None, system_clock(), is_default=True)
    return created.principal.account, created


def _endpoints(settings: Settings, db: Database, epochs: Epochs, default: Registry) -> Endpoints:
    try:
        configured = read_endpoints(settings.endpoints, default.account, default.region, system_clock())
    except EndpointMisconfigured as error:
        raise InvalidSettings(str(error)) from None
    listeners = [listener.name for listener in settings.listeners]
    return Endpoints(db, epochs, default.account, configured, listeners)


def _limits(settings: Settings) -> Limits:
    return Limits(
        upload_idle_us=int(settings.upload_idle_hours * HOUR),
        grace_us=int(settings.grace_hours * HOUR),
        password_us=int(settings.password_hours * HOUR),
        restore_us=int(settings.restore_seconds * SECOND),
        lifecycle_extensions=settings.lifecycle_extensions,
        undelete_us=int(settings.undelete_hours * HOUR),
        allow_missing_references=settings.allow_missing_references,
        strict_immutable=settings.strict_immutable,
        aws_quotas=settings.quotas == "aws",
        names_denying_policy=settings.name_denying_policy,
    )


def _work_in(workers: ThreadPoolExecutor) -> Any:
    """`Services.work` and `compute` over a pool."""

    def work(function: Callable[..., Result], /, *arguments: object) -> Awaitable[Result]:
        return asyncio.get_running_loop().run_in_executor(workers, function, *arguments)

    return work


def _addresses(settings: Settings, default: Registry, port: int | None, secure_port: int | None) -> Addresses:
    plain = settings.endpoint(port, None if port is not None else secure_port)
    return Addresses(
        default,
        plain.partition("://")[2],
        aliases=settings.aliases,
        secure_host=settings.endpoint(None, secure_port).partition("://")[2] if secure_port else "",
        domain=settings.domain,
    )


def _uvicorn_config(application: Application) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=RegistryProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        loop="uvloop",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=GRACE_S,
    )
