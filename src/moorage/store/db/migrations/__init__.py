"""The migrations of each engine: `<engine>/NNNN.<what>.sql`, by number."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent


def migrations(engine: str) -> list[Path]:
    return sorted((FOLDER / engine).glob("[0-9]*.sql"))


def version_of(migration: Path) -> int:
    return int(migration.name.partition(".")[0])


def statements_of(migration: Path) -> list[str]:
    return statements_in(migration.read_text(encoding="utf-8"))


def statements_in(text: str) -> list[str]:
    """Each ends with a semicolon at the end of a line, and none has one inside."""
    return [
        statement.strip()
        for statement in re.split(r";[ \t]*(?:--[^\n]*)?\n", text + "\n")
        if statement.strip()
    ]
