from __future__ import annotations

import json
import stat
from pathlib import Path

from moorage.cli.profile import read_profile
from moorage.store.db.lock import lock_data_directory

from .conftest import Command


def test_account_created_beside_a_server_is_listed(moorage: Command, data: Path) -> None:
    unlock = lock_data_directory(data)

    created = moorage("account", "create", "--account", "210987654321")
    listed = json.loads(moorage("account", "list", "--json").out)

    unlock()
    path = data / "credentials-210987654321"
    assert created.out == f"Account 210987654321; root credentials in {path}\n"
    assert [(entry["account"], entry["default"]) for entry in listed] == [
        ("123456789012", True),
        ("210987654321", False),
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_profile(path).endpoint == read_profile(data / "credentials").endpoint


def test_account_without_id_gets_a_random_one(moorage: Command, data: Path) -> None:
    account = json.loads(moorage("account", "create", "--json").out)["account"]

    assert len(account) == 12
    assert (data / f"credentials-{account}").exists()


def test_account_that_exists_is_refused(moorage: Command, data: Path) -> None:
    done = moorage("account", "create", "--account", "123456789012")

    assert (done.code, done.err) == (1, "moorage: account 123456789012 exists already\n")
    assert not (data / "credentials-123456789012").exists()


def test_account_of_a_wrong_form_is_wrong_usage(moorage: Command, data: Path) -> None:
    done = moorage("account", "create", "--account", "12")

    assert (done.code, done.err) == (2, "moorage: --account is '12': an account id has 12 digits\n")


def test_account_list_is_aligned_and_marks_the_default(moorage: Command, data: Path) -> None:
    lines = moorage("account", "list").out.splitlines()

    assert lines[0] == "ACCOUNT       CREATED"
    assert lines[1].startswith("123456789012  20")
    assert lines[1].endswith("  default")


def test_account_list_without_data_fails_in_one_line(moorage: Command) -> None:
    done = moorage("account", "list")

    assert done.code == 1
    assert done.err.count("\n") == 1
