from __future__ import annotations

import json
from pathlib import Path

import pytest

from moorage.cli.profile import read_profile

from .conftest import Command

UNTIL = "2020-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--session", "AKIA0123456789ABCDEF"], "--session is 'AKIA0123456789ABCDEF'"),
        (["--key", "ASIA0123456789ABCDEF"], "--key is 'ASIA0123456789ABCDEF'"),
        (["--user", "eve", "--before", "yesterday"], "--before is 'yesterday'"),
        (["--user", "eve", "--before", "2999-01-01"], "it has to be past"),
        (["--key", "AKIA0123456789ABCDEF", "--before", UNTIL], "--before goes with"),
        (["--user", "eve", "--account", "12"], "--account is '12'"),
    ],
)
def test_wrong_usage_is_told(moorage: Command, data: Path, arguments: list[str], reason: str) -> None:
    done = moorage("revoke", *arguments)

    assert done.code == 2
    assert reason in done.err


def test_unknown_user_fails_in_one_line(moorage: Command, data: Path) -> None:
    done = moorage("revoke", "--user", "eve")

    assert done.failure == (1, "moorage: The user with name eve cannot be found.\n")


def test_session_is_ended_in_every_account(moorage: Command, data: Path) -> None:
    done = moorage("revoke", "--session", "ASIA0123456789ABCDEF", "--json")

    assert (done.code, json.loads(done.out)) == (0, {"session": "ASIA0123456789ABCDEF"})


def test_last_key_is_switched_off_by_force_only(moorage: Command, data: Path) -> None:
    key = read_profile(data / "credentials").access_key_id

    refused = moorage("revoke", "--key", key)
    forced = moorage("revoke", "--key", key, "--force")

    assert refused.code == 1
    assert "last active one of account 123456789012" in refused.err
    assert (forced.code, forced.out) == (
        0,
        f"Key {key} of the root of account 123456789012 is inactive\n",
    )
