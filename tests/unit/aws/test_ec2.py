from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from moorage.aws.operation import find_operation, refusal
from moorage.aws.shapes.ec2 import (
    CreateTagsResponse,
    DescribeVpcEndpointsResult,
    ModifyVpcEndpointResult,
    Tag,
    VpcEndpoint,
)
from moorage.base.errors.access import (
    AccessDenied,
    ExpiredToken,
    InvalidSignature,
    MissingAuthenticationToken,
    UnrecognizedClient,
)
from moorage.base.errors.endpoints import (
    DryRunOperation,
    InvalidParameterValue,
    MissingParameter,
    VpcEndpointNotFound,
)
from moorage.base.errors.error import MoorageError
from moorage.base.errors.ourselves import Server
from moorage.base.errors.requests import InvalidParameter, Serialization, UnknownOperation
from moorage.base.http import Reply

VERSION = "2016-11-15"
NAMESPACE = "{http://ec2.amazonaws.com/doc/2016-11-15/}"


def decode(action: str, form: str) -> Any:
    return find_operation(None, action, VERSION).decode(form.encode())


def content(reply: Reply) -> str:
    assert isinstance(reply.body, bytes)
    return reply.body.decode()


def test_lists_of_a_form_have_no_member_and_their_names_begin_with_capitals() -> None:
    request = decode(
        "CreateVpcEndpoint",
        "VpcId=vpc-1&SubnetId.2=b&SubnetId.1=a&DryRun=true&TagSpecification.1.ResourceType=vpc-endpoint"
        "&TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v%20w&Unknown.1=x",
    )

    assert (request.vpc_id, request.subnet_ids, request.dry_run) == ("vpc-1", ["a", "b"], True)
    (specification,) = request.tag_specifications
    assert specification.resource_type == "vpc-endpoint"
    assert [(tag.key, tag.value) for tag in specification.tags] == [("k", "v w")]


def test_names_of_answers_are_none_of_a_form() -> None:
    request = decode("DescribeTags", "maxResults=5&nextToken=x")

    assert (request.max_results, request.next_token) == (None, None)


def test_a_missing_member_is_a_missing_parameter() -> None:
    with pytest.raises(MissingParameter, match="the parameter VpcId"):
        decode("CreateVpcEndpoint", "ServiceName=a")


def test_a_value_that_is_none_of_the_model_is_named() -> None:
    with pytest.raises(
        InvalidParameterValue, match=r"^Value \(Side\) for parameter VpcEndpointType is invalid"
    ):
        decode("CreateVpcEndpoint", "VpcId=vpc-1&VpcEndpointType=Side")


@pytest.mark.parametrize(
    "form",
    [
        "VpcEndpointId.x=a",
        "VpcEndpointId.member.1=a",
        "VpcEndpointId=a",
        "VpcEndpointId.1.a=b",
        "DryRun=maybe",
        "DryRun.1=true",
        "MaxResults=many",
        "MaxResults=99999999999999999999",
        "Filter.1=a",
        "VpcEndpointId.1=%ff",
    ],
)
def test_a_form_of_another_shape_is_refused(form: str) -> None:
    with pytest.raises((Serialization, InvalidParameterValue)):
        decode("DescribeVpcEndpoints", form)


def test_answers_have_items_and_names_that_begin_small() -> None:
    endpoint = VpcEndpoint(vpc_endpoint_id="vpce-1", tags=[Tag(key="a<b", value="&")], subnet_ids=[])
    operation = find_operation(None, "DescribeVpcEndpoints", VERSION)

    reply = operation.answer(DescribeVpcEndpointsResult(vpc_endpoints=[endpoint]), "r-1")

    root = ElementTree.fromstring(content(reply))
    assert root.tag == f"{NAMESPACE}DescribeVpcEndpointsResponse"
    assert [child.tag.removeprefix(NAMESPACE) for child in root] == ["requestId", "vpcEndpointSet"]
    assert root.findtext(f"{NAMESPACE}requestId") == "r-1"
    assert [e.text for e in root.iter(f"{NAMESPACE}vpcEndpointId")] == ["vpce-1"]
    assert [e.text for e in root.iter(f"{NAMESPACE}key")] == ["a<b"]
    assert "<subnetIdSet></subnetIdSet>" in content(reply)


@pytest.mark.parametrize(
    ("action", "response"),
    [("CreateTags", CreateTagsResponse()), ("ModifyVpcEndpoint", ModifyVpcEndpointResult(return_=True))],
)
def test_what_has_nothing_to_answer_says_that_it_was_done(action: str, response: Any) -> None:
    reply = find_operation(None, action, VERSION).answer(response, "r")

    assert "<return>true</return>" in content(reply)


DENIED = AccessDenied(
    principal="arn:aws:iam::1:user/a", action="ec2:DescribeTags", resource="*", because="because"
)


@pytest.mark.parametrize(
    ("error", "status", "code", "text"),
    [
        (DENIED, 403, "UnauthorizedOperation", "You are not authorized to perform this operation. User: arn"),
        (
            UnrecognizedClient(),
            401,
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
        ),
        (
            InvalidSignature("no"),
            401,
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
        ),
        (ExpiredToken(), 400, "RequestExpired", "The security token"),
        (MissingAuthenticationToken(), 403, "MissingAuthenticationToken", "Request is missing"),
        (UnknownOperation(operation="RunInstances", service="ec2"), 400, "InvalidAction", "The operation"),
        (
            InvalidParameter(at="nextToken", constraint="Invalid token"),
            400,
            "InvalidParameterValue",
            "Invalid",
        ),
        (
            VpcEndpointNotFound(id="v<"),
            400,
            "InvalidVpcEndpointId.NotFound",
            "The Vpc Endpoint Id 'v<' does not",
        ),
        (DryRunOperation(), 412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."),
        (Server(), 500, "InternalError", "An internal error"),
    ],
)
def test_errors_are_named_as_ec2_names_them(error: MoorageError, status: int, code: str, text: str) -> None:
    reply = refusal("ec2", error, "r-1")

    root = ElementTree.fromstring(content(reply))
    assert reply.status == status
    assert root.tag == "Response"
    assert root.findtext("Errors/Error/Code") == code
    assert (root.findtext("Errors/Error/Message") or "").startswith(text)
    assert root.findtext("RequestID") == "r-1"


def test_a_denial_names_no_resource_that_is_any() -> None:
    root = ElementTree.fromstring(content(refusal("ec2", DENIED, "r-1")))

    assert root.findtext("Errors/Error/Message") == (
        "You are not authorized to perform this operation. User: arn:aws:iam::1:user/a is not authorized to perform: "
        "ec2:DescribeTags because"
    )


def test_other_operations_of_ec2_are_unknown() -> None:
    with pytest.raises(UnknownOperation):
        find_operation(None, "RunInstances", VERSION)
