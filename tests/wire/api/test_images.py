from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

NOWHERE = "sha256:" + "0" * 64


def message(raised: Any) -> str:
    return str(raised.value.response["Error"]["Message"])


def sha256(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


# PutImage


def test_put_answers_the_image_as_it_was_sent(api: Any, app: str) -> None:
    manifest = api.manifest("é  with spaces")

    put = api.ecr.put_image(
        repositoryName=app, imageManifest=manifest, imageTag="v1", imageDigest=sha256(manifest)
    )
    got = api.ecr.batch_get_image(repositoryName=app, imageIds=[{"imageTag": "v1"}])

    assert put["image"] == got["images"][0]
    assert put["image"] == {
        "registryId": api.account,
        "repositoryName": app,
        "imageId": {"imageDigest": sha256(manifest), "imageTag": "v1"},
        "imageManifest": manifest,
        "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
    }


def test_put_without_tag_leaves_it_untagged(api: Any, app: str) -> None:
    image = api.image(app)

    assert api.image_ids(app) == {(image.digest, None)}


def test_put_of_another_tag_does_not_change_when_it_was_pushed(api: Any, app: str) -> None:
    image = api.image(app, "a")
    before = api.ecr.describe_images(repositoryName=app)["imageDetails"][0]

    api.push(app, image.manifest, "b")

    after = api.ecr.describe_images(repositoryName=app)["imageDetails"][0]
    assert after == {**before, "imageTags": ["a", "b"]}


def test_put_takes_the_media_type_of_the_request_when_the_manifest_has_none(api: Any, app: str) -> None:
    document = json.loads(api.manifest())
    media_type = document.pop("mediaType")
    manifest = json.dumps(document)
    with pytest.raises(api.ecr.exceptions.InvalidParameterException) as raised:
        api.push(app, manifest)

    put = api.ecr.put_image(repositoryName=app, imageManifest=manifest, imageManifestMediaType=media_type)

    assert message(raised).startswith("Invalid parameter at 'ImageManifest' failed to satisfy constraint: '")
    assert put["image"]["imageManifestMediaType"] == media_type


@pytest.mark.parametrize("manifest", ["{", "[]", "no json", '{"schemaVersion":2', "\0", "null"])
def test_put_of_what_is_no_json_says_so(api: Any, app: str, manifest: str) -> None:
    answer = api.call("PutImage", {"repositoryName": app, "imageManifest": manifest})

    assert (answer.status, answer.code) == (400, "InvalidParameterException")
    assert answer.text.startswith(
        "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax"
    )
    assert api.image_ids(app) == set()


def test_put_with_another_digest_is_refused(api: Any, app: str) -> None:
    with pytest.raises(api.ecr.exceptions.ImageDigestDoesNotMatchException) as raised:
        api.ecr.put_image(repositoryName=app, imageManifest=api.manifest(), imageDigest=NOWHERE)

    assert message(raised) == (
        f"The image with digest '{NOWHERE}' in repository '{app}' and registry ID '{api.account}' does not match the "
        "image digest that Amazon ECR has calculated."
    )


def test_put_names_all_missing_layers(api: Any, app: str) -> None:
    missing = {"sha256:" + "a" * 64: 1, "sha256:" + "b" * 64: 1}
    with pytest.raises(api.ecr.exceptions.LayersNotFoundException) as raised:
        api.push(app, api.manifest(layers=missing), "t")

    assert message(raised) == (
        f"Layers with digests '[{', '.join(missing)}]' required for pushing image into repository with name '{app}' "
        f"in the registry with id '{api.account}' do not exist"
    )
    assert api.image_ids(app) == set()


def test_put_names_all_missing_children(api: Any, app: str) -> None:
    missing = ["sha256:" + "a" * 64, "sha256:" + "b" * 64]
    media_type = "application/vnd.oci.image.manifest.v1+json"
    index = api.index(
        api.image(app),
        manifests=[{"mediaType": media_type, "digest": digest, "size": 2} for digest in missing],
    )
    with pytest.raises(api.ecr.exceptions.ReferencedImagesNotFoundException) as raised:
        api.push(app, index)

    assert message(raised) == (
        f"Images with digests '[{', '.join(missing)}]' required for pushing image into repository with name '{app}' "
        f"in the registry with id '{api.account}' do not exist"
    )


def test_the_layer_of_another_repository_is_missing_here(api: Any, app: str) -> None:
    other = api.repository("other")
    with pytest.raises(api.ecr.exceptions.LayersNotFoundException):
        api.push(other, api.manifest())


def test_a_subject_need_not_be_there(api: Any, app: str) -> None:
    media_type = "application/vnd.oci.image.manifest.v1+json"
    image = api.image(app, subject={"mediaType": media_type, "digest": NOWHERE, "size": 2})

    detail = api.ecr.describe_images(repositoryName=app, imageIds=[{"imageDigest": image.digest}])
    assert detail["imageDetails"][0]["subjectManifestDigest"] == NOWHERE


@pytest.mark.parametrize("tag", ["-a", ".a", "a b", "a/b", "é", "a" * 129, "a:b"])
def test_put_with_a_bad_tag_is_refused(api: Any, app: str, tag: str) -> None:
    with pytest.raises(api.ecr.exceptions.InvalidParameterException) as raised:
        api.image(app, tag)

    assert message(raised).startswith("Invalid parameter at 'imageTag' failed to satisfy constraint: '")
    assert api.image_ids(app) == set()


def test_a_manifest_of_four_mebibytes_and_no_more(api: Any, app: str) -> None:
    shell = len(api.manifest())
    image = api.image(app, note="x" * (4_194_304 - shell))
    assert len(image.manifest) == 4_194_304

    answer = api.call("PutImage", {"repositoryName": app, "imageManifest": image.manifest + " "})

    assert answer.code == "InvalidParameterException"


# BatchGetImage


def test_get_keeps_the_order_asked_and_separates_failures(api: Any, app: str) -> None:
    one, two = api.image(app, "one", 1), api.image(app, "two", 2)
    asked = [
        {"imageTag": "two"},
        {"imageDigest": one.digest},
        {},
        {"imageTag": "nothing"},
        {"imageDigest": NOWHERE},
        {"imageDigest": "sha256:xyz"},
        {"imageDigest": "nonsense"},
        {"imageTag": "-"},
        {"imageDigest": one.digest, "imageTag": "one"},
        {"imageDigest": one.digest, "imageTag": "two"},
    ]

    got = api.ecr.batch_get_image(repositoryName=app, imageIds=asked, registryId=api.account)

    assert [(each["imageId"], each["imageManifest"]) for each in got["images"]] == [
        ({"imageDigest": two.digest, "imageTag": "two"}, two.manifest),
        ({"imageDigest": one.digest}, one.manifest),
        ({"imageDigest": one.digest, "imageTag": "one"}, one.manifest),
    ]
    assert [each["imageId"] for each in got["failures"]] == [*asked[2:8], asked[9]]
    assert [each["failureCode"] for each in got["failures"]] == [
        "MissingDigestAndTag",
        "ImageNotFound",
        "ImageNotFound",
        "InvalidImageDigest",
        "InvalidImageDigest",
        "InvalidImageTag",
        "ImageTagDoesNotMatchDigest",
    ]
    reasons = {each["failureCode"]: each["failureReason"] for each in got["failures"]}
    assert reasons["ImageNotFound"] == "Requested image not found"
    assert reasons["MissingDigestAndTag"] == "Invalid request parameters: both tag and digest cannot be null"
    assert reasons["InvalidImageDigest"] == (
        "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
    )


def test_get_converts_nothing(api: Any, app: str) -> None:
    image = api.image(app, "t")

    got = api.ecr.batch_get_image(
        repositoryName=app,
        imageIds=[{"imageTag": "t"}],
        acceptedMediaTypes=["application/vnd.docker.distribution.manifest.v2+json"],
    )

    assert got["images"][0]["imageManifest"] == image.manifest


@pytest.mark.parametrize("operation", ["BatchGetImage", "BatchDeleteImage", "DescribeImages"])
def test_at_least_one_and_at_most_a_hundred_ids(api: Any, app: str, operation: str) -> None:
    for ids in ([], [{"imageTag": "a"}] * 101):
        answer = api.call(operation, {"repositoryName": app, "imageIds": ids})
        assert answer.code == "InvalidParameterException"
        assert answer.text.startswith(
            "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must"
        )


# DescribeImages


def test_describe_tells_all_that_is_known(api: Any, app: str) -> None:
    layer = b"0123456789"
    digest = api.layer(app, layer)
    image = api.image(app, "b", layers={digest: len(layer)})
    api.push(app, image.manifest, "a")

    (detail,) = api.ecr.describe_images(repositoryName=app)["imageDetails"]

    assert detail.pop("imagePushedAt").year > 2000
    assert detail == {
        "registryId": api.account,
        "repositoryName": app,
        "imageDigest": image.digest,
        "imageTags": ["a", "b"],
        "imageSizeInBytes": len(layer) + 2,
        "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactMediaType": "application/vnd.oci.image.config.v1+json",
        "imageStatus": "ACTIVE",
    }


def test_describe_of_an_index_has_the_size_of_its_largest_child(api: Any, app: str) -> None:
    small = api.image(app)
    large = api.image(app, layers={api.layer(app, b"0123456789"): 10})
    index = api.push(app, api.index(small, large))

    found = api.ecr.describe_images(repositoryName=app, imageIds=[{"imageDigest": index.digest}])

    assert found["imageDetails"][0]["imageSizeInBytes"] == 12
    assert "imageTags" not in found["imageDetails"][0]


def test_describe_answers_an_image_once_for_all_its_names(api: Any, app: str) -> None:
    image = api.image(app, "a")
    api.push(app, image.manifest, "b")
    asked = [{"imageTag": "a"}, {"imageTag": "b"}, {"imageDigest": image.digest}]

    found = api.ecr.describe_images(repositoryName=app, imageIds=asked)["imageDetails"]

    assert [each["imageTags"] for each in found] == [["a", "b"]]


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({}, "InvalidParameterException"),
        ({"imageDigest": "nonsense"}, "InvalidParameterException"),
        ({"imageTag": "-"}, "InvalidParameterException"),
        ({"imageDigest": NOWHERE}, "ImageNotFoundException"),
        ({"imageTag": "there", "imageDigest": NOWHERE}, "ImageNotFoundException"),
    ],
)
def test_describe_of_a_bad_id_fails(api: Any, app: str, asked: dict[str, str], error: str) -> None:
    api.image(app, "there")
    answer = api.call("DescribeImages", {"repositoryName": app, "imageIds": [asked]})

    assert (answer.status, answer.code) == (400, error)
    if error == "ImageNotFoundException":
        names = f"{{imageDigest:'{NOWHERE}', imageTag:'{asked.get('imageTag', 'null')}'}}"
        assert answer.text == (
            f"The image with imageId {names} does not exist within the repository with name '{app}' in the registry "
            f"with id '{api.account}'"
        )


