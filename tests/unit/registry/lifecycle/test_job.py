from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from moorage.base.digest import Digest
from moorage.registry.images import archive, find
from moorage.registry.images.delete import remove_all, remove_tag
from moorage.registry.images.push import push_image
from moorage.registry.lifecycle import job, stored
from moorage.registry.lifecycle.evaluate import DAY, evaluate
from moorage.registry.lifecycle.job import apply, last_run
from moorage.registry.lifecycle.policy import parse
from moorage.registry.lifecycle.survey import survey
from moorage.registry.lifecycle.taking import Taken, take
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.store.jobs.queue import Job, Jobs

from ..memory import in_memory
from ..registry import MANIFEST_TYPE, MemoryRegistry, image_of
from .running import (
    UNTAGGED_BEYOND_ONE,
    apply_now,
    older_than,
    policy_of,
    push,
    push_index,
    run_jobs,
    status_of,
)

NEWEST = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}
ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}


@in_memory
async def test_images_expire_an_hour_after_the_policy_was_put_and_hourly_from_then_on(
    registry: MemoryRegistry,
) -> None:
    app = await registry.repository("team/app")
    old = await push(registry, app, "old", "v1")
    await stored.put(registry.call, app, policy_of(older_than(1)))

    registry.pass_time(2 * DAY)
    young = await push(registry, app, "young", "v2")
    await run_jobs(registry)
    first = [await status_of(registry, app, each) for each in (old, young)]
    registry.pass_time(2 * DAY)
    await run_jobs(registry)

    assert first == ["gone", "ACTIVE"]
    assert await status_of(registry, app, young) == "gone"
    assert registry.count("tags") == 0
    found = await stored.find(registry.db, app)
    assert found.evaluated == registry.now
    run = await last_run(registry.db, app.id)
    assert run is not None
    assert (run.expired, run.archived, run.failed) == (1, 0, 0)


