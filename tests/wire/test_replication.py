"""Replication between regions and accounts: pushed by the name of one registry, pulled by that of another."""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from ..conftest import Need, Run, Server, ecr_password, running, until
from .conftest import Images
from .images import digests

HOME, FAR, ACCOUNT = "us-east-1", "eu-west-1", "123456789012"
VISIBLE_S = 2.0
"""How long an image may take from its push to the other region."""


@dataclass(frozen=True)
class Place:
    """A registry: a region of the server, by the name under which clients reach it."""

    host: str
    region: str
    client: Callable[[str], Any]

    @property
    def ecr(self) -> Any:
        return self.client("ecr")

    def digest_of(self, name: str, tag: str) -> str | None:
        """What the tag points at, if it is there."""
        try:
            found = self.ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])
        except (self.ecr.exceptions.RepositoryNotFoundException, self.ecr.exceptions.ImageNotFoundException):
            return None
        return str(found["imageDetails"][0]["imageDigest"])

    def wait_for(self, name: str, tag: str, digest: str, seconds: float = VISIBLE_S) -> float:
        """Seconds until the image is there."""
        started = time.monotonic()
        for _ in until(seconds, f"{name}:{tag} is not in {self.region} after {seconds} s"):
            if self.digest_of(name, tag) == digest:
                return time.monotonic() - started
        raise AssertionError


@pytest.fixture(scope="module")
def two_regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Place, Place]]:
    """`localhost` is the registry of the home region, `127.0.0.1` that of the far one."""
    folder = tmp_path_factory.mktemp("replication")
    configuration = folder / "moorage.toml"
    configuration.write_text(f'[aliases]\n"127.0.0.1" = "{ACCOUNT}/{FAR}"\n')
    with running(folder, "--account", ACCOUNT, "--region", HOME, "--config", str(configuration)) as server:
        keys = server.data / "credentials"
        home = Place(f"localhost:{server.port}", HOME, _client(server, keys, HOME))
        far = Place(f"127.0.0.1:{server.port}", FAR, _client(server, keys, FAR))
        yield server, home, far


@pytest.fixture
def crane(need: Need, run: Run, two_regions: tuple[Server, Place, Place]) -> Run:
    """crane, signed in to both."""
    _, home, far = two_regions
    program = need("crane")
    for place in (home, far):
        run(
            *(program, "auth", "login", place.host, "--username", "AWS", "--password-stdin"),
            input=ecr_password(place.ecr),
        )

    def crane(*words: object, **options: object) -> str:
        return run(program, *words, **options).strip()

    return crane


def _client(server: Server, credentials: Path, region: str) -> Callable[[str], Any]:
    profile = configparser.ConfigParser()
    profile.read(credentials)
    section = profile[profile.sections()[0]]

    def client(service: str) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=server.endpoint,
            aws_access_key_id=section["aws_access_key_id"],
            aws_secret_access_key=section["aws_secret_access_key"],
        )

    return client


def _replicate(source: Place, *destinations: tuple[str, str], **rule: Any) -> None:
    named = [{"region": region, "registryId": account} for region, account in destinations]
    rules = [{"destinations": named, **rule}] if named else []
    source.ecr.put_replication_configuration(replicationConfiguration={"rules": rules})


def test_a_pushed_index_is_pulled_in_the_other_region_with_all_its_platforms(
    two_regions: tuple[Server, Place, Place], crane: Run, images: Images, tmp_path: Path
) -> None:
    _, home, far = two_regions
    _replicate(home, (FAR, ACCOUNT))
    home.ecr.create_repository(repositoryName="team/multi")

    crane(
        "push", "--index", images.layout.alone(tmp_path / "multi", images.multi), f"{home.host}/team/multi:1"
    )
    far.wait_for("team/multi", "1", images.multi.digest)

    assert crane("digest", f"{far.host}/team/multi:1") == images.multi.digest
    assert crane("manifest", f"{far.host}/team/multi:1") == crane("manifest", f"{home.host}/team/multi:1")
    crane("validate", "--remote", f"{far.host}/team/multi:1")
    crane("pull", "--format", "oci", f"{far.host}/team/multi:1", tmp_path / "back")
    assert images.multi.digest in digests(tmp_path / "back")


def test_what_refers_to_an_image_follows_it(
    two_regions: tuple[Server, Place, Place], crane: Run, images: Images, tmp_path: Path
) -> None:
    _, home, far = two_regions
    home.ecr.create_repository(repositoryName="team/signed")
    _replicate(home)
    crane("push", images.layout.alone(tmp_path / "image", images.busybox), f"{home.host}/team/signed:1")
    crane(
        *("push", images.layout.alone(tmp_path / "report", images.report)),
        f"{home.host}/team/signed@{images.report.digest}",
    )
    _replicate(home, (FAR, ACCOUNT))

    crane("tag", f"{home.host}/team/signed:1", "2")
    far.wait_for("team/signed", "2", images.busybox.digest)

    subject = {"imageDigest": images.busybox.digest}
    for _ in until(5, "the report did not follow"):
        found = far.ecr.list_image_referrers(repositoryName="team/signed", subjectId=subject)["referrers"]
        if [each["digest"] for each in found] == [images.report.digest]:
            break


