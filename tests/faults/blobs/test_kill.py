"""A process killed while it writes blobs: what is under a final name is whole, and what was acknowledged is there."""

from __future__ import annotations

import hashlib
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from moorage.base.errors.ourselves import Corrupted
from moorage.keys.frames import BlobKey
from moorage.keys.sealed import SealedBlobs
from moorage.store.blobs import disk
from moorage.store.blobs.disk import DiskBlobs

DOMAIN = 1
SIZES = [0, 40_000, 65_536, 700_000, 3_000_000]
STEPS = ("open", "write", "fdatasync", "fsync", "rename", "close")


@pytest.mark.parametrize("seed", range(40))
def test_killed_at_any_moment_a_committed_blob_is_whole_or_absent(tmp_path: Path, seed: int) -> None:
    DiskBlobs(tmp_path)
    random_ = random.Random(seed)
    progress = _Child(lambda report: _write_all(tmp_path, seed, report))

    acknowledged = progress.kill_after(random_.randrange(1, 60))

    _check(tmp_path, seed, acknowledged)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_a_system_call_a_committed_blob_is_whole_or_absent(
    tmp_path: Path, seed: int, is_done: bool
) -> None:
    DiskBlobs(tmp_path)
    fatal = random.Random(f"{seed} {is_done}").randrange(1, 60)

    def run(report: Callable[[bytes], object]) -> None:
        disk.os = _DyingSystem(fatal, is_done)  # type: ignore[assignment]  # in the child process only
        _write_all(tmp_path, seed, report)

    acknowledged = _Child(run).wait()

    _check(tmp_path, seed, acknowledged)


class _DyingSystem:
    """The module `os`, with a process that is killed just before or after its n-th call to the disk."""

    def __init__(self, fatal: int, is_done: bool) -> None:
        self._left, self._is_done = fatal, is_done

    def __getattr__(self, name: str) -> Any:
        function = getattr(os, name)
        if name not in STEPS:
            return function

        def call(*arguments: Any) -> Any:
            self._left -= 1
            if not self._left:
                if self._is_done:
                    function(*arguments)
                elif name == "write":
                    function(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)

        return call


class _Child:
    """A forked process. It reports a byte at a time: "." is progress, "F" a finished blob."""

    def __init__(self, run: Callable[[Callable[[bytes], object]], None]) -> None:
        self._reports, pipe = os.pipe()
        self._process = os.fork()
        if not self._process:
            _run_and_exit(run, pipe)
        os.close(pipe)

    def kill_after(self, reports: int) -> int:
        """Kill it at that report. Return the finished blobs of which the report arrived."""
        heard = b""
        while len(heard) < reports and (more := os.read(self._reports, 1)):
            heard += more
        os.kill(self._process, signal.SIGKILL)
        return self._finished(heard)

    def wait(self) -> int:
        return self._finished(b"")

    def _finished(self, heard: bytes) -> int:
        while more := os.read(self._reports, 1_000):
            heard += more
        os.close(self._reports)
        os.waitpid(self._process, 0)
        return heard.count(b"F")


def _run_and_exit(run: Callable[[Callable[[bytes], object]], None], pipe: int) -> NoReturn:
    try:
        run(lambda report: os.write(pipe, report))
    finally:
        os._exit(0)


def _write_all(root: Path, seed: int, report: Callable[[bytes], object]) -> None:
    blobs = SealedBlobs(DiskBlobs(root))
    for number, size in enumerate(SIZES):
        content = memoryview(_content(seed, number, size))
        writer = blobs.create(_blob(seed, number), DOMAIN, _key(seed, number))
        for start in range(0, size, 100_000):
            writer.append(content[start : start + 100_000])
            report(b".")
        writer.finish()
        report(b"F")


def _check(root: Path, seed: int, acknowledged: int) -> None:
    blobs = SealedBlobs(DiskBlobs(root))
    present = []
    for number, size in enumerate(SIZES):
        try:
            reader = blobs.open(_blob(seed, number), DOMAIN, _key(seed, number), size)
        except FileNotFoundError:
            continue
        assert reader.read(0, size) == _content(seed, number, size)
        reader.close()
        present.append(number)
    assert present[:acknowledged] == list(range(acknowledged))
    for path in (root / "uploads").iterdir():
        _check_never_opens(root, seed, path)
    blobs.close()


def _check_never_opens(root: Path, seed: int, path: Path) -> None:
    """What an upload left behind does not pass for the blob, unless it was whole already."""
    number = next(number for number in range(len(SIZES)) if _blob(seed, number).hex() == path.name)
    (root / "blobs" / path.name[:2] / path.name).write_bytes(path.read_bytes())
    try:
        reader = SealedBlobs(DiskBlobs(root)).open(
            _blob(seed, number), DOMAIN, _key(seed, number), SIZES[number]
        )
        assert reader.read(0, SIZES[number]) == _content(seed, number, SIZES[number])
    except Corrupted:
        pass


def _blob(seed: int, number: int) -> bytes:
    return hashlib.sha256(f"blob {seed} {number}".encode()).digest()[:16]


def _key(seed: int, number: int) -> BlobKey:
    return BlobKey(hashlib.sha256(f"key {seed} {number}".encode()).digest())


def _content(seed: int, number: int, size: int) -> bytes:
    return random.Random(f"{seed} {number}").randbytes(size)