@in_memory
async def test_layers_of_expired_images_are_collected_after_their_grace(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    await push(registry, app, "old")
    registry.pass_time(2 * DAY)
    await stored.put(registry.call, app, policy_of(older_than(1)))

    await apply_now(registry, app)

    assert await registry.not_before(app, Digest.of(b"old")) == registry.now + DAY


@in_memory
async def test_children_of_a_living_index_stay_and_it_is_told_why(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    children = [await push(registry, app, name) for name in ("amd64", "arm64")]
    index = await push_index(registry, app, children, "v1")
    old = await push(registry, app, "old")
    await push(registry, app, "young")
    await stored.put(registry.call, app, policy_of(UNTAGGED_BEYOND_ONE))

    await apply_now(registry, app)

    assert await status_of(registry, app, old) == "gone"
    assert [await status_of(registry, app, each) for each in children] == ["ACTIVE"] * 2
    assert await job.left(registry.db, app.id) == [
        job.Left(
            child,
            1,
            "ImageReferencedByManifestList",
            f"Requested image referenced by manifest list: [{index}]",
        )
        for child in sorted(children, key=str)
    ]


@in_memory
async def test_an_index_goes_with_its_children_in_one_run(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    child = await push(registry, app, "amd64")
    inner = await push_index(registry, app, [child])
    outer = await push_index(registry, app, [inner, child])
    registry.pass_time(2 * DAY)
    await stored.put(registry.call, app, policy_of(older_than(1)))

    await apply_now(registry, app)

    assert [await status_of(registry, app, each) for each in (child, inner, outer)] == ["gone"] * 3


@in_memory
async def test_what_refers_to_an_image_goes_with_it(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1")
    other = await push(registry, app, "other", "v2")
    signature = await push(registry, app, "signature", subject=image)
    of_signature = await push(registry, app, "of-signature", subject=signature)
    of_other = await push(registry, app, "of-other", subject=other)
    await stored.put(registry.call, app, policy_of(NEWEST))

    await apply_now(registry, app)

    gone = [await status_of(registry, app, each) for each in (image, signature, of_signature)]
    assert gone == ["gone"] * 3
    assert [await status_of(registry, app, each) for each in (other, of_other)] == ["ACTIVE"] * 2


@in_memory
async def test_images_are_archived_with_what_refers_to_them(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    child = await push(registry, app, "amd64")
    index = await push_index(registry, app, [child], "v1")
    signature = await push(registry, app, "signature", subject=index)
    registry.pass_time(2 * DAY)
    await stored.put(registry.call, app, policy_of(older_than(1), action=ARCHIVE))

    await apply_now(registry, app)

    found = [await find.by_digest(registry.db, app, each) for each in (index, child, signature)]
    assert [(each.status, each.archived) for each in found if each] == [("ARCHIVED", registry.now)] * 3


@in_memory
async def test_archived_images_expire_by_a_rule_of_their_class(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1")
    await _archive(registry, app, image)
    archived = {
        "tagStatus": "any",
        "storageClass": "archive",
        "countType": "sinceImageTransitioned",
        "countUnit": "days",
        "countNumber": 90,
    }
    await stored.put(registry.call, app, policy_of(archived))

    registry.pass_time(90 * DAY)
    await run_jobs(registry)
    on_the_day = await status_of(registry, app, image)
    registry.pass_time(DAY)
    await run_jobs(registry)

    assert on_the_day == "ARCHIVED"
    assert await status_of(registry, app, image) == "gone"


async def _archive(registry: MemoryRegistry, app: Repository, digest: Digest) -> None:
    async with registry.db.transaction() as tx:
        image = await find.by_digest(tx, app, digest)
        assert image is not None
        assert await archive.archive(registry.services, tx, app, image, registry.now)


async def _decided_then_taken(registry: MemoryRegistry, app: Repository, text: str, between: object) -> Taken:
    evaluation = evaluate(await survey(registry.db, app.id, registry.now), parse(text), registry.now)
    await between()  # type: ignore[operator]
    async with registry.db.transaction() as tx:
        return await take(registry.services, tx, app, evaluation.taken, evaluation, registry.now)


@in_memory
async def test_a_tag_set_after_the_decision_protects_the_image(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    old = await push(registry, app, "old")
    await push(registry, app, "young")

    async def tag_it() -> None:
        await push_image(registry.call, app, image_of([b"{}", b"old"]), MANIFEST_TYPE, ["keep"])

    taken = await _decided_then_taken(registry, app, policy_of(UNTAGGED_BEYOND_ONE), tag_it)

    assert (taken.expired, taken.changed) == (0, 1)
    assert await status_of(registry, app, old) == "ACTIVE"


@in_memory
async def test_when_the_newest_went_after_the_decision_the_others_stay(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    old = await push(registry, app, "old", "v1")
    await push(registry, app, "young", "v2")

    async def delete_the_newest() -> None:
        await remove_all(registry.call, app, [(None, "v2")])

    taken = await _decided_then_taken(registry, app, policy_of(NEWEST), delete_the_newest)

    assert (taken.expired, taken.changed) == (0, 1)
    assert await status_of(registry, app, old) == "ACTIVE"


@in_memory
async def test_when_the_newest_lost_its_tag_after_the_decision_the_others_stay(
    registry: MemoryRegistry,
) -> None:
    app = await registry.repository("team/app")
    old = await push(registry, app, "old", "v1")
    await push(registry, app, "young", "v2")

    async def untag_the_newest() -> None:
        await remove_tag(registry.call, app, "v2")

    tagged = NEWEST | {"tagStatus": "tagged", "tagPrefixList": ["v"]}
    taken = await _decided_then_taken(registry, app, policy_of(tagged), untag_the_newest)

    assert (taken.expired, taken.changed) == (0, 1)
    assert await status_of(registry, app, old) == "ACTIVE"


@in_memory
async def test_what_a_pull_changed_matters_to_rules_about_pulls_only(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    await push(registry, app, "old", "v1")
    registry.pass_time(2 * DAY)
    images = await survey(registry.db, app.id, registry.now)
    by_pull = older_than(1) | {"countType": "sinceImagePulled"}
    for selection, action, changed in ((by_pull, ARCHIVE, 1), (older_than(1), ARCHIVE, 0)):
        before = [replace(each, pulled=each.pushed) for each in images]  # the row has another time by now
        evaluation = evaluate(before, parse(policy_of(selection, action=action)), registry.now)
        async with registry.db.transaction() as tx:
            taken = await take(registry.services, tx, app, evaluation.taken, evaluation, registry.now)
        assert taken.changed == changed


@in_memory
async def test_a_policy_replaced_while_it_is_evaluated_takes_nothing(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    old = await push(registry, app, "old")
    registry.pass_time(2 * DAY)
    await stored.put(registry.call, app, policy_of(older_than(1)))

    async def evaluate_slowly(function: Any, /, *arguments: Any) -> Any:
        registry.pass_time(1)
        await stored.put(registry.call, app, policy_of(older_than(100)))
        return function(*arguments)

    services = replace(registry.services, compute=evaluate_slowly)
    again = await apply(services, Job(1, stored.APPLY, str(app.id), "", 1, 1))

    assert again == registry.now - 1 + job.SOON_US
    assert await status_of(registry, app, old) == "ACTIVE"
    assert (await stored.find(registry.db, app)).evaluated is None


class Killed(Exception):
    pass


class DyingJobs(Jobs):
    async def progress(self, *_: Any) -> None:
        raise Killed


@in_memory
async def test_a_run_that_was_killed_is_done_again(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    images = [await push(registry, app, f"image-{number}") for number in range(60)]
    registry.pass_time(2 * DAY)
    await stored.put(registry.call, app, policy_of(older_than(1)))

    with pytest.raises(Killed):
        await apply(replace(registry.services, jobs=DyingJobs()), Job(1, stored.APPLY, str(app.id), "", 1, 1))
    left = registry.count("images")
    await apply_now(registry, app)

    assert left == 60 - job.BATCH
    assert {await status_of(registry, app, each) for each in images} == {"gone"}


@in_memory
async def test_nothing_happens_in_a_repository_that_was_deleted(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    await push(registry, app, "old")
    await stored.put(registry.call, app, policy_of(older_than(1)))
    await repositories.delete(registry.call, "team/app", None, force=True)

    again = await apply(registry.services, Job(1, stored.APPLY, str(app.id), "", 1, 1))

    assert again is None
    assert registry.count("images") == 1


@in_memory
async def test_a_restored_image_is_active_after_a_while(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1")
    signature = await push(registry, app, "signature", subject=image)
    await _archive(registry, app, image)
    async with registry.db.transaction() as tx:
        found = await find.by_digest(tx, app, image)
        assert found is not None
        assert await archive.restore(registry.services, tx, app, found, registry.now)

    await run_jobs(registry)
    at_once = [await status_of(registry, app, each) for each in (image, signature)]
    registry.pass_time(registry.services.limits.restore_us)
    await run_jobs(registry)

    assert at_once == ["ACTIVATING"] * 2
    assert [await status_of(registry, app, each) for each in (image, signature)] == ["ACTIVE"] * 2
    restored = await find.by_digest(registry.db, app, image)
    assert restored is not None
    assert restored.activated == registry.now


@in_memory
async def test_pushing_an_archived_image_restores_it_at_once(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1")
    await _archive(registry, app, image)

    pushed = await push_image(registry.call, app, image_of([b"{}", b"image"]), MANIFEST_TYPE, [])

    assert pushed.was_restored
    assert await status_of(registry, app, image) == "ACTIVE"


@in_memory
async def test_after_each_batch_the_writes_are_left_to_others_for_twice_its_time(
    registry: MemoryRegistry,
) -> None:
    app = await registry.repository("team/app")
    for number in range(2 * job.BATCH + 1):
        await push(registry, app, f"old-{number}")
    await push(registry, app, "young")
    await stored.put(registry.call, app, policy_of(NEWEST))
    rests: list[float] = []
    ticks = count()

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(job, "asyncio", SimpleNamespace(sleep=rest))
        patched.setattr(job, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
        await apply_now(registry, app)

    assert registry.count("images") == 1
    assert rests == [job.REST] * 3
