"""When images were last pulled: noted in memory at each pull, written once an hour and when the server stops.

A pull costs no write and half a microsecond at most: a warm pull of a manifest is answered in a few. What is not
written yet is shown all the same by the process that noted it (`of`). A crash loses what was noted since the last
writing (ECR API reference, ImageDetail: Amazon may be a day behind).
"""

from __future__ import annotations

from moorage.access.principals import Principal
from moorage.base.addresses import Registry
from moorage.base.clock import HOUR

EVERY_US = HOUR
NOTED_MAX = 65_536  # images; about 8 MiB. More are written sooner


class PullTimes:
    def __init__(self) -> None:
        self._latest: dict[int, int] = {}
        self._taken: list[dict[int, int]] = []
        """What is being written: until it is stored, no row has it."""
        self._written = 0
        self.excluded: frozenset[tuple[Registry, str]] = frozenset()
        """Registries with the ARNs of users and roles whose pulls do not count there; set anew when they change."""

    def note(self, image: int, principal: Principal, registry: Registry, now: int) -> None:
        """The image of that row was pulled. For a session, it is the role that may be excluded."""
        if self.excluded and (registry, principal.role_arn or principal.arn) in self.excluded:
            return
        self._latest[image] = now

    def of(self, image: int, stored: int | None) -> int | None:
        """The time of the last pull; `stored` is what the row says."""
        times = [stored, *(noted.get(image) for noted in (self._latest, *self._taken))]
        return max((time for time in times if time is not None), default=None)

    def is_due(self, now: int) -> bool:
        return bool(self._latest) and (now - self._written >= EVERY_US or len(self._latest) > NOTED_MAX)

    def take(self, now: int) -> dict[int, int]:
        """What is to be written; say that it is `written`, or give it `back` if that fails."""
        taken, self._latest = self._latest, {}
        self._taken.append(taken)
        self._written = now
        return taken

    def written(self, taken: dict[int, int]) -> None:
        self._taken = [each for each in self._taken if each is not taken]

    def back(self, taken: dict[int, int]) -> None:
        self.written(taken)
        self._latest = {**taken, **self._latest}