def test_describe_by_id_does_not_page(api: Any, app: str) -> None:
    api.image(app, "a")
    for paging in ({"maxResults": 5}, {"nextToken": "x"}):
        answer = api.call(
            "DescribeImages", {"repositoryName": app, "imageIds": [{"imageTag": "a"}], **paging}
        )
        assert answer.code == "InvalidParameterException"
        assert answer.text.startswith(f"Invalid parameter at '{next(iter(paging))}'")


@pytest.mark.parametrize("operation", ["describe_images", "list_images"])
@pytest.mark.parametrize("status", ["TAGGED", "UNTAGGED", "ANY"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_hold_each_image_once(api: Any, app: str, operation: str, status: str, size: int) -> None:
    tagged = {api.image(app, f"t{n}", n).digest for n in range(3)}
    untagged = {api.image(app, None, f"u{n}").digest for n in range(2)}
    expected = {"TAGGED": tagged, "UNTAGGED": untagged, "ANY": tagged | untagged}[status]
    paginator = api.ecr.get_paginator(operation)

    pages = list(
        paginator.paginate(
            repositoryName=app, filter={"tagStatus": status}, PaginationConfig={"PageSize": size}
        )
    )

    key = "imageDetails" if operation == "describe_images" else "imageIds"
    found = [each["imageDigest"] for page in pages for each in page[key]]
    assert len(found) == len(expected)
    assert set(found) == expected
    assert len(pages) == -(-len(expected) // size)
    assert "nextToken" not in pages[-1]


@pytest.mark.parametrize(
    ("status", "is_there"), [("ACTIVE", True), ("ANY", True), ("ARCHIVED", False), ("ACTIVATING", False)]
)
def test_lists_filter_by_status(api: Any, app: str, status: str, is_there: bool) -> None:
    api.image(app, "a")
    chosen = {"imageStatus": status}

    assert bool(api.image_ids(app, filter=chosen)) is is_there
    details = api.ecr.describe_images(repositoryName=app, filter=chosen)["imageDetails"]
    assert bool(details) is is_there


def test_describe_is_newest_first_and_stable_while_others_push(api: Any, app: str) -> None:
    old = [api.image(app, None, n).digest for n in range(4)]
    first = api.ecr.describe_images(repositoryName=app, maxResults=2)
    api.image(app, None, "new")

    second = api.ecr.describe_images(repositoryName=app, maxResults=2, nextToken=first["nextToken"])

    found = [each["imageDigest"] for page in (first, second) for each in page["imageDetails"]]
    assert found == old[::-1]


# BatchDeleteImage


def test_delete_of_a_tag_of_several_leaves_the_image(api: Any, app: str) -> None:
    image = api.image(app, "a")
    api.push(app, image.manifest, "b")

    gone = api.ecr.batch_delete_image(
        repositoryName=app, imageIds=[{"imageTag": "a", "imageDigest": image.digest}]
    )

    assert gone["imageIds"] == [{"imageDigest": image.digest, "imageTag": "a"}]
    assert api.image_ids(app) == {(image.digest, "b")}


def test_delete_answers_each_id_by_itself(api: Any, app: str) -> None:
    one, two = api.image(app, "one", 1), api.image(app, "two", 2)
    asked = [
        {"imageTag": "one"},
        {"imageTag": "one"},
        {},
        {"imageDigest": "sha256:zz"},
        {"imageTag": "two", "imageDigest": one.digest},
        {"imageTag": "-"},
    ]

    answer = api.ecr.batch_delete_image(repositoryName=app, imageIds=asked)

    assert answer["imageIds"] == [{"imageDigest": one.digest, "imageTag": "one"}]
    assert [(each["imageId"], each["failureCode"]) for each in answer["failures"]] == [
        (asked[1], "ImageNotFound"),
        (asked[2], "MissingDigestAndTag"),
        (asked[3], "InvalidImageDigest"),
        (asked[4], "ImageTagDoesNotMatchDigest"),
        (asked[5], "InvalidImageTag"),
    ]
    assert api.image_ids(app) == {(two.digest, "two")}


def test_delete_of_the_last_tag_of_a_child_leaves_it_untagged(api: Any, app: str) -> None:
    child = api.image(app, "child")
    index = api.push(app, api.index(child), "multi")

    gone = api.ecr.batch_delete_image(repositoryName=app, imageIds=[{"imageTag": "child"}])

    assert gone["imageIds"] == [{"imageDigest": child.digest, "imageTag": "child"}]
    assert api.image_ids(app) == {(child.digest, None), (index.digest, "multi")}


def test_what_was_deleted_is_gone_on_the_registry_wire_at_once(api: Any, app: str) -> None:
    image = api.image(app, "t")
    password = api.password()
    kept = api.v2("GET", f"/v2/{app}/manifests/t", password=password)

    api.ecr.batch_delete_image(repositoryName=app, imageIds=[{"imageDigest": image.digest}])

    gone = [
        api.v2("GET", f"/v2/{app}/manifests/{reference}", password=password).status
        for reference in ("t", image.digest)
    ]
    assert (kept.status, kept.body) == (200, image.manifest.encode())
    assert gone == [404, 404]


# ListImageReferrers


def refer(api: Any, app: str, subject: str, **members: Any) -> Any:
    media_type = "application/vnd.oci.image.manifest.v1+json"
    return api.image(app, subject={"mediaType": media_type, "digest": subject, "size": 2}, **members)


def referrers(api: Any, app: str, subject: str, **options: Any) -> Any:
    return api.ecr.list_image_referrers(repositoryName=app, subjectId={"imageDigest": subject}, **options)


def test_referrers_are_told_with_type_and_annotations(api: Any, app: str) -> None:
    subject = api.image(app, "t").digest
    typed = refer(api, app, subject, note=1, artifactType="application/x.sbom")
    plain = refer(api, app, subject, note=2)

    found = referrers(api, app, subject)

    assert "nextToken" not in found
    assert found["referrers"] == [
        {
            "digest": each.digest,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": artifact_type,
            "size": len(each.manifest),
            "annotations": {"note": note},
            "artifactStatus": "ACTIVE",
        }
        for each, artifact_type, note in (
            (typed, "application/x.sbom", "1"),
            (plain, "application/vnd.oci.image.config.v1+json", "2"),
        )
    ]


def test_referrers_of_nothing_are_none(api: Any, app: str) -> None:
    assert referrers(api, app, NOWHERE)["referrers"] == []


def test_referrers_filter_and_page(api: Any, app: str) -> None:
    for n in range(5):
        refer(api, app, NOWHERE, note=n, artifactType=f"application/x.{n % 2}")
    even = {"artifactTypes": ["application/x.0"]}
    seen: list[str] = []
    token: dict[str, str] = {}
    for _ in range(5):
        answer = referrers(api, app, NOWHERE, filter=even, maxResults=2, **token)
        seen += [each["annotations"]["note"] for each in answer["referrers"]]
        if "nextToken" not in answer:
            break
        token = {"nextToken": answer["nextToken"]}
    first = referrers(api, app, NOWHERE, maxResults=2)["nextToken"]

    assert seen == ["0", "2", "4"]
    for changed in (
        {"subject": "sha256:" + "1" * 64},
        {"subject": NOWHERE, "filter": even},
        {"subject": NOWHERE, "filter": {"artifactStatus": "ARCHIVED"}},
    ):
        with pytest.raises(api.ecr.exceptions.InvalidParameterException):
            referrers(api, app, **changed, nextToken=first)


def test_referrers_default_page_is_twenty_and_the_largest_fifty(api: Any, app: str) -> None:
    for n in range(21):
        refer(api, app, NOWHERE, note=n)

    assert len(referrers(api, app, NOWHERE)["referrers"]) == 20
    assert len(referrers(api, app, NOWHERE, maxResults=50)["referrers"]) == 21
    body = {"repositoryName": app, "subjectId": {"imageDigest": NOWHERE}, "maxResults": 51}
    assert api.call("ListImageReferrers", body).code == "InvalidParameterException"


@pytest.mark.parametrize("digest", ["nonsense", "sha256:zz", "", "sha256:" + "A" * 64])
def test_referrers_of_what_is_no_digest_are_refused(api: Any, app: str, digest: str) -> None:
    answer = api.call("ListImageReferrers", {"repositoryName": app, "subjectId": {"imageDigest": digest}})

    assert (answer.status, answer.code) == (400, "InvalidParameterException")
