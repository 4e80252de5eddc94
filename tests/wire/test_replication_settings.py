"""Settings of repositories that go along with images: to another region, another account, another installation."""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from ..conftest import Need, Run, Server, ecr_password, free_port, running, until
from .conftest import Images
from .test_replication_peers import PUSHES

HOME, FAR, ACCOUNT, OTHER = "us-east-1", "eu-west-1", "123456789012", "210987654321"
SECONDS = 10.0
VISIBLE_S = 2.0
LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5},
                "action": {"type": "expire"},
            }
        ]
    },
    separators=(",", ":"),
)
READERS = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
    "Action": "ecr:BatchGetImage",
}
SETTINGS = [
    "ecr:DeleteLifecyclePolicy",
    "ecr:DeleteRepositoryPolicy",
    "ecr:ListTagsForResource",
    "ecr:PutImageScanningConfiguration",
    "ecr:PutImageTagMutability",
    "ecr:PutLifecyclePolicy",
    "ecr:SetRepositoryPolicy",
    "ecr:TagResource",
    "ecr:UntagResource",
]
"""What docs/replication.md says that the role needs."""


def document(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def set_everything(ecr: Any, name: str) -> None:
    ecr.put_image_tag_mutability(
        repositoryName=name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}],
    )
    ecr.put_image_scanning_configuration(repositoryName=name, imageScanningConfiguration={"scanOnPush": True})
    ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=LIFECYCLE)
    ecr.set_repository_policy(repositoryName=name, policyText=document(READERS))
    ecr.tag_resource(resourceArn=arn_of(ecr, name), tags=[{"Key": "team", "Value": "red"}])


