"""Where a lazy implementation of Amazon ECR's API falls (ECR API reference, "20 traps"), each named after its trap.

Those of lifecycle policies (9 to 12) and of the archive (17) are in `test_lifecycle.py`; scanning (14 to 16) comes
later.
"""

from __future__ import annotations

import hashlib
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import create_parser

NAME_RULE = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"


def error_of(raised: Any) -> tuple[str, str]:
    return raised.value.response["Error"]["Code"], raised.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    "name",
    ["Bad_Name!", "a//b", "-a", "a-", "a___b", "/a", "a/", "A0", "a._b", "a b", "aé", "a\n", "..", "a:b"],
)
def test_trap_1_server_side_validation_of_names(api: Any, name: str) -> None:
    with pytest.raises(api.ecr.exceptions.InvalidParameterException) as raised:
        api.ecr.create_repository(repositoryName=name)

    _, text = error_of(raised)
    assert text == (
        "Invalid parameter at 'repositoryName' failed to satisfy constraint: "
        f"'must satisfy regular expression '{NAME_RULE}''"
    )


def test_trap_1_server_side_validation_of_lengths(api: Any) -> None:
    for name, rule in [
        ("a" * 257, "must have length less than or equal to 256"),
        ("a", "must have length greater than or equal to 2"),
        ("", "must have length greater than or equal to 2"),
    ]:
        answer = api.call("CreateRepository", {"repositoryName": name})

        assert answer.status == 400
        assert answer.code == "InvalidParameterException"
        assert answer.text == f"Invalid parameter at 'repositoryName' failed to satisfy constraint: '{rule}'"


@pytest.mark.parametrize("name", ["a__b", "a---b", "a.b_c/d-e", "00", "a" * 256])
def test_trap_1_odd_names_that_are_valid(api: Any, name: str) -> None:
    assert api.repository(name) == name


def test_trap_2_type_in_body_is_enough(api: Any) -> None:
    """A proxy may strip all headers: boto3 still knows the modelled class."""
    answer = api.call("DescribeRepositories", {"repositoryNames": ["nothing"]})
    without_headers = {"status_code": answer.status, "headers": {}, "body": answer.body}

    parsed = create_parser("json").parse(without_headers, None)

    code = parsed["Error"]["Code"]
    assert code == "RepositoryNotFoundException"
    assert issubclass(api.ecr.exceptions.from_code(code), api.ecr.exceptions.RepositoryNotFoundException)


def test_trap_3_empty_arrays(api: Any, app: str) -> None:
    api.image(app, "good")

    found = api.ecr.batch_get_image(repositoryName=app, imageIds=[{"imageTag": "good"}])
    missed = api.ecr.batch_get_image(repositoryName=app, imageIds=[{"imageTag": "bad"}])
    registry = api.ecr.describe_registry()

    assert found["failures"] == []
    assert missed["images"] == []
    assert registry["replicationConfiguration"]["rules"] == []


def test_trap_4_identical_re_push(api: Any, app: str) -> None:
    image = api.image(app, "t")
    errors = api.ecr.exceptions
    with pytest.raises(errors.ImageAlreadyExistsException) as mutable:
        api.push(app, image.manifest, "t")
    with pytest.raises(errors.ImageAlreadyExistsException) as untagged:
        api.push(app, image.manifest)
    mutable_v2 = api.v2("PUT", f"/v2/{app}/manifests/t", image.manifest.encode())

    api.ecr.put_image_tag_mutability(repositoryName=app, imageTagMutability="IMMUTABLE")
    with pytest.raises(errors.ImageTagAlreadyExistsException) as immutable:
        api.push(app, image.manifest, "t")
    immutable_v2 = api.v2("PUT", f"/v2/{app}/manifests/t", image.manifest.encode())
    other_v2 = api.v2("PUT", f"/v2/{app}/manifests/t", api.manifest("other").encode())

    in_place = f"already exists in the repository with name '{app}' in registry with id '{api.account}'"
    assert error_of(mutable)[1] == f"Image with digest '{image.digest}' and tag 't' {in_place}"
    assert error_of(untagged)[1] == f"Image with digest '{image.digest}' and tag 'null' {in_place}"
    refusal = (
        f"The image tag 't' already exists in the '{app}' repository and cannot be overwritten because the "
        "repository is immutable."
    )
    assert error_of(immutable)[1] == refusal
    # Amazon's answers 400 to the same digest; here that is a switch (strict_immutable).
    assert (mutable_v2.status, immutable_v2.status, other_v2.status) == (201, 201, 400)
    assert other_v2.json["errors"] == [{"code": "TAG_INVALID", "message": refusal}]


