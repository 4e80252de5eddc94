"""Replication between two installations: the second is reached over HTTP, with a role assumed there."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Need, Run, Server, ecr_password, running, until
from .conftest import Images

REGION, ACCOUNT, OTHER = "us-east-1", "123456789012", "210987654321"
SECONDS = 5.0
PUSHES = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchDeleteImage",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:CreateRepository",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:ListImages",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]
"""What docs/replication.md says that the role needs."""


@dataclass(frozen=True)
class Two:
    here: Server
    there: Server

    def replicate(self, **rule: Any) -> None:
        rules = [{"destinations": [{"region": REGION, "registryId": OTHER}], **rule}]
        self.here.client("ecr").put_replication_configuration(replicationConfiguration={"rules": rules})

    def digest_there(self, name: str, tag: str) -> str | None:
        ecr = self.there.client("ecr")
        try:
            found = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])
        except (ecr.exceptions.RepositoryNotFoundException, ecr.exceptions.ImageNotFoundException):
            return None
        return str(found["imageDetails"][0]["imageDigest"])

    def wait_for(self, name: str, tag: str, digest: str | None) -> None:
        for _ in until(SECONDS, f"{name}:{tag} is not {digest} there, see {self.here.log}"):
            if self.digest_there(name, tag) == digest:
                return

    def status(self, name: str, tag: str) -> list[tuple[str, str | None]]:
        said = self.here.client("ecr").describe_image_replication_status(
            repositoryName=name, imageId={"imageTag": tag}
        )
        return [(each["status"], each.get("failureCode")) for each in said["replicationStatuses"]]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    here, there = (tmp_path_factory.mktemp(name) for name in ("here", "there"))
    with running(there, "--account", OTHER) as second:
        role = _role(second, here / "peer-credentials")
        (here / "moorage.toml").write_text(
            f"""
