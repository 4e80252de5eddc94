"""When keys were last used: written now and then."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from moorage.access.principals import root_of
from moorage.access.usage import Usage
from moorage.base.errors.ourselves import StorageFull

from ..registry.memory import in_memory
from ..registry.registry import ACCOUNT, MemoryRegistry


class FullOnce:
    """A database whose disk is full for one transaction."""

    def __init__(self, registry: MemoryRegistry) -> None:
        self._db: Any = registry.db
        self._is_full = True

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        if self._is_full:
            self._is_full = False
            raise StorageFull()
        transaction: AbstractAsyncContextManager[Any] = self._db.transaction()
        return transaction


@in_memory
async def test_what_could_not_be_written_is_written_the_next_time(registry: MemoryRegistry) -> None:
    usage = Usage(FullOnce(registry))  # type: ignore[arg-type]  # it begins transactions, and no more
    async with registry.db.transaction() as tx:
        await tx.run("access.insert_account", {"id": ACCOUNT, "created": 0})
        key = {"account": ACCOUNT, "principal": "x", "sealed_secret": b"", "created": 0}
        await tx.run("access.insert_access_key", [{**key, "id": "one"}, {**key, "id": "two"}])
    usage.note(root_of(ACCOUNT, "one"), "ecr", "home-1", 1)
    usage.note(root_of(ACCOUNT, "two"), "ecr", "home-1", 1)

    with pytest.raises(StorageFull):
        await usage.write()
    usage.note(root_of(ACCOUNT, "two"), "ecr", "home-1", 2)
    await usage.write()

    used = registry.db._writer.execute("SELECT id, last_used FROM access_keys ORDER BY id").fetchall()
    assert used == [("one", 1), ("two", 2)]
