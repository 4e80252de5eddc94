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


def test_account_that_nobody_can_call_any_more_gets_a_new_root_key(moorage: Command, data: Path) -> None:
    path = data / "credentials"
    before = read_profile(path)
    revoked = moorage("revoke", "--key", before.access_key_id, "--force")
    assert revoked.code == 0

    made = moorage("account", "key")

    after = read_profile(path)
    assert made.out == f"Account 123456789012 has the root key {after.access_key_id}; credentials in {path}\n"
    assert after.access_key_id != before.access_key_id
    assert (after.region, after.endpoint) == (before.region, before.endpoint)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = {key["accessKeyId"]: key["status"] for key in json.loads(moorage("keys", "--json").out)}
    assert keys == {before.access_key_id: "Inactive", after.access_key_id: "Active"}


def test_account_whose_credentials_are_good_keeps_them(moorage: Command, data: Path) -> None:
    before = (data / "credentials").read_text()

    done = moorage("account", "key")

    assert done.code == 1
    assert done.err.startswith("moorage: moorage-data/credentials has a root key that is active")
    assert (data / "credentials").read_text() == before


def test_account_whose_credentials_are_lost_gets_new_ones_until_its_root_has_as_many_as_it_may(
    moorage: Command, data: Path
) -> None:
    path = data / "credentials-210987654321"
    moorage("account", "create", "--account", "210987654321")
    path.unlink()

    made = moorage("account", "key", "--account", "210987654321", "--json")
    path.unlink()
    refused = moorage("account", "key", "--account", "210987654321")
    revoked = moorage("revoke", "--key", json.loads(made.out)["accessKeyId"])
    again = moorage("account", "key", "--account", "210987654321")

    assert (made.code, refused.code, revoked.code, again.code) == (0, 1, 0, 0)
    assert "as many active keys as it may" in refused.err
    assert read_profile(path).endpoint == read_profile(data / "credentials").endpoint


def test_account_that_is_not_there_gets_no_key(moorage: Command, data: Path) -> None:
    done = moorage("account", "key", "--account", "999999999999")

    assert done.failure == (1, "moorage: there is no account 999999999999 here: `moorage account list`\n")
