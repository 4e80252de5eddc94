"""yoyo-migrations, fitted in. Imported only where a database is behind.

Three things are changed. Its second connection and its lock row, because the callers hold a better lock. Its
two transactions for a migration and its mark, because a crash between them would apply it twice. The user and
host name in its log, because asking fails under an unknown uid, and waits for DNS where there is none.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from yoyo.backends.base import DatabaseBackend
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.backends.core.sqlite3 import SQLiteBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import Migration, MigrationList, StepCollector, default_migration_table

from moorage.store.db.migrations import statements_of, version_of


def upgrade_sqlite(path: Path, known: Sequence[Path], stored: int) -> None:
    """From the version `stored` on: a file is made at once, without yoyo's marks. The caller holds the lock."""
    _apply(_Sqlite(_address("sqlite", str(path)), default_migration_table), known, stored)


def upgrade_postgres(url: str, known: Sequence[Path]) -> None:
    """Of several nodes that start at once, one applies; the others wait for it and find nothing to do."""
    _apply(_Postgres(_address("postgresql", url), default_migration_table), known, 0)


def _apply(backend: _Backend, known: Sequence[Path], stored: int) -> None:
    found = MigrationList([_OwnMigration(path.stem, str(path), str(path.parent)) for path in known])
    with backend, backend.lock():
        unmarked = backend.to_apply(found)
        backend.mark_migrations([each for each in unmarked if version_of(Path(each.path)) <= stored])
        backend.apply_migrations(backend.to_apply(found))


class _OwnMigration(Migration):  # type: ignore[misc]  # yoyo has no types.
    """yoyo parses SQL to split it: 20 ms a file, a fifth of the first start. Ours need no parser."""

    def load(self) -> None:
        if self.loaded:
            return
        collector = StepCollector(migration=self)
        for statement in statements_of(Path(self.path)):
            collector.add_step(statement, None)
        self._depends: set[Migration] = set()
        self.steps = collector.create_steps(self.use_transactions)


class _Backend(DatabaseBackend):  # type: ignore[misc]  # yoyo has no types.
    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:
        with self.transaction():
            migration.process_steps(self, "apply", force=force)
            self.mark_one(migration)
            self.store_version(version_of(Path(migration.path)))

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, Any]:
        return {
            "id": str(uuid.uuid4()),
            "migration_id": migration.id,
            "migration_hash": migration.hash,
            "username": "",
            "hostname": "",
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }

    def store_version(self, version: int) -> None:
        raise NotImplementedError


class _Sqlite(_Backend, SQLiteBackend):  # type: ignore[misc]  # yoyo has no types.
    def connect(self, address: DatabaseURI) -> sqlite3.Connection:
        return sqlite3.connect(address.database, isolation_level=None)

    @contextmanager
    def lock(self, timeout: float = 0) -> Iterator[None]:
        yield

    def store_version(self, version: int) -> None:
        self.connection.execute(f"PRAGMA user_version = {version}")


class _Postgres(_Backend, PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo has no types.
    def connect(self, address: DatabaseURI) -> Any:
        return self.driver.connect(address.database, autocommit=True)

    @contextmanager
    def lock(self, timeout: float = 0) -> Iterator[None]:
        """Held by the session, which ends with the upgrade."""
        self.connection.execute("SELECT pg_advisory_lock(hashtext('moorage schema'))")
        yield

    def store_version(self, version: int) -> None:
        self.connection.execute("UPDATE schema_version SET version = %s", (version,))


def _address(scheme: str, database: str) -> DatabaseURI:
    return DatabaseURI(scheme, None, None, None, None, database, {})
