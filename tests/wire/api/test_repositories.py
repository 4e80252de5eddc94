from __future__ import annotations

from typing import Any

import pytest

MODES = ["MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"]
FILTERS = [{"filterType": "WILDCARD", "filter": "dev-*"}, {"filterType": "WILDCARD", "filter": "*-rc*"}]


def message(raised: Any) -> str:
    return str(raised.value.response["Error"]["Message"])


def in_registry(api: Any, name: str) -> str:
    return f"The repository with name '{name}' does not exist in the registry with id '{api.account}'"


def filters_for(mode: str) -> dict[str, Any]:
    return {"imageTagMutabilityExclusionFilters": FILTERS} if mode.endswith("EXCLUSION") else {}


# CreateRepository


def test_create_with_defaults_answers_the_repository(api: Any) -> None:
    created = api.ecr.create_repository(repositoryName="team/app")["repository"]

    when = created.pop("createdAt")
    assert when.microsecond % 1000 == 0
    assert created == {
        "repositoryArn": f"arn:aws:ecr:{api.region}:{api.account}:repository/team/app",
        "registryId": api.account,
        "repositoryName": "team/app",
        "repositoryUri": f"{api.registry_host}/team/app",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }
    assert api.ecr.describe_repositories()["repositories"] == [{**created, "createdAt": when}]


@pytest.mark.parametrize("mode", MODES)
def test_create_with_everything_keeps_it(api: Any, mode: str) -> None:
    created = api.ecr.create_repository(
        repositoryName="app",
        registryId=api.account,
        imageTagMutability=mode,
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfiguration={"encryptionType": "AES256"},
        tags=[{"Key": "team", "Value": "a"}, {"Key": "empty", "Value": ""}],
        **filters_for(mode),
    )["repository"]

    assert created["imageTagMutability"] == mode
    assert created.get("imageTagMutabilityExclusionFilters") == filters_for(mode).get(
        "imageTagMutabilityExclusionFilters"
    )
    assert created["imageScanningConfiguration"] == {"scanOnPush": True}
    tags = api.ecr.list_tags_for_resource(resourceArn=created["repositoryArn"])["tags"]
    assert tags == [{"Key": "empty", "Value": ""}, {"Key": "team", "Value": "a"}]


def test_create_what_exists_is_refused_whatever_the_settings(api: Any) -> None:
    api.repository("app")
    for options in ({}, {"imageTagMutability": "IMMUTABLE"}):
        with pytest.raises(api.ecr.exceptions.RepositoryAlreadyExistsException) as raised:
            api.repository("app", **options)
        assert message(raised) == (
            f"The repository with name 'app' already exists in the registry with id '{api.account}'"
        )
    assert api.repository("app/inner") == "app/inner"


@pytest.mark.parametrize(
    ("tags", "error", "text"),
    [
        ([{"Key": "aws:x", "Value": ""}], "InvalidTagParameterException", "Tag parameters are invalid"),
        ([{"Key": "AWS:x", "Value": ""}], "InvalidTagParameterException", "Tag parameters are invalid"),
        ([{"Key": "", "Value": ""}], "InvalidTagParameterException", "Tag parameters are invalid"),
        (
            [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}],
            "InvalidTagParameterException",
            "Tag parameters are invalid",
        ),
        ([{"Key": "k" * 129, "Value": ""}], "InvalidTagParameterException", "Tag parameters are invalid"),
        ([{"Key": "k", "Value": "v" * 257}], "InvalidTagParameterException", "Tag parameters are invalid"),
        (
            [{"Key": f"k{n}", "Value": ""} for n in range(51)],
            "TooManyTagsException",
            "The maximum number of tags that can be applied to a repository is 50.",
        ),
    ],
)
def test_create_with_bad_tags_creates_nothing(api: Any, tags: Any, error: str, text: str) -> None:
    answer = api.call("CreateRepository", {"repositoryName": "app", "tags": tags})

    assert (answer.status, answer.code, answer.text) == (400, error, text)
    assert api.ecr.describe_repositories()["repositories"] == []


