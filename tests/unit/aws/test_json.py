from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.aws.json import encode, encode_error
from moorage.aws.operation import find_operation
from moorage.aws.shapes.ecr import GetLifecyclePolicyResponse
from moorage.base.errors.error import MoorageError
from moorage.base.errors.images import ManifestInvalid
from moorage.base.errors.layers import InvalidLayerPart
from moorage.base.errors.ourselves import KmsFailure, Server, StorageFull
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.base.errors.requests import InvalidParameter, Serialization
from moorage.base.http import Reply

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def content(reply: Reply) -> bytes:
    assert isinstance(reply.body, bytes)
    return reply.body


def decode(operation: str, body: bytes) -> Any:
    return find_operation(f"AmazonEC2ContainerRegistry_V20150921.{operation}").decode(body)


def test_body_when_it_has_null_and_unknown_members_ignores_them() -> None:
    request = decode("DescribeRepositories", b'{"registryId":null,"newer":[{"a":1}],"maxResults":7}')

    assert (request.registry_id, request.max_results) == (None, 7)


@pytest.mark.parametrize("number", [b"5", b"5.0", b"0.5e1"])
def test_integer_when_written_as_a_whole_float_is_accepted(number: bytes) -> None:
    request = decode("DescribeRepositories", b'{"maxResults":' + number + b"}")

    assert request.max_results == 5
    assert isinstance(request.max_results, int)


def test_blob_when_another_member_needs_the_slow_way_is_still_decoded() -> None:
    upload = b"01234567-89ab-cdef-0123-456789abcdef"
    body = (
        b'{"repositoryName":"ab","uploadId":"%s","partFirstByte":0.0,"partLastByte":1,"layerPartBlob":"AP8="}'
    )

    request = decode("UploadLayerPart", body % upload)

    assert request.layer_part_blob == b"\x00\xff"


def test_body_when_empty_is_an_empty_object() -> None:
    assert decode("DescribeRegistry", b"") == decode("DescribeRegistry", b"{}")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"null",
        b'{"repositoryName":"\xff"}',
        b'{"repositoryName":"\\ud800"}',
        b'{"x":' + b"[" * 200_000,
        b'{"maxResults":1e999}',
        b'{"repositoryName":1} trailing',
        b"\xef\xbb\xbf{}",
    ],
)
def test_body_when_not_json_is_a_serialization_error(body: bytes) -> None:
    with pytest.raises(Serialization):
        decode("CreateRepository", body)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["repositoryName", "tags", "imageTagMutability", "registryId"]), ANYTHING)
)
def test_body_when_any_json_decodes_or_is_refused_with_an_aws_error(tree: dict[str, Any]) -> None:
    with suppress(Serialization, InvalidParameter):
        decode("CreateRepository", json.dumps(tree).encode())


def test_response_when_encoded_has_number_timestamps() -> None:
    reply = encode(GetLifecyclePolicyResponse(repository_name="a", last_evaluated_at=1563223656.25))

    assert reply.status == 200
    assert reply.headers == [(b"content-type", b"application/x-amz-json-1.1")]
    assert reply.body == b'{"repositoryName":"a","lastEvaluatedAt":1563223656.25}'


def test_error_when_encoded_names_its_type_twice_and_its_message_twice() -> None:
    reply = encode_error(RepositoryNotFound(name="a", registry_id="1"))

    text = "The repository with name 'a' does not exist in the registry with id '1'"
    assert reply.status == 400
    assert (b"x-amzn-errortype", b"RepositoryNotFoundException") in reply.headers
    assert json.loads(content(reply)) == {
        "__type": "RepositoryNotFoundException",
        "message": text,
        "Message": text,
    }


def test_error_when_it_has_members_sends_only_those() -> None:
    error = InvalidLayerPart(first=1, expected=0, repositoryName="a", lastValidByteReceived=9)

    body = json.loads(content(encode_error(error)))

    assert set(body) == {"__type", "message", "Message", "repositoryName", "lastValidByteReceived"}
    assert json.loads(content(encode_error(KmsFailure("no", kmsError="DisabledException"))))["kmsError"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Server(), 500, "ServerException"),
        (StorageFull(), 500, "ServerException"),
        (ManifestInvalid(reason="x"), 400, "InvalidParameterException"),
    ],
)
def test_error_of_the_registry_wire_when_sent_as_json_has_a_modelled_code(
    error: MoorageError, status: int, code: str
) -> None:
    reply = encode_error(error)

    assert (reply.status, json.loads(content(reply))["__type"]) == (status, code)
