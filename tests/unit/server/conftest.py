"""A real protocol on a loop, with an application of the test's own behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from moorage.base.http import Arrival, Body, Headers, Reply
from moorage.server.outgoing import Outgoing
from moorage.server.protocol import Exchange, RegistryProtocol

Handler = Callable[[Body], Awaitable[Reply]]
SECONDS = 20


@dataclass
class Application:
    """What the protocol asks of an application; `handler` gets each request's body."""

    handler: Handler
    outgoing: Outgoing = field(default_factory=lambda: Outgoing(1, 1))
    errors: list[BaseException] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)

    async def __call__(self, scope: dict[str, Any], receive: object, send: object) -> None:
        exchange: Exchange = scope["extensions"]["moorage"]
        self.arrivals.append(exchange.arrival)
        try:
            reply = await self.handler(exchange.body)
        except ConnectionError as error:
            self.errors.append(error)
            reply = Reply(500)
        await exchange.respond(reply)

    def kept_answer(
        self, method: bytes, target: bytes, headers: Headers, date: bytes, arrival: Arrival
    ) -> bytes | None:
        return None

    def next_request_id(self) -> bytes:
        return b"1"


@dataclass
class Serving:
    """A listening loop. `connections` are the live protocols."""

    application: Application
    state: ServerState
    port: int

    @property
    def connection(self) -> RegistryProtocol:
        [connection] = self.state.connections
        assert isinstance(connection, RegistryProtocol)
        return connection

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Serving]:
    application, state = Application(handler), ServerState()
    config = uvicorn.Config(application, http=RegistryProtocol, ws="none", lifespan="off", interface="asgi3")
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: RegistryProtocol(config=config, server_state=state, app_state={}, _loop=loop), "127.0.0.1", 0
    )
    try:
        yield Serving(application, state, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        application.outgoing.close()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something holds."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0)
