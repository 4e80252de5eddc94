"""podman and buildah of two releases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Repository, Run
from .conftest import Images, Suite

RUN = ["run", "--rm", "--network=none"]


@pytest.fixture
def podman(signed_in: Run, suite: Suite) -> Run:
    """podman 5 wants to see cgroups of version 2 only."""
    environment = {"CGROUP2": "1"} if suite.name == "trixie" else {}

    def podman(*words: object, **options: Any) -> str:
        return signed_in("podman", *words, env=environment, **options)

    return podman


@pytest.fixture
def busybox(signed_in: Run, registry: str, repository: Repository, images: Images) -> str:
    """A reference in the registry."""
    reference = f"{registry}/{repository('podman/busybox')}:1"
    signed_in("skopeo", "copy", f"oci:{images.layout.folder}:busybox", f"docker://{reference}")
    return reference


def test_login_when_the_password_is_wrong_is_refused(client: Run, registry: str) -> None:
    login = ["podman", "login", "--tls-verify=false", "--username", "AWS", "--password-stdin", registry]

    said = client(*login, input="wrong", fails=True)

    assert "invalid username/password" in said


def test_pulled_image_runs(podman: Run, busybox: str, images: Images) -> None:
    podman("pull", busybox)

    assert podman("image", "inspect", "--format", "{{.Digest}}", busybox).strip() == images.busybox.digest
    assert podman(*RUN, busybox) == "hello from the registry\n"


def test_pull_by_digest(podman: Run, busybox: str, images: Images) -> None:
    by_digest = f"{busybox.rpartition(':')[0]}@{images.busybox.digest}"

    podman("pull", by_digest)

    assert podman(*RUN, by_digest) == "hello from the registry\n"


def test_pushed_image_comes_back_and_runs(
    podman: Run, busybox: str, registry: str, repository: Repository, tmp_path: Path
) -> None:
    pushed = f"{registry}/{repository('podman/pushed')}:1"
    podman("pull", busybox)
    podman("tag", busybox, pushed)

    podman("push", "--digestfile", tmp_path / "digest", pushed)
    podman("rmi", "--all", "--force")
    podman("pull", pushed)

    assert (
        podman("image", "inspect", "--format", "{{.Digest}}", pushed).strip()
        == (tmp_path / "digest").read_text()
    )
    assert podman(*RUN, pushed) == "hello from the registry\n"


def test_push_with_zstd_layers(
    podman: Run, busybox: str, registry: str, repository: Repository, signed_in: Run
) -> None:
    pushed = f"{registry}/{repository('podman/zstd')}:1"
    podman("pull", busybox)

    podman("push", "--format", "oci", "--compression-format", "zstd", busybox, pushed)

    raw = json.loads(signed_in("skopeo", "inspect", "--raw", f"docker://{pushed}"))
    assert raw["layers"][0]["mediaType"].endswith("+zstd")


def test_list_of_platforms_pushed_by_podman(
    podman: Run, signed_in: Run, registry: str, repository: Repository, images: Images
) -> None:
    name = repository("podman/list")
    signed_in(
        "skopeo", "copy", "--all", f"oci:{images.layout.folder}:multi", f"docker://{registry}/{name}:source"
    )

    podman("manifest", "create", "list:1")
    podman("manifest", "add", "--all", "list:1", f"docker://{registry}/{name}:source")
    podman("manifest", "push", "--all", "list:1", f"docker://{registry}/{name}:list")

    raw = json.loads(signed_in("skopeo", "inspect", "--raw", f"docker://{registry}/{name}:list"))
    assert {entry["platform"]["architecture"] for entry in raw["manifests"]} == {"amd64", "arm", "arm64"}


@pytest.mark.parametrize("form", ["oci", "docker"])
def test_image_built_by_buildah_runs_in_podman(
    podman: Run,
    signed_in: Run,
    busybox: str,
    registry: str,
    repository: Repository,
    tmp_path: Path,
    form: str,
) -> None:
    built = f"{registry}/{repository(f'buildah/{form}')}:1"
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text(
        f'FROM {busybox}\nRUN echo built > /built\nCMD ["cat", "/built"]\n'
    )

    signed_in("buildah", "build", "--format", form, "--layers", "--tag", built, tmp_path / "context")
    signed_in("buildah", "push", built)
    signed_in("buildah", "rmi", "--all", "--force")
    podman("pull", built)

    assert podman(*RUN, built) == "built\n"


def test_pull_after_logout_is_refused(podman: Run, signed_in: Run, busybox: str, registry: str) -> None:
    podman("logout", registry)

    said = podman("pull", busybox, fails=True)

    assert "unauthorized" in said or "no basic auth" in said or "authentication required" in said
