"""What every blob store does, on each of them; then what is the disk's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from moorage.store.blobs.api import BlobStore
from moorage.store.blobs.disk import DiskBlobs
from moorage.store.blobs.memory import MemoryBlobs
from moorage.store.blobs.tiered import TieredBlobs

BLOB = bytes(range(16))
NAME = BLOB.hex()


@pytest.fixture(params=["disk", "memory", "tiered"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "tiered":
        return TieredBlobs(DiskBlobs(tmp_path / "data"), DiskBlobs(tmp_path / "archive"))
    return DiskBlobs(tmp_path / "data") if request.param == "disk" else MemoryBlobs()


def test_a_blob_is_there_after_commit_and_not_before(store: BlobStore) -> None:
    partial = store.create(BLOB)
    partial.write(b"one ")
    partial.flush()
    partial.write(memoryview(b"two"))
    with pytest.raises(FileNotFoundError):
        store.open(BLOB)

    partial.commit()
    stored = store.open(BLOB)
    buffer = bytearray(10)

    assert stored.size == 7
    assert stored.read_into(memoryview(buffer), 0) == 7
    assert stored.read_into(memoryview(buffer)[:3], 4) == 3
    assert stored.read_into(memoryview(buffer), 7) == 0
    assert bytes(buffer[:7]) == b"two two"
    stored.close()


def test_what_was_written_is_read_before_commit(store: BlobStore) -> None:
    partial, buffer = store.create(BLOB), bytearray(5)
    partial.write(b"content")

    assert partial.read_into(memoryview(buffer), 3) == 4
    assert buffer[:4] == b"tent"
    partial.discard()


def test_discard_removes_and_may_be_repeated(store: BlobStore) -> None:
    partial = store.create(BLOB)
    partial.write(b"content")

    partial.discard()
    partial.discard()

    with pytest.raises(FileNotFoundError):
        store.open(BLOB)
    store.create(BLOB).discard()


def test_discard_after_commit_removes_nothing(store: BlobStore) -> None:
    partial = store.create(BLOB)
    partial.commit()

    partial.discard()

    store.open(BLOB).close()


def test_an_id_is_begun_once(store: BlobStore) -> None:
    store.create(BLOB)

    with pytest.raises(FileExistsError):
        store.create(BLOB)


def test_delete_removes_partial_and_committed_and_nothing(store: BlobStore) -> None:
    store.delete(BLOB)
    store.create(BLOB)
    store.delete(BLOB)
    store.create(BLOB).commit()
    store.delete(BLOB)

    with pytest.raises(FileNotFoundError):
        store.open(BLOB)


def test_an_open_blob_stays_readable_when_it_is_deleted(store: BlobStore) -> None:
    partial = store.create(BLOB)
    partial.write(b"content")
    partial.commit()
    stored, buffer = store.open(BLOB), bytearray(7)

    store.delete(BLOB)

    assert stored.read_into(memoryview(buffer), 0) == 7
    assert buffer == b"content"
    stored.close()


def test_files_lie_where_the_format_says_and_are_the_owners(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "data"
    old = os.umask(0)
    try:
        store = DiskBlobs(root)
        store.create(BLOB).commit()
        store.create(bytes(16))
    finally:
        os.umask(old)

    files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert files == [f"blobs/00/{NAME}", f"uploads/{bytes(16).hex()}"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in [root, *root.rglob("*")] if path.is_dir()} == {
        0o700
    }


def test_opening_a_data_directory_again_keeps_it(tmp_path: Path) -> None:
    DiskBlobs(tmp_path).create(BLOB).commit()

    DiskBlobs(tmp_path).open(BLOB).close()


def test_links_are_not_followed(tmp_path: Path) -> None:
    store = DiskBlobs(tmp_path)
    (tmp_path / "elsewhere").write_bytes(b"secret")
    for path in (tmp_path / "blobs" / NAME[:2] / NAME, tmp_path / "uploads" / NAME):
        path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic links"):
        store.open(BLOB)
    with pytest.raises(FileExistsError):
        store.create(BLOB)


@pytest.mark.parametrize("name", [b"", b"short", b"../../../etc/pass", bytes(32)])
def test_what_is_no_blob_id_names_no_file(tmp_path: Path, name: bytes) -> None:
    store = DiskBlobs(tmp_path)

    for verb in (store.create, store.open, store.delete):
        with pytest.raises(ValueError, match="16 bytes"):
            verb(name)


def test_commit_syncs_the_file_then_renames_then_syncs_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = DiskBlobs(tmp_path).create(BLOB)
    partial.write(b"content")
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def spy_fsync(file: int) -> None:
        steps.append("sync " + os.path.relpath(os.readlink(f"/proc/self/fd/{file}"), tmp_path))
        fsync(file)

    def spy_rename(source: str, target: str) -> None:
        steps.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "rename", spy_rename)
    partial.commit()

    assert steps == [f"sync uploads/{NAME}", "rename", "sync blobs/00"]


def test_a_commit_that_fails_after_the_rename_is_discarded_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = DiskBlobs(tmp_path).create(BLOB)
    fsync = os.fsync

    def fail_on_directories(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(5, "Input/output error")
        fsync(file)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail_on_directories)
        with pytest.raises(OSError, match="Input/output"):
            partial.commit()
    partial.discard()

    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
