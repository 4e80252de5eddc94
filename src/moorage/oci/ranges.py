"""Byte ranges of a request. Pure (RFC 9110, 14; lazy-pulling clients ask for up to 1,024 at once)."""

from __future__ import annotations

import re

from moorage.base.errors.wire import BadRequest, RangeNotSatisfiable

RANGES_MAX = (
    1_024  # containers/storage asks for so many for zstd:chunked; more is answered 400, "ask for fewer"
)
AMPLIFICATION_MAX = 2  # all ranges together, in lengths of the blob

_UNIT = "bytes="
_ONE = re.compile(r"[ \t]*(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})[ \t]*")

Span = tuple[int, int]
"""Start, and stop (exclusive)."""


def parse(header: str | None, size: int) -> list[Span] | None:
    """The satisfiable spans in the order asked; None for the whole blob (no header, or one that RFC 9110 ignores).

    Raise `RangeNotSatisfiable` if there is none to send, `BadRequest` for too many or too much.
    """
    if header is None or not header.startswith(_UNIT):
        return None
    asked = header[len(_UNIT) :].split(",")
    if len(asked) > RANGES_MAX:
        raise BadRequest(reason=f"At most {RANGES_MAX} ranges can be asked for at once")
    spans = []
    for text in asked:
        match = _ONE.fullmatch(text)
        if match is None or not (match["first"] or match["last"]):
            return None
        span = _span(match["first"], match["last"], size)
        if span is not None:
            spans.append(span)
    if not spans:
        raise RangeNotSatisfiable(size=size)
    if len(spans) > 1 and sum(stop - start for start, stop in spans) > AMPLIFICATION_MAX * size:
        raise BadRequest(reason="The ranges overlap too much; ask for fewer")
    return spans


def _span(first: str, last: str, size: int) -> Span | None:
    if not first:  # the last N bytes
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    return (start, stop) if start < stop else None
