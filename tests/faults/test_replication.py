"""A server that is killed between a change that is to be replicated and the work that it makes."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import boto3
import pytest

from .conftest import Running, eventually, rows, serving, start

DYING = (str(Path(__file__).with_name("dying.py")),)
ACCOUNT, FAR = "123456789012", "eu-west-1"


@pytest.mark.parametrize(
    ("step", "at", "is_changed"),
    [
        (
            "repositories.set_mutability",
            1,
            False,
        ),  # the work is put by the statement before, and not committed
        ("answer", 2, True),  # the first says that the server has started
    ],
)
def test_a_setting_that_was_changed_before_a_kill_goes_to_the_other_region(
    tmp_path: Path, step: str, at: int, is_changed: bool
) -> None:
    data, configuration = tmp_path / "data", tmp_path / "moorage.toml"
    configuration.write_text(f'[replication_settings]\n"{ACCOUNT}/{FAR}" = ["mutability"]\n')
    options = ("--account", ACCOUNT, "--config", str(configuration))
    with serving(data, *options) as server:
        for ecr in (server.client(), _far(server)):
            ecr.create_repository(repositoryName="app")
        destinations = [{"region": FAR, "registryId": ACCOUNT}]
        server.client().put_replication_configuration(
            replicationConfiguration={"rules": [{"destinations": destinations}]}
        )

    plan = {"name": step, "at": at, "how": "before", "from": "start", "report": str(tmp_path / "report")}
    (tmp_path / "plan").write_text(json.dumps(plan))
    dying = start(data, *options, program=(*DYING, str(tmp_path / "plan")))
    assert dying is not None
    with suppress(Exception):  # it dies before it answers
        dying.client().put_image_tag_mutability(repositoryName="app", imageTagMutability="IMMUTABLE")
    dying.process.wait(10)

    if not is_changed:
        assert rows(data, "SELECT kind FROM jobs") == []
    with serving(data, *options) as server:
        assert _mutability(server.client()) == ("IMMUTABLE" if is_changed else "MUTABLE")
        if is_changed:
            eventually(lambda: _mutability(_far(server)) == "IMMUTABLE", "it does not go there")


def _far(server: Running) -> boto3.session.Session.client:
    client = server.client()
    return boto3.client(
        "ecr",
        endpoint_url=f"http://{server.host}",
        region_name=FAR,
        aws_access_key_id=client._request_signer._credentials.access_key,
        aws_secret_access_key=client._request_signer._credentials.secret_key,
    )


def _mutability(ecr: object) -> str:
    said = ecr.describe_repositories(repositoryNames=["app"])  # type: ignore[attr-defined]  # boto3 has no types
    return str(said["repositories"][0]["imageTagMutability"])
