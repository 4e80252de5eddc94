"""Moments as they are typed and printed: ISO 8601, UTC where nothing else is said."""

from __future__ import annotations

from datetime import UTC, datetime

from moorage.base.clock import SECOND


def moment_of(text: str) -> int:
    """Microseconds since 1970 of `2026-11-24T20:00:00Z` or `2026-11-24`. Raise ValueError."""
    moment = datetime.fromisoformat(text)
    known = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return round(known.timestamp() * SECOND)


def written(moment: int) -> str:
    """To the second, rounded down."""
    return datetime.fromtimestamp(moment // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
