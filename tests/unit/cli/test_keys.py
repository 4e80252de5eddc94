from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from moorage.base.clock import HOUR, system_clock
from moorage.cli.profile import read_profile
from moorage.store.db.lock import lock_data_directory

from .conftest import Command

DAY = 24 * HOUR


@pytest.fixture
def aged(data: Path) -> Path:
    """The root key is a hundred days old and used an hour ago; alice's, ten days, is off and was never used."""
    now = system_clock()
    with closing(sqlite3.connect(data / "moorage.db", isolation_level=None)) as db:
        db.execute(
            "UPDATE access_keys SET created = ?, last_used = ?, last_service = 'ecr', last_region = 'us-east-1'",
            (now - 100 * DAY - HOUR, now - HOUR),
        )
        db.execute(
            "INSERT INTO principals VALUES "
            "('AIDAALICE', '123456789012', 'user', '/', 'alice', 'alice', 0, '', '', 0, '', 0, NULL, '')"
        )
        db.execute(
            "INSERT INTO access_keys (id, account, principal, sealed_secret, status, created) "
            "VALUES ('AKIAALICE', '123456789012', 'AIDAALICE', x'00', 'Inactive', ?)",
            (now - 10 * DAY - HOUR,),
        )
    return data


def test_keys_are_listed_beside_a_server_the_oldest_first(moorage: Command, aged: Path) -> None:
    root = read_profile(aged / "credentials").access_key_id
    unlock = lock_data_directory(aged)

    listed = json.loads(moorage("keys", "--json").out)

    unlock()
    assert [(each["accessKeyId"], each["user"], each["status"], each["ageDays"]) for each in listed] == [
        (root, None, "Active", 100),
        ("AKIAALICE", "alice", "Inactive", 10),
    ]
    assert [each["lastService"] for each in listed] == ["ecr", None]
    assert (datetime.now(UTC) - datetime.fromisoformat(listed[0]["lastUsed"])).total_seconds() // 60 == 60
    assert listed[1]["lastUsed"] is None


def test_keys_never_show_a_secret(moorage: Command, aged: Path) -> None:
    secret = read_profile(aged / "credentials").secret

    assert secret not in moorage("keys", "--json").out + moorage("keys").out


@pytest.mark.parametrize(
    ("days", "users"), [("0", [None, "alice"]), ("11", [None]), ("100", [None]), ("101", [])]
)
def test_keys_older_than_leaves_out_younger_ones(
    moorage: Command, aged: Path, days: str, users: list[str | None]
) -> None:
    listed = json.loads(moorage("keys", "--older-than", days, "--json").out)

    assert [each["user"] for each in listed] == users


def test_keys_as_a_table_say_root_and_never(moorage: Command, aged: Path) -> None:
    heading, root, alice = moorage("keys").out.splitlines()

    assert heading.split("  ")[0] == "ACCESS KEY"
    assert "  root   Active    100 days  20" in root
    assert root.endswith(" ecr us-east-1")
    assert alice.split() == ["AKIAALICE", "123456789012", "alice", "Inactive", "10", "days", "never"]


@pytest.mark.parametrize("days", ["-1", "ten", "1.5", "²", ""])
def test_keys_older_than_what_is_no_number_is_wrong_usage(moorage: Command, data: Path, days: str) -> None:
    done = moorage("keys", f"--older-than={days}")

    assert (done.code, done.err) == (2, f"moorage: --older-than is '{days}': give a number of days\n")


def test_keys_without_data_fail_in_one_line(moorage: Command) -> None:
    done = moorage("keys")

    assert done.code == 1
    assert done.err.count("\n") == 1
