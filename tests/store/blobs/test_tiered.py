"""Moving between two stores loses nothing, wherever it dies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from moorage.store.blobs.api import BlobStore
from moorage.store.blobs.disk import DiskBlobs, PartialFile
from moorage.store.blobs.tiered import TieredBlobs

BLOB = bytes(range(16))
CONTENT = bytes(range(256)) * 10_000  # more than one chunk
Move = Callable[[TieredBlobs, bytes], bool]


class Died(BaseException):
    pass


@pytest.fixture
def near(tmp_path: Path) -> DiskBlobs:
    return DiskBlobs(tmp_path / "near")


@pytest.fixture
def far(tmp_path: Path) -> DiskBlobs:
    return DiskBlobs(tmp_path / "far")


@pytest.fixture
def tiered(near: DiskBlobs, far: DiskBlobs) -> TieredBlobs:
    store = TieredBlobs(near, far)
    partial = store.create(BLOB)
    partial.write(CONTENT)
    partial.commit()
    return store


def read(store: BlobStore) -> bytes:
    stored = store.open(BLOB)
    buffer = bytearray(stored.size)
    stored.read_into(memoryview(buffer), 0)
    stored.close()
    return bytes(buffer)


def has(store: BlobStore) -> bool:
    try:
        store.open(BLOB).close()
    except FileNotFoundError:
        return False
    return True


def test_a_blob_goes_away_and_comes_back_whole(tiered: TieredBlobs, near: DiskBlobs, far: DiskBlobs) -> None:
    away = tiered.move_away(BLOB)
    there = (has(near), has(far), read(tiered) == CONTENT)
    back = tiered.bring_near(BLOB)

    assert (away, back) == (True, True)
    assert there == (False, True, True)
    assert (has(near), has(far), read(tiered) == CONTENT) == (True, False, True)


def test_what_is_there_already_is_not_moved(tiered: TieredBlobs) -> None:
    assert not tiered.bring_near(BLOB)
    assert tiered.move_away(BLOB)
    assert not tiered.move_away(BLOB)
    assert read(tiered) == CONTENT


def test_who_has_it_open_reads_on_while_it_moves(tiered: TieredBlobs) -> None:
    stored = tiered.open(BLOB)
    tiered.move_away(BLOB)
    buffer = bytearray(stored.size)

    stored.read_into(memoryview(buffer), 0)
    stored.close()

    assert bytes(buffer) == CONTENT


@pytest.mark.parametrize("step", ["write", "commit"])
def test_a_move_that_dies_while_copying_leaves_the_original(
    tiered: TieredBlobs, far: DiskBlobs, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(PartialFile, step, die)
        patched.setattr(
            PartialFile, "discard", lambda self: None
        )  # a process that is killed clears up nothing
        with pytest.raises(Died):
            tiered.move_away(BLOB)
    after = read(tiered)

    assert after == CONTENT
    assert not has(far)
    assert tiered.move_away(BLOB)
    assert read(tiered) == CONTENT


def test_a_move_that_dies_before_the_original_is_gone_is_done_again(
    tiered: TieredBlobs, near: DiskBlobs, far: DiskBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(near, "delete", die)
        with pytest.raises(Died):
            tiered.move_away(BLOB)
    both = (has(near), has(far))

    assert both == (True, True)
    assert tiered.move_away(BLOB)
    assert (has(near), has(far), read(tiered) == CONTENT) == (False, True, True)


def test_deleting_removes_it_wherever_it_is(tiered: TieredBlobs, near: DiskBlobs, far: DiskBlobs) -> None:
    tiered.move_away(BLOB)

    tiered.delete(BLOB)

    assert (has(near), has(far)) == (False, False)


def test_moves_in_both_directions_at_once_lose_nothing(tiered: TieredBlobs) -> None:
    def often(move: Move) -> None:
        for _ in range(50):
            move(tiered, BLOB)

    threads = [Thread(target=often, args=(each,)) for each in (TieredBlobs.move_away, TieredBlobs.bring_near)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert read(tiered) == CONTENT
