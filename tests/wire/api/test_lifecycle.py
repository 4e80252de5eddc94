"""Lifecycle policies, their previews and the archive, as boto3 sees them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

VECTORS = json.loads((Path(__file__).parents[2] / "conformance" / "lifecycle" / "vectors.json").read_text())
NOWHERE = "sha256:" + "0" * 64


def policy(*selections: dict[str, Any], action: dict[str, str] | None = None) -> str:
    rules = [
        {"rulePriority": number, "selection": each, "action": action or {"type": "expire"}}
        for number, each in enumerate(selections, 1)
    ]
    return json.dumps({"rules": rules}, indent=2)


NEWEST = policy({"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1})
UNTAGGED = policy({"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1})


def refused(raised: Any) -> tuple[str, str]:
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def preview_of(api: Any, name: str, **options: Any) -> Any:
    """When it is no longer in progress."""
    for _ in range(100):
        found = api.ecr.get_lifecycle_policy_preview(repositoryName=name, **options)
        if found["status"] != "IN_PROGRESS":
            return found
        assert found["previewResults"] == []
        time.sleep(0.1)
    raise AssertionError("no preview")


# The policy


def test_a_policy_is_answered_without_whitespace_by_put_get_and_delete(api: Any, app: str) -> None:
    where = {"registryId": api.account, "repositoryName": app}
    shown = json.dumps(json.loads(NEWEST), separators=(",", ":"))

    put = api.ecr.put_lifecycle_policy(repositoryName=app, lifecyclePolicyText=NEWEST)
    got = api.ecr.get_lifecycle_policy(repositoryName=app)
    deleted = api.ecr.delete_lifecycle_policy(repositoryName=app)

    del put["ResponseMetadata"], got["ResponseMetadata"], deleted["ResponseMetadata"]
    assert put == {**where, "lifecyclePolicyText": shown}
    assert got.pop("lastEvaluatedAt").timestamp() == deleted.pop("lastEvaluatedAt").timestamp() == 0
    assert got == deleted == put


def test_putting_the_same_policy_again_changes_nothing(api: Any, app: str) -> None:
    first = api.ecr.put_lifecycle_policy(repositoryName=app, lifecyclePolicyText=NEWEST)
    second = api.ecr.put_lifecycle_policy(repositoryName=app, lifecyclePolicyText=NEWEST)

    assert first["lifecyclePolicyText"] == second["lifecyclePolicyText"]


def test_a_policy_that_is_not_there_is_not_found(api: Any, app: str) -> None:
    for call in (
        api.ecr.get_lifecycle_policy,
        api.ecr.delete_lifecycle_policy,
        api.ecr.start_lifecycle_policy_preview,
    ):
        with pytest.raises(api.ecr.exceptions.LifecyclePolicyNotFoundException) as raised:
            call(repositoryName=app)
        assert refused(raised)[1].endswith(
            f"Lifecycle policy does not exist for the repository with name '{app}' in the registry with id "
            f"'{api.account}'"
        )


def test_a_policy_goes_with_its_repository(api: Any, app: str) -> None:
    api.ecr.put_lifecycle_policy(repositoryName=app, lifecyclePolicyText=NEWEST)
    api.ecr.delete_repository(repositoryName=app, force=True)
    api.repository(app)

    with pytest.raises(api.ecr.exceptions.LifecyclePolicyNotFoundException):
        api.ecr.get_lifecycle_policy(repositoryName=app)


@pytest.mark.parametrize(
    "operation",
    [
        "PutLifecyclePolicy",
        "GetLifecyclePolicy",
        "DeleteLifecyclePolicy",
        "StartLifecyclePolicyPreview",
        "GetLifecyclePolicyPreview",
        "UpdateImageStorageClass",
    ],
)
def test_a_repository_that_is_not_there_is_not_found(api: Any, operation: str) -> None:
    body = {
        "repositoryName": "nowhere",
        "lifecyclePolicyText": NEWEST,
        "imageId": {"imageDigest": NOWHERE},
        "targetStorageClass": "ARCHIVE",
    }

    answer = api.call(operation, body)

    assert answer.code == "RepositoryNotFoundException"


@pytest.mark.parametrize("vector", VECTORS["refusals"], ids=lambda vector: vector["name"])
def test_a_wrong_policy_is_refused_and_the_one_before_stays(
    api: Any, app: str, vector: dict[str, Any]
) -> None:
    text = json.dumps(vector["policy"], indent=4).ljust(100)
    api.ecr.put_lifecycle_policy(repositoryName=app, lifecyclePolicyText=UNTAGGED)

    for call in (api.ecr.put_lifecycle_policy, api.ecr.start_lifecycle_policy_preview):
        with pytest.raises(api.ecr.exceptions.InvalidParameterException) as raised:
            call(repositoryName=app, lifecyclePolicyText=text)
        assert refused(raised)[1].endswith(
            "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
            f"'Lifecycle policy validation failure: {vector['refused']}'"
        )
    kept = api.ecr.get_lifecycle_policy(repositoryName=app)["lifecyclePolicyText"]
    assert json.loads(kept) == json.loads(UNTAGGED)


@pytest.mark.parametrize("length", [99, 30_721])
def test_a_text_too_short_or_long_is_refused(api: Any, app: str, length: int) -> None:
    answer = api.call("PutLifecyclePolicy", {"repositoryName": app, "lifecyclePolicyText": " " * length})

    assert answer.code == "InvalidParameterException"
    assert "at 'lifecyclePolicyText' failed to satisfy constraint: 'must have length" in answer.text


# The preview


def test_a_preview_lists_what_would_be_taken_and_takes_nothing(api: Any, app: str) -> None:
    images = [api.image(app, f"v{number}", note=number) for number in range(3)]

    started = api.ecr.start_lifecycle_policy_preview(repositoryName=app, lifecyclePolicyText=NEWEST)
    found = preview_of(api, app)

    del started["ResponseMetadata"]
    assert started == {
        "registryId": api.account,
        "repositoryName": app,
        "lifecyclePolicyText": NEWEST,
        "status": "IN_PROGRESS",
    }
    assert found["lifecyclePolicyText"] == NEWEST
    assert found["status"] == "COMPLETE"
    assert found["summary"] == {"expiringImageTotalCount": 2}
    assert {each["imageDigest"] for each in found["previewResults"]} < {each.digest for each in images}
    for each in found["previewResults"]:
        assert each["action"] == {"type": "EXPIRE"}
        assert (each["appliedRulePriority"], each["storageClass"]) == (1, "STANDARD")
        assert len(each["imageTags"]) == 1
    assert len(api.image_ids(app)) == 3


def test_the_stock_waiter_waits_for_a_preview(api: Any, app: str) -> None:
    api.image(app, "v1")
    api.ecr.put_lifecycle_policy(repositoryName=app, lifecyclePolicyText=NEWEST)
    api.ecr.start_lifecycle_policy_preview(repositoryName=app)

    waiter = api.ecr.get_waiter("lifecycle_policy_preview_complete")
    waiter.wait(repositoryName=app, WaiterConfig={"Delay": 1, "MaxAttempts": 20})

    assert preview_of(api, app)["previewResults"] == []


def test_a_preview_is_paged_and_filtered_and_its_summary_is_not(api: Any, app: str) -> None:
    tagged = [api.image(app, f"v{number}", note=number) for number in range(5)]
    for number in range(5, 9):
        api.image(app, note=number)
    everything = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}
    moving = policy(everything, action={"type": "transition", "targetStorageClass": "archive"})
    api.ecr.start_lifecycle_policy_preview(repositoryName=app, lifecyclePolicyText=moving)
    preview_of(api, app)

    paginator = api.ecr.get_paginator("get_lifecycle_policy_preview")
    pages = list(paginator.paginate(repositoryName=app, PaginationConfig={"PageSize": 3}))
    untagged = preview_of(api, app, filter={"tagStatus": "UNTAGGED"})
    named = preview_of(api, app, imageIds=[{"imageDigest": tagged[1].digest}, {"imageTag": "v2"}])

    assert [len(page["previewResults"]) for page in pages] == [3, 3, 2]
    assert len({each["imageDigest"] for page in pages for each in page["previewResults"]}) == 8
    assert len(untagged["previewResults"]) == 3
    assert {each["imageDigest"] for each in named["previewResults"]} == {
        tagged[1].digest,
        tagged[2].digest,
    }
    for each in (*pages, untagged, named):
        assert each["summary"] == {
            "expiringImageTotalCount": 0,
            "transitioningImageTotalCounts": [{"targetStorageClass": "ARCHIVE", "imageTotalCount": 8}],
        }
    for each in named["previewResults"]:
        assert each["action"] == {"type": "TRANSITION", "targetStorageClass": "ARCHIVE"}


def test_a_page_of_another_preview_is_refused(api: Any, app: str) -> None:
    for number in range(3):
        api.image(app, note=number)
    api.ecr.start_lifecycle_policy_preview(repositoryName=app, lifecyclePolicyText=UNTAGGED)
    preview_of(api, app)
    token = api.ecr.get_lifecycle_policy_preview(repositoryName=app, maxResults=1)["nextToken"]
    api.ecr.start_lifecycle_policy_preview(repositoryName=app, lifecyclePolicyText=UNTAGGED)
    preview_of(api, app)

    with pytest.raises(api.ecr.exceptions.InvalidParameterException, match="Invalid token"):
        api.ecr.get_lifecycle_policy_preview(repositoryName=app, nextToken=token)
    with pytest.raises(api.ecr.exceptions.InvalidParameterException, match="together with 'imageIds'"):
        api.ecr.get_lifecycle_policy_preview(repositoryName=app, maxResults=1, imageIds=[{"imageTag": "a"}])


def test_a_preview_that_was_not_started_is_not_found(api: Any, app: str) -> None:
    with pytest.raises(api.ecr.exceptions.LifecyclePolicyPreviewNotFoundException):
        api.ecr.get_lifecycle_policy_preview(repositoryName=app)


def test_a_preview_leaves_out_children_of_an_index_that_stays(api: Any, app: str) -> None:
    child = api.image(app, note="child")
    api.push(app, api.index(child), "v1")
    old = api.image(app, note="old")
    api.image(app, note="young")

    api.ecr.start_lifecycle_policy_preview(repositoryName=app, lifecyclePolicyText=UNTAGGED)

    found = preview_of(api, app)["previewResults"]
    assert [each["imageDigest"] for each in found] == [old.digest]


# The archive


def archive(api: Any, name: str, target: str = "ARCHIVE", **image_id: str) -> Any:
    return api.ecr.update_image_storage_class(
        repositoryName=name, imageId=image_id, targetStorageClass=target
    )


def test_an_archived_image_is_hidden_and_cannot_be_pulled(api: Any, app: str) -> None:
    layer = api.layer(app, b"its own")
    shared = api.layer(app, b"shared")
    image = api.image(app, "v1", layers={layer: 7, shared: 6})
    other = api.image(app, "v2", layers={shared: 6})

    answer = archive(api, app, imageDigest=image.digest)

    del answer["ResponseMetadata"]
    assert answer == {
        "registryId": api.account,
        "repositoryName": app,
        "imageId": {"imageDigest": image.digest},
        "imageStatus": "ARCHIVED",
    }
    assert api.image_ids(app) == {(other.digest, "v2")}
    assert api.image_ids(app, filter={"imageStatus": "ARCHIVED"}) == {(image.digest, "v1")}
    assert len(api.image_ids(app, filter={"imageStatus": "ANY"})) == 2
    shown = api.ecr.describe_images(repositoryName=app, imageIds=[{"imageDigest": image.digest}])
    assert shown["imageDetails"][0]["imageStatus"] == "ARCHIVED"
    assert shown["imageDetails"][0]["lastArchivedAt"]
    got = api.ecr.batch_get_image(repositoryName=app, imageIds=[{"imageTag": "v1"}])
    assert [each["failureCode"] for each in got["failures"]] == ["ImageInaccessible"]
    for path, status in (
        ("manifests/v1", 404),
        (f"manifests/{image.digest}", 404),
        (f"blobs/{layer}", 404),
        (f"blobs/{shared}", 200),
        ("manifests/v2", 200),
    ):
        for method in ("HEAD", "GET"):
            assert api.v2(method, f"/v2/{app}/{path}").status == status, (method, path)
    layers = api.ecr.batch_check_layer_availability(repositoryName=app, layerDigests=[layer, shared])
    assert [each["layerAvailability"] for each in layers["layers"]] == ["ARCHIVED", "AVAILABLE"]
    with pytest.raises(api.ecr.exceptions.LayersNotFoundException):
        api.ecr.get_download_url_for_layer(repositoryName=app, layerDigest=layer)


def test_a_restored_image_is_activating_and_then_active(api: Any, app: str) -> None:
    image = api.image(app, "v1")
    archive(api, app, imageTag="v1")

    answer = archive(api, app, "STANDARD", imageTag="v1")

    assert answer["imageStatus"] == "ACTIVATING"
    assert answer["imageId"] == {"imageDigest": image.digest, "imageTag": "v1"}
    assert api.image_ids(app, filter={"imageStatus": "ACTIVATING"}) == {(image.digest, "v1")}
    assert api.v2("GET", f"/v2/{app}/manifests/v1").status == 404
    with pytest.raises(api.ecr.exceptions.ImageStorageClassUpdateNotSupportedException):
        archive(api, app, imageTag="v1")


def test_pushing_an_archived_image_again_restores_it_at_once(api: Any, app: str) -> None:
    layer = api.layer(app, b"its own")
    image = api.image(app, "v1", layers={layer: 7})
    archive(api, app, imageTag="v1")

    assert api.layer(app, b"its own") == layer
    api.push(app, image.manifest, "v1")

    shown = api.ecr.describe_images(repositoryName=app)["imageDetails"][0]
    assert shown["imageStatus"] == "ACTIVE"
    assert shown["lastActivatedAt"] >= shown["lastArchivedAt"]
    assert api.v2("GET", f"/v2/{app}/blobs/{layer}").body == b"its own"


def test_what_is_in_the_archive_already_or_in_an_index_cannot_be_archived(api: Any, app: str) -> None:
    child = api.image(app, note="child")
    index = api.push(app, api.index(child), "v1")
    unsupported = api.ecr.exceptions.ImageStorageClassUpdateNotSupportedException

    with pytest.raises(unsupported, match=index.digest):
        archive(api, app, imageDigest=child.digest)
    with pytest.raises(unsupported):
        archive(api, app, "STANDARD", imageTag="v1")
    archive(api, app, imageTag="v1")
    with pytest.raises(unsupported):
        archive(api, app, imageTag="v1")
    archive(api, app, imageDigest=child.digest)


def test_an_image_that_is_not_there_cannot_be_archived(api: Any, app: str) -> None:
    api.image(app, "v1")

    for image_id in (
        {"imageTag": "v2"},
        {"imageDigest": NOWHERE},
        {"imageTag": "v1", "imageDigest": NOWHERE},
    ):
        with pytest.raises(api.ecr.exceptions.ImageNotFoundException):
            archive(api, app, **image_id)
    with pytest.raises(api.ecr.exceptions.InvalidParameterException):
        archive(api, app, imageDigest="none")


def test_archived_images_can_be_deleted(api: Any, app: str) -> None:
    image = api.image(app, "v1")
    archive(api, app, imageTag="v1")

    deleted = api.ecr.batch_delete_image(repositoryName=app, imageIds=[{"imageDigest": image.digest}])

    assert deleted["failures"] == []
    assert api.image_ids(app, filter={"imageStatus": "ANY"}) == set()
