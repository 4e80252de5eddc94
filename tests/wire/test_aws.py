"""The stock AWS CLI and boto3: what a user types first."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ..conftest import Need, Repository, Run, Server
from .conftest import Images

Aws = Callable[..., Any]


def test_caller_is_the_root_of_the_account(aws: Aws) -> None:
    caller = aws("sts", "get-caller-identity")

    assert caller["Arn"] == f"arn:aws:iam::{caller['Account']}:root"
    assert caller["Account"].isdigit()
    assert len(caller["Account"]) == 12


def test_created_repository_is_described(aws: Aws, server: Server) -> None:
    created = aws("ecr", "create-repository", "--repository-name", "aws/created")["repository"]
    described = aws("ecr", "describe-repositories", "--repository-names", "aws/created")["repositories"]

    assert described == [created]
    assert created["repositoryUri"].endswith(f":{server.port}/aws/created")
    assert created["repositoryArn"] == f"arn:aws:ecr:us-east-1:{created['registryId']}:repository/aws/created"


def test_second_repository_of_a_name_is_refused(aws: Aws) -> None:
    aws("ecr", "create-repository", "--repository-name", "aws/twice")

    said = aws("ecr", "create-repository", "--repository-name", "aws/twice", fails=True)

    assert "(RepositoryAlreadyExistsException)" in said


def test_call_with_a_wrong_secret_is_refused(aws: Aws, server: Server, tmp_path: Path) -> None:
    lines = (server.data / "credentials").read_text().splitlines()
    wrong = [f"{line}x" if line.startswith("aws_secret_access_key") else line for line in lines]
    (tmp_path / "credentials").write_text("\n".join(wrong))

    environment = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    said = aws("ecr", "describe-repositories", env=environment, fails=True)

    assert "(InvalidSignatureException)" in said


def test_login_password_opens_the_registry(aws: Aws, server: Server, need: Need, run: Run) -> None:
    crane = need("crane")
    password = aws("ecr", "get-login-password")

    run(crane, "auth", "login", server.host, "--username", "AWS", "--password-stdin", input=password)

    run(crane, "catalog", server.host)


def test_authorization_token_lives_twelve_hours(ecr: Any, server: Server) -> None:
    granted = ecr.get_authorization_token()["authorizationData"][0]

    life = granted["expiresAt"] - datetime.now(UTC)
    user, _, password = base64.b64decode(granted["authorizationToken"]).decode().partition(":")
    assert user == "AWS"
    assert json.loads(base64.b64decode(password))["payload"]
    assert timedelta(hours=11, minutes=55) < life < timedelta(hours=12, minutes=5)
    assert granted["proxyEndpoint"].endswith(f":{server.port}")


def test_pushed_image_is_described_and_deleted(
    ecr: Any, crane: Run, server: Server, repository: Repository, images: Images, tmp_path: Path
) -> None:
    name = repository("aws/image")
    crane("push", images.layout.alone(tmp_path / "one", images.busybox), f"{server.host}/{name}:1")

    detail = ecr.describe_images(repositoryName=name)["imageDetails"][0]
    fetched = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "1"}])["images"][0]
    deleted = ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "1"}])

    assert (detail["imageDigest"], detail["imageTags"]) == (images.busybox.digest, ["1"])
    assert fetched["imageManifest"].encode() == images.layout.read(images.busybox)
    assert deleted["imageIds"] == [{"imageDigest": images.busybox.digest, "imageTag": "1"}]
    assert "MANIFEST_UNKNOWN" in crane("digest", f"{server.host}/{name}:1", fails=True)


def test_layers_put_through_the_api_are_pulled_from_the_registry(
    ecr: Any, crane: Run, server: Server, repository: Repository, images: Images
) -> None:
    name = repository("aws/api")
    manifest = images.layout.read(images.busybox)
    described = json.loads(manifest)

    for blob in (described["config"], *described["layers"]):
        content = images.layout.read(blob["digest"])
        upload = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
        ecr.upload_layer_part(
            repositoryName=name,
            uploadId=upload,
            partFirstByte=0,
            partLastByte=len(content) - 1,
            layerPartBlob=content,
        )
        ecr.complete_layer_upload(repositoryName=name, uploadId=upload, layerDigests=[blob["digest"]])
    ecr.put_image(repositoryName=name, imageManifest=manifest.decode(), imageTag="1")

    assert crane("digest", f"{server.host}/{name}:1") == images.busybox.digest
    crane("validate", "--remote", f"{server.host}/{name}:1")


def test_immutable_tag_refuses_another_image(
    crane: Run, server: Server, repository: Repository, images: Images, tmp_path: Path
) -> None:
    there = f"{server.host}/{repository('aws/immutable', imageTagMutability='IMMUTABLE')}:1"
    crane("push", images.layout.alone(tmp_path / "one", images.busybox), there)

    said = crane("push", images.layout.alone(tmp_path / "two", images.whiteouts), there, fails=True)

    assert "because the repository is immutable" in said
    assert crane("digest", there) == images.busybox.digest


def test_repository_with_images_is_deleted_only_by_force(
    ecr: Any, crane: Run, server: Server, repository: Repository, images: Images, tmp_path: Path
) -> None:
    name = repository("aws/delete")
    crane("push", images.layout.alone(tmp_path / "one", images.busybox), f"{server.host}/{name}:1")

    with pytest.raises(ClientError, match="RepositoryNotEmptyException"):
        ecr.delete_repository(repositoryName=name)
    ecr.delete_repository(repositoryName=name, force=True)

    assert "NAME_UNKNOWN" in crane("ls", f"{server.host}/{name}", fails=True)