def arn_of(ecr: Any, name: str) -> str:
    return str(ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryArn"])


def settings(ecr: Any, name: str) -> dict[str, Any]:
    """As the API tells them."""
    (said,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    tags = ecr.list_tags_for_resource(resourceArn=said["repositoryArn"])["tags"]
    return {
        "mutability": said["imageTagMutability"],
        "filters": [each["filter"] for each in said.get("imageTagMutabilityExclusionFilters", [])],
        "scanning": said["imageScanningConfiguration"]["scanOnPush"],
        "tags": {tag["Key"]: tag["Value"] for tag in tags},
        "policy": _text(lambda: json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"])),
        "lifecycle": _text(lambda: ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]),
    }


def _text(ask: Callable[[], Any]) -> Any:
    """None where there is none."""
    try:
        return ask()
    except Exception as error:
        if "PolicyNotFoundException" in type(error).__name__:
            return None
        raise


EVERYTHING = {
    "mutability": "IMMUTABLE_WITH_EXCLUSION",
    "filters": ["dev-*"],
    "scanning": True,
    "tags": {"team": "red"},
    "policy": json.loads(document(READERS)),
    "lifecycle": LIFECYCLE,
}
NOTHING = {
    "mutability": "MUTABLE",
    "filters": [],
    "scanning": False,
    "tags": {},
    "policy": None,
    "lifecycle": None,
}


def wait_for(ecr: Any, name: str, wanted: dict[str, Any], seconds: float = SECONDS) -> None:
    found: dict[str, Any] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = settings(ecr, name)
        if found == wanted:
            return
        time.sleep(0.05)
    assert found == wanted


def replicate(ecr: Any, region: str, account: str) -> None:
    rule = {"destinations": [{"region": region, "registryId": account}]}
    ecr.put_replication_configuration(replicationConfiguration={"rules": [rule]})


def jobs(server: Server, state: str, to: str = "") -> dict[str, str]:
    """Their errors, by the setting; of those to a registry, ACCOUNT/REGION."""
    program = Path(sys.executable).with_name("moorage")
    command = [program, "jobs", "--data", server.data, "--json"]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return {
        each["subject"].rpartition("/")[2]: each["error"]
        for each in said
        if (each["kind"], each["state"]) == ("replicate setting", state) and f"/{to}" in each["subject"]
    }


# Two regions and two accounts of one server


@dataclass(frozen=True)
class One:
    server: Server

    def client(self, region: str, keys: Path | None = None) -> Any:
        profile = configparser.ConfigParser()
        profile.read(keys or self.server.data / "credentials")
        section = profile[profile.sections()[0]]
        return boto3.client(
            "ecr",
            region_name=region,
            endpoint_url=self.server.endpoint,
            aws_access_key_id=section["aws_access_key_id"],
            aws_secret_access_key=section["aws_secret_access_key"],
        )

    def account(self) -> tuple[str, Any]:
        """Another one, and a client of its root."""
        program = Path(sys.executable).with_name("moorage")
        command = [program, "account", "create", "--account", OTHER, "--data", self.server.data, "--json"]
        made = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
        return OTHER, self.client(HOME, Path(made["credentials"]))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[One]:
    folder = tmp_path_factory.mktemp("settings")
    chosen = '["lifecycle", "mutability", "policy", "scanning", "tags"]'
    (folder / "moorage.toml").write_text(
        f'[replication_settings]\n"{ACCOUNT}/{FAR}" = {chosen}\n"{OTHER}/{HOME}" = {chosen}\n'
    )
    options = ("--account", ACCOUNT, "--region", HOME, "--config", str(folder / "moorage.toml"))
    with running(folder, *options) as server:
        yield One(server)


def test_settings_are_the_same_in_the_other_region_also_when_they_are_taken_off(one: One) -> None:
    home, far = one.client(HOME), one.client(FAR)
    replicate(home, FAR, ACCOUNT)
    for ecr in (home, far):
        ecr.create_repository(repositoryName="team/app")

    set_everything(home, "team/app")
    wait_for(far, "team/app", EVERYTHING, VISIBLE_S)

    home.delete_repository_policy(repositoryName="team/app")
    home.delete_lifecycle_policy(repositoryName="team/app")
    home.untag_resource(resourceArn=arn_of(home, "team/app"), tagKeys=["team"])
    wait_for(far, "team/app", {**EVERYTHING, "tags": {}, "policy": None, "lifecycle": None}, VISIBLE_S)
    home.delete_repository(repositoryName="team/app")
    assert settings(far, "team/app")["mutability"] == EVERYTHING["mutability"]
    assert jobs(one.server, "failed", f"{ACCOUNT}/{FAR}") == {}


def test_another_account_refuses_what_its_policy_does_not_allow_and_takes_the_rest(one: One) -> None:
    account, theirs = one.account()
    home = one.client(HOME)
    statement = {
        "Sid": "replicas",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": [
            "ecr:ReplicateImage",
            "ecr:PutImageTagMutability",
            "ecr:PutLifecyclePolicy",
            "ecr:TagResource",
        ],
        "Resource": f"arn:aws:ecr:{HOME}:{account}:repository/shared/*",
    }
    theirs.put_registry_policy(policyText=document(statement))
    replicate(home, HOME, account)
    for ecr in (home, theirs):
        ecr.create_repository(repositoryName="shared/app")

    set_everything(home, "shared/app")

    wait_for(theirs, "shared/app", {**EVERYTHING, "policy": None, "scanning": False})
    for _ in until(SECONDS, "the refusals are not told"):
        refused = jobs(one.server, "failed", f"{account}/{HOME}")
        if len(refused) == 2:
            break
    assert "is not authorized to perform: ecr:SetRepositoryPolicy" in refused["policy"]
    assert "is not authorized to perform: ecr:PutImageScanningConfiguration" in refused["scanning"]

    statement["Action"] = "ecr:*"
    theirs.put_registry_policy(policyText=document(statement))
    home.set_repository_policy(repositoryName="shared/app", policyText=document(READERS))
    wait_for(theirs, "shared/app", {**EVERYTHING, "scanning": False})


def test_a_backfill_brings_settings_to_repositories_that_are_there(one: One) -> None:
    home, far = one.client(HOME), one.client(FAR)
    home.put_replication_configuration(replicationConfiguration={"rules": []})
    for ecr in (home, far):
        ecr.create_repository(repositoryName="old/app")
    set_everything(home, "old/app")
    replicate(home, FAR, ACCOUNT)

    home.start_replication_backfill(destination={"region": FAR, "registryId": ACCOUNT})

    wait_for(far, "old/app", EVERYTHING)


# Two servers


@dataclass(frozen=True)
class Two:
    here: Server
    there: Server


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Each is the other's peer."""
    folders = [tmp_path_factory.mktemp(name) for name in ("here", "there")]
    ports, accounts = [free_port(), free_port()], (ACCOUNT, OTHER)
    for number, folder in enumerate(folders):
        other = 1 - number
        (folder / "moorage.toml").write_text(
            f"""
account = "{accounts[number]}"
[[replication_peers]]
account = "{accounts[other]}"
region = "{HOME}"
url = "http://127.0.0.1:{ports[other]}"
networks = "127.0.0.0/8"
credentials = "peer-credentials"
role_arn = "arn:aws:iam::{accounts[other]}:role/replication"
[replication_settings]
"{accounts[other]}/{HOME}" = ["lifecycle", "mutability", "policy", "scanning", "tags"]
"""
        )
    options = [
        ("--config", str(folder / "moorage.toml"), "--listen", f"127.0.0.1:{port}")
        for folder, port in zip(folders, ports, strict=True)
    ]
    with running(folders[0], *options[0]) as first, running(folders[1], *options[1]) as second:
        _let_in(first, ACCOUNT, folders[1] / "peer-credentials")
        _let_in(second, OTHER, folders[0] / "peer-credentials")
        replicate(first.client("ecr"), HOME, OTHER)
        replicate(second.client("ecr"), HOME, ACCOUNT)
        yield Two(first, second)


def _let_in(server: Server, account: str, credentials: Path) -> None:
    """A role that may push and set settings below `team/`, no scanning; and the key of a user who may assume it."""
    iam = server.client("iam")
    iam.create_user(UserName="replication")
    key = iam.create_access_key(UserName="replication")["AccessKey"]
    credentials.write_text(
        f"[peer]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"
    )
    credentials.chmod(0o600)
    user = f"arn:aws:iam::{account}:user/replication"
    trust = {"Effect": "Allow", "Principal": {"AWS": user}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="replication", AssumeRolePolicyDocument=document(trust))
    able = [action for action in SETTINGS if action != "ecr:PutImageScanningConfiguration"]
    teams = {
        "Effect": "Allow",
        "Action": [*able, *PUSHES],
        "Resource": f"arn:aws:ecr:*:{account}:repository/team/*",
    }
    token = {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}
    iam.put_role_policy(RoleName="replication", PolicyName="settings", PolicyDocument=document(teams, token))
    assume = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Resource": f"arn:aws:iam::{account}:role/replication",
    }
    iam.put_user_policy(UserName="replication", PolicyName="assume", PolicyDocument=document(assume))


