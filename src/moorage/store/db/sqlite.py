"""The embedded engine: SQLite on the event loop, durable, with commits grouped.

One connection writes. A transaction is a savepoint in a shared `BEGIN IMMEDIATE`; its statements run inline,
a few microseconds each, without ever suspending, so no two bodies interleave. Only COMMIT, which waits for
the disk, runs in a thread:

1. `async with` waits while a commit is under way, begins the batch if there is none, and opens its savepoint.
2. The body runs. If it raises, its savepoint is rolled back and it alone fails.
3. When it ends it joins the batch; the commit starts when the loop has run every body that was ready.
4. All that joined are answered after that commit, or all fail with its error.

While a commit runs, newcomers gather and form the next batch: under load a batch grows to what one fsync
takes. Reads outside a transaction run inline on a second connection and see what is committed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import NoReturn, TypeVar

from moorage.base.errors.ourselves import StorageFull
from moorage.store.db.api import MissingReference, Row, UniqueViolation, Value
from moorage.store.db.statements import EngineStatements

_Result = TypeVar("_Result")

_NO_VALUES: Mapping[str, Value] = MappingProxyType({})

_BUSY_TIMEOUT_S = 1.0
"""Only a foreign tool (a backup, a shell) can hold a lock; the loop stands still for it no longer."""

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    # COMMIT checkpoints when the log has this many pages of 4 KiB: in the commit thread, never on the loop.
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 33554432",
)
_CACHE_KIB = {"writer": 2_048, "reader": 8_192}  # Upper bounds, filled as pages are used.

_TRANSLATED: dict[int, Callable[[str], Exception]] = {
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: MissingReference,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: UniqueViolation,
    sqlite3.SQLITE_CONSTRAINT_ROWID: UniqueViolation,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: UniqueViolation,
    sqlite3.SQLITE_FULL: lambda _: StorageFull(),
    # The shared index of the log could not grow: on a local disk that is ENOSPC.
    sqlite3.SQLITE_IOERR_SHMSIZE: lambda _: StorageFull(),
}


class SqliteDatabase:
    """A migrated database file. `on_close` runs when both connections are closed: it gives the lock back."""

    def __init__(
        self, path: Path, statements: EngineStatements, on_close: Callable[[], None] = lambda: None
    ) -> None:
        self._statements = statements
        self._on_close = on_close
        self._writer = _connect(path, _CACHE_KIB["writer"])
        self._reader = _connect(path, _CACHE_KIB["reader"])
        self._reader.execute("PRAGMA query_only = ON")
        self._committer = ThreadPoolExecutor(1, "moorage-commit")
        self._epochs: dict[int, int] = {}
        self._is_closed = False
        self._batch: _Batch | None = None
        self._body: SqliteTransaction | None = None
        self._idle = asyncio.Event()
        """Clear while a body is open or a commit runs: the write connection is taken."""
        self._idle.set()

    async def one(self, statement: str, values: Mapping[str, Value] = _NO_VALUES) -> Row | None:
        return _one(self._reader, *self._statements.bind(statement, values))

    async def all(self, statement: str, values: Mapping[str, Value] = _NO_VALUES) -> list[Row]:
        return _all(self._reader, *self._statements.bind(statement, values))

    def transaction(self) -> SqliteTransaction:
        return SqliteTransaction(self, self._writer, self._statements)

    def epoch(self, repository: int) -> int:
        return self._epochs.get(repository, 0)

    async def close(self) -> None:
        """Finish what has joined, then close; the last connection checkpoints the log and removes it."""
        self._is_closed = True
        while not self._idle.is_set() or self._batch is not None:
            await (self._batch.decided if self._batch is not None else self._idle).wait()
        self._reader.close()
        await asyncio.get_running_loop().run_in_executor(self._committer, self._writer.close)
        self._committer.shutdown()
        self._on_close()

    async def begin(self, body: SqliteTransaction) -> None:
        """Step 1. For `SqliteTransaction`, as are `join` and `roll_back`."""
        if self._body is not None and self._body.task is body.task:
            raise RuntimeError("a transaction was begun inside another of the same task")
        while not self._idle.is_set():
            await self._idle.wait()
        if self._is_closed:
            raise RuntimeError("the database is closed")
        try:
            if self._batch is None:
                self._begin_batch()
            self._writer.execute("SAVEPOINT body")
        except sqlite3.Error as error:
            _raise(error)
        self._body = body
        self._idle.clear()

    async def join(self, changed: set[int]) -> None:
        """Steps 3 and 4."""
        batch = self._end_body()
        self._writer.execute("RELEASE body")  # Touches no page: the outermost transaction is the batch.
        batch.changed |= changed
        await batch.answer()

    def roll_back(self, error: BaseException | None) -> None:
        """Step 2, of a body that failed with `error`."""
        batch = self._end_body()
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK TO body")
            self._writer.execute("RELEASE body")
        else:
            # SQLite gave up the whole transaction (disk full, I/O), and with it all that had joined.
            self._batch = None
            batch.decide(error if isinstance(error, sqlite3.Error) else StorageFull())

    def _begin_batch(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")  # A commit failed, and its rollback with it.
        self._writer.execute("BEGIN IMMEDIATE")
        self._batch = _Batch()

    def _end_body(self) -> _Batch:
        assert self._batch is not None
        batch = self._batch
        self._body = None
        self._idle.set()
        if not batch.scheduled:
            batch.scheduled = True
            asyncio.get_running_loop().call_soon(self._start_commit, batch)
        return batch

    def _start_commit(self, batch: _Batch) -> None:
        if batch is not self._batch:
            return
        if self._body is not None:
            # A body has suspended against the rules; its end schedules the commit again.
            batch.scheduled = False
            return
        self._batch = None
        self._idle.clear()
        commit = asyncio.get_running_loop().run_in_executor(self._committer, self._commit)
        commit.add_done_callback(partial(self._committed, batch))

    def _commit(self) -> None:
        """In the commit thread."""
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def _committed(self, batch: _Batch, commit: asyncio.Future[None]) -> None:
        for repository in batch.changed:
            self._epochs[repository] = self._epochs.get(repository, 0) + 1
        self._idle.set()
        batch.decide(commit.exception())


class SqliteTransaction:
    """A body that suspends, or goes on after a failed statement, is rolled back with `RuntimeError`."""

    def __init__(
        self, database: SqliteDatabase, writer: sqlite3.Connection, statements: EngineStatements
    ) -> None:
        self._database = database
        self._writer = writer
        self._statements = statements
        self._changed: set[int] = set()
        self._barred = "has not begun"
        """Why no verb may run now; empty while they may."""
        self.task: asyncio.Task[object] | None = None

    async def __aenter__(self) -> SqliteTransaction:
        self.task = asyncio.current_task()
        await self._database.begin(self)
        self._barred = ""
        # Runs only if the body gives the loop a turn before it ends.
        self._turn = asyncio.get_running_loop().call_soon(self._bar, "awaited something other than its verbs")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turn.cancel()
        broken, self._barred = self._barred, "has ended"
        if error is None and not broken:
            await self._database.join(self._changed)
            return
        self._database.roll_back(error)
        if error is None:
            raise RuntimeError(f"rolled back: the transaction {broken}")

    async def one(self, statement: str, values: Mapping[str, Value] = _NO_VALUES) -> Row | None:
        return self._execute(_one, statement, values)

    async def all(self, statement: str, values: Mapping[str, Value] = _NO_VALUES) -> list[Row]:
        return self._execute(_all, statement, values)

    async def run(
        self, statement: str, values: Mapping[str, Value] | Sequence[Mapping[str, Value]] = _NO_VALUES
    ) -> int:
        if isinstance(values, Mapping):
            return self._execute(_run, statement, values)
        return sum(self._execute(_run, statement, each) for each in values)

    def changed(self, repository: int) -> None:
        self._changed.add(repository)

    def _execute(
        self,
        verb: Callable[[sqlite3.Connection, str, dict[str, Value]], _Result],
        statement: str,
        values: Mapping[str, Value],
    ) -> _Result:
        if self._barred:
            raise RuntimeError(f"the transaction {self._barred}")
        try:
            return verb(self._writer, *self._statements.bind(statement, values))
        except sqlite3.Error as error:
            self._bar("went on after a statement had failed")
            _raise(error)

    def _bar(self, reason: str) -> None:
        self._barred = self._barred or reason


class _Batch:
    """The transactions that one commit answers."""

    def __init__(self) -> None:
        self.scheduled = False
        self.changed: set[int] = set()
        self.decided = asyncio.Event()
        self._error: BaseException | None = None

    def decide(self, error: BaseException | None) -> None:
        self._error = error
        self.decided.set()

    async def answer(self) -> None:
        """Return when the commit is on disk; raise why it is not."""
        cancelled: asyncio.CancelledError | None = None
        while not self.decided.is_set():
            try:
                await self.decided.wait()
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        if isinstance(self._error, sqlite3.Error):
            _raise(self._error)
        if self._error is not None:
            raise self._error


def _connect(path: Path, cache_kib: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    for pragma in (*_PRAGMAS, f"PRAGMA cache_size = -{cache_kib}"):
        connection.execute(pragma)
    return connection


def _one(connection: sqlite3.Connection, text: str, values: dict[str, Value]) -> Row | None:
    cursor = connection.execute(text, values)
    row: Row | None = cursor.fetchone()
    # An unfinished statement would hold its snapshot: the next read would not see the next commit.
    cursor.close()
    return row


def _all(connection: sqlite3.Connection, text: str, values: dict[str, Value]) -> list[Row]:
    return connection.execute(text, values).fetchall()


def _run(connection: sqlite3.Connection, text: str, values: dict[str, Value]) -> int:
    count = connection.execute(text, values).rowcount
    # The module counts only what begins with INSERT, UPDATE, DELETE or REPLACE; WITH does not.
    return count if count >= 0 else int(connection.execute("SELECT changes()").fetchone()[0])


def _raise(error: sqlite3.Error) -> NoReturn:
    """As an error of the port, where it has one."""
    translate = _TRANSLATED.get(getattr(error, "sqlite_errorcode", 0))
    if translate is None:
        raise error
    raise translate(str(error)) from error
