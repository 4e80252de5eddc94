"""What many ask for at once is done once: they share one flight, and a layer's bytes while they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from moorage.keys.sealed import SealedReader, SealedWriter

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class Flights(Generic[Key, Result]):
    """At most one for each key. It goes on when those who wait for it leave."""

    def __init__(self) -> None:
        self._running: dict[Key, asyncio.Task[Result]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def get(self, key: Key) -> asyncio.Task[Result] | None:
        return self._running.get(key)

    def begin(self, key: Key, work: Callable[[], Coroutine[Any, Any, Result]]) -> asyncio.Task[Result]:
        """The flight under way, or a new one."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(work())
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    async def join(self, key: Key, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Its outcome: every one that waits gets the result, or the error."""
        return await asyncio.shield(self.begin(key, work))

    async def close(self) -> None:
        """End those under way."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, key: Key, task: asyncio.Task[Result]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # if all who waited have left, nobody else looks at it


class ArrivingLayer:
    """A layer on its way from the upstream into its sealed file (`base.http.Arriving`).

    Its last bytes are within reach only when the digest was verified and the file is durable: an answer that follows a
    false layer is never completed.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.reach = 0
        self._writer: SealedWriter | None = None
        self._began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._has_failed = False
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def begin(self, writer: SealedWriter) -> None:
        """The upstream has it, and its bytes follow."""
        self._writer = writer
        self._began.set_result(None)

    def advance_to_sealed(self) -> None:
        """As far as the writer has sealed."""
        assert self._writer is not None  # it has begun
        self.advance(self._writer.readable)

    def advance(self, reach: int) -> None:
        self.reach = reach
        still = []
        for offset, future in self._waiting:
            if offset >= reach:
                still.append((offset, future))
            elif not future.done():
                future.set_result(None)
        self._waiting = still

    def complete(self) -> None:
        """It is stored."""
        for future in (self._began, self._ended):
            if not future.done():
                future.set_result(None)
        self.advance(self.size)

    def fail(self, error: Exception) -> None:
        """No more comes; who waits for the beginning or the end gets the error itself."""
        if self._ended.done():
            return
        self._has_failed = True
        for state in (self._began, self._ended):
            if not state.done():
                state.set_exception(error)
                state.exception()  # nobody may be waiting
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(_aborted())
        self._waiting = []

    async def begun(self) -> None:
        """Wait until bytes come, or raise why none will."""
        await asyncio.shield(self._began)

    async def arrived(self) -> None:
        """Wait until all is here, or raise why it is not."""
        await asyncio.shield(self._ended)

    async def passes(self, offset: int) -> None:
        if self.reach > offset:
            return
        if self._has_failed:
            raise _aborted()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((offset, future))
        try:
            await future
        finally:
            self._waiting = [(at, each) for at, each in self._waiting if each is not future]

    def follow(self) -> SealedReader:
        """A reader beside the writer, good as far as `reach`; the caller closes it. Raise FileNotFoundError if over."""
        if self._writer is None:  # it was here before the upstream was asked
            raise FileNotFoundError
        return self._writer.follow(self.size)


def _aborted() -> ConnectionAbortedError:
    return ConnectionAbortedError("the upstream broke off")
