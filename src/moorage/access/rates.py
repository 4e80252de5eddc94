"""How often an account may call an operation: Amazon's request rates, off unless somebody asks for them.

A token bucket for each account, region and operation, which holds what one second brings. A bucket is one number: when
it will be full again. There are as many as are not full, within a bound; the least lately used is forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from moorage.base.addresses import Registry
from moorage.base.clock import SECOND
from moorage.base.errors.access import Throttled

AWS_RATES: Mapping[str, int] = {
    "BatchCheckLayerAvailability": 1_000,
    "BatchGetImage": 2_000,
    "CompleteLayerUpload": 100,
    "GetAuthorizationToken": 500,
    "GetDownloadUrlForLayer": 3_000,
    "InitiateLayerUpload": 100,
    "PutImage": 10,
    "UploadLayerPart": 500,
}
"""Calls a second (ECR user guide, "Amazon ECR service quotas")."""
RATE_MAX = 1_000_000
_HELD = SECOND + 1  # what a second brings; fractions of microseconds add up to less than one
_BUCKETS = 16_384  # a caller may sign for any region, so their number is not that of accounts


class RatesMisconfigured(Exception):
    """Says what is wrong."""


def rates_in(table: Any) -> dict[str, int]:
    """The table `[rates]`: calls a second by the name of an operation of ECR; 0 is for no limit."""
    if not isinstance(table, dict):
        raise RatesMisconfigured("rates has to be a table: [rates]")
    from moorage.aws.shapes import load  # Only here: most starts and commands have no rates.

    known = load("ecr").OPERATIONS
    for name, rate in table.items():
        if name not in known:
            raise RatesMisconfigured(f"rates: {name} is no operation of ECR")
        if isinstance(rate, bool) or not isinstance(rate, int) or not 0 <= rate <= RATE_MAX:
            raise RatesMisconfigured(f"rates: {name} is {rate!r}: a number of calls a second, or 0")
    return dict(table)


class Rates:
    """Of one process."""

    def __init__(self, per_second: Mapping[str, int]) -> None:
        self._intervals = {name: SECOND / rate for name, rate in per_second.items() if rate}
        self._full_at: OrderedDict[tuple[str, str, str, str], float] = OrderedDict()

    @property
    def are_limited(self) -> bool:
        return bool(self._intervals)

    def take(self, caller: str, registry: Registry, operation: str, now: int) -> None:
        """Count a call of an account to a registry. Raise `Throttled` where the bucket is empty."""
        if not self.allows(caller, registry, operation, now):
            raise Throttled(quota=operation)

    def allows(self, caller: str, registry: Registry, operation: str, now: int) -> bool:
        """The same; a call that is refused takes nothing."""
        interval = self._intervals.get(operation)
        if interval is None:
            return True
        key = (caller, registry.account, registry.region, operation)  # texts: their hashes are remembered
        full_at = self._full_at.get(key, now)
        if not now <= full_at <= now + _HELD:  # full, or the clock was set back
            full_at = now
        if full_at + interval > now + _HELD:
            return False
        self._full_at[key] = full_at + interval
        self._full_at.move_to_end(key)
        if len(self._full_at) > _BUCKETS:
            self._full_at.popitem(last=False)
        return True