@pytest.mark.parametrize(
    ("options", "at", "rule"),
    [
        (
            {"imageTagMutability": "SOMETIMES"},
            "imageTagMutability",
            "Member must satisfy enum value set: "
            "[IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]",
        ),
        (
            {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"},
            "imageTagMutabilityExclusionFilters",
            "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as "
            "IMMUTABLE_WITH_EXCLUSION",
        ),
        (
            {"imageTagMutability": "MUTABLE", "imageTagMutabilityExclusionFilters": FILTERS},
            "imageTagMutabilityExclusionFilters",
            "ImageTagMutabilityExclusionFilters must be null when imageTagMutability is set as MUTABLE",
        ),
        (
            {"imageTagMutabilityExclusionFilters": FILTERS},
            "imageTagMutabilityExclusionFilters",
            "ImageTagMutabilityExclusionFilters must be null when imageTagMutability is set as MUTABLE",
        ),
        (
            {"registryId": "12345678901"},
            "registryId",
            "must satisfy regular expression '[0-9]{12}'",
        ),
    ],
)
def test_create_with_a_broken_constraint_names_it(api: Any, options: Any, at: str, rule: str) -> None:
    answer = api.call("CreateRepository", {"repositoryName": "app", **options})

    assert answer.code == "InvalidParameterException"
    assert answer.text == f"Invalid parameter at '{at}' failed to satisfy constraint: '{rule}'"


def test_create_under_a_kms_key_is_refused_while_there_is_none(api: Any) -> None:
    encryption = {"encryptionType": "KMS"}
    with pytest.raises(api.ecr.exceptions.KmsException) as raised:
        api.ecr.create_repository(repositoryName="app", encryptionConfiguration=encryption)

    assert raised.value.response["kmsError"]
    assert api.ecr.describe_repositories()["repositories"] == []


# DescribeRepositories


def test_describe_pages_in_name_order(api: Any) -> None:
    names = sorted(["0a", "a-b", "a.b", "a/a", "a/b", "ab", "b0", *(f"n{n}" for n in range(6))])
    for name in reversed(names):
        api.repository(name)
    pages = api.ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 4})

    seen = [[each["repositoryName"] for each in page["repositories"]] for page in pages]

    assert [name for page in seen for name in page] == names
    assert [len(page) for page in seen] == [4, 4, 4, 1]
    assert "nextToken" not in api.ecr.describe_repositories(maxResults=len(names))


def test_describe_by_name_keeps_the_order_asked_and_answers_each_once(api: Any) -> None:
    for name in ("a0", "b0", "c0"):
        api.repository(name)

    found = api.ecr.describe_repositories(repositoryNames=["c0", "a0", "c0"], registryId=api.account)

    assert [each["repositoryName"] for each in found["repositories"]] == ["c0", "a0"]
    assert "nextToken" not in found


def test_describe_one_unknown_name_fails_the_whole(api: Any) -> None:
    api.repository("a0")
    with pytest.raises(api.ecr.exceptions.RepositoryNotFoundException) as raised:
        api.ecr.describe_repositories(repositoryNames=["a0", "b0"])

    assert message(raised) == in_registry(api, "b0")


def test_describe_by_name_does_not_page(api: Any) -> None:
    api.repository("a0")
    for paging in ({"maxResults": 5}, {"nextToken": "x"}):
        with pytest.raises(api.ecr.exceptions.InvalidParameterException) as raised:
            api.ecr.describe_repositories(repositoryNames=["a0"], **paging)
        assert f"Invalid parameter at '{next(iter(paging))}'" in message(raised)


def test_a_region_is_a_registry_of_its_own(api: Any, regions: Any) -> None:
    other = api.in_region(next(regions))
    api.repository("app")

    assert other.ecr.describe_repositories()["repositories"] == []
    assert other.repository("app") == "app"


# DeleteRepository


