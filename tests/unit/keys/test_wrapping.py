from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.keys.frames import NotAuthentic
from moorage.keys.wrapping import open_record, seal_record

KEY = bytes(range(32))


@given(st.binary(max_size=300))
def test_a_record_opens_to_what_was_sealed(content: bytes) -> None:
    record = seal_record(KEY, "manifest", (1, "a", b"b"), content)

    assert open_record(KEY, "manifest", (1, "a", b"b"), record) == content
    assert len(record) == len(content) + 81


@pytest.mark.parametrize(
    ("key", "purpose", "context"),
    [
        (bytes(32), "manifest", ("ab", "c")),
        (KEY, "blob-key", ("ab", "c")),
        (KEY, "manifest", ("a", "bc")),
        (KEY, "manifest", ("abc",)),
        (KEY, "manifest", ("ab", "c", "")),
    ],
    ids=["key", "purpose", "context", "context in one", "context with more"],
)
def test_a_record_does_not_open_elsewhere(key: bytes, purpose: str, context: tuple[str, ...]) -> None:
    record = seal_record(KEY, "manifest", ("ab", "c"), b"content")

    with pytest.raises(NotAuthentic):
        open_record(key, purpose, context, record)


def test_no_byte_of_a_record_can_be_changed_or_cut() -> None:
    record = seal_record(KEY, "manifest", (), b"content")

    for at in range(len(record)):
        changed = bytearray(record)
        changed[at] ^= 1
        with pytest.raises(NotAuthentic):
            open_record(KEY, "manifest", (), bytes(changed))
        with pytest.raises(NotAuthentic):
            open_record(KEY, "manifest", (), record[:at])


def test_two_records_of_one_content_share_nothing() -> None:
    first, second = (seal_record(KEY, "manifest", (), b"content") for _ in range(2))

    assert first[1:33] != second[1:33]
    assert first[65:] != second[65:]
