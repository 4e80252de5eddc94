"""Time. Inside, a time is an integer number of microseconds since 1970 (UTC); doors format it."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns now in microseconds. Tests pass their own."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def system_clock() -> int:
    return time.time_ns() // 1_000


def wire_seconds(microseconds: int) -> float:
    """The JSON form of a timestamp: epoch seconds with milliseconds (AWS JSON 1.1)."""
    return microseconds // 1_000 / 1_000
