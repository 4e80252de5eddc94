"""boto3 against our codecs, without a network: every operation of every service, signed, decoded, answered, parsed.

boto3 signs and serializes; its `before-send` event hands the prepared request over and takes our answer back.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore
import msgspec
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from moorage.aws import query
from moorage.aws.operation import Operation, find_operation, refusal
from moorage.aws.shapes import SERVICES, load
from moorage.aws.sigv4 import SignedParts, SigningKeys, check_service, parse_authorization, verify
from moorage.base.errors.access import InvalidSignature
from moorage.base.errors.error import MoorageError
from moorage.base.errors.layers import InvalidLayerPart
from moorage.base.errors.repositories import RepositoryNotFound

from ...conftest import knowing_all_services

Example = Callable[[Any], Any]

KEY_ID, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "token+/="
OPERATIONS = [(service, name) for service in SERVICES for name in load(service).OPERATIONS]


class Raw:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self) -> list[bytes]:
        return [self.body]


class Endpoint:
    """What a server does with a prepared request, in the order of the pipeline."""

    def __init__(self, service: str, token: str | None = None) -> None:
        self.keys = SigningKeys()
        self.result: Any = None
        self.error: MoorageError | None = None
        self.received: Any = None
        self.is_temporary = token is not None
        self.client = boto3.Session(botocore_session=knowing_all_services()).client(
            service,
            region_name="home-1",
            endpoint_url="http://registry.test:5050",
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=True),
        )
        self.client.meta.events.register(f"before-send.{SERVICES[service].name}", self.handle)

    def handle(self, request: Any, **_: Any) -> AWSResponse:
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        raw_query = urlsplit(request.url).query.encode()
        headers = [(b"host", urlsplit(request.url).netloc.encode())]
        headers += [(name.lower().encode(), _bytes(value)) for name, value in request.headers.items()]
        operation = _find(headers, body or raw_query)
        if operation.is_signed:
            parts = SignedParts(request.method, raw_query, headers, hashlib.sha256(body).hexdigest())
            self.check(parts, operation)
        self.received = operation.decode(body or raw_query)
        return self.reply(operation, request.url)

    def check(self, parts: SignedParts, operation: Operation) -> None:
        now = time.time_ns() // 1000
        authorization = parse_authorization(parts.headers, parts.raw_query, now=now)
        check_service(authorization, operation.service.name)
        verify(authorization, parts, SECRET, keys=self.keys, is_temporary=self.is_temporary)

    def reply(self, operation: Operation, url: str) -> AWSResponse:
        if self.error is not None:
            reply = refusal(operation.service.name, self.error, "request-1")
        else:
            response = load(operation.service.name).OPERATIONS[operation.name][1]
            reply = operation.answer(msgspec.convert(self.result, response), "request-1")
        assert isinstance(reply.body, bytes)
        headers = {name.decode(): value.decode() for name, value in reply.headers}
        return AWSResponse(url, reply.status, headers, Raw(reply.body))


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _find(headers: list[tuple[bytes, bytes]], form: bytes) -> Operation:
    target = dict(headers).get(b"x-amz-target")
    if target is not None:
        return find_operation(target.decode())
    fields = dict(query.form_of(form))
    return find_operation(None, fields["Action"], fields["Version"])


@pytest.fixture(scope="module")
def endpoints() -> dict[str, Endpoint]:
    return {service: Endpoint(service) for service in SERVICES}


def _made_up(endpoint: Endpoint, name: str, example: Example) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and result of an operation."""
    operation = endpoint.client.meta.service_model.operation_model(name)
    shapes = (operation.input_shape, operation.output_shape)
    parameters, result = (example(shape) if shape else {} for shape in shapes)
    return parameters, result


