"""Open the database that an address names: `sqlite:///path` or `postgresql://…`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from moorage.store.db.api import Database
from moorage.store.db.lock import lock_data_directory
from moorage.store.db.migrate import check_sqlite, migrate_postgres, migrate_sqlite
from moorage.store.db.sqlite import SqliteDatabase
from moorage.store.db.statements import Statements


async def connect(url: str, statements: Statements) -> Database:
    """The database, created or upgraded first where needed.

    Raise `DataDirectoryInUse` (SQLite) if another process has it, `SchemaTooNew` if a newer version had it.
    """
    if url.startswith("sqlite:///"):
        return open_sqlite(Path(url.removeprefix("sqlite:///")), statements)
    if url.startswith(("postgresql://", "postgres://")):
        return await _open_postgres(url, statements)
    raise ValueError(f"the database address {url!r} is neither sqlite:///PATH nor postgresql://…")


def open_sqlite(path: Path, statements: Statements) -> SqliteDatabase:
    """Lock the folder of the file, migrate, open. Absolute in a URL: `sqlite:////var/lib/moorage/moorage.db`."""
    unlock = lock_data_directory(path.parent)
    try:
        migrate_sqlite(path)
        return SqliteDatabase(path, statements.for_engine("sqlite"), on_close=unlock)
    except BaseException:
        unlock()
        raise


def open_sqlite_beside(path: Path, statements: Statements) -> SqliteDatabase:
    """Open an existing database without the lock, for a moment, while a server may have it (ADR 6).

    For rows that no server keeps in memory before it has seen them. Raise `FileNotFoundError`, `SchemaTooNew`,
    `SchemaTooOld`.
    """
    check_sqlite(path)
    return SqliteDatabase(path, statements.for_engine("sqlite"))


async def _open_postgres(url: str, statements: Statements) -> Database:
    from moorage.store.db.postgres import PostgresDatabase  # Its driver is an optional extra.

    await asyncio.to_thread(migrate_postgres, url)
    return await PostgresDatabase.open(url, statements.for_engine("postgres"))
