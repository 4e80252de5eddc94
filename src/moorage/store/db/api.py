"""The port of the database: four verbs over named statements.

Two engines implement it, `sqlite.py` and `postgres.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

Value = int | str | bytes | None | Sequence[int] | Sequence[str] | Sequence[bytes]
"""A bound value. A sequence fills `IN :name`; an empty one matches nothing."""

Values = Mapping[str, Value]

Row = tuple[Any, ...]
"""Columns in the order of the statement's SELECT or RETURNING list. Typed by the slice that reads it."""


class Reads(Protocol):
    async def one(self, statement: str, values: Mapping[str, Value] = ...) -> Row | None:
        """The first row of `slice.statement`, or None."""
        ...

    async def all(self, statement: str, values: Mapping[str, Value] = ...) -> list[Row]: ...


class Transaction(Reads, Protocol):
    """Reads here see what the transaction has written.

    Await nothing but these verbs inside one, and catch their errors outside: a statement that failed ends it.
    """

    async def run(
        self, statement: str, values: Mapping[str, Value] | Sequence[Mapping[str, Value]] = ...
    ) -> int:
        """Run a writing statement, once for each mapping of a sequence; return the rows touched in all."""
        ...

    def changed(self, repository: int) -> None:
        """Say that answers about this repository may differ from now on: its epoch rises with the commit."""
        ...


class Database(Reads, Protocol):
    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commit durably when the block ends, roll back when it raises.

        The block MUST NOT be left before the commit is on disk. Cancelled while committing, it raises
        `CancelledError` when the outcome is decided, whichever it is.
        """
        ...

    def epoch(self, repository: int) -> int:
        """Rises whenever a transaction that `changed` the repository has committed, before it is answered."""
        ...

    async def close(self) -> None: ...


class UniqueViolation(Exception):
    """A unique constraint refused the row: how `immutable` stays true under concurrency."""


class MissingReference(Exception):
    """A foreign key refused the row: what it refers to went away meanwhile."""
