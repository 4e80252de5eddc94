"""Records are found by what is known of them, and a chain of them shows what was done to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from moorage.registry.audit import trail
from moorage.registry.audit.record import record_of
from moorage.registry.audit.trail import Asked, Attribute

from ..memory import in_memory
from ..registry import ACCOUNT, MemoryRegistry
from .test_record import ARN, CALL


async def append(registry: MemoryRegistry, *names: str, chained: bool = False, at: int = 0) -> bytes | None:
    called = [
        replace(CALL, id=f"{at}-{n}-{name}", name=name, occurred=at + n) for n, name in enumerate(names)
    ]
    async with registry.db.transaction() as tx:
        return await trail.append(tx, [record_of(each) for each in called], chained=chained)


async def names(registry: MemoryRegistry, asked: Asked, limit: int = 100) -> list[str]:
    return [each.record.name for each in await trail.page(registry.db, asked, None, limit)]


ALL = Asked(ACCOUNT, "home-1", 0, 1 << 60)


def tamper(registry: MemoryRegistry, statement: str, values: Sequence[object] = ()) -> None:
    """As somebody does who has the file."""
    path = Path(registry.db._reader.execute("PRAGMA database_list").fetchone()[2])
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount > 0


@in_memory
async def test_newest_come_first_and_pages_join(registry: MemoryRegistry) -> None:
    await append(registry, "A", "B", "C", "D", "E")

    first = await trail.page(registry.db, ALL, None, 2)
    after = (first[-1].record.occurred, first[-1].id)
    second = await trail.page(registry.db, ALL, after, 10)

    assert [each.record.name for each in (*first, *second)] == ["E", "D", "C", "B", "A"]


@in_memory
async def test_records_of_one_moment_are_neither_shown_twice_nor_skipped(registry: MemoryRegistry) -> None:
    for name in "ABC":
        await append(registry, name)
    found: list[str] = []
    after = None
    while page := await trail.page(registry.db, ALL, after, 1):
        found += [each.record.name for each in page]
        after = (page[-1].record.occurred, page[-1].id)

    assert found == ["C", "B", "A"]


@pytest.mark.parametrize(
    ("attribute", "value", "other"),
    [
        ("AccessKeyId", "AKIAEXAMPLE", "AKIAOTHER"),
        ("EventId", "0-0-PutImage", "0-1-PutImage"),
        ("EventName", "PutImage", "DeleteRepository"),
        ("EventSource", "ecr.amazonaws.com", "iam.amazonaws.com"),
        ("ReadOnly", "false", "true"),
        ("ResourceName", "team/app", "team/other"),
        ("ResourceName", ARN, "arn:aws:ecr:home-1:123456789012:repository/team/other"),
        ("ResourceType", "AWS::ECR::Repository", "AWS::IAM::User"),
        ("Username", "root", "ann"),
    ],
)
def test_each_attribute_finds_what_has_it_and_nothing_else(
    attribute: Attribute, value: str, other: str
) -> None:
    @in_memory
    async def scenario(registry: MemoryRegistry) -> None:
        await append(registry, "PutImage")
        assert await names(registry, replace(ALL, attribute=attribute, value=value)) == ["PutImage"]
        assert await names(registry, replace(ALL, attribute=attribute, value=other)) == []

    scenario()


@in_memory
async def test_other_registries_and_times_are_not_shown(registry: MemoryRegistry) -> None:
    await append(registry, "A", "B", "C", at=1_000)

    assert await names(registry, replace(ALL, account="210987654321")) == []
    assert await names(registry, replace(ALL, region="home-2")) == []
    assert await names(registry, replace(ALL, since=1_001, until=1_001)) == ["B"]


@in_memory
async def test_old_records_go_and_the_chain_goes_on(registry: MemoryRegistry) -> None:
    await append(registry, "A", "B", "C", chained=True)
    await append(registry, "D", "E", chained=True, at=1_000)

    assert await trail.prune(registry.db, 500) == 3
    assert await trail.prune(registry.db, 500) == 0
    await append(registry, "F", chained=True, at=2_000)

    assert await names(registry, ALL) == ["F", "E", "D"]
    checked = await trail.check(registry.db)
    assert (checked.count, checked.broken_at) == (3, None)


@in_memory
async def test_what_is_written_twice_stands_there_once_and_the_chain_holds(registry: MemoryRegistry) -> None:
    await append(registry, "A", "B", chained=True)
    await append(registry, "A", "B", "C", chained=True)

    checked = await trail.check(registry.db)

    assert (checked.count, checked.broken_at) == (3, None)


@in_memory
async def test_an_untouched_chain_holds_and_ends_at_its_head(registry: MemoryRegistry) -> None:
    await append(registry, "before")  # records were not chained yet
    early = await append(registry, "A", "B", chained=True, at=10)
    head = await append(registry, "C", chained=True, at=20)
    assert early is not None
    assert head is not None

    checked = await trail.check(registry.db)

    assert (checked.count, checked.head, checked.broken_at) == (3, head, None)
    assert await trail.has_hash(registry.db, early)
    assert not await trail.has_hash(registry.db, bytes(31) + b"x")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET document = replace(document, '192.0.2.7', '192.0.2.8') WHERE name = 'B'",
        "UPDATE audit SET name = 'Forged' WHERE name = 'B'",
        "DELETE FROM audit WHERE name = 'B'",
        "DELETE FROM audit WHERE name = 'A'",
        "UPDATE audit SET hash = NULL WHERE name = 'B'",
        "UPDATE audit SET hash = zeroblob(32) WHERE name = 'C'",
        "INSERT INTO audit SELECT 99, 'new', occurred, account, region, source, name, username, access_key,"
        " is_read_only, resource_type, resource, document, hash FROM audit WHERE name = 'B'",
    ],
)
def test_what_was_changed_removed_or_added_is_found(statement: str) -> None:
    @in_memory
    async def scenario(registry: MemoryRegistry) -> None:
        await append(registry, "A", "B", "C", chained=True)
        tamper(registry, statement)

        assert (await trail.check(registry.db)).broken_at is not None

    scenario()


@in_memory
async def test_a_chain_that_was_made_anew_lacks_the_hash_that_was_noted(registry: MemoryRegistry) -> None:
    noted = await append(registry, "A", "B", "C", chained=True)
    assert noted is not None
    tamper(registry, "DELETE FROM audit")
    await append(registry, "A", "C", chained=True)

    assert (await trail.check(registry.db)).broken_at is None
    assert not await trail.has_hash(registry.db, noted)
