"""A disk that is full: a clear error, and the space is given back."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from moorage.base.errors.ourselves import StorageFull
from moorage.keys.frames import BlobKey
from moorage.keys.sealed import SealedBlobs
from moorage.store.blobs.disk import DiskBlobs

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmp_path], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting needs root")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_full_disk_is_said_and_discarding_gives_the_space_back(small_disk: Path) -> None:
    blobs = SealedBlobs(DiskBlobs(small_disk))
    free = os.statvfs(small_disk).f_bavail
    writer = blobs.create(os.urandom(16), 1, BlobKey.new())

    with pytest.raises(StorageFull) as full:
        writer.append(memoryview(bytes(8 * MIB)))
    assert full.value.status == 507
    writer.discard()

    assert os.statvfs(small_disk).f_bavail == free
    _write_and_read(blobs, 3 * MIB)
    blobs.close()


def test_a_disk_that_is_full_before_the_session_starts_leaves_no_file(small_disk: Path) -> None:
    blobs = SealedBlobs(DiskBlobs(small_disk))
    with suppress(OSError):
        (small_disk / "ballast").write_bytes(bytes(8 * MIB))

    with pytest.raises(StorageFull):
        blobs.create(os.urandom(16), 1, BlobKey.new())

    assert not list((small_disk / "uploads").iterdir())
    (small_disk / "ballast").unlink()
    _write_and_read(blobs, MIB)
    blobs.close()


def test_a_file_size_limit_is_a_full_disk(tmp_path: Path) -> None:
    blobs = SealedBlobs(DiskBlobs(tmp_path))
    writer = blobs.create(os.urandom(16), 1, BlobKey.new())
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, hard))

    try:
        with pytest.raises(StorageFull):
            writer.append(memoryview(bytes(3 * MIB)))
        writer.discard()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    assert not list((tmp_path / "uploads").iterdir())
    blobs.close()


def _write_and_read(blobs: SealedBlobs, size: int) -> None:
    blob, key = os.urandom(16), BlobKey.new()
    writer = blobs.create(blob, 1, key)
    writer.append(memoryview(bytes(size)))
    writer.finish()
    reader = blobs.open(blob, 1, key, size)
    assert reader.read(0, size) == bytes(size)
    reader.close()
