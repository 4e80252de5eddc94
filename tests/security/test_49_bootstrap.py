"""The first start: random credentials told once, to files that are the owner's alone; a second changes nothing."""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ..conftest import Run, running
from .calling import door_of
from .places import account_in


def moorage() -> str:
    return os.environ.get("MOORAGE", str(Path(sys.executable).with_name("moorage")))


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_the_owners_alone_whatever_the_umask(tmp_path: Path, run: Run, umask: int) -> None:
    before = os.umask(umask)
    try:
        run(moorage(), "init", "--data", tmp_path / "data")
    finally:
        os.umask(before)

    for name, mode in modes(tmp_path / "data").items():
        assert mode & 0o077 == 0, (name, oct(mode))
    assert modes(tmp_path / "data")["root.key"] & 0o777 in (0o400, 0o600)


def test_a_second_init_keeps_what_is_there_and_tells_nothing(tmp_path: Path, run: Run) -> None:
    data = tmp_path / "data"
    first = json.loads(run(moorage(), "init", "--data", data, "--json"))
    kept = {name: (data / name).read_bytes() for name in ("root.key", "credentials")}

    second = json.loads(run(moorage(), "init", "--data", data, "--json"))

    assert first["created"] is True
    assert second["created"] is False
    assert second["account"] == first["account"]
    assert {name: (data / name).read_bytes() for name in kept} == kept
    secret = kept["credentials"].decode().partition("aws_secret_access_key = ")[2].split()[0]
    assert secret not in json.dumps([first, second])


def test_credentials_are_told_once(tmp_path: Path, run: Run) -> None:
    """Who removes the file does not get the key again by starting the server."""
    data = tmp_path / "data"
    run(moorage(), "init", "--data", data)
    secret = (data / "credentials").read_text().partition("aws_secret_access_key = ")[2].split()[0]
    (data / "credentials").unlink()

    run(moorage(), "init", "--data", data)

    assert not (data / "credentials").exists() or secret not in (data / "credentials").read_text()


def test_two_installations_share_nothing(tmp_path: Path, run: Run) -> None:
    keys, texts = [], []
    for name in ("one", "two"):
        run(moorage(), "init", "--data", tmp_path / name)
        keys.append((tmp_path / name / "root.key").read_bytes())
        texts.append((tmp_path / name / "credentials").read_text())

    assert keys[0] != keys[1]
    for name in ("aws_access_key_id", "aws_secret_access_key"):
        one, other = (text.partition(f"{name} = ")[2].split()[0] for text in texts)
        assert one != other


@pytest.mark.parametrize("key", ["", "x", "0" * 32, "A" * 43 + "=", "moorage", "0" * 64])
def test_a_weak_root_key_is_refused(tmp_path: Path, run: Run, key: str) -> None:
    """Of the wrong length, or all of one character."""
    (tmp_path / "root.key").write_text(key)

    said = run(
        moorage(), "init", "--data", tmp_path / "data", "--root-key-file", tmp_path / "root.key", fails=True
    )

    assert "Traceback" not in said
    assert not (tmp_path / "data" / "moorage.db").exists()


def test_a_root_key_that_is_gone_is_not_made_again(tmp_path: Path, run: Run) -> None:
    data = tmp_path / "data"
    run(moorage(), "init", "--data", data)
    (data / "root.key").unlink()

    said = run(moorage(), "init", "--data", data, fails=True)

    assert "root.key" in said
    assert not (data / "root.key").exists()


def test_no_known_key_opens_a_new_server(tmp_path: Path) -> None:
    with running(tmp_path) as server, door_of(server.host) as door:
        root = account_in(server, door, server.data / "credentials").root
        assert root.key is not None
        for key in (
            "admin",
            "test",
            "minioadmin",
            "AKIAIOSFODNN7EXAMPLE",
            "AKIAAAAAAAAAAAAAAAAA",
            root.key.id,
        ):
            for secret in (key, "password", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""):
                tried = replace(root, key=replace(root.key, id=key, secret=secret))
                assert tried.call("sts.GetCallerIdentity").status == 403
