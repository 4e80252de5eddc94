from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.keys.frames import (
    FRAME_BYTES,
    HEADER_BYTES,
    STRIDE_BYTES,
    TAG_BYTES,
    BlobKey,
    FrameOpener,
    FrameSealer,
    NotAuthentic,
    frame_count,
    frame_offset,
    frames_of,
    sealed_size,
)

BLOB = bytes(range(16))


@pytest.mark.parametrize(
    ("size", "frames"),
    [(0, 1), (1, 1), (65_535, 1), (65_536, 1), (65_537, 2), (131_072, 2), (131_073, 3)],
)
def test_frame_count_at_the_borders(size: int, frames: int) -> None:
    assert frame_count(size) == frames
    assert sealed_size(size) == 64 + size + 16 * frames


@given(st.integers(0, 1 << 45), st.integers(1, 1 << 45))
def test_frames_of_a_range_hold_it_and_no_more(start: int, length: int) -> None:
    frames = frames_of(start, start + length)

    assert frames.start * FRAME_BYTES <= start < (frames.start + 1) * FRAME_BYTES
    assert (frames.stop - 1) * FRAME_BYTES < start + length <= frames.stop * FRAME_BYTES


def test_frame_offset_is_the_header_and_whole_frames() -> None:
    assert [frame_offset(index) for index in (0, 1, 2)] == [64, 65_616, 131_168]
    assert (HEADER_BYTES, STRIDE_BYTES) == (64, 65_552)


def test_header_has_the_layout_of_the_format() -> None:
    header = FrameSealer(BLOB, 7, BlobKey.new()).header

    assert header[:8] == b"MRGB\x01\x01\x10\x00"
    assert header[8:24] == BLOB
    assert header[24:32] == (7).to_bytes(8, "big")
    assert len(header) == 64


def test_two_files_under_one_key_have_different_frame_keys() -> None:
    key = BlobKey.new()

    frames = [_seal(FrameSealer(BLOB, 7, key), b"x" * 40, last=True) for _ in range(2)]

    assert frames[0] != frames[1]


def test_a_frame_after_the_last_is_refused() -> None:
    sealer = FrameSealer(BLOB, 7, BlobKey.new())
    _seal(sealer, b"end", last=True)

    with pytest.raises(ValueError, match="nothing follows"):
        _seal(sealer, b"more", last=True)


def test_a_short_frame_that_is_not_the_last_is_refused() -> None:
    with pytest.raises(ValueError, match="only the last"):
        _seal(FrameSealer(BLOB, 7, BlobKey.new()), b"short", last=False)


@pytest.mark.parametrize(
    ("blob", "domain", "index", "last"),
    [(bytes(16), 7, 0, 1), (BLOB, 8, 0, 1), (BLOB, 7, 1, 1), (BLOB, 7, 0, 0), (BLOB, 7, 0, None)],
    ids=["other blob", "other domain", "other place", "as the last", "of an unfinished file"],
)
def test_a_frame_opens_only_where_it_was_sealed(blob: bytes, domain: int, index: int, last: int | None) -> None:
    key = BlobKey.new()
    sealer = FrameSealer(BLOB, 7, key)
    frames = [_seal(sealer, bytes(FRAME_BYTES), last=False), _seal(sealer, bytes(FRAME_BYTES), last=True)]
    frame = frames[0] if (index, last) != (0, None) else frames[1]

    with pytest.raises(NotAuthentic):
        FrameOpener(sealer.header, blob, domain, key, last).open_into(
            index, memoryview(frame), memoryview(bytearray(FRAME_BYTES))
        )


@given(st.integers(0, 63), st.integers(1, 255))
def test_a_changed_header_opens_nothing(at: int, change: int) -> None:
    key = BlobKey.new()
    sealer = FrameSealer(BLOB, 7, key)
    frame = _seal(sealer, b"content", last=True)
    header = bytearray(sealer.header)
    header[at] ^= change

    with pytest.raises(NotAuthentic):
        FrameOpener(bytes(header), BLOB, 7, key, 0).open_into(0, memoryview(frame), memoryview(bytearray(7)))


def test_a_key_does_not_show_itself() -> None:
    key = BlobKey(secrets.token_bytes(32))

    assert repr(key) == "BlobKey()"


def _seal(sealer: FrameSealer, plain: bytes, *, last: bool) -> bytearray:
    sealed = bytearray(len(plain) + TAG_BYTES)
    sealer.seal_into(plain, memoryview(sealed), last=last)
    return sealed
