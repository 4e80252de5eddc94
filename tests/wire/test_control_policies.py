"""Control policies of the configuration hold at a running server, for roots too."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from ..conftest import Run, running

MOORAGE = Path(sys.executable).with_name("moorage")
CONFIGURATION = """
[organization]
id = "o-0123456789"

[[control_policies]]
kind = "scp"
accounts = ["*"]
files = ["all.json", "no-deletes.json"]
"""


def policy(effect: str, action: str) -> str:
    statement = {"Effect": effect, "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def test_root_is_limited_by_the_policies_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text(policy("Allow", "*"))
    (tmp_path / "no-deletes.json").write_text(policy("Deny", "ecr:DeleteRepository"))
    (tmp_path / "moorage.toml").write_text(CONFIGURATION)

    with running(tmp_path, "--config", str(tmp_path / "moorage.toml")) as server:
        ecr = server.client("ecr")
        ecr.create_repository(repositoryName="kept")
        with pytest.raises(ClientError) as refused:
            ecr.delete_repository(repositoryName="kept")

    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "with an explicit deny in a service control policy" in str(refused.value)


def test_server_does_not_start_without_a_policy_that_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "moorage.toml").write_text(CONFIGURATION)

    said = run(
        *(MOORAGE, "serve", "--data", tmp_path / "data", "--listen", "127.0.0.1:0"),
        *("--config", tmp_path / "moorage.toml"),
        fails=True,
    )

    assert said == f"moorage: {tmp_path / 'all.json'}: No such file or directory\n"
