"""Records of calls (CloudTrail)."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class InvalidLookupAttributes(MoorageError):
    pass


class InvalidTimeRange(MoorageError):
    template = "The start time is after the end time"
