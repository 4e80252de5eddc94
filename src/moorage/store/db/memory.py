"""A database for tests: the embedded engine on files in memory, with both connections and the log."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from moorage.store.db.migrations import migrations
from moorage.store.db.sqlite import SqliteDatabase
from moorage.store.db.statements import Statements


@asynccontextmanager
async def open_memory(statements: Statements) -> AsyncIterator[SqliteDatabase]:
    """An empty database with the newest schema; a few milliseconds, because the tool is not loaded."""
    with _folder_in_memory() as folder:
        path = Path(folder) / "moorage.db"
        with closing(sqlite3.connect(path)) as connection:
            for migration in migrations("sqlite"):
                connection.executescript(migration.read_text(encoding="utf-8"))
        database = SqliteDatabase(path, statements.for_engine("sqlite"))
        try:
            yield database
        finally:
            await database.close()


def _folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    shared_memory = "/dev/shm"  # noqa: S108  # The folder gets a name of its own.
    return tempfile.TemporaryDirectory(
        prefix="moorage-", dir=shared_memory if os.path.isdir(shared_memory) else None
    )
