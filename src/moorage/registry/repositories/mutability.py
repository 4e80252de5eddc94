"""May a tag be moved? Pure (Amazon ECR: PutImageTagMutability)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from moorage.base.errors.requests import InvalidParameter

FILTERS_MAX = 5
WILDCARDS_MAX = 2  # stars in one filter; terraform-provider-aws documents AWS's bound
_FILTER = re.compile(r"[0-9a-zA-Z._*-]{1,128}")

Mode = Literal["MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"]


@dataclass(frozen=True, slots=True)
class Mutability:
    mode: Mode = "MUTABLE"
    filters: tuple[str, ...] = ()

    @classmethod
    def parse(cls, mode: Mode, filters: Sequence[str] | None) -> Mutability:
        """Check what a caller sent; raise `InvalidParameter` in ECR's words."""
        at = "imageTagMutabilityExclusionFilters"
        excludes = mode.endswith("_WITH_EXCLUSION")
        if excludes and not filters:
            raise InvalidParameter(
                at=at,
                constraint=f"ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as {mode}",
            )
        if filters and not excludes:
            raise InvalidParameter(
                at=at,
                constraint=f"ImageTagMutabilityExclusionFilters must be null when imageTagMutability is set as {mode}",
            )
        for text in filters or ():
            if not _FILTER.fullmatch(text) or text.count("*") > WILDCARDS_MAX:
                raise InvalidParameter(
                    at=at, constraint=f"Invalid filter '{text}': at most {WILDCARDS_MAX} wildcards"
                )
        return cls(mode, tuple(filters or ()))

    def protects(self, tag: str) -> bool:
        """An existing `tag` must stay where it points."""
        if self.mode == "MUTABLE":
            return False
        if self.mode == "IMMUTABLE":
            return True
        matched = any(_matches(pattern, tag) for pattern in self.filters)
        return matched if self.mode == "MUTABLE_WITH_EXCLUSION" else not matched


def _matches(pattern: str, tag: str) -> bool:
    return _compiled(pattern).fullmatch(tag) is not None


@lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> re.Pattern[str]:
    # At most two stars, so the expression has at most two free repetitions: no blow-up.
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