def test_trap_5_tag_move_leaves_the_old_image(api: Any, app: str) -> None:
    old, new = api.image(app, "latest", 1), api.image(app, "latest", 2)

    assert api.image_ids(app, filter={"tagStatus": "UNTAGGED"}) == {(old.digest, None)}
    gone = api.ecr.batch_delete_image(repositoryName=app, imageIds=[{"imageTag": "latest"}])

    assert gone["imageIds"] == [{"imageDigest": new.digest, "imageTag": "latest"}]
    assert api.image_ids(app) == {(old.digest, None)}


def test_trap_6_delete_by_digest_with_three_tags(api: Any, app: str) -> None:
    image = api.image(app, "a")
    api.push(app, image.manifest, "b")
    api.push(app, image.manifest, "c")
    asked = [{"imageDigest": image.digest}]

    first = api.ecr.batch_delete_image(repositoryName=app, imageIds=asked)
    second = api.ecr.batch_delete_image(repositoryName=app, imageIds=asked)

    assert first["imageIds"] == [{"imageDigest": image.digest, "imageTag": tag} for tag in "abc"]
    assert first["failures"] == []
    assert api.image_ids(app) == set()
    assert second["imageIds"] == []
    assert second["failures"] == [
        {
            "imageId": asked[0],
            "failureCode": "ImageNotFound",
            "failureReason": "Requested image not found",
        }
    ]


def test_trap_7_index_protection(api: Any, app: str) -> None:
    child = api.image(app)
    index = api.push(app, api.index(child), "multi")

    refused = api.ecr.batch_delete_image(repositoryName=app, imageIds=[{"imageDigest": child.digest}])
    still = api.ecr.batch_get_image(repositoryName=app, imageIds=[{"imageDigest": child.digest}])
    both = api.ecr.batch_delete_image(
        repositoryName=app, imageIds=[{"imageDigest": child.digest}, {"imageDigest": index.digest}]
    )

    assert refused["failures"] == [
        {
            "imageId": {"imageDigest": child.digest},
            "failureCode": "ImageReferencedByManifestList",
            "failureReason": f"Requested image referenced by manifest list: [{index.digest}]",
        }
    ]
    assert still["images"][0]["imageManifest"] == child.manifest
    assert both["failures"] == []
    assert both["imageIds"] == [
        {"imageDigest": child.digest},
        {"imageDigest": index.digest, "imageTag": "multi"},
    ]


def test_trap_7_force_ignores_index_protection(api: Any, app: str) -> None:
    api.push(app, api.index(api.image(app)), "multi")

    api.ecr.delete_repository(repositoryName=app, force=True)

    assert api.ecr.describe_repositories()["repositories"] == []


def test_trap_8_list_vs_describe_on_missing_ids(api: Any, app: str) -> None:
    api.image(app, "good")
    asked = [{"imageTag": "good"}, {"imageTag": "bad"}]

    got = api.ecr.batch_get_image(repositoryName=app, imageIds=asked)
    with pytest.raises(api.ecr.exceptions.ImageNotFoundException) as raised:
        api.ecr.describe_images(repositoryName=app, imageIds=asked)

    assert [each["imageId"]["imageTag"] for each in got["images"]] == ["good"]
    assert [each["failureCode"] for each in got["failures"]] == ["ImageNotFound"]
    assert error_of(raised)[1] == (
        "The image with imageId {imageDigest:'null', imageTag:'bad'} does not exist within the repository with name "
        f"'{app}' in the registry with id '{api.account}'"
    )


