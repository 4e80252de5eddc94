"""What both engines promise."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from moorage.store.db.api import Database, MissingReference, UniqueViolation
from moorage.store.db.connect import connect
from moorage.store.db.statements import Statements


async def put(database: Database, id_: str, created: int = 0) -> None:
    async with database.transaction() as tx:
        await tx.run("test.put_account", {"id": id_, "created": created})


async def accounts(database: Database) -> list[str]:
    return [row[0] for row in await database.all("test.accounts")]


@asynccontextmanager
async def opened(url: str, statements: Statements) -> AsyncIterator[Database]:
    database = await connect(url, statements)
    try:
        yield database
    finally:
        await database.close()


def test_verbs_read_and_write_rows(database_url: str, statements: Statements) -> None:
    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            async with database.transaction() as tx:
                touched = await tx.run(
                    "test.put_account", [{"id": "b", "created": 2}, {"id": "a", "created": 1}]
                )
                returned = await tx.one("test.put_account_returning", {"id": "c", "created": 3})

            assert touched == 2
            assert returned == ("c", 3)
            assert await database.one("test.account", {"id": "a"}) == ("a", 1)
            assert await database.one("test.account", {"id": "z"}) is None
            assert await database.all("test.accounts") == [("a",), ("b",), ("c",)]

    asyncio.run(scenario())


def test_run_counts_the_rows_touched(database_url: str, statements: Statements) -> None:
    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            await put(database, "a")
            async with database.transaction() as tx:
                ignored = await tx.run("test.put_account_unless", {"id": "a", "created": 1})
                none = await tx.run("test.put_account", [])
                some = await tx.run("test.touch_accounts", {"ids": ["a", "b"], "created": 5})

            assert (ignored, none, some) == (0, 0, 1)

    asyncio.run(scenario())


def test_in_takes_a_sequence_and_an_empty_one_matches_nothing(
    database_url: str, statements: Statements
) -> None:
    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            for id_ in "abc":
                await put(database, id_, 1)

            for ids, created, expected in [
                (["a", "c", "x"], [1], [("a",), ("c",)]),
                (["b"], [1, 2, 3], [("b",)]),
                ([], [1], []),
                (["a"], [], []),
            ]:
                values = {"ids": ids, "created": created}
                assert await database.all("test.accounts_of", values) == expected  # type: ignore[arg-type]

    asyncio.run(scenario())


def test_a_sum_is_an_integer_and_bytes_are_bytes(database_url: str, statements: Statements) -> None:
    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            await put(database, "a", 40)
            await put(database, "b", 2)
            async with database.transaction() as tx:
                await tx.run("test.put_access_key", {"id": "k", "account": "a", "secret": b"\0'%\xff"})

            assert repr(await database.one("test.total")) == "(42,)"
            assert await database.one("test.access_key", {"id": "k"}) == (b"\0'%\xff",)

    asyncio.run(scenario())


def test_text_sorts_by_bytes(database_url: str, statements: Statements) -> None:
    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            for id_ in ["a", "_", "B", "-", "b", "A", "a-b", "a.a", "é"]:
                await put(database, id_)

            assert await accounts(database) == ["-", "A", "B", "_", "a", "a-b", "a.a", "b", "é"]

    asyncio.run(scenario())


def test_a_transaction_sees_its_own_writes_and_nobody_else_does(
    database_url: str, statements: Statements
) -> None:
    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            async with database.transaction() as tx:
                await tx.run("test.put_account", {"id": "a", "created": 0})
                within = await tx.one("test.account", {"id": "a"})
                outside = await database.one("test.account", {"id": "a"})

            assert within == ("a", 0)
            assert outside is None
            assert await database.one("test.account", {"id": "a"}) == ("a", 0)

    asyncio.run(scenario())


def test_every_write_is_read_after_its_answer(database_url: str, statements: Statements) -> None:
    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            for number in range(50):
                await put(database, f"{number:03}")
                assert await database.one("test.account", {"id": f"{number:03}"})

    asyncio.run(scenario())


def test_a_body_that_raises_is_rolled_back_alone(database_url: str, statements: Statements) -> None:
    async def failing(database: Database) -> None:
        async with database.transaction() as tx:
            await tx.run("test.put_account", {"id": "lost", "created": 0})
            raise LookupError

    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            results = await asyncio.gather(
                put(database, "a"), failing(database), put(database, "b"), return_exceptions=True
            )

            assert [type(result) for result in results] == [type(None), LookupError, type(None)]
            assert await accounts(database) == ["a", "b"]

    asyncio.run(scenario())


def test_a_body_that_goes_on_after_a_failed_statement_is_rolled_back(
    database_url: str, statements: Statements
) -> None:
    async def going_on(database: Database) -> None:
        async with database.transaction() as tx:
            await tx.run("test.put_account", {"id": "b", "created": 0})
            with pytest.raises(UniqueViolation):
                await tx.run("test.put_account", {"id": "a", "created": 0})

    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            await put(database, "a")
            with pytest.raises(RuntimeError, match="after a statement had failed"):
                await going_on(database)

            assert await accounts(database) == ["a"]

    asyncio.run(scenario())


def test_a_transaction_that_has_ended_refuses_its_verbs(database_url: str, statements: Statements) -> None:
    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            async with database.transaction() as tx:
                pass

            with pytest.raises(RuntimeError, match="has ended"):
                await tx.run("test.put_account", {"id": "a", "created": 0})

    asyncio.run(scenario())


def test_one_of_twenty_pushers_gets_the_immutable_tag(database_url: str, statements: Statements) -> None:
    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            async with database.transaction() as tx:
                domain = await tx.one("test.domain", {"key": b"k"})
                assert domain
                repository = await tx.one("test.repository", {"domain": domain[0]})
                assert repository

            async def push(number: int) -> int:
                async with database.transaction() as tx:
                    digest = bytes([1, number]) + bytes(31)
                    values = {"repository": repository[0], "digest": digest, "manifest": b"sealed"}
                    image = await tx.one("test.image", values)
                    assert image
                    tag = {"repository": repository[0], "tag": "v1", "image": image[0]}
                    await tx.run("test.tag", tag)
                    return int(image[0])

            results = await asyncio.gather(*map(push, range(20)), return_exceptions=True)

            won = [result for result in results if isinstance(result, int)]
            assert sum(isinstance(result, UniqueViolation) for result in results) == 19
            assert [await database.one("test.tagged", {"repository": repository[0], "tag": "v1"})] == [
                tuple(won)
            ]

    asyncio.run(scenario())


def test_a_reference_to_nothing_is_refused(database_url: str, statements: Statements) -> None:
    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            with pytest.raises(MissingReference):
                async with database.transaction() as tx:
                    await tx.run("test.put_access_key", {"id": "k", "account": "nobody", "secret": b""})

    asyncio.run(scenario())


def test_a_body_cancelled_is_rolled_back_and_the_next_goes_on(
    database_url: str, statements: Statements
) -> None:
    async def cancelled(database: Database) -> None:
        async with database.transaction() as tx:
            await tx.run("test.put_account", {"id": "lost", "created": 0})
            raise asyncio.CancelledError

    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            with pytest.raises(asyncio.CancelledError):
                await cancelled(database)
            await put(database, "a")

            assert await accounts(database) == ["a"]

    asyncio.run(scenario())


def test_the_epoch_rises_with_the_commit(database_url: str, statements: Statements) -> None:
    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            before = database.epoch(7)
            async with database.transaction() as tx:
                tx.changed(7)

            assert database.epoch(7) > before

    asyncio.run(scenario())


_ACKNOWLEDGE_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from moorage.store.db.connect import connect
from moorage.store.db.statements import Statements

async def main():
    database = await connect(sys.argv[1], Statements.load([("test", Path(sys.argv[2]))]))
    async with database.transaction() as tx:
        await tx.run("test.put_account", {"id": "acknowledged", "created": 0})
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_what_is_acknowledged_survives_a_kill(database_url: str, statements: Statements) -> None:
    queries = str(Path(__file__).with_name("queries.sql"))

    died = subprocess.run([sys.executable, "-c", _ACKNOWLEDGE_AND_DIE, database_url, queries])

    async def scenario() -> None:
        async with opened(database_url, statements) as database:
            assert await accounts(database) == ["acknowledged"]

    assert died.returncode == -9
    asyncio.run(scenario())


def test_an_unknown_address_is_refused(statements: Statements) -> None:
    with pytest.raises(ValueError, match="mysql"):
        asyncio.run(connect("mysql://somewhere/else", statements))
