from __future__ import annotations

import asyncio

import pytest

from ..registry.memory import in_memory
from ..registry.registry import ACCOUNT, MemoryRegistry


@in_memory
async def test_a_change_whose_caller_leaves_while_it_is_committed_makes_what_is_remembered_old(
    registry: MemoryRegistry,
) -> None:
    epochs, before = registry.services.epochs, registry.services.epochs.of(ACCOUNT)

    async def change() -> None:
        async with epochs.changing(ACCOUNT) as tx:
            await tx.run("access.set_setting", {"account": "", "region": "", "name": "x", "value": "1"})

    changing = asyncio.create_task(change())
    await asyncio.sleep(0)
    changing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changing

    row = await registry.db.one("access.setting", {"account": "", "region": "", "name": "x"})
    assert row == ("1",)
    assert epochs.of(ACCOUNT) > before
