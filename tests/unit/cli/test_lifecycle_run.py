from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from moorage.base.clock import SECOND
from moorage.cli import lifecycle_run
from moorage.cli.output import Failed

from ..registry.memory import in_memory
from ..registry.registry import MemoryRegistry


async def says(registry: MemoryRegistry, statement: str, repository: int) -> None:
    """What the server writes of a run."""
    async with registry.db.transaction() as tx:
        await tx.run(statement, {"repository": repository, "now": registry.now})


@pytest.mark.parametrize("works", [True, False])
@in_memory
async def test_who_waits_for_its_turn_is_not_told_that_there_is_no_server(
    registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch, works: bool
) -> None:
    monkeypatch.setattr(lifecycle_run, "system_clock", lambda: registry.now)
    monkeypatch.setattr(lifecycle_run, "_LOOK_S", 0)
    first, second = await registry.repository("one"), await registry.repository("two")
    opened: Any = SimpleNamespace(beside=SimpleNamespace(db=registry.db))
    asked = registry.now
    waiting = asyncio.create_task(
        lifecycle_run._finished(opened, second, [first, second], asked, as_json=True)
    )

    if works:
        await says(registry, "lifecycle.begin_run", first.id)
    registry.pass_time(20 * SECOND)
    for _ in range(10):
        await asyncio.sleep(0)
    if not works:
        with pytest.raises(Failed, match="no server has taken it up"):
            await waiting
        return

    await says(registry, "lifecycle.finish_run", first.id)
    await asyncio.sleep(0)
    await says(registry, "lifecycle.begin_run", second.id)
    await says(registry, "lifecycle.finish_run", second.id)
    assert (await waiting).finished == registry.now


@in_memory
async def test_who_waits_for_a_server_that_died_in_the_middle_is_told(
    registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle_run, "system_clock", lambda: registry.now)
    monkeypatch.setattr(lifecycle_run, "_LOOK_S", 0)
    one = await registry.repository("one")
    opened: Any = SimpleNamespace(beside=SimpleNamespace(db=registry.db))
    await says(registry, "lifecycle.begin_run", one.id)
    waiting = asyncio.create_task(lifecycle_run._finished(opened, one, [one], registry.now, as_json=True))
    await asyncio.sleep(0)

    registry.pass_time(50 * SECOND)
    await asyncio.sleep(0)
    assert not waiting.done()
    registry.pass_time(11 * SECOND)

    with pytest.raises(Failed, match="the server has stopped in the middle"):
        await waiting


@in_memory
async def test_a_policy_that_is_taken_away_meanwhile_takes_nothing(registry: MemoryRegistry) -> None:
    one = await registry.repository("one")
    opened: Any = SimpleNamespace(beside=SimpleNamespace(db=registry.db))

    assert await lifecycle_run._would_take(opened, one) == []
