from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from moorage.base.errors.ourselves import Corrupted, StorageFull
from moorage.keys.frames import BlobKey
from moorage.keys.opened import OpenedBlobs
from moorage.keys.sealed import SealedBlobs, SealedReader
from moorage.store.blobs.memory import MemoryBlobs, MemoryPartial

FRAME, STRIDE = 65_536, 65_552
BORDERS = [0, 1, FRAME - 1, FRAME, FRAME + 1, 8 * FRAME, 8 * FRAME + 1, 9 * FRAME - 1, 1 << 20, 3_000_001]
DOMAIN = 3


@pytest.fixture
def store() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def blobs(store: MemoryBlobs) -> Iterator[SealedBlobs]:
    blobs = SealedBlobs(store)
    yield blobs
    blobs.close()


@pytest.mark.parametrize("size", BORDERS)
def test_what_was_appended_in_any_pieces_is_read(blobs: SealedBlobs, size: int) -> None:
    random_ = random.Random(size)
    content = random_.randbytes(size)
    blob, key = os.urandom(16), BlobKey.new()
    writer = blobs.create(blob, DOMAIN, key, ("sha256", "sha512"))

    for piece in _pieces(content, random_):
        writer.append(piece)
    digests = writer.digests()
    writer.finish()

    assert writer.received == size
    assert digests["sha256"].hex == hashlib.sha256(content).hexdigest()
    assert digests["sha512"].hex == hashlib.sha512(content).hexdigest()
    assert _read(blobs, blob, key, size) == content


@pytest.mark.parametrize("size", [1, FRAME, 10 * FRAME, 700_001])
def test_any_range_is_read(blobs: SealedBlobs, size: int) -> None:
    random_ = random.Random(size)
    content = random_.randbytes(size)
    blob, key = _write(blobs, content)
    reader = blobs.open(blob, DOMAIN, key, size)

    for _ in range(60):
        start, length = random_.randrange(size + 10), random_.choice([0, 1, 100, FRAME, 9 * FRAME + 5])
        assert reader.read(start, length) == content[start : start + length]
    assert reader.read(size, 1) == b""


