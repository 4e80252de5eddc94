"""The migrations of each engine: `<engine>/NNNN.<what>.sql`, by number."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def migrations(engine: str) -> list[Path]:
    return sorted((FOLDER / engine).glob("[0-9]*.sql"))


def version_of(migration: Path) -> int:
    return int(migration.name.partition(".")[0])
