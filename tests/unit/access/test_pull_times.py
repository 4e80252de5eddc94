"""Times of pulls: in memory first, whose pulls count, and when they are written."""

from __future__ import annotations

from dataclasses import replace

from moorage.access.principals import root_of
from moorage.access.pull_times import EVERY_US, NOTED_MAX, PullTimes
from moorage.base.addresses import Registry
from moorage.base.clock import MINUTE
from moorage.registry.images import job

from ..registry.memory import in_memory
from ..registry.registry import ACCOUNT, REGION, MemoryRegistry

HERE = Registry(ACCOUNT, REGION)
ROOT = root_of(ACCOUNT, "AKIAEXAMPLE")


def test_the_latest_time_counts_whether_it_is_written_or_not() -> None:
    times = PullTimes()
    times.note(1, ROOT, HERE, 20)

    assert times.of(1, None) == 20
    assert times.of(1, 10) == 20
    assert times.of(1, 30) == 30
    assert times.of(2, 10) == 10
    assert times.of(2, None) is None


def test_pulls_of_who_is_excluded_do_not_count_in_that_registry() -> None:
    times = PullTimes()
    role = replace(
        ROOT, kind="role", arn="arn:aws:sts::1:assumed-role/scan/x", role_arn="arn:aws:iam::1:role/scan"
    )
    times.excluded = frozenset({(HERE, "arn:aws:iam::1:role/scan")})

    times.note(1, role, HERE, 5)
    times.note(2, role, Registry(ACCOUNT, "other-1"), 5)
    times.note(3, ROOT, HERE, 5)

    assert [times.of(image, None) for image in (1, 2, 3)] == [None, 5, 5]


def test_they_are_due_once_an_hour_or_when_they_are_many() -> None:
    times = PullTimes()
    assert not times.is_due(10 * EVERY_US)
    times.take(10 * EVERY_US)
    times.note(1, ROOT, HERE, 1)

    assert not times.is_due(11 * EVERY_US - 1)
    assert times.is_due(11 * EVERY_US)
    for image in range(NOTED_MAX + 1):
        times.note(image, ROOT, HERE, 1)
    assert times.is_due(10 * EVERY_US)


def test_what_could_not_be_written_is_kept_unless_it_is_older() -> None:
    times = PullTimes()
    times.note(1, ROOT, HERE, 1)
    times.note(2, ROOT, HERE, 1)
    taken = times.take(5)
    times.note(2, ROOT, HERE, 9)

    times.back(taken)

    assert (times.of(1, None), times.of(2, None)) == (1, 9)


@in_memory
async def test_an_image_is_written_to_once_an_hour_however_often_it_is_pulled(
    registry: MemoryRegistry,
) -> None:
    repository = await registry.repository("team/app")
    await registry.push(repository, [b"{}"])
    times = registry.services.pull_times
    stored = []

    async def row() -> int | None:
        found: int | None = (await registry.db.one("images.by_tag", _latest(repository.id)) or [])[12]
        return found

    for _ in range(3):
        for _ in range(30):
            registry.pass_time(MINUTE)
            times.note(1, ROOT, HERE, registry.now)
            await job.note_pulls(registry.services)
        stored.append(await row())
    await job.write_pulls(registry.services)

    first, second, third = stored
    assert first == second, "half an hour later it is not written again"
    assert third is not None
    assert first is not None
    assert third - first == EVERY_US
    assert await row() == registry.now


def _latest(repository: int) -> dict[str, int | str]:
    return {"repository": repository, "tag": "latest"}


def test_what_is_being_written_is_shown_until_it_is_stored() -> None:
    times = PullTimes()
    times.note(1, ROOT, HERE, 7)

    taken = times.take(8)
    assert times.of(1, None) == 7, "the row does not have it yet"
    times.note(1, ROOT, HERE, 9)
    times.written(taken)

    assert times.of(1, 7) == 9
    assert times.of(2, 5) == 5