def test_trap_13_pagination_under_change(api: Any, app: str) -> None:
    image = api.image(app, "t000")
    for n in range(1, 25):
        api.push(app, image.manifest, f"t{n:03}")
    lasting = {f"t{n:03}" for n in range(1, 25)}
    seen: list[str] = []
    token: dict[str, str] = {}
    for page in range(10):
        answer = api.ecr.list_images(repositoryName=app, maxResults=10, **token)
        seen += [each["imageTag"] for each in answer["imageIds"]]
        if "nextToken" not in answer:
            break
        token = {"nextToken": answer["nextToken"]}
        if page == 0:
            api.ecr.batch_delete_image(repositoryName=app, imageIds=[{"imageTag": seen[0]}])
            api.push(app, image.manifest, "t0005")

    assert len(seen) == len(set(seen))
    assert lasting <= set(seen)


def test_trap_13_a_token_is_bound_to_its_listing(api: Any, app: str) -> None:
    api.image(app, "a", 1)
    api.image(app, "b", 2)
    other = api.repository("other")
    token = api.ecr.list_images(repositoryName=app, maxResults=1)["nextToken"]
    elsewhere = [
        lambda: api.ecr.list_images(repositoryName=other, nextToken=token),
        lambda: api.ecr.list_images(repositoryName=app, nextToken=token, filter={"tagStatus": "TAGGED"}),
        lambda: api.ecr.describe_images(repositoryName=app, nextToken=token),
        lambda: api.ecr.describe_repositories(nextToken=token),
        lambda: api.ecr.list_images(
            repositoryName=app, nextToken=token[:-1] + ("A" if token[-1] != "A" else "B")
        ),
        lambda: api.ecr.list_images(repositoryName=app, nextToken="é"),
        lambda: api.ecr.list_images(repositoryName=app, nextToken="A" * 10_000),
    ]

    for call in elsewhere:
        with pytest.raises(api.ecr.exceptions.InvalidParameterException) as raised:
            call()
        assert error_of(raised)[1] == (
            "Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'"
        )
    assert len(api.ecr.list_images(repositoryName=app, nextToken=token)["imageIds"]) == 1


@pytest.mark.parametrize("mode", ["IMMUTABLE", "MUTABLE_WITH_EXCLUSION"])
def test_trap_18_concurrent_immutable_push(api: Any, app: str, mode: str) -> None:
    filters = [{"filterType": "WILDCARD", "filter": "v*"}] if mode != "IMMUTABLE" else None
    options = {"imageTagMutabilityExclusionFilters": filters} if filters else {}
    api.ecr.put_image_tag_mutability(repositoryName=app, imageTagMutability=mode, **options)

    def push(n: int) -> str:
        body = {"repositoryName": app, "imageTag": "v1", "imageManifest": api.manifest(n)}
        answer = api.call("PutImage", body)
        return "ok" if answer.status == 200 else answer.code

    with ThreadPoolExecutor(20) as threads:
        outcomes = list(threads.map(push, range(20)))

    assert sorted(outcomes) == ["ImageTagAlreadyExistsException"] * 19 + ["ok"]
    assert len(api.image_ids(app)) == 1  # what was refused left nothing behind