def test_delete_answers_what_was_there(api: Any) -> None:
    created = api.ecr.create_repository(repositoryName="app")["repository"]

    deleted = api.ecr.delete_repository(repositoryName="app")["repository"]

    assert deleted == created
    with pytest.raises(api.ecr.exceptions.RepositoryNotFoundException) as raised:
        api.ecr.delete_repository(repositoryName="app")
    assert message(raised) == in_registry(api, "app")


@pytest.mark.parametrize("force", [None, False])
def test_delete_of_one_with_images_needs_force(api: Any, app: str, force: bool | None) -> None:
    api.image(app)
    options = {} if force is None else {"force": force}
    with pytest.raises(api.ecr.exceptions.RepositoryNotEmptyException) as raised:
        api.ecr.delete_repository(repositoryName=app, **options)

    assert message(raised) == (
        f"The repository with name '{app}' in registry with id '{api.account}' cannot be deleted because it still "
        "contains images"
    )


def test_delete_and_create_again_shows_nothing_of_before(api: Any, app: str) -> None:
    api.image(app, "old")
    arn = f"arn:aws:ecr:{api.region}:{api.account}:repository/{app}"
    api.ecr.tag_resource(resourceArn=arn, tags=[{"Key": "k", "Value": "v"}])
    upload = api.ecr.initiate_layer_upload(repositoryName=app)["uploadId"]
    layer = api.layer(app, b"layer")

    api.ecr.delete_repository(repositoryName=app, force=True)
    api.repository(app)

    assert api.image_ids(app) == set()
    assert api.ecr.list_tags_for_resource(resourceArn=arn)["tags"] == []
    available = api.ecr.batch_check_layer_availability(repositoryName=app, layerDigests=[layer])
    assert available["layers"][0]["layerAvailability"] == "UNAVAILABLE"
    with pytest.raises(api.ecr.exceptions.UploadNotFoundException):
        api.ecr.complete_layer_upload(repositoryName=app, uploadId=upload, layerDigests=[layer])


# PutImageTagMutability


@pytest.mark.parametrize("mode", MODES)
def test_mutability_is_echoed_stored_and_idempotent(api: Any, mode: str) -> None:
    api.repository("app", imageTagMutability="MUTABLE_WITH_EXCLUSION", **filters_for("EXCLUSION"))
    expected = {
        "registryId": api.account,
        "repositoryName": "app",
        "imageTagMutability": mode,
        **filters_for(mode),
    }

    for _ in range(2):
        answer = api.ecr.put_image_tag_mutability(
            repositoryName="app", imageTagMutability=mode, **filters_for(mode)
        )
        answer.pop("ResponseMetadata")
        assert answer == expected

    stored = api.ecr.describe_repositories()["repositories"][0]
    assert stored["imageTagMutability"] == mode
    assert stored.get("imageTagMutabilityExclusionFilters") == expected.get(
        "imageTagMutabilityExclusionFilters"
    )


@pytest.mark.parametrize(
    ("mode", "tag", "may_move"),
    [
        ("MUTABLE", "1.0", True),
        ("IMMUTABLE", "1.0", False),
        ("IMMUTABLE_WITH_EXCLUSION", "1.0", False),
        ("IMMUTABLE_WITH_EXCLUSION", "dev-1", True),
        ("IMMUTABLE_WITH_EXCLUSION", "1.0-rc1", True),
        ("IMMUTABLE_WITH_EXCLUSION", "Dev-1", False),
        ("IMMUTABLE_WITH_EXCLUSION", "my-dev-1", False),
        ("MUTABLE_WITH_EXCLUSION", "1.0", True),
        ("MUTABLE_WITH_EXCLUSION", "dev-1", False),
        ("MUTABLE_WITH_EXCLUSION", "1.0-rc1", False),
    ],
)
def test_mutability_decides_whether_a_tag_moves(
    api: Any, app: str, mode: str, tag: str, may_move: bool
) -> None:
    api.ecr.put_image_tag_mutability(repositoryName=app, imageTagMutability=mode, **filters_for(mode))
    first = api.image(app, tag, 1)
    second = api.manifest(2)

    if may_move:
        api.push(app, second, tag)
    else:
        with pytest.raises(api.ecr.exceptions.ImageTagAlreadyExistsException) as raised:
            api.push(app, second, tag)
        assert message(raised) == (
            f"The image tag '{tag}' already exists in the '{app}' repository and cannot be overwritten because the "
            "repository is immutable."
        )
        assert api.image_ids(app) == {(first.digest, tag)}
    # Immutability never stops a second tag, or deleting.
    api.push(app, first.manifest, "another")
    gone = api.ecr.batch_delete_image(repositoryName=app, imageIds=[{"imageTag": tag}])
    assert gone["failures"] == []


