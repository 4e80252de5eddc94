"""The engine for several nodes: PostgreSQL through psycopg 3 and its pool. Imported only when configured.

Reads run in autocommit, one round trip each. Transactions are READ COMMITTED: what must hold under
concurrency is held by unique constraints, foreign keys and the row locks of the statements themselves, and no
transaction has to be repeated for a serialization failure. A transaction holds one connection of the pool
until it ends, so a body awaits nothing but its verbs here too.

Integers come back as `int` whatever their SQL type: `sum(bigint)` is numeric on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

import psycopg
from psycopg import AsyncConnection, errors
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg_pool import AsyncConnectionPool

from moorage.base.errors.ourselves import StorageFull
from moorage.store.db.api import MissingReference, Row, UniqueViolation, Value
from moorage.store.db.statements import EngineStatements

_NO_VALUES: Mapping[str, Value] = {}

_Connection = AsyncConnection[Row]


class PostgresDatabase:
    """A migrated database."""

    def __init__(self, pool: AsyncConnectionPool[_Connection], statements: EngineStatements) -> None:
        self._pool = pool
        self._statements = statements
        self._asked = 0

    @classmethod
    async def open(cls, url: str, statements: EngineStatements, connections: int = 10) -> PostgresDatabase:
        """Wait for the first connection; raise `psycopg_pool.PoolTimeout` if there is none within 10 s."""
        pool: AsyncConnectionPool[_Connection] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            open=False,
            kwargs={"autocommit": True},
            configure=_configure,
            name="moorage",
        )
        await pool.open(wait=True, timeout=10)
        return cls(pool, statements)

    async def one(self, statement: str, values: Mapping[str, Value] = _NO_VALUES) -> Row | None:
        async with self._pool.connection() as connection:
            return await (await _execute(connection, self._statements, statement, values)).fetchone()

    async def all(self, statement: str, values: Mapping[str, Value] = _NO_VALUES) -> list[Row]:
        async with self._pool.connection() as connection:
            return await (await _execute(connection, self._statements, statement, values)).fetchall()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        async with self._pool.connection() as connection:
            try:
                async with connection.transaction():
                    transaction = PostgresTransaction(connection, self._statements)
                    yield transaction
                    transaction.end()
            except psycopg.Error as error:
                _raise(error)

    def epoch(self, repository: int) -> int:
        """Another at every question: some node may have written meanwhile, so no answer may be kept."""
        self._asked += 1
        return self._asked

    async def close(self) -> None:
        await self._pool.close()


class PostgresTransaction:
    def __init__(self, connection: _Connection, statements: EngineStatements) -> None:
        self._connection = connection
        self._statements = statements
        self._barred = ""
        """Why no verb may run now; empty while they may."""

    async def one(self, statement: str, values: Mapping[str, Value] = _NO_VALUES) -> Row | None:
        return await (await self._execute(statement, values)).fetchone()

    async def all(self, statement: str, values: Mapping[str, Value] = _NO_VALUES) -> list[Row]:
        return await (await self._execute(statement, values)).fetchall()

    async def run(
        self, statement: str, values: Mapping[str, Value] | Sequence[Mapping[str, Value]] = _NO_VALUES
    ) -> int:
        if isinstance(values, Mapping):
            return (await self._execute(statement, values)).rowcount
        return sum([(await self._execute(statement, each)).rowcount for each in values])

    def changed(self, repository: int) -> None:
        """Nothing to do: see `PostgresDatabase.epoch`."""

    def end(self) -> None:
        """Refuse to commit what PostgreSQL would silently roll back."""
        barred, self._barred = self._barred, "has ended"
        if barred:
            raise RuntimeError(f"rolled back: the transaction {barred}")

    async def _execute(self, statement: str, values: Mapping[str, Value]) -> psycopg.AsyncCursor[Row]:
        if self._barred:
            raise RuntimeError(f"the transaction {self._barred}")
        try:
            return await _execute(self._connection, self._statements, statement, values)
        except BaseException:
            self._barred = "went on after a statement had failed"
            raise


class _IntegerLoader(Loader):
    """numeric, of which Moorage has integers only."""

    def load(self, data: Buffer) -> int:
        return int(bytes(data))


async def _configure(connection: _Connection) -> None:
    """An answer MUST NOT precede the disk, even where the server's default allows that."""
    connection.adapters.register_loader("numeric", _IntegerLoader)
    await connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )


async def _execute(
    connection: _Connection, statements: EngineStatements, name: str, values: Mapping[str, Value]
) -> psycopg.AsyncCursor[Row]:
    text, bound = statements.bind(name, values)
    try:
        return await connection.execute(text.encode(), bound)
    except psycopg.Error as error:
        _raise(error)


def _raise(error: psycopg.Error) -> NoReturn:
    """As an error of the port, where it has one."""
    match error:
        case errors.UniqueViolation():
            raise UniqueViolation(str(error)) from error
        case errors.ForeignKeyViolation():
            raise MissingReference(str(error)) from error
        case errors.DiskFull():
            raise StorageFull from error
        case _:
            raise error
