"""The operations of replication: the configuration, the status of an image, backfills."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import Api

NOBODY = "01234567-89ab-cdef-0123-456789abcdef"


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def configure(api: Api, *regions: str, **rule: Any) -> None:
    destinations = [{"region": region, "registryId": api.account} for region in regions]
    rules = [{"destinations": destinations, **rule}] if regions else []
    api.ecr.put_replication_configuration(replicationConfiguration={"rules": rules})


@pytest.fixture
def far(api: Api, regions: Iterator[str]) -> Api:
    """The same account in another region of its own."""
    return api.in_region(next(regions))


def wait(api: Api, backfill: str) -> Any:
    for _ in range(200):
        said = api.ecr.describe_replication_backfill_results(replicationBackfillId=backfill)
        if "endedAt" in said:
            return said
        time.sleep(0.05)
    raise AssertionError(f"it does not end: {said}")


def start(api: Api, far: Api) -> Any:
    return api.ecr.start_replication_backfill(destination={"region": far.region, "registryId": api.account})


def test_an_image_that_no_rule_was_about_has_no_status(api: Api, app: str) -> None:
    image = api.image(app, "v1")

    said = api.ecr.describe_image_replication_status(
        repositoryName=app, imageId={"imageDigest": image.digest}
    )

    assert said["replicationStatuses"] == []
    assert said["imageId"] == {"imageDigest": image.digest}
    assert said["repositoryName"] == app


def test_the_status_of_what_is_not_there_is_an_error(api: Api, app: str) -> None:
    ask = api.ecr.describe_image_replication_status
    with pytest.raises(ClientError) as no_repository:
        ask(repositoryName="nothing", imageId={"imageTag": "v1"})
    with pytest.raises(ClientError) as no_image:
        ask(repositoryName=app, imageId={"imageTag": "v1"})
    with pytest.raises(ClientError) as no_id:
        ask(repositoryName=app, imageId={})

    assert code_of(no_repository) == "RepositoryNotFoundException"
    assert code_of(no_image) == "ImageNotFoundException"
    assert "imageTag:'v1'" in str(no_image.value)
    assert code_of(no_id) == "InvalidParameterException"


def test_a_push_of_the_api_is_replicated_and_its_status_told(api: Api, far: Api, app: str) -> None:
    configure(api, far.region)
    image = api.image(app, "v1")

    for _ in range(100):
        said = api.ecr.describe_image_replication_status(repositoryName=app, imageId={"imageTag": "v1"})
        if said["replicationStatuses"][0]["status"] == "COMPLETE":
            break
        time.sleep(0.02)

    assert said["replicationStatuses"] == [
        {"region": far.region, "registryId": api.account, "status": "COMPLETE"}
    ]
    got = far.ecr.batch_get_image(repositoryName=app, imageIds=[{"imageTag": "v1"}])
    assert [each["imageManifest"] for each in got["images"]] == [image.manifest]


def test_a_backfill_needs_a_destination_of_the_configuration(api: Api, far: Api) -> None:
    with pytest.raises(ClientError) as raised:
        start(api, far)

    assert code_of(raised) == "InvalidParameterException"


@pytest.mark.parametrize("operation", ["stop_replication_backfill", "describe_replication_backfill_results"])
def test_a_backfill_that_is_not_there_is_an_error(api: Api, operation: str) -> None:
    with pytest.raises(ClientError) as raised:
        getattr(api.ecr, operation)(replicationBackfillId=NOBODY)

    assert code_of(raised) == "ReplicationBackfillNotFoundException"


def test_backfills_of_another_registry_are_not_to_be_had(api: Api, stranger: Api) -> None:
    with pytest.raises(ClientError) as raised:
        stranger.ecr.list_replication_backfills(registryId=api.account)

    assert code_of(raised) == "AccessDeniedException"


def test_a_backfill_ends_and_cannot_be_stopped_then(api: Api, far: Api, app: str) -> None:
    for number in range(3):
        api.image(app, f"v{number}", note=number)
    configure(api, far.region)

    begun = start(api, far)
    said = wait(api, begun["replicationBackfillId"])

    assert begun["status"] == "PREPARING"
    assert (said["status"], said["progress"]["completedReplicationCount"]) == ("COMPLETE", 3)
    assert {each["imageId"]["imageTag"] for each in said["results"]} == {"v0", "v1", "v2"}
    assert len(far.ecr.describe_images(repositoryName=app)["imageDetails"]) == 3
    with pytest.raises(ClientError) as raised:
        api.ecr.stop_replication_backfill(replicationBackfillId=begun["replicationBackfillId"])
    assert code_of(raised) == "ReplicationBackfillInvalidStatusException"


def test_results_come_in_pages_and_by_status(api: Api, far: Api, app: str) -> None:
    for number in range(5):
        api.image(app, f"v{number}", note=number)
    configure(api, far.region)
    id_ = start(api, far)["replicationBackfillId"]
    wait(api, id_)

    found, more = [], {}
    while True:
        page = api.ecr.describe_replication_backfill_results(replicationBackfillId=id_, maxResults=2, **more)
        found += [each["imageId"]["imageTag"] for each in page["results"]]
        assert len(page["results"]) <= 2
        if "nextToken" not in page:
            break
        more = {"nextToken": page["nextToken"]}

    assert sorted(found) == ["v0", "v1", "v2", "v3", "v4"]
    failed = api.ecr.describe_replication_backfill_results(
        replicationBackfillId=id_, resultStatusFilter="FAILED"
    )
    assert failed["results"] == []
    with pytest.raises(ClientError) as raised:
        api.ecr.list_replication_backfills(nextToken=page.get("nextToken") or more["nextToken"])
    assert code_of(raised) == "InvalidParameterException"


def test_backfills_are_listed_newest_first_in_pages(api: Api, regions: Iterator[str]) -> None:
    others = [api.in_region(next(regions)) for _ in range(3)]
    configure(api, *[each.region for each in others])
    begun = [start(api, each)["replicationBackfillId"] for each in others]

    first = api.ecr.list_replication_backfills(maxResults=2)
    second = api.ecr.list_replication_backfills(maxResults=2, nextToken=first["nextToken"])

    listed = [each["replicationBackfillId"] for each in first["backfills"] + second["backfills"]]
    assert listed == begun[::-1]
    assert "nextToken" not in second
    for id_ in begun:
        wait(api, id_)