def _plain(value: Any) -> Any:
    """Datetimes as the floats that our shapes hold."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.timestamp() if isinstance(value, datetime) else value


def _named(endpoint: Endpoint, name: str, side: str, value: Any) -> Any:
    """By the names that travel, where the model has two for a member (EC2)."""
    shape = getattr(endpoint.client.meta.service_model.operation_model(name), f"{side}_shape")
    return _renamed(value, shape) if shape else value


def _renamed(value: Any, shape: Any) -> Any:
    if shape.type_name == "structure":
        members = {name: shape.members[name] for name in value}
        return {m.serialization.get("name", name): _renamed(value[name], m) for name, m in members.items()}
    if shape.type_name == "list":
        return [_renamed(item, shape.member) for item in value]
    return value


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
def test_operation_when_called_by_boto3_round_trips(
    endpoints: dict[str, Endpoint], example: Example, service: str, name: str
) -> None:
    endpoint = endpoints[service]
    parameters, result = _made_up(endpoint, name, example)
    endpoint.result = _named(endpoint, name, "output", _plain(result))
    method = botocore.xform_name(name)

    answer = getattr(endpoint.client, method)(**parameters)

    answer.pop("ResponseMetadata")
    received = msgspec.to_builtins(endpoint.received, builtin_types=(bytes,))
    assert received == _named(endpoint, name, "input", _plain(parameters))
    assert _plain(answer) == _plain(result)


@pytest.mark.parametrize("service", SERVICES)
def test_session_credentials_when_signed_verify(example: Example, service: str) -> None:
    endpoint = Endpoint(service, TOKEN)
    name = next(iter(load(service).OPERATIONS))
    parameters, result = _made_up(endpoint, name, example)
    endpoint.result = _plain(result)

    getattr(endpoint.client, botocore.xform_name(name))(**parameters)

    assert endpoint.received is not None


def test_presigned_caller_identity_when_verified_holds() -> None:
    endpoint = Endpoint("sts")
    url = endpoint.client.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    raw_query = urlsplit(url).query.encode()
    headers = [(b"host", b"registry.test:5050")]
    parts = SignedParts("GET", raw_query, headers, hashlib.sha256(b"").hexdigest())

    operation = _find(headers, raw_query)
    endpoint.check(parts, operation)

    assert (operation.name, operation.service.name) == ("GetCallerIdentity", "sts")


def test_modelled_error_when_headers_are_stripped_is_still_raised() -> None:
    endpoint = Endpoint("ecr")
    endpoint.error = RepositoryNotFound(name="a<b", registry_id="123456789012")
    endpoint.client.meta.events.register("before-parse.ecr", _strip_headers)

    with pytest.raises(endpoint.client.exceptions.RepositoryNotFoundException) as caught:
        endpoint.client.describe_repositories(repositoryNames=["ab"])

    assert (
        caught.value.response["message"] == caught.value.response["Error"]["Message"] == str(endpoint.error)
    )


def _strip_headers(response_dict: dict[str, Any], **_: Any) -> None:
    response_dict["headers"].clear()


def test_error_members_when_raised_are_siblings_of_the_message() -> None:
    endpoint = Endpoint("ecr")
    endpoint.error = InvalidLayerPart(
        first=5,
        expected=4,
        registryId="123456789012",
        repositoryName="ab",
        uploadId="u",
        lastValidByteReceived=3,
    )

    with pytest.raises(endpoint.client.exceptions.InvalidLayerPartException) as caught:
        endpoint.client.initiate_layer_upload(repositoryName="ab")

    assert caught.value.response["lastValidByteReceived"] == 3
    assert caught.value.response["repositoryName"] == "ab"


def test_query_error_when_raised_has_code_and_status() -> None:
    endpoint = Endpoint("iam")
    endpoint.error = type("NoSuchEntity", (MoorageError,), {})("The user with name a<b cannot be found.")

    with pytest.raises(endpoint.client.exceptions.NoSuchEntityException) as caught:
        endpoint.client.get_user(UserName="a")

    assert caught.value.response["Error"] == {
        "Type": "Sender",
        "Code": "NoSuchEntity",
        "Message": "The user with name a<b cannot be found.",
    }
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_query_authentication_error_when_raised_has_the_query_code_and_403() -> None:
    endpoint = Endpoint("sts")
    endpoint.error = InvalidSignature("no match")

    with pytest.raises(ClientError) as caught:
        endpoint.client.get_caller_identity()

    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
