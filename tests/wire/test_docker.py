"""Docker Engine: 20.10 with its classic store, 26 with containerd's image store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Repository, Run, Server
from .conftest import Images, Suite, daemon

Docker = Callable[..., str]


@pytest.fixture(scope="module")
def engine(suite: Suite, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Docker Engine that was started for these tests; its address."""
    folder = tmp_path_factory.mktemp("docker")
    address = f"unix://{folder}/socket"
    (folder / "daemon.json").write_text('{"features": {"containerd-snapshotter": true}}')
    store = (
        ["--storage-driver=overlay2"] if suite.name == "bookworm" else [f"--config-file={folder}/daemon.json"]
    )
    command = [
        "dockerd",
        f"--host={address}",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--pidfile={folder}/pid",
        f"--insecure-registry={registry}",
        *store,
        *("--bridge=none", "--ip-forward=false", "--ip6tables=false", "--iptables=false"),
    ]
    with daemon(suite, command, ready=["docker", "--host", address, "version"], log=folder / "log"):
        yield address
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def docker(suite: Suite, engine: str, run: Run) -> Docker:
    def docker(*words: object, **options: object) -> str:
        return run(*suite.command("/usr/bin/docker", "--host", engine, *words), **options)

    return docker


@pytest.fixture
def signed_in(docker: Docker, registry: str, password: str) -> Docker:
    docker("login", "--username", "AWS", "--password-stdin", registry, input=password)
    return docker


@pytest.fixture
def busybox(signed_in: Docker, images: Images, registry: str, repository: Repository) -> str:
    """A reference that was pushed, and is still in the engine."""
    reference = f"{registry}/{repository('docker/busybox')}:1"
    hello = 'CMD ["/bin/sh", "-c", "echo hello from the registry"]'
    signed_in("import", "--change", hello, images.rootfs, reference)
    signed_in("push", reference)
    return reference


def test_login_when_the_password_is_wrong_is_refused(docker: Docker, registry: str) -> None:
    said = docker("login", "-u", "AWS", "--password-stdin", registry, input="wrong", fails=True)

    assert "401 Unauthorized" in said or "unauthorized" in said


def test_pulled_image_runs(signed_in: Docker, busybox: str) -> None:
    signed_in("rmi", "--force", busybox)

    signed_in("pull", busybox)

    assert signed_in("run", "--rm", "--network=none", busybox) == "hello from the registry\n"


def test_pull_by_digest(signed_in: Docker, busybox: str, ecr: Any) -> None:
    pushed = _digest(signed_in, busybox)
    by_digest = f"{busybox.rpartition(':')[0]}@{pushed}"
    signed_in("rmi", "--force", busybox)

    said = signed_in("pull", by_digest)

    assert f"Digest: {pushed}" in said
    detail = ecr.describe_images(repositoryName=_repository(busybox))["imageDetails"][0]
    assert (detail["imageDigest"], detail["imageTags"]) == (pushed, ["1"])


def test_push_to_a_second_repository_mounts_the_layers(
    suite: Suite, signed_in: Docker, busybox: str, registry: str, repository: Repository
) -> None:
    second = f"{registry}/{repository('docker/second')}:1"
    signed_in("tag", busybox, second)

    said = signed_in("push", second)

    assert _digest(signed_in, busybox) in said
    if suite.name == "bookworm":
        assert f"Mounted from {_repository(busybox)}" in said
    else:
        assert "Pushed" in said or "Mounted" in said or "exists" in said


def test_push_again_uploads_nothing(signed_in: Docker, busybox: str) -> None:
    said = signed_in("push", busybox)

    assert "already exists" in said


def test_image_built_from_a_pushed_one_runs_after_push_and_pull(
    signed_in: Docker, busybox: str, registry: str, repository: Repository, tmp_path: Path
) -> None:
    derived = f"{registry}/{repository('docker/derived')}:1"
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text(
        f'FROM {busybox}\nRUN echo built > /built && rm /etc/group\nCMD ["cat", "/built"]\n'
    )
    signed_in("rmi", "--force", busybox)

    build = ["build", "--network=none", "--pull", "--tag", derived]
    signed_in(*build, tmp_path / "context", env={"DOCKER_BUILDKIT": "0"})
    signed_in("push", derived)
    signed_in("rmi", "--force", derived)
    signed_in("pull", derived)

    assert signed_in("run", "--rm", "--network=none", derived) == "built\n"
    signed_in("run", "--rm", "--network=none", derived, "test", "!", "-e", "/etc/group")


def test_pull_of_an_index_chooses_the_platform(
    signed_in: Docker,
    crane: Run,
    server: Server,
    registry: str,
    repository: Repository,
    images: Images,
    tmp_path: Path,
) -> None:
    name = repository("docker/multi")
    crane("push", "--index", images.layout.alone(tmp_path / "multi", images.multi), f"{server.host}/{name}:1")

    signed_in("pull", f"{registry}/{name}:1")
    ran = signed_in("run", "--rm", "--network=none", f"{registry}/{name}:1")
    said = signed_in("pull", "--platform", "linux/arm64", f"{registry}/{name}:1")

    assert ran == "hello from the registry\n"
    assert "Downloaded newer image" in said or "up to date" in said


def test_pulled_image_has_the_files_that_its_layers_say(
    signed_in: Docker,
    crane: Run,
    server: Server,
    registry: str,
    repository: Repository,
    images: Images,
    tmp_path: Path,
) -> None:
    name = repository("docker/whiteouts")
    crane("push", images.layout.alone(tmp_path / "one", images.whiteouts), f"{server.host}/{name}:1")

    look = "ls a o; stat -c %a setuid; cat hard symbolic; ls | grep -c xxxxx"
    said = signed_in("run", "--rm", "--network=none", f"{registry}/{name}:1", "sh", "-c", look)

    assert said.split() == ["a:", "keep", "o:", "three", "4755", "keepkeep1"]


def test_pull_after_logout_is_refused(signed_in: Docker, busybox: str, registry: str) -> None:
    signed_in("rmi", "--force", busybox)
    signed_in("logout", registry)

    said = signed_in("pull", busybox, fails=True)

    assert "no basic auth credentials" in said


def test_loopback_address_needs_no_setting(
    signed_in: Docker, images: Images, server: Server, password: str, repository: Repository
) -> None:
    reference = f"{server.host}/{repository('docker/loopback')}:1"
    signed_in("login", "--username", "AWS", "--password-stdin", server.host, input=password)
    signed_in("import", images.rootfs, reference)

    said = signed_in("push", reference)

    assert "digest: sha256:" in said


def _digest(docker: Docker, reference: str) -> str:
    known = docker("image", "inspect", "--format", '{{join .RepoDigests " "}}', reference).split()
    return next(
        name.partition("@")[2] for name in known if name.startswith(f"{reference.rpartition(':')[0]}@")
    )


def _repository(reference: str) -> str:
    return reference.partition("/")[2].rpartition(":")[0]
