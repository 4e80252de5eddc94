"""crane, the command line of go-containerregistry: what kaniko, ko and cosign are built on."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from ..conftest import Need, Repository, Run, Server
from .conftest import Images
from .images import digests


def test_login_is_checked_when_something_is_asked(
    need: Need, run: Run, server: Server, repository: Repository
) -> None:
    program = need("crane")
    run(program, "auth", "login", server.host, "-u", "AWS", "--password-stdin", input="wrong")

    said = run(program, "ls", f"{server.host}/{repository('crane/refused')}", fails=True)

    assert "UNAUTHORIZED" in said


def test_pushed_layout_comes_back_unchanged(
    crane: Run, server: Server, repository: Repository, images: Images, tmp_path: Path
) -> None:
    there = f"{server.host}/{repository('crane/layout')}:1"

    crane("push", images.layout.alone(tmp_path / "one", images.whiteouts), there)
    crane("pull", "--format", "oci", there, tmp_path / "back")

    assert crane("digest", there) == images.whiteouts.digest
    assert images.whiteouts.digest in digests(tmp_path / "back")
    crane("validate", "--remote", there)


def test_index_comes_back_with_all_platforms(
    crane: Run, server: Server, repository: Repository, images: Images, tmp_path: Path
) -> None:
    there = f"{server.host}/{repository('crane/multi')}:1"

    crane("push", "--index", images.layout.alone(tmp_path / "multi", images.multi), there)

    assert crane("digest", there) == images.multi.digest
    assert json.loads(crane("config", "--platform", "linux/arm64", there))["architecture"] == "arm64"
    crane("validate", "--remote", there)


def test_append_adds_a_layer(
    crane: Run, server: Server, repository: Repository, images: Images, tmp_path: Path
) -> None:
    name = f"{server.host}/{repository('crane/append')}"
    crane("push", images.layout.alone(tmp_path / "one", images.busybox), f"{name}:base")
    (tmp_path / "added").write_text("added")
    with tarfile.open(tmp_path / "layer.tar", "w") as tar:
        tar.add(tmp_path / "added", arcname="added")

    crane(
        "append", "--base", f"{name}:base", "--new_layer", tmp_path / "layer.tar", "--new_tag", f"{name}:more"
    )
    crane("export", f"{name}:more", tmp_path / "files.tar")

    assert len(json.loads(crane("manifest", f"{name}:more"))["layers"]) == 2
    with tarfile.open(tmp_path / "files.tar") as tar:
        assert {"added", "bin/busybox"} <= set(tar.getnames())


def test_copy_to_another_repository_keeps_the_digest(
    crane: Run, server: Server, repository: Repository, images: Images, tmp_path: Path
) -> None:
    first, second = (f"{server.host}/{repository(f'crane/{name}')}:1" for name in ("from", "to"))
    crane("push", images.layout.alone(tmp_path / "one", images.busybox), first)

    crane("cp", first, second)

    assert crane("digest", second) == images.busybox.digest


def test_tags_catalog_and_delete(
    crane: Run, server: Server, repository: Repository, images: Images, tmp_path: Path
) -> None:
    name = repository("crane/tags")
    crane("push", images.layout.alone(tmp_path / "one", images.busybox), f"{server.host}/{name}:a")
    crane("tag", f"{server.host}/{name}:a", "b")

    assert crane("ls", f"{server.host}/{name}").split() == ["a", "b"]
    assert name in crane("catalog", server.host).split()
    crane("delete", f"{server.host}/{name}@{images.busybox.digest}")
    assert "MANIFEST_UNKNOWN" in crane("digest", f"{server.host}/{name}:a", fails=True)


def test_artifact_lists_as_a_referrer(
    crane: Run, server: Server, repository: Repository, images: Images, tmp_path: Path
) -> None:
    name = f"{server.host}/{repository('crane/referrers')}"
    crane("push", images.layout.alone(tmp_path / "subject", images.busybox), f"{name}:1")
    crane("push", images.layout.alone(tmp_path / "report", images.report), f"{name}:report")

    found = json.loads(crane("manifest", f"{name}:report"))

    assert found["subject"]["digest"] == images.busybox.digest