def test_trap_19_upload_offsets(api: Any) -> None:
    name = api.repository()
    part = bytes(5 << 20)
    upload = api.ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    place = {"repositoryName": name, "uploadId": upload}
    first = api.ecr.upload_layer_part(
        **place, partFirstByte=0, partLastByte=len(part) - 1, layerPartBlob=part
    )
    gap = {**place, "partFirstByte": len(part) + 1, "partLastByte": len(part) + 1, "layerPartBlob": "AA=="}

    refused = api.call("UploadLayerPart", gap)
    again = api.ecr.upload_layer_part(
        **place, partFirstByte=len(part), partLastByte=len(part), layerPartBlob=b"\1"
    )
    digest = "sha256:" + hashlib.sha256(part + b"\1").hexdigest()
    done = api.ecr.complete_layer_upload(**place, layerDigests=[digest])
    with pytest.raises(api.ecr.exceptions.UploadNotFoundException) as twice:
        api.ecr.complete_layer_upload(**place, layerDigests=[digest])

    assert first["lastByteReceived"] == 5_242_879
    assert refused.code == "InvalidLayerPartException"
    assert refused.text == "First byte of the layer part is 5242881 instead of 5242880"
    members = {
        key: refused.json[key]
        for key in ("registryId", "repositoryName", "uploadId", "lastValidByteReceived")
    }
    assert members == {
        "registryId": api.account,
        "repositoryName": name,
        "uploadId": upload,
        "lastValidByteReceived": 5_242_879,
    }
    assert again["lastByteReceived"] == 5_242_880
    assert done["layerDigest"] == digest
    assert error_of(twice)[1] == (
        f"Upload with id '{upload}' could not be found for the repository with name '{name}' in the registry with id "
        f"'{api.account}'"
    )


def test_trap_19_short_parts_empty_uploads_and_wrong_digests(api: Any) -> None:
    name, errors, digest = api.repository(), api.ecr.exceptions, "sha256:" + "0" * 64

    def begin(*parts: bytes) -> dict[str, str]:
        place = {
            "repositoryName": name,
            "uploadId": api.ecr.initiate_layer_upload(repositoryName=name)["uploadId"],
        }
        at = 0
        for part in parts:
            api.ecr.upload_layer_part(
                **place, partFirstByte=at, partLastByte=at + len(part) - 1, layerPartBlob=part
            )
            at += len(part)
        return place

    short, empty, wrong = begin(bytes(1 << 20), b"x"), begin(), begin(b"x")
    with pytest.raises(errors.LayerPartTooSmallException) as too_small:
        api.ecr.complete_layer_upload(**short, layerDigests=[digest])
    with pytest.raises(errors.EmptyUploadException) as no_parts:
        api.ecr.complete_layer_upload(**empty, layerDigests=[digest])
    with pytest.raises(errors.InvalidLayerException) as mismatch:
        api.ecr.complete_layer_upload(**wrong, layerDigests=[digest])
    with pytest.raises(errors.UploadNotFoundException):
        api.ecr.complete_layer_upload(**wrong, layerDigests=[digest])

    assert error_of(too_small)[1] == "All layer parts except the last part should be at least 5MB"
    assert error_of(no_parts)[1] == (
        f"The upload with id '{empty['uploadId']}' in the repository with name '{name}' in registry with id "
        f"'{api.account}' cannot be completed because it does not have any parts"
    )
    assert error_of(mismatch)[1] == (
        "The layer digest calculation performed by Amazon ECR upon receipt of the image layer does not match the "
        "digest specified."
    )


def test_trap_20_auth_edge(api: Any, stranger: Any) -> None:
    """The rest of it is in `test_signatures.py` and `test_accounts.py`."""
    signing = api.signing("DescribeRegistry", b"{}")
    tampered = api.exchange("POST", "/", signing.signed(), b'{"a":1}')
    skewed = api.send(replace(signing, at=signing.at - timedelta(minutes=20)))
    for_s3 = api.send(replace(signing, service="s3"))
    with pytest.raises(ClientError) as across:
        stranger.ecr.describe_repositories(registryId=api.account)

    assert [answer.code for answer in (tampered, skewed, for_s3)] == ["InvalidSignatureException"] * 3
    assert "date" in skewed.headers  # by which SDKs correct their clocks
    assert ":" not in api.password()
    assert error_of(across)[0] == "AccessDeniedException"


