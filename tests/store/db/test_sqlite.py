"""What the embedded engine promises besides: grouped commits, the guard, recovery, one process."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from moorage.base.errors.ourselves import StorageFull
from moorage.store.db.api import Database, MissingReference
from moorage.store.db.connect import connect
from moorage.store.db.lock import DataDirectoryInUse
from moorage.store.db.memory import open_memory
from moorage.store.db.statements import Statements

Lacking = Callable[[str], NoReturn]

_QUERIES = Path(__file__).with_name("queries.sql")


async def put(database: Database, id_: str) -> None:
    async with database.transaction() as tx:
        await tx.run("test.put_account", {"id": id_, "created": 0})


async def put_suspended(database: Database, id_: str) -> None:
    async with database.transaction() as tx:
        await tx.run("test.put_account", {"id": id_, "created": 0})
        await asyncio.sleep(0)


async def accounts(database: Database) -> list[str]:
    return [row[0] for row in await database.all("test.accounts")]


async def let_ready_tasks_run() -> None:
    await asyncio.sleep(0)


def commits_in_log(database: Path) -> int:
    """Frames of the log that end a commit: each was one wait for the disk (sqlite.org/fileformat2.html)."""
    log = database.with_name(database.name + "-wal").read_bytes()
    page = int.from_bytes(log[8:12], "big")
    frames = range(32, len(log), 24 + page)
    return sum(log[16:24] == log[at + 8 : at + 16] and log[at + 4 : at + 8] != bytes(4) for at in frames)


def test_transactions_that_are_ready_together_share_a_commit(tmp_path: Path, statements: Statements) -> None:
    async def scenario() -> None:
        database = await connect(f"sqlite:///{tmp_path}/m.db", statements)
        await asyncio.gather(*(put(database, f"{number}") for number in range(64)))

        assert commits_in_log(tmp_path / "m.db") == 1
        assert len(await accounts(database)) == 64
        await database.close()

    asyncio.run(scenario())


def test_newcomers_during_a_commit_share_the_next_one(tmp_path: Path, statements: Statements) -> None:
    async def scenario() -> None:
        database = await connect(f"sqlite:///{tmp_path}/m.db", statements)
        first = asyncio.ensure_future(put(database, "first"))
        await let_ready_tasks_run()
        await let_ready_tasks_run()  # Its commit is under way.
        await asyncio.gather(*(put(database, f"{number}") for number in range(64)))

        assert first.done()
        assert commits_in_log(tmp_path / "m.db") == 2
        await database.close()

    asyncio.run(scenario())


def test_a_commit_is_in_the_log_when_it_is_answered(tmp_path: Path, statements: Statements) -> None:
    async def scenario() -> None:
        database = await connect(f"sqlite:///{tmp_path}/m.db", statements)
        for number in range(5):
            await put(database, f"{number}")
            assert commits_in_log(tmp_path / "m.db") == number + 1
        await database.close()

    asyncio.run(scenario())


def test_a_body_that_suspends_is_rolled_back_and_says_why(statements: Statements) -> None:
    async def scenario() -> None:
        async with open_memory(statements) as database:
            results = await asyncio.gather(
                put(database, "a"),
                put_suspended(database, "lost"),
                put(database, "b"),
                return_exceptions=True,
            )

            assert results[0] is results[2] is None
            assert isinstance(results[1], RuntimeError)
            assert "awaited something other than its verbs" in str(results[1])
            assert await accounts(database) == ["a", "b"]

    asyncio.run(scenario())


def test_a_verb_after_the_body_suspended_is_refused(statements: Statements) -> None:
    async def put_after_suspending(database: Database) -> None:
        async with database.transaction() as tx:
            await asyncio.sleep(0)
            await tx.run("test.put_account", {"id": "a", "created": 0})

    async def scenario() -> None:
        async with open_memory(statements) as database:
            with pytest.raises(RuntimeError, match="awaited something other"):
                await put_after_suspending(database)

            assert await accounts(database) == []

    asyncio.run(scenario())


def test_a_transaction_inside_another_is_refused(statements: Statements) -> None:
    async def scenario() -> None:
        async with open_memory(statements) as database:
            with pytest.raises(RuntimeError, match="inside another"):
                async with database.transaction():
                    await put(database, "a")
            await put(database, "b")

            assert await accounts(database) == ["b"]

    asyncio.run(scenario())


def test_a_body_that_is_dropped_gives_the_connection_back(statements: Statements) -> None:
    async def scenario() -> None:
        async with open_memory(statements) as database:
            dropped = put_suspended(database, "lost")
            dropped.send(None)
            del dropped
            gc.collect()
            await put(database, "a")

            assert await accounts(database) == ["a"]

    asyncio.run(scenario())


def test_one_cancelled_while_its_commit_runs_learns_it_when_that_is_done(statements: Statements) -> None:
    async def scenario() -> None:
        async with open_memory(statements) as database:
            cancelled, other = (asyncio.ensure_future(put(database, id_)) for id_ in "ab")
            await let_ready_tasks_run()
            cancelled.cancel()
            results = await asyncio.gather(cancelled, other, return_exceptions=True)

            assert isinstance(results[0], asyncio.CancelledError)
            assert results[1] is None
            assert await accounts(database) == ["a", "b"]

    asyncio.run(scenario())


def test_one_cancelled_while_it_waits_for_its_turn_leaves_nothing(statements: Statements) -> None:
    async def scenario() -> None:
        async with open_memory(statements) as database:
            first = asyncio.ensure_future(put(database, "a"))
            await let_ready_tasks_run()
            await let_ready_tasks_run()  # Its commit is under way.
            waiting = [asyncio.ensure_future(put(database, id_)) for id_ in "bcd"]
            await let_ready_tasks_run()
            waiting[1].cancel()
            results = await asyncio.gather(first, *waiting, return_exceptions=True)

            assert [type(result) for result in results] == [type(None)] * 2 + [
                asyncio.CancelledError,
                type(None),
            ]
            assert await accounts(database) == ["a", "b", "d"]

    asyncio.run(scenario())


def test_a_commit_that_fails_fails_all_that_joined_and_the_next_succeeds(statements: Statements) -> None:
    async def put_key_of_nobody(database: Database) -> None:
        async with database.transaction() as tx:
            await tx.one("test.check_references_late")
            await tx.run("test.put_access_key", {"id": "k", "account": "nobody", "secret": b""})

    async def scenario() -> None:
        async with open_memory(statements) as database:
            results = await asyncio.gather(
                put(database, "a"), put_key_of_nobody(database), put(database, "b"), return_exceptions=True
            )
            assert [type(result) for result in results] == [MissingReference] * 3
            await put(database, "c")

            assert await accounts(database) == ["c"]

    asyncio.run(scenario())


_FILL_A_DISK = """
import asyncio, subprocess, sys
from pathlib import Path
from moorage.base.errors.ourselves import StorageFull
from moorage.store.db.connect import connect
from moorage.store.db.statements import Statements

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)