account = "{ACCOUNT}"
[[replication_peers]]
account = "{OTHER}"
region = "{REGION}"
url = "{second.endpoint}"
networks = "127.0.0.0/8"
credentials = "peer-credentials"
role_arn = "{role}"
"""
        )
        with running(here, "--config", str(here / "moorage.toml")) as first:
            yield Two(first, second)


def _role(server: Server, credentials: Path) -> str:
    """A role that may push below `team/`, and the key of a user who may do nothing but assume it."""
    iam = server.client("iam")
    iam.create_user(UserName="replication")
    key = iam.create_access_key(UserName="replication")["AccessKey"]
    credentials.write_text(
        f"[peer]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"
    )
    credentials.chmod(0o600)
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:user/replication"},
        "Action": "sts:AssumeRole",
    }
    role = iam.create_role(RoleName="replication", AssumeRolePolicyDocument=_document(trust))["Role"]["Arn"]
    teams = {"Effect": "Allow", "Action": PUSHES, "Resource": f"arn:aws:ecr:*:{OTHER}:repository/team/*"}
    token = {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}
    iam.put_role_policy(RoleName="replication", PolicyName="push", PolicyDocument=_document(teams, token))
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}
    iam.put_user_policy(UserName="replication", PolicyName="assume", PolicyDocument=_document(assume))
    return str(role)


def _document(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def crane(need: Need, run: Run, two: Two) -> Run:
    """crane, signed in to both."""
    program = need("crane")
    for server in (two.here, two.there):
        password = ecr_password(server.client("ecr"))
        run(program, "auth", "login", server.host, "--username", "AWS", "--password-stdin", input=password)

    def crane(*words: object, **options: object) -> str:
        return run(program, *words, **options).strip()

    return crane


def test_an_index_arrives_whole_in_a_repository_that_is_made_for_it(
    two: Two, crane: Run, images: Images, tmp_path: Path
) -> None:
    two.replicate()
    two.here.client("ecr").create_repository(repositoryName="team/multi")

    crane(
        "push",
        "--index",
        images.layout.alone(tmp_path / "multi", images.multi),
        f"{two.here.host}/team/multi:1",
    )
    two.wait_for("team/multi", "1", images.multi.digest)

    there = f"{two.there.host}/team/multi:1"
    assert crane("manifest", there) == crane("manifest", f"{two.here.host}/team/multi:1")
    crane("validate", "--remote", there)
    for _ in until(SECONDS, "the status stays in progress"):
        if two.status("team/multi", "1") == [("COMPLETE", None)]:
            break


def test_a_layer_of_many_parts_arrives_as_it_was(two: Two, crane: Run, tmp_path: Path) -> None:
    two.replicate()
    two.here.client("ecr").create_repository(repositoryName="team/large")
    (tmp_path / "content").write_bytes(os.urandom(10 << 20))
    with tarfile.open(tmp_path / "layer.tar", "w") as tar:
        tar.add(tmp_path / "content", arcname="content")
    place = f"{two.here.host}/team/large:1"

    crane("append", "--oci-empty-base", "--new_layer", tmp_path / "layer.tar", "--new_tag", place)
    two.wait_for("team/large", "1", crane("digest", place))

    crane("validate", "--remote", f"{two.there.host}/team/large:1")


def test_who_referred_to_an_image_before_the_rule_follows_it(
    two: Two, crane: Run, images: Images, tmp_path: Path
) -> None:
    two.here.client("ecr").put_replication_configuration(replicationConfiguration={"rules": []})
    two.here.client("ecr").create_repository(repositoryName="team/signed")
    name = f"{two.here.host}/team/signed"
    crane("push", images.layout.alone(tmp_path / "image", images.busybox), f"{name}:1")
    crane("push", images.layout.alone(tmp_path / "report", images.report), f"{name}@{images.report.digest}")
    two.replicate()

    crane("tag", f"{name}:1", "2")

    there, subject = two.there.client("ecr"), {"imageDigest": images.busybox.digest}
    two.wait_for("team/signed", "2", images.busybox.digest)
    for _ in until(SECONDS, "the report did not follow"):
        found = there.list_image_referrers(repositoryName="team/signed", subjectId=subject)["referrers"]
        if [each["digest"] for each in found] == [images.report.digest]:
            break


def test_what_the_role_may_not_is_told_as_the_failure(
    two: Two, crane: Run, images: Images, tmp_path: Path
) -> None:
    two.replicate()
    two.here.client("ecr").create_repository(repositoryName="private/app")

    crane("push", images.layout.alone(tmp_path / "one", images.busybox), f"{two.here.host}/private/app:1")

    for _ in until(SECONDS, "the status stays in progress"):
        if two.status("private/app", "1") == [("FAILED", "AccessDenied")]:
            break
    assert two.digest_there("private/app", "1") is None


def test_an_immutable_tag_there_stays_and_tags_and_images_deleted_here_go(
    two: Two, crane: Run, images: Images, tmp_path: Path
) -> None:
    there = two.there.client("ecr")
    there.create_repository(repositoryName="team/fixed", imageTagMutability="IMMUTABLE")
    crane("push", images.layout.alone(tmp_path / "own", images.whiteouts), f"{two.there.host}/team/fixed:1")
    two.replicate(deleteReplication={"enabled": True})
    here = two.here.client("ecr")
    here.create_repository(repositoryName="team/fixed")

    crane("push", images.layout.alone(tmp_path / "one", images.busybox), f"{two.here.host}/team/fixed:1")
    crane("tag", f"{two.here.host}/team/fixed:1", "2")
    two.wait_for("team/fixed", "2", images.busybox.digest)
    assert two.digest_there("team/fixed", "1") == images.whiteouts.digest

    here.batch_delete_image(repositoryName="team/fixed", imageIds=[{"imageDigest": images.busybox.digest}])
    two.wait_for("team/fixed", "2", None)
    for _ in until(SECONDS, "the image stays there"):
        left = there.describe_images(repositoryName="team/fixed")["imageDetails"]
        if [each["imageDigest"] for each in left] == [images.whiteouts.digest]:
            break
