"""Layers through the API: parts, completion, availability, download URLs."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import pytest

NOWHERE = "sha256:" + "0" * 64


def message(raised: Any) -> str:
    return str(raised.value.response["Error"]["Message"])


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def begin(api: Any, name: str, *parts: bytes) -> dict[str, str]:
    started = api.ecr.initiate_layer_upload(repositoryName=name)
    place = {"repositoryName": name, "uploadId": started["uploadId"]}
    at = 0
    for part in parts:
        put(api, place, at, part)
        at += len(part)
    return place


def put(api: Any, place: dict[str, str], at: int, part: bytes, last: int | None = None) -> Any:
    end = at + len(part) - 1 if last is None else last
    return api.ecr.upload_layer_part(**place, partFirstByte=at, partLastByte=end, layerPartBlob=part)


def unknown_upload(api: Any, place: dict[str, str]) -> str:
    return (
        f"Upload with id '{place['uploadId']}' could not be found for the repository with name "
        f"'{place['repositoryName']}' in the registry with id '{api.account}'"
    )


# Uploads


def test_an_upload_begins_with_a_uuid_and_amazons_part_size(api: Any) -> None:
    started = api.ecr.initiate_layer_upload(repositoryName=api.repository(), registryId=api.account)

    assert str(uuid.UUID(started["uploadId"])) == started["uploadId"]
    assert started["partSize"] == 10_485_760


def test_a_part_answers_how_far_it_is(api: Any) -> None:
    place = begin(api, api.repository())

    answer = put(api, place, 0, b"0123456789")

    answer.pop("ResponseMetadata")
    assert answer == {"registryId": api.account, **place, "lastByteReceived": 9}


@pytest.mark.parametrize(
    ("first", "last", "size"),
    [(9, 9, 1), (11, 11, 1), (0, 9, 10), (10, 12, 2), (10, 10, 2), (12, 10, 1)],
    ids=["overlap", "gap", "again", "too short", "too long", "backwards"],
)
def test_a_part_out_of_order_says_where_to_go_on(api: Any, first: int, last: int, size: int) -> None:
    place = begin(api, api.repository(), b"0123456789")
    with pytest.raises(api.ecr.exceptions.InvalidLayerPartException) as raised:
        put(api, place, first, b"x" * size, last)
    response = raised.value.response

    assert response["lastValidByteReceived"] == 9
    assert response["uploadId"] == place["uploadId"]
    assert response["repositoryName"] == place["repositoryName"]
    assert response["registryId"] == api.account
    assert put(api, place, 10, b"x")["lastByteReceived"] == 10


def test_a_part_of_another_length_than_its_range_is_told_both(api: Any) -> None:
    place = begin(api, api.repository(), b"0123456789")
    with pytest.raises(api.ecr.exceptions.InvalidLayerPartException) as raised:
        put(api, place, 10, b"xy", 12)

    assert message(raised) == "The layer part has 2 bytes where its range has 3"
    assert raised.value.response["lastValidByteReceived"] == 9


@pytest.mark.parametrize(
    ("member", "value", "error"),
    [
        ("uploadId", "nonsense", "InvalidParameterException"),
        ("partFirstByte", -1, "InvalidParameterException"),
        ("partLastByte", -1, "InvalidParameterException"),
        ("layerPartBlob", "no base64!", "SerializationException"),
        ("layerPartBlob", "AA", "SerializationException"),
        ("layerPartBlob", 1, "SerializationException"),
        ("partFirstByte", "0", "SerializationException"),
        ("partFirstByte", 1 << 70, "SerializationException"),
        ("layerPartBlob", None, "InvalidParameterException"),
    ],
)
def test_a_part_with_a_bad_member_is_refused(api: Any, member: str, value: Any, error: str) -> None:
    place = begin(api, api.repository())
    body = {**place, "partFirstByte": 0, "partLastByte": 0, "layerPartBlob": "AA==", member: value}

    answer = api.call("UploadLayerPart", body)

    assert (answer.status, answer.code) == (400, error)


def test_an_upload_belongs_to_its_repository(api: Any) -> None:
    place = begin(api, api.repository("one"), b"x")
    elsewhere = {**place, "repositoryName": api.repository("two")}
    nowhere = {**place, "uploadId": str(uuid.uuid4())}
    for wrong in (elsewhere, nowhere):
        with pytest.raises(api.ecr.exceptions.UploadNotFoundException) as part:
            put(api, wrong, 1, b"y")
        with pytest.raises(api.ecr.exceptions.UploadNotFoundException) as end:
            api.ecr.complete_layer_upload(**wrong, layerDigests=[sha256(b"x")])
        assert message(part) == message(end) == unknown_upload(api, wrong)


@pytest.mark.parametrize("content", [b"x", bytes(70_000), bytes(300_000)], ids=len)
def test_a_layer_is_what_was_sent(api: Any, content: bytes) -> None:
    name = api.repository()
    digest = api.layer(name, content)

    answer = api.v2("GET", f"/v2/{name}/blobs/{digest}")

    assert (answer.status, answer.body) == (200, content)


def test_the_largest_part_that_the_model_allows(api: Any) -> None:
    content = bytes(20_971_520)
    place = begin(api, api.repository(), content)

    assert api.ecr.complete_layer_upload(**place, layerDigests=[sha256(content)])


def test_completion_checks_every_digest_given(api: Any) -> None:
    name, content = api.repository(), b"layer"
    sha512 = "sha512:" + hashlib.sha512(content).hexdigest()

    done = api.ecr.complete_layer_upload(**begin(api, name, content), layerDigests=[sha512, sha256(content)])
    with pytest.raises(api.ecr.exceptions.InvalidLayerException):
        api.ecr.complete_layer_upload(**begin(api, name, b"other"), layerDigests=[sha256(b"other"), NOWHERE])

    assert done["layerDigest"] == sha256(content)
    found = api.ecr.batch_check_layer_availability(
        repositoryName=name, layerDigests=[sha512, sha256(b"other")]
    )
    assert [each["layerAvailability"] for each in found["layers"]] == ["AVAILABLE", "UNAVAILABLE"]


def test_completion_of_a_known_layer_says_so_and_ends_the_upload(api: Any) -> None:
    name = api.repository()
    digest = api.layer(name, b"layer")
    place = begin(api, name, b"layer")
    with pytest.raises(api.ecr.exceptions.LayerAlreadyExistsException) as raised:
        api.ecr.complete_layer_upload(**place, layerDigests=[digest])
    with pytest.raises(api.ecr.exceptions.UploadNotFoundException):
        api.ecr.complete_layer_upload(**place, layerDigests=[digest])

    assert message(raised) == (
        f"The layer with digest '{digest}' already exists in the repository with name '{name}' in registry with id "
        f"'{api.account}'"
    )


@pytest.mark.parametrize("digest", ["nonsense", "sha256:", "sha256:zz", "sha256:ab", "sha256:" + "A" * 64])
def test_completion_with_what_is_no_digest_is_refused_and_can_be_repeated(api: Any, digest: str) -> None:
    place = begin(api, api.repository(), b"layer")

    refused = api.call("CompleteLayerUpload", {**place, "layerDigests": [digest]})
    done = api.ecr.complete_layer_upload(**place, layerDigests=[sha256(b"layer")])

    assert (refused.status, refused.code) == (400, "InvalidParameterException")
    assert done["layerDigest"] == sha256(b"layer")


def test_an_upload_may_begin_on_one_door_and_end_on_the_other(api: Any) -> None:
    name = api.repository()
    place = begin(api, name, b"0123")
    url = f"/v2/{name}/blobs/uploads/{place['uploadId']}"

    more = api.v2("PATCH", url, b"4567")
    put(api, place, 8, b"89")
    done = api.v2("PUT", f"{url}?digest={sha256(b'0123456789')}", b"")

    assert (more.status, done.status) == (202, 201)


# BatchCheckLayerAvailability


def test_availability_of_known_unknown_and_malformed_digests(api: Any) -> None:
    name = api.repository()
    known = api.layer(name, b"layer")
    asked = [known, NOWHERE, "nonsense", "", " ", "sha256:" + "A" * 64, "x" * 1000]

    answer = api.ecr.batch_check_layer_availability(
        repositoryName=name, layerDigests=asked, registryId=api.account
    )

    assert answer["layers"] == [
        {"layerDigest": known, "layerAvailability": "AVAILABLE", "layerSize": 5},
        {"layerDigest": NOWHERE, "layerAvailability": "UNAVAILABLE"},
    ]
    assert [(each["layerDigest"], each["failureCode"]) for each in answer["failures"]] == [
        ("nonsense", "InvalidLayerDigest"),
        ("", "MissingLayerDigest"),
        (" ", "MissingLayerDigest"),
        (asked[5], "InvalidLayerDigest"),
        (asked[6], "InvalidLayerDigest"),
    ]
    assert all(each["failureReason"] for each in answer["failures"])


def test_availability_does_not_tell_of_other_repositories(api: Any) -> None:
    digest = api.layer(api.repository("one"), b"layer")

    answer = api.ecr.batch_check_layer_availability(
        repositoryName=api.repository("two"), layerDigests=[digest]
    )

    assert answer["layers"][0]["layerAvailability"] == "UNAVAILABLE"


@pytest.mark.parametrize("digests", [[], [NOWHERE] * 101, ["x" * 1001], [None]])
def test_availability_of_none_or_too_many_is_refused(api: Any, digests: Any) -> None:
    body = {"repositoryName": api.repository(), "layerDigests": digests}

    assert api.call("BatchCheckLayerAvailability", body).code == "InvalidParameterException"


# GetDownloadUrlForLayer

CONTENT = bytes(range(256)) * 1024


@pytest.fixture
def url(api: Any, app: str) -> str:
    """Of a layer that an image has."""
    digest = api.layer(app, CONTENT)
    api.image(app, layers={digest: len(CONTENT)})
    answer = api.ecr.get_download_url_for_layer(repositoryName=app, layerDigest=digest)
    assert answer["layerDigest"] == digest
    return str(answer["downloadUrl"])


def get(api: Any, url: str, method: str = "GET", **headers: str) -> Any:
    path = url.removeprefix(f"http://{api.host}")
    assert path.startswith("/_layers/")
    sent = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return api.exchange(method, path, [("host", api.host), *sent])


def test_a_download_url_needs_no_credentials(api: Any, url: str) -> None:
    answer, head = get(api, url), get(api, url, "HEAD")

    assert (answer.status, answer.body) == (200, CONTENT)
    assert (head.status, head.body) == (200, b"")
    assert answer.headers["content-length"] == head.headers["content-length"] == str(len(CONTENT))


@pytest.mark.parametrize(
    ("range_", "status", "body"),
    [
        ("bytes=0-9", 206, CONTENT[:10]),
        ("bytes=262134-", 206, CONTENT[-10:]),
        ("bytes=-10", 206, CONTENT[-10:]),
        ("bytes=262144-", 416, None),
    ],
)
def test_a_download_url_serves_ranges(
    api: Any, url: str, range_: str, status: int, body: bytes | None
) -> None:
    answer = get(api, url, range=range_)

    assert answer.status == status
    assert body is None or answer.body == body


def test_a_download_url_that_was_changed_is_refused(api: Any, url: str) -> None:
    start, token = url.rsplit("/", 1)
    middle = len(token) // 2
    other = "A" if token[middle] != "A" else "B"
    changed = [
        token[:middle] + other + token[middle + 1 :],
        token[:-4],
        token + "A",
        token + "=",
        "",
        "x",
        "%C3%A9",
        "A" * 9_000,
        token.swapcase(),
        f"{token}/x",
    ]

    for each in changed:
        answer = get(api, f"{start}/{each}")
        assert answer.status in (403, 404), each
        assert b"The download URL is not valid" in answer.body


def test_a_page_token_or_password_is_no_download_url(api: Any, url: str, app: str) -> None:
    api.image(app, "a")
    token = api.ecr.list_images(repositoryName=app, maxResults=1)["nextToken"]

    assert get(api, f"http://{api.host}/_layers/{token}").status == 403


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_a_download_url_is_read_only(api: Any, url: str, method: str) -> None:
    answer = get(api, url, method)

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_download_url_dies_with_its_repository(api: Any, url: str, app: str) -> None:
    api.ecr.delete_repository(repositoryName=app, force=True)

    assert get(api, url).status == 404


def test_a_layer_of_no_image_cannot_be_downloaded(api: Any) -> None:
    name = api.repository()
    digest = api.layer(name, b"layer")
    with pytest.raises(api.ecr.exceptions.LayerInaccessibleException) as raised:
        api.ecr.get_download_url_for_layer(repositoryName=name, layerDigest=digest)

    assert "is not available because it is not associated with an image" in message(raised)


def test_a_config_is_a_layer_and_stops_being_one_with_its_image(api: Any, app: str) -> None:
    image = api.image(app)
    digest = sha256(b"{}")
    api.ecr.get_download_url_for_layer(repositoryName=app, layerDigest=digest)

    api.ecr.batch_delete_image(repositoryName=app, imageIds=[{"imageDigest": image.digest}])

    with pytest.raises(api.ecr.exceptions.LayerInaccessibleException):
        api.ecr.get_download_url_for_layer(repositoryName=app, layerDigest=digest)


@pytest.mark.parametrize("digest", [NOWHERE, "sha256:" + "A" * 64, "md5:ab"])
def test_an_unknown_layer_has_no_url(api: Any, app: str, digest: str) -> None:
    with pytest.raises(api.ecr.exceptions.LayersNotFoundException) as raised:
        api.ecr.get_download_url_for_layer(repositoryName=app, layerDigest=digest)

    assert message(raised) == (
        f"The layer with digest '{digest}' does not exist within the repository with name '{app}' in the registry "
        f"with id '{api.account}'"
    )
