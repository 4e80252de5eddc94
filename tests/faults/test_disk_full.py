"""A disk that is full: a clear error in the protocol's own form, nothing lost, and all works again with space."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ..conftest import lacking
from .conftest import MIB, Image, Running, Wire, digest_of, eventually, serving

DISK = 24 * MIB
NAME = "full"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        lacking(f"a small disk cannot be mounted: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def server(disk: Path) -> Iterator[Running]:
    with serving(disk / "data", "--memory-cache", "0") as server:
        server.client().create_repository(repositoryName=NAME)
        yield server


def test_a_layer_that_does_not_fit_is_refused_and_leaves_nothing(server: Running, disk: Path) -> None:
    wire = server.wire()
    image = Image.random(1, "kept", (3 * MIB, 100))
    image.push(wire, NAME)
    free = _free(disk)

    whole = _push(wire, os.urandom(DISK))
    chunked = _push_in_chunks(wire, os.urandom(DISK))

    for answer in (whole, chunked):
        assert answer.status == 507
        assert answer.json["errors"][0]["message"].startswith("There is no space left")
    eventually(lambda: not server.uploads(), "the partial file is still there")
    assert _free(disk) >= free - MIB // 4  # the log of the database may have grown
    assert len(server.blobs()) == 2
    assert not server.rows("SELECT 1 FROM uploads")
    image.check(wire, NAME)
    Image.random(2, "later", (8 * MIB, 100)).push(wire, NAME)


def test_the_api_says_server_exception(server: Running, disk: Path) -> None:
    client = server.client()
    session = client.initiate_layer_upload(repositoryName=NAME)["uploadId"]

    for part in range(2):
        _upload_part(client, session, part * 8 * MIB, os.urandom(8 * MIB))
    with pytest.raises(ClientError) as refused:
        _upload_part(client, session, 16 * MIB, os.urandom(8 * MIB))

    assert refused.value.response["Error"]["Code"] == "ServerException"
    assert "no space left" in refused.value.response["Error"]["Message"]
    assert not server.uploads()
    with pytest.raises(ClientError) as ended:
        _upload_part(client, session, 0, b"more")
    assert ended.value.response["Error"]["Code"] == "UploadNotFoundException"


def test_pulls_go_on_while_the_disk_is_full(server: Running, disk: Path) -> None:
    wire = server.wire()
    image = Image.random(1, "kept", (3 * MIB, 100))
    image.push(wire, NAME)

    with _Ballast(disk):
        for _ in range(5):
            image.check(wire, NAME)
            assert _push(wire, os.urandom(MIB)).status == 507
        _check_all_is_there(server, wire, [image])


def test_a_database_that_cannot_grow_refuses_pushes_and_works_again_with_space(server: Running, disk: Path) -> None:
    wire = server.wire()
    config = b"{}"
    wire.push_blob(NAME, config)
    images = [Image.of(f"{number:03}-{'x' * 100}", [*[config] * 300, config]) for number in range(400)]
    pushed, refused = [], []

    with _Ballast(disk):
        for image in images:
            answer = wire.put_manifest(NAME, image.tag, image.manifest + b" " * len(pushed))
            if answer.status == 201:
                pushed.append(image)
            else:
                refused.append(answer)
            if len(refused) == 3:
                break
        assert len(refused) == 3, "the disk never was full"
        for answer in refused:
            assert answer.status == 507, answer
            assert answer.json["errors"][0]["message"].startswith("There is no space left")
        with pytest.raises(ClientError) as error:
            server.client().create_repository(repositoryName="x" * 200)
        assert error.value.response["Error"]["Code"] == "ServerException"

    Image.random(3, "again", (MIB, 100)).push(wire, NAME)
    for number, image in enumerate(pushed):
        answer = wire.ask("GET", f"/v2/{NAME}/manifests/{image.tag}")
        assert (answer.status, answer.body) == (200, image.manifest + b" " * number)


class _Ballast:
    """What fills the disk up to the last page, for the block."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "ballast"

    def __enter__(self) -> None:
        with self._path.open("wb", buffering=0) as file:
            for size in (65_536, 4_096):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def __exit__(self, *_: object) -> None:
        self._path.unlink()


def _push(wire: Wire, content: bytes) -> Any:
    return wire.ask("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest_of(content)}", body=content)


def _push_in_chunks(wire: Wire, content: bytes) -> Any:
    location = wire.begin(NAME)
    for first in range(0, len(content), MIB):
        answer = wire.ask("PATCH", location, body=content[first : first + MIB])
        if answer.status != 202:
            return answer
    raise AssertionError("all of it fitted")


def _upload_part(client: Any, session: str, first: int, part: bytes) -> None:
    client.upload_layer_part(
        repositoryName=NAME,
        uploadId=session,
        partFirstByte=first,
        partLastByte=first + len(part) - 1,
        layerPartBlob=part,
    )


def _check_all_is_there(server: Running, wire: Wire, images: list[Image]) -> None:
    """Nothing is on the disk but what rows name; what they name is there."""
    for image in images:
        image.check(wire, NAME)

    def is_clear() -> bool:
        named = {blob.hex() for (blob,) in server.rows("SELECT id FROM blobs")}
        return not server.uploads() and {path.name for path in server.blobs()} == named

    eventually(is_clear, "files without a row", seconds=90)
    assert not server.rows("SELECT 1 FROM uploads")


def _free(disk: Path) -> int:
    status = os.statvfs(disk)
    return status.f_bavail * status.f_frsize


