"""Failed logins, counted by where they come from: who guesses is slowed down, and nobody can lock out another.

Nothing is counted by key or account: a stranger who knows the id of a key must not be able to close it. A client
without any credentials is not a failure, since each docker asks so first.
"""

from __future__ import annotations

from collections import OrderedDict

from moorage.base.clock import MINUTE
from moorage.base.errors.access import TooManyRequests

_ADDRESSES = 16_384


class LoginThrottle:
    """A bucket an address: `per_minute` failures at once, and refilled at that rate. 0 turns it off."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """By address: failures not yet forgiven, and when that was worked out."""

    def check(self, address: str, now: int) -> None:
        """Raise `TooManyRequests` while the bucket of the address has no room for one more."""
        if address in self._buckets and self._failures(address, now) > self._per_minute - 1:
            raise TooManyRequests()

    def failed(self, address: str, now: int) -> None:
        if not self._per_minute:
            return
        self._buckets[address] = (min(self._failures(address, now) + 1, self._per_minute), now)
        self._buckets.move_to_end(address)
        if len(self._buckets) > _ADDRESSES:
            self._buckets.popitem(last=False)

    def _failures(self, address: str, now: int) -> float:
        failures, at = self._buckets.get(address, (0.0, now))
        return max(failures - max(now - at, 0) * self._per_minute / MINUTE, 0.0)