def test_the_status_of_a_pushed_image_is_told_for_each_destination(
    two_regions: tuple[Server, Place, Place], crane: Run, images: Images, tmp_path: Path
) -> None:
    _, home, far = two_regions
    _replicate(home, (FAR, ACCOUNT), ("ap-south-1", "210987654321"))
    home.ecr.create_repository(repositoryName="team/status")

    crane("push", images.layout.alone(tmp_path / "one", images.busybox), f"{home.host}/team/status:1")
    far.wait_for("team/status", "1", images.busybox.digest)

    for _ in until(5, "it stays in progress"):
        said = home.ecr.describe_image_replication_status(
            repositoryName="team/status", imageId={"imageTag": "1"}
        )
        if "IN_PROGRESS" not in [each["status"] for each in said["replicationStatuses"]]:
            break
    assert said["imageId"] == {"imageDigest": images.busybox.digest, "imageTag": "1"}
    assert said["replicationStatuses"] == [
        {
            "region": "ap-south-1",
            "registryId": "210987654321",
            "status": "FAILED",
            "failureCode": "AccessDenied",
        },
        {"region": FAR, "registryId": ACCOUNT, "status": "COMPLETE"},
    ]


def test_another_account_pulls_its_replica_when_its_registry_policy_lets_it_in(
    two_regions: tuple[Server, Place, Place], crane: Run, images: Images, tmp_path: Path
) -> None:
    server, home, _ = two_regions
    program = Path(sys.executable).with_name("moorage")
    command = [program, "account", "create", "--data", server.data, "--json"]
    created = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    theirs = Place("", HOME, _client(server, Path(created["credentials"]), HOME))
    account = theirs.client("sts").get_caller_identity()["Account"]
    statement = {
        "Sid": "replicas",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": ["ecr:CreateRepository", "ecr:ReplicateImage"],
        "Resource": f"arn:aws:ecr:{HOME}:{account}:repository/shared/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    theirs.ecr.put_registry_policy(policyText=policy)
    _replicate(home, (HOME, account))
    for name in ("shared/app", "private/app"):
        home.ecr.create_repository(repositoryName=name)
        layout = images.layout.alone(tmp_path / name.replace("/", "-"), images.busybox)
        crane("push", layout, f"{home.host}/{name}:1")

    theirs.wait_for("shared/app", "1", images.busybox.digest)

    got = theirs.ecr.batch_get_image(repositoryName="shared/app", imageIds=[{"imageTag": "1"}])
    assert got["images"][0]["imageId"]["imageDigest"] == images.busybox.digest
    assert [each["repositoryName"] for each in theirs.ecr.describe_repositories()["repositories"]] == [
        "shared/app"
    ]


def test_a_backfill_brings_what_was_pushed_before_the_rule_and_deletions_follow(
    two_regions: tuple[Server, Place, Place], crane: Run, images: Images, tmp_path: Path
) -> None:
    _, home, far = two_regions
    _replicate(home)
    home.ecr.create_repository(repositoryName="old/app")
    crane("push", images.layout.alone(tmp_path / "one", images.whiteouts), f"{home.host}/old/app:1")
    _replicate(
        home,
        (FAR, ACCOUNT),
        repositoryFilters=[{"filter": "old", "filterType": "PREFIX_MATCH"}],
        deleteReplication={"enabled": True},
    )

    begun = home.ecr.start_replication_backfill(destination={"region": FAR, "registryId": ACCOUNT})
    assert begun["status"] == "PREPARING"
    for _ in until(10, "the backfill does not end"):
        said = home.ecr.describe_replication_backfill_results(
            replicationBackfillId=begun["replicationBackfillId"]
        )
        if "endedAt" in said:
            break

    assert said["status"] == "COMPLETE"
    assert said["progress"] == {
        "totalReplicationCount": 1,
        "completedReplicationCount": 1,
        "failedReplicationCount": 0,
        "failureCodes": [],
    }
    assert [each["imageId"]["imageTag"] for each in said["results"]] == ["1"]
    crane("validate", "--remote", f"{far.host}/old/app:1")
    home.ecr.batch_delete_image(repositoryName="old/app", imageIds=[{"imageTag": "1"}])
    for _ in until(VISIBLE_S, "the deletion did not follow"):
        if far.digest_of("old/app", "1") is None:
            break