@pytest.mark.parametrize(
    "filters",
    [
        [],
        [{"filterType": "WILDCARD", "filter": "a"}] * 6,
        [{"filterType": "WILDCARD", "filter": "a*b*c*"}],
        [{"filterType": "WILDCARD", "filter": "a b"}],
        [{"filterType": "WILDCARD", "filter": ""}],
        [{"filterType": "WILDCARD", "filter": "a" * 129}],
        [{"filterType": "REGEX", "filter": "a"}],
        [{"filter": "a"}],
        [None],
    ],
)
def test_mutability_with_bad_filters_changes_nothing(api: Any, filters: Any) -> None:
    api.repository("app")
    body = {
        "repositoryName": "app",
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": filters,
    }

    answer = api.call("PutImageTagMutability", body)

    assert (answer.status, answer.code) == (400, "InvalidParameterException")
    assert "imageTagMutabilityExclusionFilters" in answer.text
    assert api.ecr.describe_repositories()["repositories"][0]["imageTagMutability"] == "MUTABLE"


# Resource tags


def arn_of(api: Any, name: str = "app", **parts: str) -> str:
    region, account = parts.get("region", api.region), parts.get("account", api.account)
    return f"arn:aws:ecr:{region}:{account}:repository/{name}"


def tags_of(api: Any, name: str = "app") -> dict[str, str]:
    tags = api.ecr.list_tags_for_resource(resourceArn=arn_of(api, name))["tags"]
    return {tag["Key"]: tag["Value"] for tag in tags}


def test_tags_merge_and_go(api: Any) -> None:
    api.repository("app", tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}])

    api.ecr.tag_resource(
        resourceArn=arn_of(api), tags=[{"Key": "b", "Value": "2"}, {"Key": "Ünï/+-=._:@ ", "Value": "x y"}]
    )
    api.ecr.tag_resource(resourceArn=arn_of(api), tags=[])
    merged = tags_of(api)
    api.ecr.untag_resource(resourceArn=arn_of(api), tagKeys=["a", "never", "B"])

    assert merged == {"a": "1", "b": "2", "Ünï/+-=._:@ ": "x y"}
    assert tags_of(api) == {"b": "2", "Ünï/+-=._:@ ": "x y"}


def test_the_fifty_first_tag_is_refused_with_all_of_its_call(api: Any) -> None:
    api.repository("app", tags=[{"Key": f"k{n}", "Value": ""} for n in range(49)])
    with pytest.raises(api.ecr.exceptions.TooManyTagsException) as raised:
        api.ecr.tag_resource(
            resourceArn=arn_of(api), tags=[{"Key": "x", "Value": ""}, {"Key": "y", "Value": ""}]
        )

    assert message(raised) == "The maximum number of tags that can be applied to a repository is 50."
    assert len(tags_of(api)) == 49
    api.ecr.tag_resource(
        resourceArn=arn_of(api), tags=[{"Key": "k0", "Value": "1"}, {"Key": "x", "Value": ""}]
    )
    assert len(tags_of(api)) == 50


