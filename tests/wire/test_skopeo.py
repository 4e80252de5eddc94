"""skopeo of two releases: copy, inspect, list, delete, whole indexes, compression, mirroring."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..conftest import Repository, Run
from .conftest import LOGIN, Images
from .images import Descriptor, Layout, digests


def test_login_when_the_password_is_wrong_is_refused(client: Run, registry: str) -> None:
    said = client(*LOGIN, registry, input="wrong", fails=True)

    assert "invalid username/password" in said


def test_copy_out_of_the_registry_gives_the_bytes_copied_in(
    signed_in: Run, registry: str, repository: Repository, debian: tuple[Layout, Descriptor], tmp_path: Path
) -> None:
    layout, image = debian
    there = f"docker://{registry}/{repository('skopeo/debian')}:12"

    signed_in("skopeo", "copy", f"oci:{layout.folder}:1", there)
    signed_in("skopeo", "copy", there, f"oci:{tmp_path}/back:1")

    assert digests(tmp_path / "back") == digests(layout.folder)
    assert json.loads(signed_in("skopeo", "inspect", there))["Digest"] == image.digest


def test_inspect_raw_gives_the_manifest_unchanged(
    signed_in: Run, registry: str, repository: Repository, images: Images
) -> None:
    there = f"docker://{registry}/{repository('skopeo/raw')}:1"
    signed_in("skopeo", "copy", f"oci:{images.layout.folder}:whiteouts", there)

    raw = signed_in("skopeo", "inspect", "--raw", there)

    said = json.loads(signed_in("skopeo", "inspect", there))
    assert said["Digest"] == f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}"
    assert len(said["Layers"]) == 3


def test_copy_all_carries_every_platform_of_an_index(
    signed_in: Run, registry: str, repository: Repository, images: Images, tmp_path: Path
) -> None:
    there = f"docker://{registry}/{repository('skopeo/multi')}:1"

    signed_in("skopeo", "copy", "--all", f"oci:{images.layout.folder}:multi", there)
    signed_in("skopeo", "copy", "--all", there, f"oci:{tmp_path}/back:1")

    raw = signed_in("skopeo", "inspect", "--raw", there)
    assert raw.encode() == images.layout.read(images.multi)
    assert images.multi.digest in digests(tmp_path / "back")
    arm = json.loads(signed_in("skopeo", "--override-arch", "arm64", "inspect", there))
    assert arm["Architecture"] == "arm64"


def test_copy_between_repositories_keeps_the_digest(
    signed_in: Run, registry: str, repository: Repository, images: Images
) -> None:
    first, second = repository("skopeo/from"), repository("skopeo/to")
    signed_in("skopeo", "copy", f"oci:{images.layout.folder}:busybox", f"docker://{registry}/{first}:1")

    signed_in("skopeo", "copy", f"docker://{registry}/{first}:1", f"docker://{registry}/{second}:1")

    there = f"docker://{registry}/{second}@{images.busybox.digest}"
    assert json.loads(signed_in("skopeo", "inspect", there))["Digest"] == images.busybox.digest


def test_list_tags_and_delete(signed_in: Run, registry: str, repository: Repository, images: Images) -> None:
    there = f"docker://{registry}/{repository('skopeo/tags')}"
    for tag in ("1", "1.0", "latest"):
        signed_in("skopeo", "copy", f"oci:{images.layout.folder}:busybox", f"{there}:{tag}")

    assert json.loads(signed_in("skopeo", "list-tags", there))["Tags"] == ["1", "1.0", "latest"]
    signed_in("skopeo", "delete", f"{there}:1")

    said = signed_in("skopeo", "inspect", f"{there}@{images.busybox.digest}", fails=True)
    assert "manifest unknown" in said


def test_copy_to_a_missing_repository_says_so(signed_in: Run, registry: str, images: Images) -> None:
    there = f"docker://{registry}/skopeo/nowhere:1"

    said = signed_in("skopeo", "copy", f"oci:{images.layout.folder}:busybox", there, fails=True)

    assert "does not exist" in said


def test_compressions_are_kept(
    signed_in: Run, registry: str, repository: Repository, images: Images, tmp_path: Path
) -> None:
    there = f"docker://{registry}/{repository('skopeo/zstd')}"
    signed_in(
        "skopeo", "copy", f"oci:{images.layout.folder}:busybox", f"docker-archive:{tmp_path}/image.tar:b:1"
    )

    for name in ("gzip", "zstd", "zstd:chunked"):
        tag = name.replace(":", "-")
        compressed = ["--format", "oci", "--dest-compress-format", name]
        signed_in("skopeo", "copy", *compressed, f"docker-archive:{tmp_path}/image.tar", f"{there}:{tag}")
        layer = json.loads(signed_in("skopeo", "inspect", "--raw", f"{there}:{tag}"))["layers"][0]

        assert layer["mediaType"].endswith(f"tar+{name.partition(':')[0]}")
        assert bool(layer.get("annotations")) == (name == "zstd:chunked")


def test_sync_carries_all_tags_of_a_repository(
    signed_in: Run, registry: str, repository: Repository, images: Images, tmp_path: Path
) -> None:
    name = repository("skopeo/sync")
    for tag in ("a", "b"):
        signed_in(
            "skopeo", "copy", f"oci:{images.layout.folder}:busybox", f"docker://{registry}/{name}:{tag}"
        )
    (tmp_path / "mirror").mkdir()

    signed_in("skopeo", "sync", "--src", "docker", "--dest", "dir", f"{registry}/{name}", tmp_path / "mirror")

    stem = name.rpartition("/")[2]
    assert {path.name for path in (tmp_path / "mirror").iterdir()} == {f"{stem}:a", f"{stem}:b"}
