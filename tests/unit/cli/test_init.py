from __future__ import annotations

import errno
import json
import sqlite3
import stat
from pathlib import Path

import pytest

from moorage.cli import opening
from moorage.cli.profile import read_profile
from moorage.store.db.lock import lock_data_directory

from .conftest import Command


def test_init_of_an_empty_directory_writes_the_credentials_once(moorage: Command, tmp_path: Path) -> None:
    done = moorage("init", "--account", "123456789012", "--region", "eu-1", "--listen", "127.0.0.1:6000")

    path = tmp_path / "moorage-data" / "credentials"
    profile = read_profile(path)
    assert done.code == 0
    assert done.out == f"Account 123456789012; root credentials in {path}\n"
    assert (profile.region, profile.endpoint) == ("eu-1", "http://localhost:6000")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert profile.secret not in done.out + done.err


def test_init_again_changes_no_key(moorage: Command, data: Path) -> None:
    before = (data / "credentials").read_bytes()

    done = moorage("init")

    assert done.out == "moorage-data was initialised before: account 123456789012\n"
    assert (data / "credentials").read_bytes() == before


def test_init_at_another_address_moves_the_endpoint_only(moorage: Command, data: Path) -> None:
    before = read_profile(data / "credentials")

    moorage("init", "--listen", "127.0.0.1:7000")

    after = read_profile(data / "credentials")
    assert after.endpoint == "http://localhost:7000"
    assert (after.access_key_id, after.secret) == (before.access_key_id, before.secret)


def test_credentials_that_could_not_be_written_are_written_at_the_next_start(
    moorage: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(opening, "write_profile", full)
        assert_one_line(*moorage("init", "--account", "123456789012").failure, "No space left on device")

    done = moorage("init")

    path = tmp_path / "moorage-data" / "credentials"
    assert done.out == f"Account 123456789012; root credentials in {path}\n"
    assert read_profile(path).access_key_id.startswith("AKIA")


def test_init_does_not_bring_moved_credentials_back(moorage: Command, data: Path) -> None:
    (data / "credentials").unlink()

    moorage("init")

    assert not (data / "credentials").exists()


def test_init_as_json_tells_a_script_what_was_made(moorage: Command, tmp_path: Path) -> None:
    document = json.loads(moorage("init", "--account", "123456789012", "--json").out)

    credentials = str(tmp_path / "moorage-data" / "credentials")
    assert document == {"account": "123456789012", "credentials": credentials, "created": True}


@pytest.mark.parametrize("command", ["init", "serve"])
def test_directory_in_use_is_refused_in_one_line(moorage: Command, data: Path, command: str) -> None:
    unlock = lock_data_directory(data)

    done = moorage(command, "--listen", "127.0.0.1:0")

    unlock()
    assert_one_line(*done.failure, "is in use by another process")


@pytest.mark.parametrize("command", ["init", "serve"])
def test_root_key_that_others_can_read_is_refused_in_one_line(
    moorage: Command, data: Path, command: str
) -> None:
    (data / "root.key").chmod(0o644)

    done = moorage(command, "--listen", "127.0.0.1:0")

    assert_one_line(*done.failure, "chmod 600")


@pytest.mark.parametrize("command", ["init", "serve"])
def test_newer_schema_is_refused_in_one_line(moorage: Command, data: Path, command: str) -> None:
    with sqlite3.connect(data / "moorage.db") as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()

    done = moorage(command, "--listen", "127.0.0.1:0")

    assert_one_line(*done.failure, "schema version 9999")


def test_missing_root_key_is_refused_in_one_line(moorage: Command, data: Path) -> None:
    (data / "root.key").unlink()

    done = moorage("init")

    assert_one_line(*done.failure, "restore it, or name it with --root-key-file")


def test_root_key_of_another_installation_is_refused_in_one_line(moorage: Command, data: Path) -> None:
    (data / "root.key").write_bytes(b"\1" * 32)

    done = moorage("init")

    assert_one_line(*done.failure, "root key")


def test_data_that_is_a_file_is_refused_in_one_line(moorage: Command, tmp_path: Path) -> None:
    (tmp_path / "moorage-data").write_text("")

    done = moorage("init")

    assert_one_line(*done.failure, "moorage-data: File exists")


def assert_one_line(code: int, err: str, words: str) -> None:
    assert code == 1
    assert err.startswith("moorage: ")
    assert words in err
    assert err.count("\n") == 1
