"""Bring a database to the schema this version knows: `migrations/<engine>/NNNN.<what>.sql`, by number.

Each start reads one number, the stored version. Only where it is behind is the migration tool loaded
(`upgrade.py`); where it is ahead, a newer Moorage has been here and nothing is touched. A new SQLite file needs no
tool: it gets all of the schema at once.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from moorage.store.db.migrations import migrations, statements_of, version_of


class SchemaTooNew(Exception):
    """The database was written by a newer Moorage."""

    def __init__(self, stored: int, known: int) -> None:
        super().__init__(
            f"the database has schema version {stored} and this Moorage knows {known}: "
            "run the newer Moorage again, or restore the backup made before the upgrade"
        )


class SchemaTooOld(Exception):
    """The database has to be upgraded first, which only the holder of its lock may do."""


def migrate_sqlite(path: Path) -> None:
    """Create the file, or upgrade it in place. The caller holds the lock of the data directory."""
    if not path.exists():
        _create_sqlite(path)
        return
    with closing(sqlite3.connect(path)) as connection:
        stored = connection.execute("PRAGMA user_version").fetchone()[0]
    if _is_behind(stored, migrations("sqlite")):
        from moorage.store.db.upgrade import upgrade_sqlite  # Costs as much as the rest of a start.

        upgrade_sqlite(path, migrations("sqlite"), stored)


def check_sqlite(path: Path) -> None:
    """Change nothing. Raise `FileNotFoundError`, `SchemaTooNew` or `SchemaTooOld` unless it is at this version."""
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "there is no database", str(path))
    with closing(sqlite3.connect(path)) as connection:
        stored = connection.execute("PRAGMA user_version").fetchone()[0]
    if _is_behind(stored, migrations("sqlite")):
        raise SchemaTooOld("the database is of an older Moorage: start `moorage serve` once to upgrade it")


def migrate_postgres(url: str) -> None:
    """Create the tables in an empty database, or upgrade it. Safe from several nodes at once; blocks."""
    import psycopg  # Installed and loaded only where PostgreSQL is configured.

    with psycopg.connect(url, autocommit=True) as connection:
        made = connection.execute("SELECT to_regclass('schema_version') IS NOT NULL").fetchone() == (True,)
        row = connection.execute("SELECT version FROM schema_version").fetchone() if made else None
    if _is_behind(row[0] if row else 0, migrations("postgres")):
        from moorage.store.db.upgrade import upgrade_postgres  # Costs as much as the rest of a start.

        upgrade_postgres(url, migrations("postgres"))


def _is_behind(stored: int, known: list[Path]) -> bool:
    newest = version_of(known[-1])
    if stored > newest:
        raise SchemaTooNew(stored, newest)
    return stored < newest


def _create_sqlite(path: Path) -> None:
    """Build it beside its place without waiting for the disk, then move it there: a crash leaves no half."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(0o600)  # The log takes the mode of its database.
    known = migrations("sqlite")
    with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
        for statement in ("PRAGMA synchronous = OFF", "PRAGMA journal_mode = MEMORY", "BEGIN"):
            connection.execute(statement)
        for migration in known:
            for statement in statements_of(migration):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version_of(known[-1])}")
        connection.execute("COMMIT")
    _sync(unfinished)
    unfinished.rename(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
