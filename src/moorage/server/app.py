"""The composition root: settings become stores, keys, doors and one ASGI application. Only here is a backend named."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from moorage.access import downloads, paging, passwords
from moorage.access import operations as access_operations
from moorage.access.call import Limits, Result, Services
from moorage.access.credentials import AccessKey, Credentials
from moorage.access.epochs import Epochs
from moorage.access.passwords import Passwords
from moorage.access.signatures import Signatures
from moorage.base.addresses import Addresses, Registry
from moorage.base.clock import HOUR, system_clock
from moorage.base.errors import Corrupted
from moorage.base.http import Arrival, Headers, Request
from moorage.config import Settings
from moorage.keys.keyring import Keyring
from moorage.keys.opened import OpenedBlobs
from moorage.keys.receiving import OpenUploads
from moorage.keys.root import RootKey, RootKeyRefused, create_root_key, read_root_key
from moorage.keys.sealed import SealedBlobs
from moorage.keys.tokens import Tokens
from moorage.registry import operations as registry_operations
from moorage.server import schedule
from moorage.server.outgoing import Outgoing
from moorage.server.pipeline import Pipeline
from moorage.server.protocol import Exchange, RegistryProtocol
from moorage.server.sweeper import sweep
from moorage.server.telemetry import Recorder
from moorage.store.blobs.disk import DiskBlobs
from moorage.store.db.connect import connect, open_sqlite_beside
from moorage.store.db.statements import Statements

BACKLOG = 2_048
ROOT_KEY_VARIABLE = "MOORAGE_ROOT_KEY"
GRACE_S = 60  # for running transfers at SIGTERM; a second signal ends them
OPERATIONS = (*access_operations.MODULES, *registry_operations.MODULES)
"""What answers AWS calls; importing them has registered them."""
_TOKEN_PURPOSES = (downloads.PURPOSE, paging.PURPOSE, passwords.PURPOSE)


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
async def opened(settings: Settings, port: int) -> AsyncIterator[Installation]:
    """Open the data directory, made and filled at the first start. `port` is where clients will find us.

    Raise `DataDirectoryInUse`, `SchemaTooNew` or `RootKeyUnusable`; each says what to do.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    root = _root_key(settings)
    db = await connect(f"sqlite:///{settings.database.resolve()}", Statements.discover())
    cores = len(os.sched_getaffinity(0))
    waiting = ThreadPoolExecutor(4 * cores + 8, thread_name_prefix="wait")
    # One more than cores, since sealing writes: 64 MiB by 8 uploads on 2 cores 715 MB/s, with 16 threads 570.
    computing = ThreadPoolExecutor(cores + 1, thread_name_prefix="seal")
    memory = settings.memory_cache_bytes
    blobs = SealedBlobs(DiskBlobs(settings.data), OpenedBlobs(memory, memory // 2) if memory else None)
    try:
        keys = Keyring(db, root, system_clock)
        credentials = Credentials(db, keys)
        account, created = await _default_account(credentials, settings)
        default = Registry(account, settings.region)
        services = Services(
            db=db,
            blobs=blobs,
            keys=keys,
            tokens=Tokens(await keys.token_keys(_TOKEN_PURPOSES)),
            addresses=Addresses(default, f"{settings.hostname}:{port}"),
            clock=system_clock,
            limits=_limits(settings),
            uploads=OpenUploads(),
            epochs=Epochs(db),
            process=secrets.token_hex(8),
            work=_work_in(waiting),
            compute=_work_in(computing),
        )
        yield Installation(settings, services, credentials, default, created)
    finally:
        computing.shutdown()
        waiting.shutdown()
        blobs.close()
        await db.close()


@asynccontextmanager
async def opened_beside(settings: Settings) -> AsyncIterator[Credentials]:
    """The accounts of a data directory that exists, whether a server runs on it or not (ADR 6).

    Raise `FileNotFoundError`, `SchemaTooNew`, `SchemaTooOld` or `RootKeyRefused`.
    """
    root = _root_key(settings, may_create=False)
    db = open_sqlite_beside(settings.database.resolve(), Statements.discover())
    try:
        keys = Keyring(db, root, system_clock)
        await keys.token_keys(_TOKEN_PURPOSES)  # refuses a root key that is not this database's
        yield Credentials(db, keys)
    finally:
        await db.close()


async def serve(settings: Settings, announce: Callable[[Installation, int], None]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what runs.

    `announce` is called when the port is open, and keeps what was created.
    """
    listener = _listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    async with opened(settings, port) as installation:
        announce(installation, port)
        if installation.created is not None:
            await installation.credentials.claimed()
        application = Application(installation)
        server = uvicorn.Server(_uvicorn_config(application))
        loop = asyncio.get_running_loop()
        background = [
            loop.create_task(schedule.run_all(installation.services)),
            loop.create_task(sweep(server.server_state, loop)),
        ]
        try:
            await server.serve(sockets=[listener])
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            application.outgoing.close()


class Application:
    """ASGI, with the connection as an extension: bodies are received and blobs sent past the ASGI messages (D14)."""

    def __init__(self, installation: Installation) -> None:
        services = installation.services
        self._recorder = Recorder(writes_lines=installation.settings.access_log)
        self._pipeline = Pipeline(
            services,
            installation.credentials,
            Passwords(services.tokens, installation.credentials),
            Signatures(installation.credentials),
            self._recorder,
        )
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
        reply = await self._pipeline.answer(request, request_id)
        try:
            await exchange.respond(reply)
        except (ConnectionError, TimeoutError):
            pass  # the client left in the middle of its answer, or takes no more of it
        except Corrupted as error:
            # The connection is broken already, unless nothing was sent: what fails authentication is never completed.
            await exchange.respond(self._pipeline.refuse(request, error, request_id))

    def kept_answer(
        self, method: bytes, target: bytes, headers: Headers, date: bytes, arrival: Arrival
    ) -> bytes | None:
        return self._pipeline.kept_answer(method, target, headers, date, arrival)

    def next_request_id(self) -> bytes:
        return self._recorder.next_request_id()


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


async def _default_account(credentials: Credentials, settings: Settings) -> tuple[str, AccessKey | None]:
    """The account of this installation; at the first start it is created, with the key of its root."""
    known = await credentials.default_account()
    if known is not None:
        return known
    created = await credentials.create_account(settings.account or None, system_clock(), is_default=True)
    return created.principal.account, created


def _limits(settings: Settings) -> Limits:
    return Limits(
        upload_idle_us=int(settings.upload_idle_hours * HOUR),
        grace_us=int(settings.grace_hours * HOUR),
        password_us=int(settings.password_hours * HOUR),
        allow_missing_references=settings.allow_missing_references,
        strict_immutable=settings.strict_immutable,
        aws_quotas=settings.quotas == "aws",
    )


def _work_in(workers: ThreadPoolExecutor) -> Any:
    """`Services.work` and `compute` over a pool."""

    def work(function: Callable[..., Result], /, *arguments: object) -> Awaitable[Result]:
        return asyncio.get_running_loop().run_in_executor(workers, function, *arguments)

    return work


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


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
