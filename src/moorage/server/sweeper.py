"""Ends connections whose clients owe us something for too long: idle, a head that never ends, a body that stalls.

One look at all connections every few seconds costs less than a timer for each request, and cannot be forgotten.
"""

from __future__ import annotations

import asyncio

from uvicorn.server import ServerState

from moorage.server.protocol import RegistryProtocol

EVERY_S = 5.0
IDLE_S = 90.0  # longer than the 60 to 75 s of the proxies in front: they must be the first to close
HEAD_S = 30.0
BODY_S = 60.0


async def sweep(state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        close_stalled(state, loop.time())


def close_stalled(state: ServerState, now: float) -> int:
    """Abort those whose time is over at `now` (the loop's clock); return how many."""
    closed = 0
    for connection in list(state.connections):
        if isinstance(connection, RegistryProtocol) and _is_over(connection, now):
            connection.transport.abort()
            closed += 1
    return closed


def _is_over(connection: RegistryProtocol, now: float) -> bool:
    if connection.waiting_since is None or connection.transport is None:
        return False
    if connection.body is None and connection.cycle is not None and not connection.cycle.response_complete:
        return False  # all was received; the client waits for us
    allowed = IDLE_S if connection.is_idle else BODY_S if connection.body is not None else HEAD_S
    return now - connection.waiting_since > allowed
