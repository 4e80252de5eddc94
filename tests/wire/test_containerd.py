"""containerd of two releases, driven by ctr."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..conftest import Repository, Run
from .conftest import Images, Suite, daemon
from .images import Layout

Ctr = Callable[..., str]

CONFIG = """version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/socket"
"""


@pytest.fixture(scope="module")
def socket(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a containerd that was started for these tests."""
    folder = tmp_path_factory.mktemp("containerd")
    (folder / "config.toml").write_text(CONFIG.format(folder=folder))
    socket = folder / "socket"
    command = ["containerd", "--config", folder / "config.toml"]
    with daemon(suite, command, ready=["ctr", "--address", socket, "version"], log=folder / "log"):
        yield socket
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ctr(suite: Suite, socket: Path, run: Run) -> Ctr:
    def ctr(*words: object, **options: object) -> str:
        return run(*suite.command("ctr", "--address", socket, "--namespace", "test", *words), **options)

    return ctr


@pytest.fixture
def hosts(registry: str, tmp_path: Path) -> list[str]:
    """Options that say where the registry is, as /etc/containerd/certs.d does for a node."""
    folder = tmp_path / "certs.d" / registry
    folder.mkdir(parents=True)
    (folder / "hosts.toml").write_text(
        f'server = "http://{registry}"\n[host."http://{registry}"]\n  capabilities = ["pull", "push", "resolve"]\n'
    )
    return ["--hosts-dir", str(tmp_path / "certs.d")]


@pytest.fixture
def trusted(hosts: list[str], password: str) -> list[str]:
    return [*hosts, "--user", f"AWS:{password}"]


@pytest.fixture
def archive(images: Images, tmp_path: Path) -> Path:
    """The layout with its tags as names, in the form that `ctr images import` takes."""
    return pack(images.layout, tmp_path / "images.tar")


def test_push_when_the_password_is_wrong_is_refused(
    ctr: Ctr, archive: Path, hosts: list[str], registry: str, repository: Repository
) -> None:
    reference = f"{registry}/{repository('ctr/refused')}:1"
    ctr("images", "import", "--base-name", "local", archive)
    ctr("images", "tag", "--force", "local:busybox", reference)

    said = ctr("images", "push", *hosts, "--user", "AWS:wrong", reference, fails=True)

    assert "401 Unauthorized" in said


def test_pulled_image_runs(
    ctr: Ctr,
    archive: Path,
    trusted: list[str],
    registry: str,
    repository: Repository,
    images: Images,
    tmp_path: Path,
) -> None:
    reference = f"{registry}/{repository('ctr/busybox')}:1"
    ctr("images", "import", "--base-name", "local", archive)
    ctr("images", "tag", "--force", "local:busybox", reference)

    ctr("images", "push", *trusted, reference)
    ctr("images", "rm", "--sync", *ctr("images", "ls", "--quiet").split())
    ctr("images", "pull", *trusted, reference)

    listed = ctr("images", "ls", f"name=={reference}")
    assert images.busybox.digest in listed
    command = ["run", "--rm", "--fifo-dir", tmp_path / "fifo", reference, "hello", "/bin/echo", "it runs"]
    assert ctr(*command) == "it runs\n"


def test_index_with_all_platforms_comes_back(
    ctr: Ctr, archive: Path, trusted: list[str], registry: str, repository: Repository, images: Images
) -> None:
    reference = f"{registry}/{repository('ctr/multi')}:1"
    ctr("images", "import", "--all-platforms", "--base-name", "local", archive)
    ctr("images", "tag", "--force", "local:multi", reference)

    ctr("images", "push", *trusted, reference)
    ctr("images", "rm", "--sync", *ctr("images", "ls", "--quiet").split())
    ctr("images", "pull", *trusted, "--all-platforms", reference)

    listed = ctr("images", "ls", f"name=={reference}")
    assert images.multi.digest in listed
    assert "linux/amd64,linux/arm/v7,linux/arm64" in listed


def test_pull_of_a_missing_tag_says_not_found(
    ctr: Ctr, trusted: list[str], registry: str, repository: Repository
) -> None:
    said = ctr("images", "pull", *trusted, f"{registry}/{repository('ctr/empty')}:1", fails=True)

    assert "not found" in said


def pack(layout: Layout, archive: Path) -> Path:
    with tarfile.open(archive, "w") as tar:
        for path in sorted(layout.folder.rglob("*")):
            tar.add(path, arcname=str(path.relative_to(layout.folder)), recursive=False)
    return archive
