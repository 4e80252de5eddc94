"""How often an account may call: off, as Amazon has it, or as the configuration says."""

from __future__ import annotations

import base64
import http.client
import json
import sys
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ..conftest import Run, Server, ecr_password, running
from .people import Caller

RATES = "[rates]\nDescribeRepositories = 2\nBatchGetImage = 3\n"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY_INDEX = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
THROTTLED = "400 ThrottlingException: Rate exceeded"
PROGRAM = Path(sys.executable).with_name("moorage")


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Server]:
    """One that nobody has called: every bucket is full."""
    (tmp_path / "moorage.toml").write_text(RATES)
    options = ("--config", str(tmp_path / "moorage.toml"), "--quotas", "aws")
    with running(tmp_path, *options) as server:
        yield server


def root_of(server: Server) -> Caller:
    return caller_of(server, server.data / "credentials")


def caller_of(server: Server, credentials: Path) -> Caller:
    lines = credentials.read_text().splitlines()
    keys = dict(line.split(" = ", 1) for line in lines if " = " in line)
    return Caller(server, keys["aws_access_key_id"], keys["aws_secret_access_key"])


def codes(ecr: Any, times: int, operation: str, **request: object) -> list[str]:
    """What each of so many calls is answered with, one after the other: status, code and text."""
    answers = []
    for _ in range(times):
        try:
            getattr(ecr, operation)(**request)
            answers.append("")
        except ClientError as error:
            status, said = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]
            answers.append(f"{status} {said['Code']}: {said['Message']}")
    return answers


def test_more_calls_than_a_second_has_are_refused_as_ecr_refuses_them(limited: Server) -> None:
    ecr = root_of(limited).client("ecr")

    answers = codes(ecr, 20, "describe_repositories")

    assert answers[:2] == ["", ""]
    assert set(answers) == {"", THROTTLED}
    assert codes(ecr, 20, "describe_registry") == [""] * 20


def test_a_client_that_repeats_what_was_refused_gets_through(limited: Server) -> None:
    ecr = limited.client("ecr")  # with the retries of a stock client

    for _ in range(4):
        ecr.describe_repositories()


def test_amazon_s_rates_are_on_with_its_quotas(limited: Server) -> None:
    answers = asked(limited, "pushed", ["PUT"] * 60)

    assert [status for status, _, _ in answers[:5]] == [201] * 5
    _, _, named = next(each for each in answers if each[0] == 429)
    assert named["x-moorage-quota"] == "PutImage"


def test_the_registry_wire_says_429_also_for_answers_from_memory(limited: Server) -> None:
    answers = asked(limited, "pulled", ["PUT", *["GET"] * 60])

    assert [status for status, _, _ in answers[:3]] == [201, 200, 200]
    _, body, named = next(each for each in answers if each[0] == 429)
    assert json.loads(body) == {"errors": [{"code": "TOOMANYREQUESTS", "message": "Rate exceeded"}]}
    assert (named["retry-after"], named["x-moorage-quota"]) == ("1", "BatchGetImage")


def asked(server: Server, name: str, methods: list[str]) -> list[tuple[int, bytes, Message]]:
    """What `/v2/` answers to requests for one manifest, over one connection."""
    ecr = root_of(server).client("ecr")
    ecr.create_repository(repositoryName=name)
    password = base64.b64encode(f"AWS:{ecr_password(ecr)}".encode()).decode()
    headers = {"Authorization": f"Basic {password}", "Content-Type": INDEX}
    connection = http.client.HTTPConnection(server.host, timeout=30)
    answers: list[tuple[int, bytes, Message]] = []
    for method in methods:
        body = EMPTY_INDEX if method == "PUT" else None
        connection.request(method, f"/v2/{name}/manifests/1", body, headers)
        answer = connection.getresponse()
        answers.append((answer.status, answer.read(), answer.headers))
    connection.close()
    return answers


def test_other_accounts_and_regions_are_not_held_up(limited: Server, run: Run) -> None:
    made = json.loads(run(PROGRAM, "account", "create", "--data", limited.data, "--json"))
    theirs = caller_of(limited, Path(made["credentials"])).client("ecr")
    ours = root_of(limited)

    assert THROTTLED in codes(ours.client("ecr"), 20, "describe_repositories")

    assert codes(theirs, 2, "describe_repositories") == ["", ""]
    assert codes(ours.client("ecr", "eu-west-1"), 2, "describe_repositories") == ["", ""]


def test_without_any_nobody_is_held_up(server: Server) -> None:
    assert codes(root_of(server).client("ecr"), 50, "describe_repositories") == [""] * 50


def test_a_rate_of_nothing_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "moorage.toml").write_text("[rates]\nPushImage = 1\n")

    with (
        pytest.raises(AssertionError, match="rates: PushImage is no operation of ECR"),
        running(tmp_path, "--config", str(tmp_path / "moorage.toml")),
    ):
        pass
