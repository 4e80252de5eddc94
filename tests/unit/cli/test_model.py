"""The model is printed, and put where the AWS CLI and boto3 find it."""

from __future__ import annotations

import json
from pathlib import Path

import botocore.session
import pytest

from .conftest import Command

FILES = ["endpoint-rule-set-1.json", "paginators-1.json", "service-2.json", "waiters-2.json"]


def test_the_model_is_printed_as_json(moorage: Command) -> None:
    done = moorage("model")

    model = json.loads(done.out)
    assert done.code == 0
    assert model["metadata"]["signingName"] == "moorage"


def test_what_is_installed_is_a_service_of_botocore(
    moorage: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    done = moorage("model", "--install", "--json")

    folder = tmp_path / "home" / ".aws" / "models" / "moorage" / "2026-11-24"
    assert json.loads(done.out) == {"folder": str(folder), "files": FILES}
    assert sorted(path.name for path in folder.iterdir()) == FILES
    session = botocore.session.get_session()
    session.get_component("data_loader").search_paths.append(str(tmp_path / "home" / ".aws" / "models"))
    client = session.create_client(
        "moorage",
        region_name="home-1",
        endpoint_url="http://localhost:1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    assert client.meta.method_to_api_mapping["explain_lifecycle_policy"] == "ExplainLifecyclePolicy"
    assert client.waiter_names == ["lifecycle_policy_run_complete"]
    assert client.can_paginate("list_image_uses")


def test_without_an_address_the_client_says_where_it_gets_one(
    moorage: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request never leaves for a host of Amazon's that does not exist."""
    moorage("model", "--install", "--folder", str(tmp_path))
    session = botocore.session.get_session()
    session.get_component("data_loader").search_paths.append(str(tmp_path))
    client = session.create_client(
        "moorage", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )

    with pytest.raises(botocore.exceptions.EndpointProviderError, match="AWS_ENDPOINT_URL"):
        client.list_image_uses(repositoryName="team/app")


def test_installing_again_replaces_what_is_there(moorage: Command, tmp_path: Path) -> None:
    model = tmp_path / "moorage" / "2026-11-24" / "service-2.json"
    moorage("model", "--install", "--folder", str(tmp_path))
    before = model.read_text()
    model.write_text("{}")

    done = moorage("model", "--install", "--folder", str(tmp_path))

    assert done.code == 0
    assert model.read_text() == before


def test_a_folder_that_cannot_be_made_is_named(moorage: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = moorage("model", "--install", "--folder", str(tmp_path / "file"))

    assert done.code == 1
    assert "cannot be written" in done.err
