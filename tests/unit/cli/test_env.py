from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from moorage.cli.env import winning

from .conftest import Command


def test_env_points_the_aws_cli_at_the_server(moorage: Command, data: Path) -> None:
    done = moorage("env")

    assert done.out.splitlines() == [
        f"export AWS_SHARED_CREDENTIALS_FILE='{data / 'credentials'}'",
        "export AWS_PROFILE='default'",
        "export AWS_REGION='us-east-1'",
        "export AWS_DEFAULT_REGION='us-east-1'",
        "export AWS_ENDPOINT_URL='http://localhost:5050'",
    ]


def test_env_unsets_what_would_win_over_the_profile(
    moorage: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")

    assert moorage("env").out.splitlines()[:2] == ["unset AWS_ACCESS_KEY_ID", "unset AWS_SESSION_TOKEN"]
    assert moorage("env", "--shell", "fish").out.splitlines()[0] == "set -e AWS_ACCESS_KEY_ID"
    assert moorage("env", "--shell", "powershell").out.splitlines()[0] == "Remove-Item Env:AWS_ACCESS_KEY_ID"


def test_env_as_json_has_what_is_set_and_unset(moorage: Command, data: Path) -> None:
    document = json.loads(moorage("env", "--json").out)

    assert document["set"]["AWS_ENDPOINT_URL"] == "http://localhost:5050"
    assert document["unset"] == []


def test_env_quotes_for_the_shell(moorage: Command, tmp_path: Path) -> None:
    name = 'it\'s $HOME "here"'
    moorage("init", "--data", name)

    script = f'{moorage("env", "--data", name).out}printf %s "$AWS_SHARED_CREDENTIALS_FILE"'

    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown == str(tmp_path / name / "credentials")


def test_env_never_prints_the_secret(moorage: Command, data: Path) -> None:
    secret = (data / "credentials").read_text().partition("aws_secret_access_key = ")[2].splitlines()[0]

    assert secret not in moorage("env").out + moorage("env", "--json").out


def test_env_without_data_says_what_to_do(moorage: Command) -> None:
    done = moorage("env")

    assert done.code == 1
    assert done.err == (
        "moorage: there is no moorage-data/credentials: run `moorage serve` first, or say where it is with --data\n"
    )


def test_only_variables_that_are_there_win() -> None:
    assert winning({"HOME": "/", "AWS_ROLE_ARN": "x", "AWS_REGION": "y"}) == ["AWS_ROLE_ARN"]
