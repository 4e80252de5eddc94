"""`moorage access` and `moorage policy`, over a data directory with a repository and two users."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from moorage.access.identities import entity as entities
from moorage.access.identities import inline
from moorage.config.settings import Settings
from moorage.server.app import opened_beside

from .conftest import Command

ACCOUNT = "123456789012"
USER = f"arn:aws:iam::{ACCOUNT}:user/ci"
ARN = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/team/app"
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
            {
                "Sid": "FromHome",
                "Effect": "Allow",
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                "Resource": ARN,
                "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
            },
        ],
    }
)


@pytest.fixture
def team(data: Path) -> Path:
    """Files of the server are not needed: only rows are read."""

    async def fill() -> None:
        async with opened_beside(Settings(data=data)) as beside, beside.epochs.changing(ACCOUNT) as tx:
            user = await entities.insert(tx, ACCOUNT, "user", "ci", 1)
            await inline.put(tx, user, "pull", POLICY)
            await entities.insert(tx, ACCOUNT, "user", "idle", 1)

    asyncio.run(fill())
    return data


@pytest.fixture
def repository(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def find_in(*_: object) -> None:
        return None

    monkeypatch.setattr("moorage.registry.repositories.repository.find_in", find_in)


@pytest.mark.usefixtures("repository")
def test_access_lists_who_may_and_why(moorage: Command) -> None:
    lines = moorage("access", "team/app").out.splitlines()

    assert lines[0].split() == ["PRINCIPAL", "MAY", "ACTION", "WHY"]
    assert lines[1].split() == [
        *(f"arn:aws:iam::{ACCOUNT}:root", "yes", "pull,", "push,", "delete", "root", "of", "the", "account")
    ]
    assert "if   pull" in lines[2]
    assert lines[2].endswith(
        "identity policy user/ci/pull, statement FromHome; if aws:SourceIp in 10.0.0.0/8"
    )
    assert "no   push" in lines[3]


@pytest.mark.usefixtures("repository")
def test_access_of_one_principal_as_json(moorage: Command) -> None:
    done = moorage("access", "team/app", "--action", "pull", "--principal", USER, "--json")

    assert json.loads(done.out) == [
        {
            "principal": USER,
            "action": "pull",
            "may": "if",
            "why": "identity policy user/ci/pull, statement FromHome",
            "conditions": ["aws:SourceIp in 10.0.0.0/8"],
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["Team"], 2, "no name of a repository"),
        (["team/app", "--action", "burn"], 2, "--action is 'burn': pull, push, delete"),
        (["team/app", "--account", "1"], 2, "--account is '1'"),
        (["team/app"], 1, "does not exist in the registry"),
    ],
)
def test_access_that_cannot_be_told_says_why(
    moorage: Command, team: Path, arguments: list[str], code: int, reason: str
) -> None:
    done = moorage("access", *arguments)

    assert done.code == code
    assert reason in done.err


@pytest.mark.usefixtures("repository")
def test_access_of_nobody_is_told(moorage: Command) -> None:
    done = moorage("access", "team/app", "--principal", USER + "x")

    assert done.failure == (1, f"moorage: there is no principal {USER}x here\n")


def explain(moorage: Command, *more: str) -> tuple[int, str]:
    done = moorage(
        *("policy", "explain", "--principal", USER, "--action", "ecr:BatchGetImage", "--resource", ARN), *more
    )
    return done.code, done.out or done.err


def test_decision_is_explained_with_the_key_that_it_lacks(moorage: Command, team: Path) -> None:
    code, said = explain(moorage)

    assert code == 1
    assert said.startswith("denied: no identity-based policy allows the ecr:BatchGetImage action\n")
    assert "Asked for, and not known: aws:SourceIp" in said
    assert re.search(r"identity +would allow +user/ci/pull +FromHome +\d+ +IpAddress aws:SourceIp", said)


def test_decision_is_explained_with_the_statement_that_settles_it(moorage: Command, team: Path) -> None:
    code, said = explain(moorage, "--context", "aws:sourceip=10.1.2.3")

    assert code == 0
    assert said.startswith("allowed: identity policy user/ci/pull, statement FromHome\n")
    assert "identity  allow" in said


def test_decision_as_json_has_what_matched(moorage: Command, team: Path) -> None:
    code, said = explain(moorage, "--context", "aws:SourceIp=10.1.2.3", "--json")

    document = json.loads(said)
    assert (code, document["allowed"], document["missing"]) == (0, True, [])
    assert [one["statement"] for one in document["matched"]] == ["FromHome"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [(["--context", "colour"], "--context is 'colour'"), (["--action", "burn"], "--action is 'burn'")],
)
def test_explain_of_wrong_usage_is_told(moorage: Command, team: Path, more: list[str], reason: str) -> None:
    code, said = explain(moorage, *more)

    assert code == 2
    assert reason in said


def test_check_names_place_and_reason_and_fails(moorage: Command, tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text('{"Version": "2012-10-17", "Statement": [}')

    done = moorage("policy", "check", "policy.json")

    assert done.code == 1
    assert done.out.startswith("policy.json:1:41: error: Syntax errors in policy.")


def test_check_warns_and_succeeds(moorage: Command, tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(POLICY.replace("ecr:BatchGetImage", "ecr:BatchGetImages"))

    done = moorage("policy", "check", "policy.json")
    document = json.loads(moorage("policy", "check", "policy.json", "--kind", "scp", "--json").out)

    assert done.code == 0
    assert "warning: ecr:BatchGetImages: there is no such action" in done.out
    assert done.out.endswith("policy.json: can be stored as identity policy\n")
    assert (document["kind"], document["remarks"][0]["level"]) == ("scp", "warning")


def test_check_of_what_is_not_there_fails_in_one_line(moorage: Command) -> None:
    assert moorage("policy", "check", "gone.json").failure == (
        1,
        "moorage: gone.json: No such file or directory\n",
    )