@pytest.mark.parametrize("size", BORDERS)
def test_rehash_before_finish_gives_the_digest_of_all(blobs: SealedBlobs, size: int) -> None:
    content = os.urandom(size)
    writer = blobs.create(os.urandom(16), DOMAIN, BlobKey.new())
    writer.append(memoryview(content[: size // 2]))
    writer.append(memoryview(content[size // 2 :]))

    digest = writer.rehash("sha512")

    assert digest.hex == hashlib.sha512(content).hexdigest()
    assert writer.is_open


def test_a_finished_writer_takes_nothing_and_keeps_its_file(blobs: SealedBlobs, store: MemoryBlobs) -> None:
    writer = blobs.create(bytes(16), DOMAIN, BlobKey.new())
    writer.append(memoryview(b"content"))
    writer.finish()
    kept = dict(store.committed)

    writer.finish()
    writer.discard()

    with pytest.raises(ValueError, match="finished"):
        writer.append(memoryview(b"more"))
    assert store.committed == kept


def test_discard_leaves_nothing(blobs: SealedBlobs, store: MemoryBlobs) -> None:
    writer = blobs.create(bytes(16), DOMAIN, BlobKey.new())
    writer.append(memoryview(bytes(1 << 20)))

    writer.discard()
    writer.discard()

    assert not writer.is_open
    assert (store.partial, store.committed) == ({}, {})


def test_up_to_64_kib_wait_in_memory(blobs: SealedBlobs, store: MemoryBlobs) -> None:
    writer = blobs.create(bytes(16), DOMAIN, BlobKey.new())

    writer.append(memoryview(bytes(3 * FRAME)))

    assert len(store.partial[bytes(16)]) == 64 + 2 * STRIDE


def _flip(at: int, file: bytes) -> bytes:
    changed = bytearray(file)
    changed[at] ^= 1
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut by a byte": lambda file: file[:-1],
    "cut by the last frame": lambda file: file[: 64 + 2 * STRIDE],
    "a byte more": lambda file: file + b"\0",
    "a frame more": lambda file: file + file[64 : 64 + STRIDE],
    "two frames exchanged": lambda file: (
        file[:64] + file[64 + STRIDE : 64 + 2 * STRIDE] + file[64 : 64 + STRIDE] + file[64 + 2 * STRIDE :]
    ),
    "a frame over another": lambda file: (
        file[: 64 + STRIDE] + file[64 : 64 + STRIDE] + file[64 + 2 * STRIDE :]
    ),
    "empty": lambda file: b"",
    "header only": lambda file: file[:64],
    "zeros": lambda file: bytes(len(file)),
    "another salt": lambda file: file[:32] + bytes(32) + file[64:],
    **{f"byte {at} changed": partial(_flip, at) for at in (0, 7, 8, 31, 32, 63, 64, 65_615, 131_200, -1)},
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_never_served_as_good(
    blobs: SealedBlobs, store: MemoryBlobs, damage: Callable[[bytes], bytes]
) -> None:
    content = os.urandom(2 * FRAME + 100)
    blob, key = _write(blobs, content)
    store.committed[blob] = damage(store.committed[blob])

    with pytest.raises(Corrupted):
        _read(blobs, blob, key, len(content))


def test_an_undamaged_frame_beside_a_damaged_one_is_still_served(
    blobs: SealedBlobs, store: MemoryBlobs
) -> None:
    content = os.urandom(3 * FRAME)
    blob, key = _write(blobs, content)
    store.committed[blob] = _flip(64 + STRIDE, store.committed[blob])
    reader = blobs.open(blob, DOMAIN, key, len(content))

    assert reader.read(0, FRAME) == content[:FRAME]
    assert reader.read(2 * FRAME, FRAME) == content[2 * FRAME :]
    with pytest.raises(Corrupted):
        reader.read(FRAME - 1, 2)


@pytest.mark.parametrize("size", [0, 1, FRAME, FRAME + 1])
def test_a_row_with_another_size_does_not_open_the_file(blobs: SealedBlobs, size: int) -> None:
    blob, key = _write(blobs, os.urandom(size))

    for other in {size + 1, max(0, size - 1), size + FRAME} - {size}:
        with pytest.raises(Corrupted):
            _read(blobs, blob, key, other)


def test_a_flipped_bit_in_an_empty_blob_is_found(blobs: SealedBlobs, store: MemoryBlobs) -> None:
    blob, key = _write(blobs, b"")
    store.committed[blob] = _flip(70, store.committed[blob])

    with pytest.raises(Corrupted):
        blobs.open(blob, DOMAIN, key, 0)


def test_swapped_files_keys_and_domains_are_found(blobs: SealedBlobs, store: MemoryBlobs) -> None:
    (first, first_key), (second, second_key) = (_write(blobs, os.urandom(500)) for _ in range(2))
    with pytest.raises(Corrupted):
        _read(blobs, first, second_key, 500)
    with pytest.raises(Corrupted):
        blobs.open(first, DOMAIN + 1, first_key, 500)

    store.committed[first], store.committed[second] = store.committed[second], store.committed[first]

    with pytest.raises(Corrupted):
        _read(blobs, first, first_key, 500)
    with pytest.raises(Corrupted):
        _read(blobs, first, second_key, 500)


class FailingBlobs(MemoryBlobs):
    """Its disk takes `room` bytes in a file; every write attempted is kept in `attempts`."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.attempts: list[bytes] = []

    def create(self, blob: bytes) -> MemoryPartial:
        return _FailingPartial(self, blob)


class _FailingPartial(MemoryPartial):
    def __init__(self, store: FailingBlobs, blob: bytes) -> None:
        super().__init__(store, blob)
        self._failing = store

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._failing.attempts.append(bytes(data))
        if len(self._content) + len(data) > self._failing.room:
            raise StorageFull()
        super().write(data)


@pytest.fixture
def sealings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """Every (key, nonce) that a frame was sealed under."""
    sealings: list[tuple[bytes, bytes]] = []

    class SpyCipher:
        def __init__(self, key: bytes) -> None:
            self._key, self._cipher = key, AESGCM(key)

        def encrypt_into(self, nonce: bytes, *arguments: Any) -> int:
            sealings.append((self._key, nonce))
            return self._cipher.encrypt_into(nonce, *arguments)

        def decrypt_into(self, *arguments: Any) -> int:
            return self._cipher.decrypt_into(*arguments)

    monkeypatch.setattr("moorage.keys.frames.AESGCM", SpyCipher)
    return sealings


@pytest.mark.parametrize("failing_frame", range(21))
def test_no_frame_is_sealed_twice_under_a_key_wherever_a_write_fails(
    failing_frame: int, sealings: list[tuple[bytes, bytes]]
) -> None:
    store = FailingBlobs(64 + failing_frame * STRIDE)
    blobs, key, content = SealedBlobs(store), BlobKey.new(), memoryview(bytes(20 * FRAME))

    for blob in (bytes(16), b"again, same key!"):  # another session must not repeat a key's frames either
        writer = blobs.create(blob, DOMAIN, key)
        for piece in (content[:500_000], content[500_000:], None):
            for _ in range(3):
                with suppress(StorageFull, ValueError):
                    writer.append(piece) if piece is not None else writer.finish()
        store.room = 1 << 30
        with suppress(ValueError):
            writer.append(content)
        writer.discard()

    assert len(sealings) > 20
    assert len(sealings) == len(set(sealings))


def test_a_failed_last_write_leaves_nothing_but_discard() -> None:
    store = FailingBlobs(64)
    blobs = SealedBlobs(store)
    writer = blobs.create(bytes(16), DOMAIN, BlobKey.new())
    writer.append(memoryview(b"content"))

    with pytest.raises(StorageFull):
        writer.finish()
    with pytest.raises(ValueError, match="failed"):
        writer.finish()
    writer.discard()

    assert len(store.attempts) == 2  # the header and one last frame
    assert (store.partial, store.committed) == ({}, {})


def test_a_full_disk_at_the_header_leaves_no_file() -> None:
    store = FailingBlobs(0)

    with pytest.raises(StorageFull):
        SealedBlobs(store).create(bytes(16), DOMAIN, BlobKey.new())

    assert store.partial == {}


def test_one_reader_serves_several_threads(blobs: SealedBlobs) -> None:
    content = os.urandom(20 * FRAME)
    blob, key = _write(blobs, content)
    reader = blobs.open(blob, DOMAIN, key, len(content))

    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(lambda at: reader.read(at * 10_000, 300_000), range(100)))

    assert all(part == content[at * 10_000 : at * 10_000 + 300_000] for at, part in enumerate(parts))


def test_eight_writers_in_threads_do_not_disturb_each_other(blobs: SealedBlobs) -> None:
    contents = [os.urandom(3_000_000 + at) for at in range(8)]

    with ThreadPoolExecutor(8) as threads:
        written = list(threads.map(lambda content: _write(blobs, content, 1 << 18), contents))

    for content, (blob, key) in zip(contents, written, strict=True):
        assert _read(blobs, blob, key, len(content)) == content


def test_the_second_request_opens_the_blob_and_the_third_has_its_descriptor(store: MemoryBlobs) -> None:
    opened = OpenedBlobs(1 << 20, 1 << 20)
    blobs = SealedBlobs(store, opened)
    content = os.urandom(200_000)
    blob, key = _write(blobs, content)

    descriptors = []
    for _ in range(3):
        reader = blobs.open(blob, DOMAIN, key, len(content))
        opened.wait_filled()
        descriptors.append(reader.descriptor)
        if reader.descriptor is not None:
            assert os.pread(reader.descriptor, 300_000, 0) == content
        reader.close()
    blobs.delete(blob)

    assert [descriptor is None for descriptor in descriptors] == [True, True, False]
    assert opened.used == 0
    blobs.close()


@pytest.mark.parametrize("size", [FRAME, FRAME + 1, 3_000_001])
def test_what_is_being_written_is_read_beside_the_writer_as_far_as_it_says(
    blobs: SealedBlobs, size: int
) -> None:
    random_ = random.Random(size)
    content = random_.randbytes(size)
    writer = blobs.create(os.urandom(16), DOMAIN, BlobKey.new())
    reader = writer.follow(size)

    for piece in _pieces(content, random_):
        writer.append(piece)
        assert size >= writer.received >= writer.readable >= writer.received - FRAME
        assert reader.read(0, writer.readable) == content[: writer.readable]
    writer.finish()

    assert writer.readable == size
    assert reader.read(0, size) == content


def test_who_follows_a_blob_that_is_longer_than_was_said_gets_no_false_end(blobs: SealedBlobs) -> None:
    writer = blobs.create(os.urandom(16), DOMAIN, BlobKey.new())
    reader = writer.follow(FRAME)

    writer.append(memoryview(bytes(2 * FRAME)))
    writer.finish()

    with pytest.raises(Corrupted):
        reader.read(0, FRAME)


def _pieces(content: bytes, random_: random.Random) -> Iterator[memoryview]:
    rest = memoryview(content)
    while rest:
        length = random_.choice([0, 1, 17, FRAME - 1, FRAME, FRAME + 1, 5 * FRAME, 1 << 20])
        yield rest[:length]
        rest = rest[length:]


def _write(blobs: SealedBlobs, content: bytes, piece: int = 1 << 20) -> tuple[bytes, BlobKey]:
    blob, key = os.urandom(16), BlobKey.new()
    writer = blobs.create(blob, DOMAIN, key)
    for start in range(0, len(content), piece):
        writer.append(memoryview(content)[start : start + piece])
    writer.finish()
    return blob, key


def _read(blobs: SealedBlobs, blob: bytes, key: BlobKey, size: int) -> bytes:
    reader: SealedReader = blobs.open(blob, DOMAIN, key, size)
    try:
        return reader.read(0, size)
    finally:
        reader.close()