def test_further_null_and_unknown_members(api: Any) -> None:
    """Optional null is absent, required null is missing, unknown members of newer SDKs are ignored."""
    optional = api.call("DescribeRepositories", {"registryId": None, "maxResults": None, "newer": [{}]})
    required = api.call("CreateRepository", {"repositoryName": None})
    nested = api.call("CreateRepository", {"repositoryName": "ab", "tags": [{"Key": "k", "Value": None}]})

    assert (optional.status, optional.json) == (200, {"repositories": []})
    assert required.text == (
        "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must not be null'"
    )
    assert nested.text == (
        "Invalid parameter at 'tags.1.member.value' failed to satisfy constraint: 'Member must not be null'"
    )


def test_further_numbers_and_wrong_types(api: Any) -> None:
    def described(**members: Any) -> Any:
        return api.call("DescribeRepositories", members)

    assert described(maxResults=5.0).status == 200
    for wrong in (5.5, "5", True, [5], {}):
        assert described(maxResults=wrong).code == "SerializationException"
    assert described(repositoryNames="ab").code == "SerializationException"
    for limit in (0, 1001):
        assert described(maxResults=limit).code == "InvalidParameterException"


@pytest.mark.parametrize("body", [b"", b"{}", b" {} "], ids=["nothing", "empty", "spaces"])
def test_further_an_empty_body_is_an_empty_request(api: Any, body: bytes) -> None:
    assert api.call("DescribeRegistry", body).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"{}"',
        b"\xff",
        b'{"maxResults":}',
        b"{}{}",
        b"[" * 100_000,
        b"{'a':1}",
        b"NaN",
    ],
)
def test_further_what_is_no_json_object_is_a_serialization_error(api: Any, body: bytes) -> None:
    answer = api.call("DescribeRepositories", body)

    assert (answer.status, answer.code) == (400, "SerializationException")


def test_further_content_types_and_the_case_of_header_names(api: Any) -> None:
    for content_type in (
        "application/x-amz-json-1.0",
        "application/x-amz-json-1.1; charset=utf-8",
        "text/plain",
    ):
        signing = api.signing("DescribeRegistry", b"{}")
        target = [header for header in signing.headers if header[0] == "x-amz-target"]
        answer = api.send(replace(signing, headers=(("content-type", content_type), *target)))
        assert answer.status == 200
    signing = api.signing("DescribeRegistry", b"{}")
    shouted = [(name.upper(), value) for name, value in signing.signed()]
    assert api.exchange("POST", "/", shouted, b"{}").status == 200


def test_further_a_body_over_the_cap_is_refused(api: Any) -> None:
    connection = http.client.HTTPConnection(api.host, timeout=60)
    connection.putrequest("POST", "/", skip_host=True)
    for name, value in api.signing("PutImage", b"").signed():
        connection.putheader(name, value)
    connection.putheader("content-length", str((32 << 20) + 1))
    connection.endheaders()
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()

    assert (response.status, body["__type"]) == (413, "RequestEntityTooLargeException")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e308", "99999999999999999999999", "-0", "1e1"])
def test_further_numbers_of_any_size_are_answered(api: Any, number: str) -> None:
    answer = api.call("DescribeRepositories", f'{{"maxResults":{number}}}'.encode())

    assert answer.status in (200, 400)
    assert answer.status == 200 or answer.code in ("SerializationException", "InvalidParameterException")


@pytest.mark.parametrize("text", [r"\ud800", r"\udfff\ud800", r"\u0000", r"\uFFFF"])
def test_further_odd_code_points_are_answered(api: Any, app: str, text: str) -> None:
    for member in ("imageManifest", "imageTag", "imageManifestMediaType", "imageDigest"):
        members = {"repositoryName": f'"{app}"', "imageManifest": '"{}"', member: f'"{text}"'}
        body = "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}"

        answer = api.call("PutImage", body.encode())

        assert answer.status == 400
        assert answer.code in (
            "SerializationException",
            "InvalidParameterException",
            "ImageDigestDoesNotMatchException",
        )
