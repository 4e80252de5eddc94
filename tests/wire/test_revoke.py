"""What `moorage revoke` ends beside the running server is refused there at once."""

from __future__ import annotations

import base64
import http.client
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ..conftest import Run, Server, ecr_password, until

SECONDS = 1
ALL_OF_ECR = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["ecr:*", "sts:*"], "Resource": "*"}],
}
Revoke = Callable[..., Any]


@pytest.fixture
def revoke(server: Server, run: Run) -> Revoke:
    program = Path(sys.executable).with_name("moorage")

    def revoke(*words: str) -> Any:
        return json.loads(run(program, "revoke", "--data", server.data, "--json", *words))

    return revoke


@pytest.fixture
def user(server: Server, request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """A user who may use the registry, and its access key."""
    iam = server.client("iam")
    name = f"revoked-{abs(hash(request.node.name)) % 10_000}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(ALL_OF_ECR))
    return name, iam.create_access_key(UserName=name)["AccessKey"]


def client_of(server: Server, service: str, key: str, secret: str, token: str | None = None) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
    )


def status(server: Server, password: str) -> int:
    connection = http.client.HTTPConnection(server.host, timeout=10)
    login = base64.b64encode(f"AWS:{password}".encode()).decode()
    try:
        connection.request("GET", "/v2/revoked/tags/list", headers={"authorization": f"Basic {login}"})
        return connection.getresponse().status
    finally:
        connection.close()


def code_of(client: Any) -> str:
    try:
        client.describe_repositories()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_passwords_of_a_user_are_refused_and_new_ones_work(
    server: Server, revoke: Revoke, user: tuple[str, dict[str, str]]
) -> None:
    name, key = user
    ecr = client_of(server, "ecr", key["AccessKeyId"], key["SecretAccessKey"])
    early = ecr_password(ecr)
    assert status(server, early) == 404  # no such repository: the password is good

    ended = revoke("--user", name)

    for _ in until(SECONDS, "the password still works"):
        if status(server, early) == 403:
            break
    assert ended["arn"].endswith(f":user/{name}")
    assert status(server, ecr_password(ecr)) == 404


def test_key_is_refused_by_the_api_and_its_passwords_by_the_registry(
    server: Server, revoke: Revoke, user: tuple[str, dict[str, str]]
) -> None:
    _, key = user
    ecr = client_of(server, "ecr", key["AccessKeyId"], key["SecretAccessKey"])
    password = ecr_password(ecr)
    assert (code_of(ecr), status(server, password)) == ("", 404)

    revoke("--key", key["AccessKeyId"])

    for _ in until(SECONDS, "the key still works"):
        if code_of(ecr) == "UnrecognizedClientException":
            break
    assert status(server, password) == 403


def test_one_session_is_refused_and_its_user_is_not(
    server: Server, revoke: Revoke, user: tuple[str, dict[str, str]]
) -> None:
    _, key = user
    pair = key["AccessKeyId"], key["SecretAccessKey"]
    issued = client_of(server, "sts", *pair).get_session_token()["Credentials"]
    ecr = client_of(server, "ecr", issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])
    password = ecr_password(ecr)
    assert (code_of(ecr), status(server, password)) == ("", 404)

    revoke("--session", issued["AccessKeyId"])

    for _ in until(SECONDS, "the session still works"):
        if code_of(ecr) == "UnrecognizedClientException":
            break
    assert status(server, password) == 403
    assert code_of(client_of(server, "ecr", *pair)) == ""
