"""A layer of 1 GiB through two clients, each reading what the other wrote."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import Need, Repository, Run, Server
from .conftest import LOGIN
from .images import Descriptor, Layout, digests


@pytest.fixture
def back(tmp_path: Path) -> Iterator[Path]:
    """A folder for what comes back, removed at once: it is large."""
    yield tmp_path / "back"
    shutil.rmtree(tmp_path / "back", ignore_errors=True)


@pytest.fixture
def skopeo(need: Need, run: Run, server: Server, password: str, tmp_path: Path) -> Run:
    environment = {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    need("skopeo")
    run(*LOGIN, server.host, env=environment, input=password)

    def skopeo(*words: object) -> str:
        return run("skopeo", *words, env=environment, timeout=600)

    return skopeo


def test_pushed_by_skopeo_pulled_by_crane(
    skopeo: Run,
    crane: Run,
    server: Server,
    repository: Repository,
    large: tuple[Layout, Descriptor],
    back: Path,
) -> None:
    layout, image = large
    there = f"{server.host}/{repository('large/skopeo')}:1"

    skopeo("copy", "--dest-tls-verify=false", f"oci:{layout.folder}:1", f"docker://{there}")
    crane("pull", "--format", "oci", there, back)

    assert crane("digest", there) == image.digest
    assert digests(back) == digests(layout.folder)


def test_pushed_by_crane_pulled_by_skopeo(
    skopeo: Run,
    crane: Run,
    server: Server,
    repository: Repository,
    large: tuple[Layout, Descriptor],
    back: Path,
) -> None:
    layout, image = large
    there = f"{server.host}/{repository('large/crane')}:1"

    crane("push", layout.folder, there)
    skopeo("copy", "--src-tls-verify=false", f"docker://{there}", f"oci:{back}:1")

    assert crane("digest", there) == image.digest
    assert digests(back) == digests(layout.folder)
