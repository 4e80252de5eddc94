"""Answers kept for the next who asks the same: the small requests that a fleet repeats.

What is kept is the rendering, never the permission: who asks is identified and authorized each time, by the same
functions as in the pipeline. An answer holds until the epoch of its repository rises, which every commit that changes
the repository does before it is answered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from moorage.base.addresses import Registry
from moorage.server.metrics import KeptTally, Pulls

BYTES_MAX = 24 << 20
ONE_MAX = 128 << 10
_OVERHEAD = 512  # bytes of key and entry, about


@dataclass(frozen=True, slots=True)
class Kept:
    registry: Registry
    actions: tuple[str, ...]
    resource: str
    tag: str
    """Of the image that the path names; empty for none."""
    repository: int
    epoch: int
    """0 and 0 for what never changes."""
    status: int
    rest: bytes
    """The answer after its varying lines (status, date, request id)."""
    tally: KeptTally = field(default_factory=KeptTally)
    pulls: Pulls | None = None
    """What is counted when it is given; of a manifest its repository's pulls too."""
    until: int = 0
    """Microseconds, if it does not hold without an end."""
    image: int = 0
    """The image that is pulled by it, or 0."""
    operation: str = ""
    """What the API calls it."""


class KeptAnswers:
    """By method, target and host; the least lately asked go first."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._answers: OrderedDict[tuple[bytes, bytes, bytes], Kept] = OrderedDict()

    def get(self, method: bytes, target: bytes, host: bytes) -> Kept | None:
        key = (method, target, host)
        kept = self._answers.get(key)
        if kept is not None:
            self._answers.move_to_end(key)
        return kept

    def keep(self, method: bytes, target: bytes, host: bytes, kept: Kept) -> None:
        if len(kept.rest) > ONE_MAX:
            return
        key = (method, target, host)
        self.forget(*key)
        self._answers[key] = kept
        self._bytes += _size(key, kept)
        while self._bytes > self._bytes_max:
            oldest, dropped = self._answers.popitem(last=False)
            self._bytes -= _size(oldest, dropped)

    def forget(self, method: bytes, target: bytes, host: bytes) -> None:
        key = (method, target, host)
        dropped = self._answers.pop(key, None)
        if dropped is not None:
            self._bytes -= _size(key, dropped)


def _size(key: tuple[bytes, bytes, bytes], kept: Kept) -> int:
    return len(kept.rest) + len(key[1]) + len(key[2]) + _OVERHEAD
