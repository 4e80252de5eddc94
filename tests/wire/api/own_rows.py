"""The table of our own operations, as `operation_rows.py` is of Amazon's: success, errors, pages, repetition."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .conftest import Api, sha256
from .operation_rows import ANEW, BROKEN, SAME, Row
from .preparations import Parameters, Provocation, images, nothing

POLICY = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
                "action": {"type": "expire"},
            }
        ]
    }
)
"""The newest image stays."""
TAG = {"imageTag": "v1"}
NOWHERE = sha256("nowhere")
WHO = {"consumer": "cluster-1"}

NOT_IN_A_TEST = "only of a thousand consumers of one image (tests/unit/registry/lifecycle/test_uses.py)"

SERVER: dict[str, Provocation | str] = {"Server": BROKEN}
REPOSITORY: dict[str, Provocation | str] = {
    **SERVER,
    "InvalidParameter": {"repositoryName": "NO"},
    "RepositoryNotFound": {"repositoryName": "nothing/here"},
}
NO_DEFAULT: dict[str, Provocation | str] = {
    **SERVER,
    "InvalidParameter": {"registryId": "x"},
    "DefaultLifecyclePolicyNotFound": lambda api, _: without_default(api),
}


def with_default(prepare: Callable[[Api], Parameters], **parameters: Any) -> Callable[[Api], Parameters]:
    """There is a default policy, and what `prepare` makes."""

    def prepared(api: Api) -> Parameters:
        api.moorage.put_default_lifecycle_policy(lifecyclePolicyText=POLICY)
        return {**prepare(api), **parameters}

    return prepared


def without_default(api: Api) -> Parameters:
    api.moorage.delete_default_lifecycle_policy()
    return {}


def used(*consumers: str, **parameters: Any) -> Callable[[Api], Parameters]:
    """The image `v1`, in use."""

    def prepare(api: Api) -> Parameters:
        place = images("v1")(api)
        for consumer in consumers:
            api.moorage.register_image_use(**place, imageId=TAG, consumer=consumer)
        return {**place, **parameters}

    return prepare


def digest_of_used(api: Api) -> Parameters:
    place = used("cluster-1")(api)
    (use,) = api.moorage.list_image_uses(**place)["imageUses"]
    return {**place, **WHO, "imageDigest": use["imageDigest"]}


def run(api: Api, place: Parameters) -> Parameters:
    """Apply the policy, and wait for it."""
    api.moorage.start_lifecycle_policy_run(**place)
    waiter = api.moorage.get_waiter("lifecycle_policy_run_complete")
    waiter.wait(**place, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    return place


def taken(*tags: str) -> Callable[[Api], Parameters]:
    """Those images, taken by a policy; a newer one stays."""

    def prepare(api: Api) -> Parameters:
        return run(api, with_default(images(*tags, "newest"))(api))

    return prepare


def digests_of_taken(api: Api) -> Parameters:
    place = taken("v1", "v2")(api)
    deleted = api.moorage.list_deleted_images(**place)["deletedImages"]
    return {**place, "imageDigests": [each["imageDigest"] for each in deleted]}


ROWS: dict[str, Row] = {
    "DeleteDefaultLifecyclePolicy": Row(with_default(nothing), "DefaultLifecyclePolicyNotFound", NO_DEFAULT),
    "DeregisterImageUse": Row(
        digest_of_used,
        "ImageUseNotFound",
        {**REPOSITORY, "ImageUseNotFound": {"consumer": "cluster-2"}},
    ),
    "ExplainLifecyclePolicy": Row(
        images("v1", "v2", lifecyclePolicyText=POLICY),
        SAME,
        {
            **REPOSITORY,
            "ImageNotFound": {"imageIds": [{"imageTag": "nothing"}]},
            "LifecyclePolicyNotFound": {"lifecyclePolicyText": None},
        },
        pages="explanations",
    ),
    "GetDefaultLifecyclePolicy": Row(with_default(nothing), SAME, NO_DEFAULT),
    "GetLifecyclePolicyRun": Row(
        taken("v1"),
        SAME,
        {
            **REPOSITORY,
            "LifecyclePolicyRunNotFound": lambda api, _: {"repositoryName": api.repository("never-run")},
        },
    ),
    "ListDeletedImages": Row(taken("v1", "v2"), SAME, REPOSITORY, pages="deletedImages"),
    "ListImageUses": Row(used("cluster-1", "cluster-2"), SAME, REPOSITORY, pages="imageUses"),
    "PutDefaultLifecyclePolicy": Row(
        lambda _: {"lifecyclePolicyText": POLICY},
        SAME,
        {**SERVER, "InvalidParameter": {"lifecyclePolicyText": "{}".ljust(100)}},
    ),
    "RegisterImageUse": Row(
        images("v1", imageId=TAG, **WHO),
        SAME,
        {
            **REPOSITORY,
            "InvalidParameter": {"expiresAt": 1},
            "ImageNotFound": {"imageId": {"imageDigest": NOWHERE}},
            "LimitExceeded": NOT_IN_A_TEST,
        },
    ),
    "RestoreDeletedImages": Row(digests_of_taken, ANEW, REPOSITORY),
    "StartLifecyclePolicyRun": Row(
        with_default(images("v1", "v2", "newest"), dryRun=True),
        SAME,
        {
            **REPOSITORY,
            "LifecyclePolicyNotFound": lambda api, _: without_default(api),
        },
        pages="explanations",
    ),
}