@pytest.mark.parametrize(
    ("key", "value"), [("aws:a", ""), ("Aws:a", ""), ("", ""), ("k" * 129, ""), ("k", "v" * 257)]
)
def test_a_bad_tag_is_refused_with_all_of_its_call(api: Any, key: str, value: str) -> None:
    api.repository("app")
    tags = [{"Key": "good", "Value": ""}, {"Key": key, "Value": value}]

    answer = api.call("TagResource", {"resourceArn": arn_of(api), "tags": tags})

    assert (answer.code, answer.text) == ("InvalidTagParameterException", "Tag parameters are invalid")
    assert tags_of(api) == {}


def test_the_keys_of_aws_are_not_removed(api: Any) -> None:
    api.repository("app")
    with pytest.raises(api.ecr.exceptions.InvalidTagParameterException):
        api.ecr.untag_resource(resourceArn=arn_of(api), tagKeys=["aws:a"])


TAG_CALLS = [
    ("TagResource", {"tags": [{"Key": "k", "Value": "v"}]}),
    ("UntagResource", {"tagKeys": ["k"]}),
    ("ListTagsForResource", {}),
]


@pytest.mark.parametrize(("operation", "members"), TAG_CALLS)
def test_the_tags_of_an_unknown_repository_are_not_there(api: Any, operation: str, members: Any) -> None:
    answer = api.call(operation, {"resourceArn": arn_of(api, "nothing"), **members})

    assert (answer.code, answer.text) == ("RepositoryNotFoundException", in_registry(api, "nothing"))


@pytest.mark.parametrize(("operation", "members"), TAG_CALLS)
@pytest.mark.parametrize(
    "arn",
    [
        "x",
        "",
        "arn:aws:ecr:{region}:{account}:app",
        "arn:aws:ecr:{region}:{account}",
        "arn:aws:s3:{region}:{account}:repository/app",
        "arn:aws:ecr:elsewhere-1:{account}:repository/app",
        "arn:aws:ecr::{account}:repository/app",
        "arn:aws:ecr:{region}::repository/app",
        "arn:aws:ecr:{region}:12:repository/app",
    ],
)
def test_what_is_no_arn_of_the_region_is_invalid(api: Any, operation: str, members: Any, arn: str) -> None:
    api.repository("app")
    resource = arn.format(region=api.region, account=api.account)

    answer = api.call(operation, {"resourceArn": resource, **members})

    assert (answer.code, answer.text) == (
        "InvalidParameterException",
        "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'",
    )


# All that name a repository


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("BatchCheckLayerAvailability", {"layerDigests": ["sha256:" + "a" * 64]}),
        ("BatchDeleteImage", {"imageIds": [{"imageTag": "a"}]}),
        ("BatchGetImage", {"imageIds": [{"imageTag": "a"}]}),
        (
            "CompleteLayerUpload",
            {"uploadId": "01234567-89ab-cdef-0123-456789abcdef", "layerDigests": ["sha256:aa"]},
        ),
        ("DeleteRepository", {}),
        ("DescribeImages", {}),
        ("GetDownloadUrlForLayer", {"layerDigest": "sha256:" + "a" * 64}),
        ("InitiateLayerUpload", {}),
        ("ListImageReferrers", {"subjectId": {"imageDigest": "sha256:" + "a" * 64}}),
        ("ListImages", {}),
        ("PutImage", {"imageManifest": "{}"}),
        ("PutImageTagMutability", {"imageTagMutability": "MUTABLE"}),
        (
            "UploadLayerPart",
            {
                "uploadId": "01234567-89ab-cdef-0123-456789abcdef",
                "partFirstByte": 0,
                "partLastByte": 0,
                "layerPartBlob": "AA==",
            },
        ),
    ],
)
def test_an_unknown_repository_is_named(api: Any, operation: str, members: Any) -> None:
    answer = api.call(operation, {"repositoryName": "no/thing", **members})

    assert answer.status == 400
    assert (answer.code, answer.text) == ("RepositoryNotFoundException", in_registry(api, "no/thing"))
