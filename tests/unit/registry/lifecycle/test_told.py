"""What is put on record of a policy that was applied or tried."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moorage.access.service_events import ServiceEvent
from moorage.registry.audit.record import DOCUMENT_MAX, record_of_event
from moorage.registry.images import archive, find
from moorage.registry.lifecycle import preview, stored
from moorage.registry.lifecycle.evaluate import DAY
from moorage.registry.lifecycle.policy import parse
from moorage.registry.lifecycle.told import Act, Applied, events

from ..memory import in_memory, with_limits
from ..registry import MemoryRegistry
from .running import apply_now, older_than, policy_of, push, push_index, run_jobs

ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}


def heard(registry: MemoryRegistry) -> list[ServiceEvent]:
    events: list[ServiceEvent] = []
    registry.services.service_events.listen(events.append)
    return events


def images_in(event: ServiceEvent, of: str = "lifecycleEventImageActions") -> list[dict[str, Any]]:
    return [each["lifecycleEventImage"] for each in event.details[of]]


@in_memory
async def test_what_a_run_takes_is_told_with_the_rules_in_the_words_of_cloudtrail(
    registry: MemoryRegistry,
) -> None:
    told = heard(registry)
    app = await registry.repository("team/app")
    old = await push(registry, app, "old", "v1", "latest")
    pushed = registry.now
    text = policy_of({"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1})
    await push(registry, app, "new")
    await stored.put(registry.call, app, text)

    await apply_now(registry, app)

    (event,) = told
    assert (event.name, event.registry, event.resource) == ("PolicyExecutionEvent", app.registry, app.arn)
    assert event.is_read_only
    policy = event.details["lifecycleEventPolicy"]
    assert policy["lifecycleEventRules"] == [
        {
            "rulePriority": 1,
            "description": "",
            "lifecycleEventSelection": {
                "tagStatus": "Any",
                "tagPrefixList": [],
                "countType": "Image count more than",
                "countNumber": 1,
            },
            "action": "expire",
        }
    ]
    assert (policy["lastEvaluatedAt"], policy["policyVersion"]) == (0, 1)
    assert event.details["lifecycleEventImageActions"] == [
        {
            "lifecycleEventImage": {
                "digest": str(old),
                "tagStatus": "Tagged",
                "tagList": ["latest", "v1"],
                "pushedAt": pushed // 1_000,
            },
            "rulePriority": 1,
        }
    ]
    assert event.details["lifecycleEventFailureDetails"] == []


@in_memory
async def test_a_run_that_takes_nothing_tells_nothing(registry: MemoryRegistry) -> None:
    told = heard(registry)
    app = await registry.repository("team/app")
    await push(registry, app, "young")
    await stored.put(registry.call, app, policy_of(older_than(1)))

    await apply_now(registry, app)

    assert told == []


@in_memory
async def test_a_child_that_has_to_stay_is_told_with_its_index(registry: MemoryRegistry) -> None:
    told = heard(registry)
    app = await registry.repository("team/app")
    child = await push(registry, app, "child")
    registry.pass_time(2 * DAY)
    index = await push_index(registry, app, [child], "v1")
    await stored.put(registry.call, app, policy_of(older_than(1)))

    await apply_now(registry, app)

    (event,) = told
    assert event.details["lifecycleEventImageActions"] == []
    (failure,) = event.details["lifecycleEventFailureDetails"]
    assert failure["lifecycleEventImage"]["digest"] == str(child)
    assert failure["failureCode"] == "ImageReferencedByManifestList"
    assert failure["failureReason"] == f"Requested image referenced by manifest list: [{index}]"


@pytest.mark.parametrize("action", [{"type": "expire"}, ARCHIVE])
@in_memory
async def test_what_refers_to_an_image_is_told_with_it(
    registry: MemoryRegistry, action: dict[str, str]
) -> None:
    told = heard(registry)
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1")
    signature = await push(registry, app, "signature", subject=image)
    registry.pass_time(2 * DAY)
    await stored.put(registry.call, app, policy_of(older_than(1), action=action))

    await apply_now(registry, app)

    (event,) = told
    assert [each["digest"] for each in images_in(event)] == [str(image), str(signature)]


@in_memory
async def test_tags_that_expire_are_told_each_with_its_image(registry: MemoryRegistry) -> None:
    with_limits(registry, lifecycle_extensions=True)
    told = heard(registry)
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "pr-1", "kept")
    registry.pass_time(2 * DAY)
    rule = {
        "rulePriority": 1,
        "selection": older_than(1, "tagged", tagPrefixList=["pr-"]),
        "action": {"type": "expire"},
        "moorage": {"expireTag": True},
    }
    await stored.put(registry.call, app, json.dumps({"rules": [rule]}))

    await apply_now(registry, app)

    (event,) = told
    assert [(each["digest"], each["tagList"]) for each in images_in(event)] == [(str(image), ["pr-1"])]
    assert event.details["lifecycleEventPolicy"]["lifecycleEventRules"][0]["action"] == "expireTag"


@in_memory
async def test_ten_images_are_more_than_one_record(registry: MemoryRegistry) -> None:
    told = heard(registry)
    app = await registry.repository("team/app")
    for number in range(10):
        await push(registry, app, f"image-{number}")
    registry.pass_time(2 * DAY)
    await stored.put(registry.call, app, policy_of(older_than(1)))

    await apply_now(registry, app)

    assert [len(images_in(event)) for event in told] == [9, 1]


@in_memory
async def test_a_record_has_a_hundred_tags_of_an_image_and_fits(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    text = policy_of(older_than(1))
    tags = [f"{number:0>128}" for number in range(1_000)]
    acts = [Act(f"sha256:{number:0>64}", tags, 1_000, 1) for number in range(9)]

    told = list(events("PolicyExecutionEvent", Applied(app, text, parse(text)), acts))

    assert sum(len(images_in(event)) for event in told) == 9
    assert {len(image["tagList"]) for event in told for image in images_in(event)} == {100}
    documents = [record_of_event(event, "id", 0).document for event in told]
    assert max(map(len, documents)) <= DOCUMENT_MAX
    assert not any("omitted" in document for document in documents)


@in_memory
async def test_a_preview_is_told_as_a_dry_run_also_of_nothing(registry: MemoryRegistry) -> None:
    told = heard(registry)
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1")
    for days in (1, 1_000):
        registry.pass_time(2 * DAY)
        await preview.start(registry.call, app, policy_of(older_than(days)))
        await run_jobs(registry)

    assert [event.name for event in told] == ["DryRunEvent", "DryRunEvent"]
    assert [[each["digest"] for each in images_in(event)] for event in told] == [[str(image)], []]
    ids = {event.details["lifecycleEventPolicy"]["policyId"] for event in told}
    assert len(ids) == 2


@in_memory
async def test_the_end_of_a_restoration_is_told(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    image = await find.by_digest(registry.db, app, await push(registry, app, "image", "v1"))
    assert image is not None
    async with registry.db.transaction() as tx:
        await archive.archive(registry.services, tx, app, image, registry.now)
        await archive.restore(registry.services, tx, app, image, registry.now)
    told = heard(registry)
    registry.pass_time(DAY)

    await run_jobs(registry)

    (event,) = told
    assert event.name == "ImageActivationEvent"
    assert event.details == {
        "repositoryName": "team/app",
        "imageDigest": str(image.digest),
        "targetStorageClass": "STANDARD",
        "result": "SUCCESS",
        "imageStatus": "ACTIVE",
    }
