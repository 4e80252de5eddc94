"""Two reads that straddle a commit: reads run on the loop, commits in another thread, so any two of them may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from moorage.store.db.api import Transaction

from .registry import MemoryRegistry

TRANSACTION = "transaction"


def straddle(registry: MemoryRegistry, before: str, happens: Callable[[], Awaitable[object]]) -> None:
    """Have something happen, and be committed, before the next read of a statement outside transactions.

    `TRANSACTION` is before the next transaction.
    """
    registry.services = replace(registry.services, db=_Straddled(registry, before, happens))


class _Straddled:
    def __init__(
        self, registry: MemoryRegistry, before: str, happens: Callable[[], Awaitable[object]]
    ) -> None:
        self._registry = registry
        self._services = registry.services
        self._db: Any = registry.services.db
        self._before = before
        self._happens = happens

    async def one(self, statement: str, values: Any = None) -> Any:
        await self._arrive(statement)
        return await self._db.one(statement, values or {})

    async def all(self, statement: str, values: Any = None) -> Any:
        await self._arrive(statement)
        return await self._db.all(statement, values or {})

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> Any:
        await self._arrive(TRANSACTION)
        async with self._db.transaction() as tx:
            yield tx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    async def _arrive(self, at: str) -> None:
        if at == self._before:
            self._before = ""
            self._registry.services = self._services
            await self._happens()
