"""Ranges against a model that lists the bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.base.errors.wire import BadRequest, RangeNotSatisfiable
from moorage.oci.ranges import AMPLIFICATION_MAX, RANGES_MAX, parse

Asked = tuple[int | None, int | None]
ASKED = st.tuples(st.none() | st.integers(0, 40), st.none() | st.integers(0, 40)).filter(
    lambda pair: pair != (None, None)
)


@given(st.lists(ASKED, min_size=1, max_size=5), st.integers(0, 30), st.sampled_from(["", " ", "\t"]))
@settings(deadline=None, derandomize=True, max_examples=500)
def test_parse_of_ranges_gives_the_bytes_that_the_model_lists(
    asked: list[Asked], size: int, space: str
) -> None:
    header = "bytes=" + ",".join(f"{space}{written(first)}-{written(last)}{space}" for first, last in asked)
    expected = [listed for pair in asked if (listed := bytes_of(*pair, size))]

    if not expected:
        with pytest.raises(RangeNotSatisfiable) as unsatisfiable:
            parse(header, size)
        assert unsatisfiable.value.facts == {"size": size}
    elif len(expected) > 1 and sum(map(len, expected)) > AMPLIFICATION_MAX * size:
        with pytest.raises(BadRequest):
            parse(header, size)
    else:
        assert [list(range(*span)) for span in parse(header, size) or []] == expected


@given(st.text(max_size=30) | st.text("0123456789-,= \tbytes", max_size=40).map(lambda text: f"bytes={text}"))
@settings(deadline=None, derandomize=True, max_examples=500)
def test_parse_of_anything_gives_spans_inside_the_blob_or_refuses(header: str) -> None:
    try:
        spans = parse(header, 10)
    except (RangeNotSatisfiable, BadRequest):
        return

    assert spans is None or all(0 <= start < stop <= 10 for start, stop in spans)


def test_parse_without_a_header_is_the_whole() -> None:
    assert parse(None, 10) is None


@pytest.mark.parametrize(
    "header", ["", "bytes", "items=0-1", "bytes=", "bytes=-", "bytes=1", "bytes=0-1;x", "bytes=٠-١"]
)
def test_parse_of_what_is_no_range_is_the_whole(header: str) -> None:
    assert parse(header, 10) is None


def test_parse_of_as_many_as_allowed_gives_them_in_the_order_asked() -> None:
    spans = parse("bytes=" + ",".join(f"{n}-{n}" for n in reversed(range(RANGES_MAX))), 2_000)

    assert spans == [(n, n + 1) for n in reversed(range(RANGES_MAX))]


def test_parse_of_one_more_is_refused() -> None:
    with pytest.raises(BadRequest):
        parse("bytes=" + ",".join(["0-0"] * (RANGES_MAX + 1)), 2_000)


def bytes_of(first: int | None, last: int | None, size: int) -> list[int]:
    """Offsets in the blob, slowly (RFC 9110, 14.1.2)."""
    everything = list(range(size))
    if first is None:
        return everything[-last:] if last else []
    return [offset for offset in everything if offset >= first and (last is None or offset <= last)]


def written(number: int | None) -> str:
    return "" if number is None else str(number)
