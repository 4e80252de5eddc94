"""Every statement of the product is understood by both engines, over the schema as it is."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from moorage.store.db.api import Value
from moorage.store.db.connect import connect
from moorage.store.db.statements import Engine, Statements


class _Nulls(dict[str, Value]):
    """A sequence for every `IN :name` that is asked for."""

    def __missing__(self, name: str) -> Value:
        return (None, None)  # type: ignore[return-value]  # The planner takes NULL for any type.


def explanations(engine: Engine) -> list[tuple[str, dict[str, None]]]:
    """Each statement under EXPLAIN, with NULL for every value."""
    parameter = {"sqlite": r":([a-z]\w*)", "postgres": r"%\((\w+)\)s"}[engine]
    statements = Statements.discover("moorage").for_engine(engine)
    texts = [statements.bind(name, _Nulls())[0] for name in sorted(statements)]
    return [(f"EXPLAIN {text}", dict.fromkeys(re.findall(parameter, text))) for text in texts]


def make_schema(url: str) -> None:
    async def scenario() -> None:
        await (await connect(url, Statements({}))).close()

    asyncio.run(scenario())


def test_sqlite_understands_every_statement(tmp_path: Path) -> None:
    make_schema(f"sqlite:///{tmp_path}/m.db")
    refused = []

    with closing(sqlite3.connect(tmp_path / "m.db")) as connection:
        for text, values in explanations("sqlite"):
            try:
                connection.execute(text, values)
            except sqlite3.Error as error:
                refused.append(f"{error}: {text}")

    assert refused == []


def test_postgres_understands_every_statement(postgres_url: str) -> None:
    import psycopg

    make_schema(postgres_url)
    refused = []

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for text, values in explanations("postgres"):
            try:
                connection.execute(text.encode(), values)
            except psycopg.Error as error:
                refused.append(f"{error}: {text}")

    assert refused == []
