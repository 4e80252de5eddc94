"""Heads of answers: one line a header, whatever the value was made from."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.server.wire import render_head, render_refusal


@given(
    st.lists(st.tuples(st.sampled_from([b"a", b"location"]), st.binary(max_size=30)), max_size=4),
    st.booleans(),
)
@settings(deadline=None, derandomize=True)
def test_render_head_of_any_values_has_one_line_for_each(
    headers: list[tuple[bytes, bytes]], closes: bool
) -> None:
    head = render_head(200, headers, 5, b"now", b"id", closes=closes)

    assert head.endswith(b"\r\n\r\n")
    lines = head[:-4].split(b"\r\n")
    fixed = 5 + 1 + int(closes)  # status, date, id and two that are always there; the length
    assert len(lines) == fixed + len(headers)
    assert all(b"\r" not in line and b"\n" not in line for line in lines)
    assert (b"connection: close" in lines) is closes


@pytest.mark.parametrize("length", [0, 5, None])
def test_render_head_has_the_length_unless_told_none(length: int | None) -> None:
    head = render_head(204, [], length, b"now", b"id", closes=False)

    assert (b"content-length: %d\r\n" % (length or 0) in head) is (length is not None)


def test_render_refusal_is_json_and_closes() -> None:
    head, _, body = render_refusal(431, "UNSUPPORTED", 'a "b"', b"now", b"id").partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"connection: close" in head
    assert b"content-length: %d" % len(body) in head
    assert json.loads(body) == {"errors": [{"code": "UNSUPPORTED", "message": 'a "b"'}]}
