"""Events as lines of JSON."""

from __future__ import annotations

import json
from pathlib import Path

from moorage.base.addresses import Registry
from moorage.registry.events.lines import File
from moorage.registry.events.outbox import Written
from moorage.registry.events.shapes import Event
from moorage.registry.events.targets import Target

from ..memory import in_memory
from ..registry import MemoryRegistry


def written(number: int, padding: int = 0) -> Written:
    event = Event("ECR Image Action", Registry("123456789012", "home-1"), "team/app", {"p": "x" * padding})
    return Written(number, f"id-{number}", 0, event)


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def file(folder: Path, rotate_bytes: int = 4_096, keep_files: int = 2) -> File:
    return File(
        Target("file", "file", path=folder / "events", rotate_bytes=rotate_bytes, keep_files=keep_files)
    )


def test_lines_are_appended_in_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    @in_memory
    async def scenario(registry: MemoryRegistry) -> None:
        target = file(tmp_path)
        assert await target.deliver(registry.services, [written(1), written(2)]) == 2
        assert await target.deliver(registry.services, [written(3)]) == 1

    scenario()

    assert ids(tmp_path / "events") == ["id-1", "id-2", "id-3"]
    assert (tmp_path / "events").stat().st_mode & 0o777 == 0o600


def test_a_file_that_would_be_too_long_is_moved_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    @in_memory
    async def scenario(registry: MemoryRegistry) -> None:
        target = file(tmp_path)
        for number in range(1, 6):
            await target.deliver(registry.services, [written(number, padding=3_900)])

    scenario()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["events", "events.1", "events.2"]
    assert [ids(tmp_path / name) for name in ("events", "events.1", "events.2")] == [
        ["id-5"],
        ["id-4"],
        ["id-3"],
    ]


def test_without_kept_files_a_long_one_is_begun_anew(tmp_path: Path) -> None:
    @in_memory
    async def scenario(registry: MemoryRegistry) -> None:
        target = file(tmp_path, keep_files=0)
        for number in range(1, 3):
            await target.deliver(registry.services, [written(number, padding=3_900)])

    scenario()

    assert [path.name for path in tmp_path.iterdir()] == ["events"]
    assert ids(tmp_path / "events") == ["id-2"]
