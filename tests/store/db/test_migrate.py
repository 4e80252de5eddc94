"""From nothing, from behind, from ahead."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlparse

from moorage.store.db import migrations
from moorage.store.db.connect import connect
from moorage.store.db.migrate import SchemaTooNew
from moorage.store.db.statements import Statements

NEWEST = max(int(path.name[:4]) for path in (migrations.FOLDER / "sqlite").iterdir())

_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
}
_COLUMNS = {
    "sqlite": (
        "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'"
    ),
    "postgres": (
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    ),
}


def engine_of(url: str) -> str:
    return url.partition(":")[0].removesuffix("ql")


@contextmanager
def raw(url: str) -> Iterator[Any]:
    """A connection of the driver's own."""
    if engine_of(url) == "sqlite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            yield connection
    else:
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            yield connection


def start(url: str, statements: Statements) -> None:
    async def scenario() -> None:
        await (await connect(url, statements)).close()

    asyncio.run(scenario())


def stored_version(url: str) -> int:
    with raw(url) as connection:
        asked = "PRAGMA user_version" if engine_of(url) == "sqlite" else "SELECT version FROM schema_version"
        return int(connection.execute(asked).fetchone()[0])


def add_migration(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, text: str) -> None:
    """As a later version of the package would."""
    shutil.copytree(migrations.FOLDER, folder)
    for engine in ("sqlite", "postgres"):
        (folder / engine / name).write_text(text)
    monkeypatch.setattr(migrations, "FOLDER", folder)


def test_the_first_start_makes_the_schema(database_url: str, statements: Statements) -> None:
    start(database_url, statements)

    with raw(database_url) as connection:
        tables = {row[0] for row in connection.execute(_TABLES[engine_of(database_url)]).fetchall()}
    assert {"accounts", "repositories", "images", "tags", "blobs", "jobs", "outbox"} <= tables
    assert stored_version(database_url) == NEWEST


def test_the_first_start_asks_neither_for_a_user_nor_for_dns(
    database_url: str, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise KeyError("a container under an unknown uid, without a resolver")

    monkeypatch.setattr(getpass, "getuser", refuse)
    monkeypatch.setattr(socket, "getfqdn", refuse)

    start(database_url, statements)

    assert stored_version(database_url) == NEWEST


def test_both_engines_have_the_same_tables_and_columns(
    tmp_path: Path, postgres_url: str, statements: Statements
) -> None:
    sqlite_url = f"sqlite:///{tmp_path}/m.db"
    columns = []
    for url in (sqlite_url, postgres_url):
        start(url, statements)
        with raw(url) as connection:
            found = connection.execute(_COLUMNS[engine_of(url)]).fetchall()
        columns.append({row for row in found if not row[0].startswith(("_yoyo", "yoyo", "sqlite_"))})

    assert columns[1] - columns[0] == {("schema_version", "version")}
    assert columns[0] - columns[1] == set()


_START = """
import asyncio, sys
from moorage.store.db.connect import connect
from moorage.store.db.statements import Statements

async def main():
    await (await connect(sys.argv[1], Statements({}))).close()
    print("yoyo" in sys.modules, "psycopg" in sys.modules)

asyncio.run(main())
"""


def test_a_start_that_has_nothing_to_do_does_not_load_the_tool(
    database_url: str, statements: Statements
) -> None:
    start(database_url, statements)

    again = subprocess.run(
        [sys.executable, "-c", _START, database_url], capture_output=True, text=True, check=True
    )

    assert again.stdout.split() == ["False", str(engine_of(database_url) == "postgres")]


def test_a_new_file_is_made_without_the_tool(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-c", _START, f"sqlite:///{tmp_path}/m.db"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert made.stdout.split() == ["False", "False"]


def test_a_database_that_is_behind_is_upgraded_once(
    database_url: str, statements: Statements, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(database_url, statements)
    added = "-- A column more.\nALTER TABLE accounts ADD COLUMN note TEXT;\n"
    add_migration(monkeypatch, tmp_path / "migrations", f"{NEWEST + 1:04}.note.sql", added)

    start(database_url, statements)
    start(database_url, statements)

    with raw(database_url) as connection:
        connection.execute("INSERT INTO accounts (id, created, note) VALUES ('1', 0, 'x')")
    assert stored_version(database_url) == NEWEST + 1


def test_a_migration_that_fails_leaves_everything_as_it_was(
    database_url: str, statements: Statements, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(database_url, statements)
    broken = "ALTER TABLE accounts ADD COLUMN note TEXT;\nALTER TABLE nowhere ADD COLUMN note TEXT;\n"
    add_migration(monkeypatch, tmp_path / "migrations", f"{NEWEST + 1:04}.note.sql", broken)

    with pytest.raises(Exception, match="nowhere"):
        start(database_url, statements)

    with raw(database_url) as connection:
        columns = connection.execute(_COLUMNS[engine_of(database_url)]).fetchall()
    assert ("accounts", "note") not in columns
    assert stored_version(database_url) == NEWEST


def test_a_newer_schema_is_refused_and_left_alone(database_url: str, statements: Statements) -> None:
    start(database_url, statements)
    with raw(database_url) as connection:
        connection.execute(
            f"PRAGMA user_version = {NEWEST + 1}"
            if engine_of(database_url) == "sqlite"
            else f"UPDATE schema_version SET version = {NEWEST + 1}"
        )

    with pytest.raises(SchemaTooNew, match=rf"version {NEWEST + 1} .* knows {NEWEST}: run the newer Moorage"):
        start(database_url, statements)

    assert stored_version(database_url) == NEWEST + 1


def test_the_file_is_its_owners_only(tmp_path: Path, statements: Statements) -> None:
    start(f"sqlite:///{tmp_path}/m.db", statements)

    assert (tmp_path / "m.db").stat().st_mode & 0o777 == 0o600


def test_a_first_start_that_was_killed_is_begun_again(tmp_path: Path, statements: Statements) -> None:
    (tmp_path / "m.db.unfinished").write_bytes(b"half a database")

    start(f"sqlite:///{tmp_path}/m.db", statements)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "m.db"]


def test_nodes_that_start_at_once_apply_the_schema_once(postgres_url: str, statements: Statements) -> None:
    async def scenario() -> None:
        nodes = await asyncio.gather(*(connect(postgres_url, statements) for _ in range(4)))
        for node in nodes:
            await node.close()

    asyncio.run(scenario())

    assert stored_version(postgres_url) == NEWEST


MIGRATIONS = sorted(migrations.FOLDER.glob("*/*.sql"))


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_migrations_are_split_as_a_parser_of_sql_splits_them(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    parsed = [_bare(statement) for statement in sqlparse.split(text)]

    assert [_bare(statement) for statement in migrations.statements_in(text)] == [
        each for each in parsed if each
    ]


def _bare(statement: str) -> str:
    """Without comments, which either splitter may give to the statement before or after, and the semicolon."""
    return " ".join(sqlparse.format(statement, strip_comments=True).strip().rstrip(";").split())
