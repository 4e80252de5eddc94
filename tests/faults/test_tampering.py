"""Who can write to the disk cannot make us serve a wrong byte; who can read it learns nothing of what is stored."""

from __future__ import annotations

import json
import os
import random
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ..wire.registry.client import CONFIG_TYPE, OCI_MANIFEST, Gone, manifest
from .conftest import MIB, Image, Running, Wire, digest_of, serving

NAME = "tampered"
SIZE = 3 * MIB + 17
SMALL = 70_000
WINDOW = 32
IN_THE_CLEAR = {"root.key", "credentials"}


@pytest.fixture(scope="module", params=["cold", "cached"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    cache = "0" if request.param == "cold" else str(64 * MIB)
    with serving(tmp_path_factory.mktemp("tampering") / "data", "--memory-cache", cache) as server:
        server.client().create_repository(repositoryName=NAME)
        yield server


@pytest.fixture(scope="module")
def wire(server: Running) -> Wire:
    return server.wire()


def _flip_at(position: Callable[[int], int]) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        with path.open("r+b") as file:
            at = position(path.stat().st_size)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))

    return flip


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _cut_a_frame(path: Path) -> None:
    os.truncate(path, 64 + 65_552)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _extend(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


def _exchange_frames(path: Path) -> None:
    content = bytearray(path.read_bytes())
    first, second = slice(64, 64 + 65_552), slice(64 + 65_552, 64 + 2 * 65_552)
    content[first], content[second] = content[second], content[first]
    path.write_bytes(content)


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "header": _flip_at(lambda size: 40),
    "first frame": _flip_at(lambda size: 64),
    "middle": _flip_at(lambda size: size // 2),
    "last byte": _flip_at(lambda size: size - 1),
    "random": _flip_at(lambda size: random.Random(size).randrange(size)),
    "cut by a byte": _cut,
    "cut at a frame": _cut_a_frame,
    "empty": _empty,
    "extended": _extend,
    "frames exchanged": _exchange_frames,
    "zeros": _zero,
    "gone": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("size", [SIZE, 2 * SMALL])
@pytest.mark.parametrize("served_before", [0, 3])
def test_a_damaged_file_is_never_served_wrong(
    server: Running, wire: Wire, damage: str, size: int, served_before: int
) -> None:
    content = random.Random(f"{damage} {size} {served_before} {server.pid}").randbytes(size)
    before = set(server.blobs())
    digest = wire.push_blob(NAME, content)
    [path] = set(server.blobs()) - before
    for _ in range(served_before):
        assert _get(wire, digest) == content

    DAMAGES[damage](path)

    # What memory holds is what was stored; what comes from the disk breaks.
    got = [_get(wire, digest) for _ in range(3)]
    assert set(got) <= {None, content}
    if not served_before:
        assert got == [None] * 3
    part = _get(wire, digest, {"Range": f"bytes={size // 2}-{size // 2 + 9}"})
    assert part in (None, content[size // 2 : size // 2 + 10])
    assert server.process.poll() is None


def test_two_files_exchanged_are_not_served(server: Running, wire: Wire) -> None:
    contents = [os.urandom(SMALL) for _ in range(2)]
    before = set(server.blobs())
    digests = [wire.push_blob(NAME, content) for content in contents]
    one, two = set(server.blobs()) - before

    one_content, two_content = one.read_bytes(), two.read_bytes()
    one.write_bytes(two_content)
    two.write_bytes(one_content)

    assert [_get(wire, digest) for digest in digests] == [None, None]


def test_a_file_behind_a_link_is_not_followed(server: Running, wire: Wire, tmp_path: Path) -> None:
    before = set(server.blobs())
    digest = wire.push_blob(NAME, os.urandom(SMALL))
    [path] = set(server.blobs()) - before

    os.replace(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    assert _get(wire, digest) is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE images SET sealed_manifest = (SELECT sealed_manifest FROM images WHERE id = :other) WHERE id = :one",
        "UPDATE images SET sealed_manifest = x'00' WHERE id = :one",
        "UPDATE images SET sealed_manifest = zeroblob(length(sealed_manifest)) WHERE id = :one",
    ],
)
def test_manifests_exchanged_in_the_database_are_not_served(
    server: Running, wire: Wire, statement: str
) -> None:
    names = [f"t-{secrets.token_hex(4)}-{number}" for number in range(2)]
    images = [Image.random(server.pid, name, (100, 100)) for name in names]
    for image in images:
        image.push(wire, NAME)
    ids = [server.rows(f"SELECT image FROM tags WHERE tag = '{name}'")[0][0] for name in names]

    _change(server, statement, {"one": ids[0], "other": ids[1]})

    answer = wire.ask("GET", f"/v2/{NAME}/manifests/{images[0].digest}")
    assert answer.status == 500
    assert images[1].manifest not in answer.body
    assert wire.ask("GET", f"/v2/{NAME}/manifests/{names[0]}").status == 500
    assert wire.ask("GET", f"/v2/{NAME}/manifests/{images[1].digest}").body == images[1].manifest


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE blobs SET wrapped_key = (SELECT wrapped_key FROM blobs WHERE digest = :other) WHERE digest = :one",
        "UPDATE blobs SET digest = CAST(x'01' || randomblob(32) AS BLOB) WHERE digest = :one",
        "UPDATE blobs SET size = size - 1 WHERE digest = :one",
        "UPDATE blobs SET domain = 999 WHERE digest = :one",
        "UPDATE repository_blobs SET blob = (SELECT id FROM blobs WHERE digest = :other) WHERE digest = :one",
    ],
)
def test_rows_of_blobs_that_were_changed_serve_nothing_wrong(
    server: Running, wire: Wire, statement: str
) -> None:
    contents = [os.urandom(SMALL) for _ in range(2)]
    digests = [wire.push_blob(NAME, content) for content in contents]
    packed = [b"\x01" + bytes.fromhex(digest.removeprefix("sha256:")) for digest in digests]

    _change(server, statement, {"one": packed[0], "other": packed[1]})

    assert _get(wire, digests[0]) is None
    assert _get(wire, digests[1]) == contents[1]


def test_no_plaintext_is_on_the_disk(tmp_path: Path) -> None:
    """Not of a layer, finished or not, nor of a manifest, a secret or a password, whatever file it might be in."""
    with serving(tmp_path / "data") as server:
        client, wire = server.client(), server.wire()
        client.create_repository(repositoryName=NAME)
        images = [
            Image.random(number, f"tag-{number}", (200_000, 65_536, 65_537, 700)) for number in range(3)
        ]
        for image in images:
            image.push(wire, NAME)
            image.check(wire, NAME)
        unfinished = os.urandom(300_000)
        assert wire.ask("PATCH", wire.begin(NAME), body=unfinished).status == 202
        api_layer = os.urandom(100_000)
        session = client.initiate_layer_upload(repositoryName=NAME)["uploadId"]
        client.upload_layer_part(
            repositoryName=NAME,
            uploadId=session,
            partFirstByte=0,
            partLastByte=99_999,
            layerPartBlob=api_layer,
        )
        client.complete_layer_upload(
            repositoryName=NAME, uploadId=session, layerDigests=[digest_of(api_layer)]
        )
        secret = next(
            line.partition(" = ")[2].encode()
            for line in (server.data / "credentials").read_text().splitlines()
            if line.startswith("aws_secret_access_key")
        )
        texts = [layer for image in images for layer in image.layers] + [unfinished, api_layer, secret]
        noted = manifest(
            annotations={"org.example.note": secrets.token_urlsafe(60)}, subject=_subject(images[0])
        )
        wire.push_blob(NAME, b"{}")
        assert wire.put_manifest(NAME, "noted", noted).status == 201
        referrers = wire.ask("GET", f"/v2/{NAME}/referrers/{images[0].digest}")
        assert referrers.json["manifests"][0]["annotations"] == json.loads(noted)["annotations"]
        manifests = [image.manifest for image in images] + [noted]
        root = (server.data / "root.key").read_bytes()
        windows = _windows([*texts, root])
        # Types and digests stand in rows of their own, and as text in events and audit records.
        digests = [digest_of(b"{}"), *(image.digest for image in images)]
        digests += [digest_of(layer) for image in images for layer in image.layers]
        told = [f'igest":"{digest}","' for digest in digests]
        told += [f'ype":"{kind}","' for kind in (CONFIG_TYPE, OCI_MANIFEST)]
        windows |= _windows(manifests) - _windows([text.encode() for text in told])
        searched = 0
        for is_running in (True, False):
            if not is_running:
                assert server.stop() == 0
            for path in server.data.rglob("*"):
                if path.is_file() and path.name not in IN_THE_CLEAR:
                    content = path.read_bytes()
                    found = [
                        at for at in range(len(content) - WINDOW + 1) if content[at : at + WINDOW] in windows
                    ]
                    assert not found, f"{path} at {found[:3]}: {content[found[0] :][:WINDOW]!r}"
                    searched += 1
        assert searched > 20
        log = (tmp_path / "data.log").read_bytes()
        assert secret not in log


def _subject(image: Image) -> dict[str, Any]:
    return {"mediaType": OCI_MANIFEST, "digest": image.digest, "size": len(image.manifest)}


def _windows(texts: list[bytes]) -> set[bytes]:
    return {text[at : at + WINDOW] for text in texts for at in range(len(text) - WINDOW + 1)}


def _get(wire: Wire, digest: str, headers: dict[str, str] | None = None) -> bytes | None:
    """The blob, or None if the answer is an error or breaks off."""
    try:
        answer = wire.as_caller(wire.authorization).ask("GET", f"/v2/{NAME}/blobs/{digest}", headers or {})
    except Gone:
        return None
    return answer.body if answer.status in (200, 206) else None


def _change(server: Running, statement: str, values: dict[str, object]) -> None:
    with closing(sqlite3.connect(server.data / "moorage.db", timeout=30)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        used = {name: value for name, value in values.items() if f":{name}" in statement}
        connection.execute(statement, used)
