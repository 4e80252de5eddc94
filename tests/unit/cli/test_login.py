from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from moorage.cli import login
from moorage.cli.ecr import Password, Unreachable

from .conftest import Command

PASSWORD = Password("localhost:5050", "AWS", "the-secret", datetime(2026, 11, 25, tzinfo=UTC))
CLIENT = """#!/bin/sh
echo "$@" > "$0.arguments"
cat > "$0.input"
{0}
"""


@pytest.fixture
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with docker, which takes the password, and podman, which refuses it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, last in (("docker", "echo Login Succeeded"), ("podman", "echo 'Error: refused' >&2; exit 125")):
        (folder / name).write_text(CLIENT.format(last))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda name: (folder / name).exists() or None)
    monkeypatch.setattr(login, "get_password", lambda profile: PASSWORD)
    return folder


def test_login_hands_the_password_over_standard_input_only(
    moorage: Command, data: Path, clients: Path
) -> None:
    done = moorage("login", "--only", "docker")

    assert done.code == 0
    assert (
        clients / "docker.arguments"
    ).read_text() == "login --username AWS --password-stdin localhost:5050\n"
    assert (clients / "docker.input").read_text() == "the-secret"
    assert "the-secret" not in done.out + done.err


def test_login_of_all_that_are_found_fails_if_one_does(moorage: Command, data: Path, clients: Path) -> None:
    done = moorage("login")

    assert done.code == 1
    assert done.out.splitlines()[:2] == [
        "✓  docker  logged in to localhost:5050",
        "✗  podman  Error: refused",
    ]


def test_login_as_json_has_each_client(moorage: Command, data: Path, clients: Path) -> None:
    document = json.loads(moorage("login", "--json").out)

    assert document["clients"] == {"docker": "logged in", "podman": "Error: refused"}
    assert document["expires"] == "2026-11-25T00:00:00+00:00"


def test_login_of_a_client_that_is_not_there_says_so(moorage: Command, data: Path, clients: Path) -> None:
    done = moorage("login", "--only", "helm")

    assert (done.code, done.err) == (1, "moorage: not on PATH: helm\n")


def test_login_without_server_says_so(
    moorage: Command, data: Path, clients: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(profile: object) -> Password:
        raise Unreachable("nothing answers at http://localhost:5050")

    monkeypatch.setattr(login, "get_password", unreachable)

    done = moorage("login")

    assert (done.code, done.err) == (1, "moorage: nothing answers at http://localhost:5050\n")
