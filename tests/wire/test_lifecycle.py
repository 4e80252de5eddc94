"""`moorage lifecycle` beside the running server."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Run, Server

NAMES = count()
NEWEST = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 2},
            "action": {"type": "expire"},
        }
    ]
}
Moorage = Callable[..., Any]


@pytest.fixture
def lifecycle(server: Server, run: Run) -> Moorage:
    program = Path(sys.executable).with_name("moorage")

    def lifecycle(*words: object) -> Any:
        return json.loads(run(program, "lifecycle", *words, "--data", server.data, "--json"))

    return lifecycle


@pytest.fixture
def ecr(server: Server) -> Any:
    return server.client("ecr")


@pytest.fixture
def app(ecr: Any) -> Iterator[str]:
    """A repository with the images v0 to v4, oldest first."""
    name = f"lifecycle/app-{next(NAMES)}"
    ecr.create_repository(repositoryName=name)
    upload = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    place = {"repositoryName": name, "uploadId": upload}
    ecr.upload_layer_part(**place, partFirstByte=0, partLastByte=1, layerPartBlob=b"{}")
    config = "sha256:" + hashlib.sha256(b"{}").hexdigest()
    ecr.complete_layer_upload(**place, layerDigests=[config])
    for number in range(5):
        ecr.put_image(repositoryName=name, imageManifest=manifest(config, number), imageTag=f"v{number}")
    yield name
    ecr.delete_repository(repositoryName=name, force=True)


def manifest(config: str, number: int) -> str:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config,
                "size": 2,
            },
            "layers": [],
            "annotations": {"number": str(number)},
        }
    )


def tags(ecr: Any, name: str) -> set[str]:
    return {each["imageTag"] for each in ecr.list_images(repositoryName=name)["imageIds"]}


def test_run_has_the_server_apply_the_policy_at_once(ecr: Any, app: str, lifecycle: Moorage) -> None:
    ecr.put_lifecycle_policy(repositoryName=app, lifecyclePolicyText=json.dumps(NEWEST))

    shown = lifecycle("run", app, "--dry-run")
    before = tags(ecr, app)
    done = lifecycle("run", app)

    assert [each["imageTags"] for each in shown[app]] == [["v0"], ["v1"], ["v2"]]
    assert {each["why"] for each in shown[app]} == {"it is not among the newest 2 that the rule selects"}
    assert len(before) == 5
    assert done == {app: {"expired": 3, "archived": 0, "untagged": 0, "failed": 0, "left": []}}
    assert tags(ecr, app) == {"v3", "v4"}
    assert ecr.get_lifecycle_policy(repositoryName=app)["lastEvaluatedAt"].timestamp() > 0


def test_run_without_a_name_applies_every_policy(ecr: Any, app: str, lifecycle: Moorage) -> None:
    ecr.put_lifecycle_policy(repositoryName=app, lifecyclePolicyText=json.dumps(NEWEST))

    assert lifecycle("run")[app]["expired"] == 3


def test_explain_says_which_rule_decides_and_why(
    ecr: Any, app: str, lifecycle: Moorage, tmp_path: Path
) -> None:
    selection = {
        "tagStatus": "tagged",
        "tagPatternList": ["*0", "v*"],
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 1,
    }
    first = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    (tmp_path / "policy.json").write_text(
        json.dumps({"rules": [first, NEWEST["rules"][0] | {"rulePriority": 2}]})
    )

    explained = lifecycle("explain", app, "--policy", tmp_path / "policy.json")

    assert [(each["imageTags"], each["action"], each["rulePriority"], each["why"]) for each in explained] == [
        (["v0"], None, 1, "it was pushed or restored within 1 day"),
        (["v1"], "expire", 2, "it is not among the newest 2 that the rule selects"),
        (["v2"], "expire", 2, "it is not among the newest 2 that the rule selects"),
        (["v3"], None, 2, "it is among the newest 2 that the rule selects"),
        (["v4"], None, 2, "it is among the newest 2 that the rule selects"),
    ]
    assert len(tags(ecr, app)) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "nowhere"), "The repository with name 'nowhere' does not exist"),
        (("explain", "nowhere"), "The repository with name 'nowhere' does not exist"),
        (("explain", "A"), "'A' is no name of a repository"),
        (("run", "--account", "1"), "--account is '1'"),
    ],
)
def test_what_is_not_there_is_told(server: Server, words: tuple[str, ...], said: str) -> None:
    program = Path(sys.executable).with_name("moorage")

    done = subprocess.run(
        [program, "lifecycle", *words, "--data", server.data], capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert said in done.stderr


def test_a_repository_without_a_policy_is_told(server: Server, app: str) -> None:
    program = Path(sys.executable).with_name("moorage")
    command = [program, "lifecycle", "explain", app, "--data", server.data]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "Lifecycle policy does not exist" in done.stderr


def test_what_is_in_use_stays(ecr: Any, app: str, lifecycle: Moorage) -> None:
    ecr.put_lifecycle_policy(repositoryName=app, lifecyclePolicyText=json.dumps(NEWEST))
    shown = ecr.describe_images(repositoryName=app, imageIds=[{"imageTag": "v0"}])["imageDetails"][0]
    image = f"{app}@{shown['imageDigest']}"

    lifecycle("protect", image, "--by", "cluster-1")
    uses = lifecycle("uses", app)
    lifecycle("run", app)
    protected = tags(ecr, app)
    lifecycle("unprotect", image, "--by", "cluster-1")
    lifecycle("run", app)

    assert [(each["imageDigest"], each["consumer"], each["until"]) for each in uses] == [
        (shown["imageDigest"], "cluster-1", None)
    ]
    assert protected == {"v0", "v3", "v4"}
    assert tags(ecr, app) == {"v3", "v4"}


def test_a_default_policy_is_shown_put_and_removed(lifecycle: Moorage, tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(json.dumps(NEWEST, indent=2))

    put = lifecycle("default", "--put", tmp_path / "policy.json")
    shown = lifecycle("default")
    removed = lifecycle("default", "--remove")

    assert put == shown == {"policy": NEWEST}
    assert removed == {"policy": None}


def test_nothing_can_be_brought_back_without_a_window(app: str, lifecycle: Moorage) -> None:
    assert lifecycle("undelete", app) == []