async def put(database, id_):
    async with database.transaction() as tx:
        await tx.run("test.put_account", {"id": id_, "created": 0})

async def main():
    database = await connect(f"sqlite:///{folder}/m.db", Statements.load([("test", Path(sys.argv[2]))]))
    filling = folder / "filling"
    with filling.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    refused = []
    for number in range(400):
        batch = (put(database, f"{number}-{i}" + "x" * 400) for i in range(8))
        results = await asyncio.gather(*batch, return_exceptions=True)
        refused = [result for result in results if result is not None]
        if refused:
            break
    assert refused and all(type(error) is StorageFull for error in refused), refused
    assert len(refused) == 8
    before = len(await database.all("test.accounts"))
    assert before == min(8 * number, 1000), (before, number)
    filling.unlink()
    await put(database, "!")
    assert (await database.all("test.accounts"))[0] == ("!",)
    await database.close()

asyncio.run(main())
"""


def test_a_full_disk_is_storage_full_and_is_recovered_from(tmp_path: Path, lacking: Lacking) -> None:
    """On a disk of two megabytes, mounted where only this test sees it."""
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*alone, "mount", "-t", "tmpfs", "tmpfs", tmp_path], capture_output=True).returncode:
        lacking("no right to mount a small tmpfs")

    subprocess.run([*alone, sys.executable, "-c", _FILL_A_DISK, tmp_path, _QUERIES], check=True)


def test_a_statement_that_finds_no_room_is_storage_full(statements: Statements) -> None:
    async def scenario() -> None:
        async with open_memory(statements) as database:
            await put(database, "a")
            pages = "SELECT page_count FROM pragma_page_count"
            database._writer.execute(
                f"PRAGMA max_page_count = {database._writer.execute(pages).fetchone()[0]}"
            )
            with pytest.raises(StorageFull):
                await put(database, "b" * 100_000)
            database._writer.execute("PRAGMA max_page_count = 1000000")
            await put(database, "c" * 100_000)

            assert await accounts(database) == ["a", "c" * 100_000]

    asyncio.run(scenario())


def test_a_second_process_on_the_data_directory_is_refused(tmp_path: Path, statements: Statements) -> None:
    async def scenario() -> None:
        database = await connect(f"sqlite:///{tmp_path}/m.db", statements)
        with pytest.raises(DataDirectoryInUse, match=str(os.getpid())):
            await connect(f"sqlite:///{tmp_path}/m.db", statements)
        await database.close()
        again = await connect(f"sqlite:///{tmp_path}/m.db", statements)
        await again.close()

    asyncio.run(scenario())


def test_a_transaction_that_begins_while_the_database_closes_is_refused(
    tmp_path: Path, statements: Statements
) -> None:
    async def scenario() -> list[BaseException | None]:
        database = await connect(f"sqlite:///{tmp_path / 'moorage.db'}", statements)
        first = asyncio.ensure_future(put(database, "1"))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(database.close())
        await asyncio.sleep(0)
        straggler = asyncio.ensure_future(put(database, "2"))
        return await asyncio.gather(first, closing, straggler, return_exceptions=True)

    committed, closed, refused = asyncio.run(scenario())

    assert (committed, closed) == (None, None)
    assert str(refused) == "the database is closed"


def test_close_finishes_what_has_joined(tmp_path: Path, statements: Statements) -> None:
    async def scenario() -> None:
        database = await connect(f"sqlite:///{tmp_path}/m.db", statements)
        joined = asyncio.ensure_future(put(database, "a"))
        await let_ready_tasks_run()
        await database.close()
        await joined
        again = await connect(f"sqlite:///{tmp_path}/m.db", statements)

        assert await accounts(again) == ["a"]
        await again.close()

    asyncio.run(scenario())
