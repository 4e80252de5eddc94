"""What our own operations do to a real registry: policies run at once, images in use, what was taken comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ...conftest import running
from .conftest import Api, Key, clients_of, root_of
from .own_rows import POLICY, run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Of a server that keeps for an hour what policies take."""
    with running(tmp_path_factory.mktemp("own"), "--undelete-hours", "1") as server:
        yield root_of(server, clients_of(server))


@pytest.fixture
def place(api: Api, app: str) -> dict[str, str]:
    """A repository with three images, of which a policy keeps the newest."""
    for tag in ("one", "two", "three"):
        api.image(app, tag, note=tag)
    api.ecr.put_lifecycle_policy(repositoryName=app, lifecyclePolicyText=POLICY)
    return {"repositoryName": app}


def tags_in(api: Api, app: str) -> set[str | None]:
    return {tag for _, tag in api.image_ids(app)}


def user(api: Api, name: str, *statements: dict[str, Any]) -> Api:
    """Who may do what these say."""
    api.iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    api.iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    made = api.iam.create_access_key(UserName=name)["AccessKey"]
    return Api(
        api.host,
        Key(made["AccessKeyId"], made["SecretAccessKey"]),
        api.account,
        api.region,
        api.clients,
        api.data,
    )


def allow(action: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": "*", **more}


def test_a_run_takes_what_the_dry_run_said_and_leaves_what_is_in_use(api: Api, place: dict[str, str]) -> None:
    app = place["repositoryName"]
    used = api.moorage.register_image_use(**place, imageId={"imageTag": "one"}, consumer="cluster-1")
    said = api.moorage.start_lifecycle_policy_run(**place, dryRun=True)
    assert tags_in(api, app) == {"one", "two", "three"}

    run(api, place)

    assert [each["imageTags"] for each in said["explanations"]] == [["two"]]
    assert said["summary"]["expiringImageTotalCount"] == 1
    assert tags_in(api, app) == {"one", "three"}
    done = api.moorage.get_lifecycle_policy_run(**place)
    assert (done["expiredImageCount"], done["failedImageCount"]) == (1, 0)

    digest = used["imageUse"]["imageDigest"]
    api.moorage.deregister_image_use(**place, imageDigest=digest, consumer="cluster-1")
    run(api, place)

    assert tags_in(api, app) == {"three"}


def test_what_was_taken_comes_back_with_its_tag(api: Api, place: dict[str, str]) -> None:
    app = place["repositoryName"]
    before = api.image_ids(app)
    run(api, place)
    deleted = api.moorage.list_deleted_images(**place)["deletedImages"]

    answer = api.moorage.restore_deleted_images(
        **place, imageDigests=[each["imageDigest"] for each in deleted]
    )

    assert {tuple(each["imageTags"]) for each in deleted} == {("one",), ("two",)}
    assert all(each["restorableUntil"] - each["deletedAt"] == timedelta(hours=1) for each in deleted)
    assert answer["failures"] == []
    assert api.image_ids(app) == before
    assert api.moorage.list_deleted_images(**place)["deletedImages"] == []


def test_an_explanation_says_which_rule_decides_and_why(api: Api, place: dict[str, str]) -> None:
    answer = api.moorage.explain_lifecycle_policy(**place)

    assert answer["policySource"] == "REPOSITORY"
    assert [(each["imageTags"], each["decision"]) for each in answer["explanations"]] == [
        (["one"], "EXPIRE"),
        (["two"], "EXPIRE"),
        (["three"], "KEEP"),
    ]
    why = "it is not among the newest 1 that the rule selects"
    assert answer["explanations"][0]["reason"] == why
    assert answer["explanations"][0]["identifiedBy"] == [
        {"rulePriority": 1, "isMarking": True, "reason": why}
    ]
    (named,) = api.moorage.explain_lifecycle_policy(**place, imageIds=[{"imageTag": "two"}])["explanations"]
    assert named == answer["explanations"][1]


def test_images_and_pages_cannot_be_asked_for_at_once(api: Api, place: dict[str, str]) -> None:
    with pytest.raises(api.moorage.exceptions.InvalidParameterException, match="imageIds"):
        api.moorage.explain_lifecycle_policy(**place, imageIds=[{"imageTag": "one"}], maxResults=1)


def test_a_policy_that_is_none_is_refused_in_amazons_words(api: Api, place: dict[str, str]) -> None:
    wrong = POLICY.replace("imageCountMoreThan", "imageCountLessThan")

    with pytest.raises(api.moorage.exceptions.InvalidParameterException) as own:
        api.moorage.explain_lifecycle_policy(**place, lifecyclePolicyText=wrong)
    with pytest.raises(api.ecr.exceptions.InvalidParameterException) as amazons:
        api.ecr.put_lifecycle_policy(**place, lifecyclePolicyText=wrong)

    assert own.value.response["Error"] == amazons.value.response["Error"]


def test_registering_again_gives_a_use_another_end(api: Api, place: dict[str, str]) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    use = {**place, "imageId": {"imageTag": "one"}, "consumer": "host/a.example:1@b"}

    first = api.moorage.register_image_use(**use)["imageUse"]
    second = api.moorage.register_image_use(**use, expiresAt=end)["imageUse"]

    assert "expiresAt" not in first
    assert second == {**first, "expiresAt": end}
    assert api.moorage.list_image_uses(**place)["imageUses"] == [second]


def test_uses_are_listed_by_consumer_and_by_image(api: Api, place: dict[str, str]) -> None:
    for tag, consumer in (("one", "a"), ("one", "b"), ("two", "a")):
        api.moorage.register_image_use(**place, imageId={"imageTag": tag}, consumer=consumer)

    def found(**wanted: str) -> list[tuple[str, str]]:
        uses = api.moorage.list_image_uses(**place, filter=wanted)["imageUses"]
        return [(each["imageDigest"], each["consumer"]) for each in uses]

    of_a = found(consumer="a")
    assert len(of_a) == 2
    assert len(found(imageDigest=of_a[0][0], consumer="a")) == 1
    assert len({digest for digest, _ in found(consumer="b")}) == 1


@pytest.mark.parametrize("consumer", ["", "-a", "a b", "a\n", "ä", "x" * 129])
def test_a_consumer_has_a_plain_name(api: Api, place: dict[str, str], consumer: str) -> None:
    body = {**place, "imageId": {"imageTag": "one"}, "consumer": consumer}

    answer = api.call("Moorage_V20261124.RegisterImageUse", body, service="moorage")

    assert (answer.status, answer.code) == (400, "InvalidParameterException")
    assert "'consumer'" in answer.text


def test_who_may_use_a_tag_may_register_that_tag_only(api: Api, place: dict[str, str]) -> None:
    condition = {"StringEquals": {"moorage:ImageTag": "one"}}
    limited = user(api, "uses-one", allow("moorage:RegisterImageUse", Condition=condition))

    limited.moorage.register_image_use(**place, imageId={"imageTag": "one"}, consumer="a")
    with pytest.raises(ClientError) as raised:
        limited.moorage.register_image_use(**place, imageId={"imageTag": "two"}, consumer="a")

    assert raised.value.response["Error"]["Code"] == "AccessDeniedException"


def test_actions_of_ecr_give_nobody_our_own(api: Api, place: dict[str, str]) -> None:
    limited = user(api, "ecr-only", allow("ecr:*"))

    with pytest.raises(ClientError, match="moorage:ListDeletedImages"):
        limited.moorage.list_deleted_images(**place)


def test_a_call_signed_for_another_service_is_refused(api: Api, place: dict[str, str]) -> None:
    answer = api.call("Moorage_V20261124.ListImageUses", place, service="ecr")

    assert answer.code == "InvalidSignatureException"


def test_what_changes_something_is_on_record(api: Api, place: dict[str, str]) -> None:
    api.moorage.explain_lifecycle_policy(**place)
    api.moorage.register_image_use(**place, imageId={"imageTag": "one"}, consumer="cluster-1")

    for _ in range(100):
        found = api.client("cloudtrail").lookup_events()["Events"]
        own = [each for each in found if each["EventSource"] == "moorage.amazonaws.com"]
        if own:
            break
        time.sleep(0.1)

    assert [(each["EventName"], each["ReadOnly"]) for each in own] == [("RegisterImageUse", "false")]
    assert own[0]["Resources"][0]["ResourceName"] == place["repositoryName"]
    record = json.loads(own[0]["CloudTrailEvent"])
    assert record["requestParameters"]["consumer"] == "cluster-1"


def test_a_default_policy_is_of_the_region_and_of_repositories_without_one(
    api: Api, app: str, place: dict[str, str]
) -> None:
    other = api.repository("without")
    api.moorage.put_default_lifecycle_policy(lifecyclePolicyText=POLICY)

    sources = [
        api.moorage.explain_lifecycle_policy(repositoryName=name)["policySource"] for name in (app, other)
    ]

    assert sources == ["REPOSITORY", "REGISTRY_DEFAULT"]
    with pytest.raises(api.ecr.exceptions.LifecyclePolicyNotFoundException):
        api.ecr.get_lifecycle_policy(repositoryName=other)
    elsewhere = api.in_region("elsewhere-1")
    with pytest.raises(elsewhere.moorage.exceptions.DefaultLifecyclePolicyNotFoundException):
        elsewhere.moorage.get_default_lifecycle_policy()
