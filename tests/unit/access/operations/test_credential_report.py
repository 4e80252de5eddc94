from __future__ import annotations

import csv

from moorage.access.call import Call
from moorage.access.operations import credential_report as reports
from moorage.aws.shapes import iam
from moorage.base.clock import HOUR, SECOND

from ...registry.memory import in_memory
from ...registry.registry import ACCOUNT, MemoryRegistry
from .calling import OTHER, add_account, add_key, add_user


async def rows_of(call: Call) -> dict[str, dict[str, str]]:
    answer = await reports.get_credential_report(call, iam.GetCredentialReportRequest())
    assert (answer.report_format, answer.generated_time) == ("text/csv", call.now / SECOND)
    assert answer.content is not None
    return {row["user"]: row for row in csv.DictReader(answer.content.decode().splitlines())}


@in_memory
async def test_report_has_the_root_and_every_user_of_the_account(registry: MemoryRegistry) -> None:
    call, other = await add_account(registry), await add_account(registry, OTHER)
    for name in ("bob", "Alice"):
        await add_user(call, name)
    await add_user(other, "stranger")

    rows = await rows_of(call)

    assert list(rows) == ["<root_account>", "Alice", "bob"]
    assert rows["<root_account>"]["arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert rows["Alice"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/Alice"
    assert rows["Alice"]["user_creation_time"] == "1970-02-11T16:00:00+00:00"
    assert {rows["Alice"][f"access_key_{n}_active"] for n in (1, 2)} == {"false"}
    assert None not in {value for row in rows.values() for value in row.values()}


@in_memory
async def test_report_says_how_old_keys_are_and_when_they_were_used(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")
    old = await add_key(call, "alice")
    registry.pass_time(HOUR)
    await add_key(registry.call, "alice")
    registry.db._writer.execute(
        "UPDATE access_keys SET last_used = ?, last_service = 'ecr', last_region = 'home-1', status = 'Inactive' "
        "WHERE id = ?",
        (registry.now, old.access_key_id),
    )

    row = (await rows_of(registry.call))["alice"]

    first, second = (
        [
            row[f"access_key_{n}_{column}"]
            for column in (
                "active",
                "last_rotated",
                "last_used_date",
                "last_used_region",
                "last_used_service",
            )
        ]
        for n in (1, 2)
    )
    hour_ago, now = "1970-02-11T16:00:00+00:00", "1970-02-11T17:00:00+00:00"
    assert first == ["false", hour_ago, now, "home-1", "ecr"]
    assert second == ["true", now, "N/A", "N/A", "N/A"]


@in_memory
async def test_report_of_more_users_than_are_read_at_once_has_each_once(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    registry.db._writer.executemany(
        "INSERT INTO principals SELECT ?, ?, 'user', '/', ?, ?, 0, '', '', 0, '', 0, NULL, ''",
        [(f"AIDA{n}", ACCOUNT, f"u{n:04}", f"u{n:04}") for n in range(900)],
    )

    rows = await rows_of(call)

    assert list(rows) == ["<root_account>", *(f"u{n:04}" for n in range(900))]


@in_memory
async def test_a_report_is_always_ready(registry: MemoryRegistry) -> None:
    call = await add_account(registry)

    answer = await reports.generate_credential_report(call, iam.GenerateCredentialReportRequest())

    assert answer.state == "COMPLETE"