def test_two_installations_that_replicate_to_each_other_come_to_rest_with_the_last_change(two: Two) -> None:
    here, there = two.here.client("ecr"), two.there.client("ecr")
    for ecr in (here, there):
        ecr.create_repository(repositoryName="team/both")

    set_everything(here, "team/both")
    wait_for(there, "team/both", {**EVERYTHING, "scanning": False})
    for _ in until(SECONDS, "the refusal is not told"):
        if refused := jobs(two.here, "failed"):
            break
    assert refused.keys() == {"scanning"}
    assert "PutImageScanningConfiguration" in refused["scanning"]

    for turn in range(5):  # at the same time, as far as that goes
        for ecr, side in ((here, "here"), (there, "there")):
            ecr.tag_resource(
                resourceArn=arn_of(ecr, "team/both"), tags=[{"Key": "last", "Value": f"{side} {turn}"}]
            )
    wanted = {"team": "red", "last": "there 4"}
    wait_for(here, "team/both", {**EVERYTHING, "tags": wanted})
    wait_for(there, "team/both", {**EVERYTHING, "scanning": False, "tags": wanted})
    for server in (two.here, two.there):
        for _ in until(SECONDS, f"{server.log}: it does not come to rest"):
            if not jobs(server, "waiting") and not jobs(server, "running"):
                break
    there.delete_repository_policy(repositoryName="team/both")
    there.delete_lifecycle_policy(repositoryName="team/both")
    wait_for(here, "team/both", {**EVERYTHING, "tags": wanted, "policy": None, "lifecycle": None})


def test_a_repository_that_is_not_there_gets_nothing_and_nothing_waits_for_it(two: Two, run: Run) -> None:
    here = two.here.client("ecr")
    here.create_repository(repositoryName="team/alone")

    here.put_image_tag_mutability(repositoryName="team/alone", imageTagMutability="IMMUTABLE")

    for _ in until(SECONDS, "it waits"):
        if not jobs(two.here, "waiting") and not jobs(two.here, "running"):
            break
    assert "mutability" not in jobs(two.here, "failed")


def test_a_repository_that_is_made_for_an_image_gets_its_settings_and_one_that_is_archived_is_restored(
    two: Two, need: Need, run: Run, images: Images, tmp_path: Path
) -> None:
    here, there = two.here.client("ecr"), two.there.client("ecr")
    here.create_repository(repositoryName="team/made")
    set_everything(here, "team/made")
    program = need("crane")
    password = ecr_password(here)
    run(program, "auth", "login", two.here.host, "--username", "AWS", "--password-stdin", input=password)
    layout = images.layout.alone(tmp_path / "one", images.busybox)

    run(program, "push", layout, f"{two.here.host}/team/made:1")
    _wait_for_tags(there, "team/made", ["1"])
    wait_for(there, "team/made", {**EVERYTHING, "scanning": False})

    image = {"imageDigest": images.busybox.digest}
    there.update_image_storage_class(repositoryName="team/made", imageId=image, targetStorageClass="ARCHIVE")
    run(program, "push", layout, f"{two.here.host}/team/made:2")
    _wait_for_tags(there, "team/made", ["1", "2"])
    (found,) = there.describe_images(repositoryName="team/made", imageIds=[image])["imageDetails"]
    assert found["imageStatus"] == "ACTIVE"


def test_a_tag_that_moves_in_two_installations_at_once_comes_to_rest_at_one_image(
    two: Two, need: Need, run: Run, images: Images, tmp_path: Path
) -> None:
    program, sides = need("crane"), (two.here, two.there)
    layouts = [images.layout.alone(tmp_path / name, image) for name, image in _two_of(images)]
    for server in sides:
        server.client("ecr").create_repository(repositoryName="team/moving")
    for server in sides:
        password = ecr_password(server.client("ecr"))
        run(program, "auth", "login", server.host, "--username", "AWS", "--password-stdin", input=password)
        for number, layout in enumerate(layouts):
            run(program, "push", layout, f"{server.host}/team/moving:v{number}")

    def move(number: int) -> None:
        run(program, "tag", f"{sides[number].host}/team/moving:v{number}", "latest")

    with ThreadPoolExecutor(2) as threads:
        for _ in range(3):
            list(threads.map(move, range(2)))

    seen: list[set[str]] = []
    for _ in until(SECONDS, f"it does not come to rest: {seen[-10:]}"):
        seen.append({_digest_of(server.client("ecr"), "team/moving", "latest") for server in sides})
        if len(seen) > 10 and all(each == seen[-1] and len(each) == 1 for each in seen[-10:]):
            return


def _two_of(images: Images) -> list[tuple[str, Any]]:
    return [("busybox", images.busybox), ("whiteouts", images.whiteouts)]


def _digest_of(ecr: Any, name: str, tag: str) -> str:
    found = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])["imageDetails"]
    return str(found[0]["imageDigest"])


def _wait_for_tags(ecr: Any, name: str, wanted: list[str]) -> None:
    found: list[str] = []
    for _ in until(SECONDS, f"{name} does not get {wanted}"):
        try:
            found = sorted(
                each.get("imageTag", "") for each in ecr.list_images(repositoryName=name)["imageIds"]
            )
        except ecr.exceptions.RepositoryNotFoundException:
            continue
        if found == wanted:
            return
