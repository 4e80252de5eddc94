# ruff: noqa: E501 - a case is a line of its table
from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from moorage.aws import operation as module
from moorage.aws.operation import Operation, find_operation, operation, refusal
from moorage.aws.resources import _REGISTRY_WIDE
from moorage.aws.shapes import SERVICES, Shape, load
from moorage.aws.shapes import moorage as own
from moorage.aws.shapes.ecr import (
    DescribeRegistryRequest,
    DescribeRegistryResponse,
    TagResourceRequest,
    TagResourceResponse,
)
from moorage.base.errors.requests import UnknownOperation, UnsupportedOperation

ECR = "AmazonEC2ContainerRegistry_V20150921"
OWN = "Moorage_V20261124"
PUBLIC = "SpencerFrontendService"


@dataclass(frozen=True)
class Call:
    account: str


@pytest.fixture(autouse=True)
def _own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPERATIONS", {})


def resources(name: str, body: Any, target: str = ECR) -> list[str]:
    found = find_operation(f"{target}.{name}")
    return list(found.resources(found.decode(json.dumps(body).encode()), "111122223333", "home-1"))


async def describe_registry(call: Call, request: DescribeRegistryRequest) -> DescribeRegistryResponse:
    return DescribeRegistryResponse(registry_id=call.account)


def test_operation_when_registered_is_found_and_answers() -> None:
    assert operation(describe_registry) is describe_registry

    found = find_operation(f"{ECR}.DescribeRegistry")
    response = asyncio.run(found.act(Call("1"), found.decode(b"{}")))

    assert found.action == "ecr:DescribeRegistry"
    assert found.answer(response, "r").body == b'{"registryId":"1"}'


def test_operation_when_registered_twice_is_refused() -> None:
    operation(describe_registry)

    with pytest.raises(TypeError, match="built already"):
        operation(describe_registry)


def test_operation_when_its_response_is_of_another_is_refused() -> None:
    async def describe_registry(call: Call, request: DescribeRegistryRequest) -> TagResourceResponse:
        return TagResourceResponse()

    with pytest.raises(TypeError, match="DescribeRegistry"):
        operation(describe_registry)


def test_operation_when_given_resources_uses_them() -> None:
    @operation(resources=lambda request, account, region: [f"{account}/{region}"])
    async def tag_resource(call: Call, request: TagResourceRequest) -> TagResourceResponse:
        return TagResourceResponse()

    body = {"resourceArn": "arn", "tags": []}

    assert resources("TagResource", body) == ["111122223333/home-1"]


def test_operation_when_known_but_not_built_decodes_and_then_refuses() -> None:
    found = find_operation(f"{ECR}.StartImageScan")
    request = found.decode(b'{"repositoryName":"ab","imageId":{}}')

    with pytest.raises(UnsupportedOperation) as caught:
        asyncio.run(found.act(Call("1"), request))

    assert found.handler is None
    assert caught.value.facts == {"service": "ecr", "operation": "StartImageScan"}


@pytest.mark.parametrize(
    ("target", "action", "version"),
    [
        (f"{ECR}.NoSuch", None, None),
        (f"{ECR}.", None, None),
        (ECR, None, None),
        ("Other.PutImage", None, None),
        ("PutImage", None, None),
        ("", None, None),
        (f"{ECR}.PutImage.PutImage", None, None),
        (None, None, None),
        (None, "GetCallerIdentity", None),
        (None, "GetCallerIdentity", "2010-05-08"),
        (None, "PutImage", "2015-09-21"),
        (f"{ECR}.GetCallerIdentity", "GetCallerIdentity", "2011-06-15"),
    ],
)
def test_operation_when_not_of_any_service_is_unknown(
    target: str | None, action: str | None, version: str | None
) -> None:
    with pytest.raises(UnknownOperation):
        find_operation(target, action, version)


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("ListImages", {"repositoryName": "a/b"}, ["arn:aws:ecr:home-1:111122223333:repository/a/b"]),
        ("ListImages", {"repositoryName": "ab", "registryId": "444455556666"}, ["arn:aws:ecr:home-1:444455556666:repository/ab"]),
        ("DescribeRepositories", {}, ["arn:aws:ecr:home-1:111122223333:repository/*"]),
        ("DescribeRepositories", {"repositoryNames": ["ab", "cd"]}, ["arn:aws:ecr:home-1:111122223333:repository/ab", "arn:aws:ecr:home-1:111122223333:repository/cd"]),
        ("ListTagsForResource", {"resourceArn": "arn:x"}, ["arn:x"]),
        ("GetAuthorizationToken", {}, ["*"]),
        ("DescribePullThroughCacheRules", {}, ["*"]),
        ("DescribePullThroughCacheRules", {"registryId": "111122223333"}, ["*"]),
        ("DescribePullThroughCacheRules", {"registryId": "444455556666"}, ["arn:aws:ecr:home-1:444455556666:registry"]),
    ],
)  # fmt: skip
def test_resources_when_read_off_the_members_are_arns(name: str, body: Any, expected: list[str]) -> None:
    assert resources(name, body) == expected


def test_resources_when_public_have_no_region() -> None:
    body = {"repositoryName": "ab"}

    assert resources("DescribeImages", body, PUBLIC) == ["arn:aws:ecr-public::111122223333:repository/ab"]


def test_resources_when_a_role_is_assumed_are_for_the_operation_to_decide_on() -> None:
    found = find_operation(None, "AssumeRole", "2011-06-15")
    request = found.decode(b"RoleArn=arn:aws:iam::123456789012:role/a&RoleSessionName=ab")

    assert list(found.resources(request, "1", "r")) == []


@pytest.mark.parametrize(
    ("name", "form", "resource"),
    [
        ("CreateUser", b"UserName=a&Path=/x/", "arn:aws:iam::1:user/x/a"),
        ("GetUser", b"", "arn:aws:iam::1:user/"),
        ("AddUserToGroup", b"UserName=a&GroupName=g", "arn:aws:iam::1:group/g"),
        ("DeleteRole", b"RoleName=r", "arn:aws:iam::1:role/r"),
        ("CreatePolicy", b"PolicyName=p&PolicyDocument={}", "arn:aws:iam::1:policy/p"),
        ("GetPolicy", b"PolicyArn=arn:aws:iam::1:policy/x/p", "arn:aws:iam::1:policy/x/p"),
        (
            "CreateOpenIDConnectProvider",
            b"Url=https://a.example/b/",
            "arn:aws:iam::1:oidc-provider/a.example/b",
        ),
        ("ListUsers", b"", "*"),
    ],
)
def test_resources_of_iam_are_what_the_request_names(name: str, form: bytes, resource: str) -> None:
    found = find_operation(None, name, "2010-05-08")

    assert list(found.resources(found.decode(form), "1", "r")) == [resource]


def test_contexts_have_the_tags_of_the_request_and_one_image_tag_each() -> None:
    delete = find_operation(f"{ECR}.BatchDeleteImage")
    images = b'{"repositoryName":"app","imageIds":[{"imageTag":"a"},{"imageTag":"b"},{"imageTag":"a"}]}'
    create = find_operation(f"{ECR}.CreateRepository")
    tagged = b'{"repositoryName":"app","tags":[{"Key":"Team","Value":"red"}]}'

    assert delete.contexts(delete.decode(images)) == [{"moorage:imagetag": "a"}, {"moorage:imagetag": "b"}]
    assert create.contexts(create.decode(tagged)) == [
        {"aws:tagkeys": ("Team",), "aws:requesttag/team": "red"}
    ]


def test_registry_wide_operations_when_listed_exist() -> None:
    assert {*load("ecr").OPERATIONS, *load("moorage").OPERATIONS} >= _REGISTRY_WIDE


def test_resources_of_our_own_operations_are_those_of_amazon_ecr() -> None:
    request = own.ExplainLifecyclePolicyRequest(repository_name="team/app")
    foreign = own.GetDefaultLifecyclePolicyRequest(registry_id="210987654321")

    assert find_operation(f"{OWN}.ExplainLifecyclePolicy").resources(request, "123456789012", "home-1") == (
        "arn:aws:ecr:home-1:123456789012:repository/team/app",
    )
    default = find_operation(f"{OWN}.GetDefaultLifecyclePolicy")
    assert default.resources(foreign, "210987654321", "home-1") == ("*",)
    assert default.resources(foreign, "123456789012", "home-1") == (
        "arn:aws:ecr:home-1:210987654321:registry",
    )
    assert default.action == "moorage:GetDefaultLifecyclePolicy"


def test_action_when_it_differs_from_the_operation_is_from_the_table() -> None:
    assert find_operation(f"{ECR}.ListImageReferrers").action == "ecr:BatchGetImage"


def test_operations_when_unsigned_are_the_two_of_sts() -> None:
    unsigned = {
        name for service in SERVICES for name in load(service).OPERATIONS if not _is_signed(service, name)
    }

    assert unsigned == {"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"}


def _is_signed(service: str, name: str) -> bool:
    return Operation(SERVICES[service], name, Shape, lambda r, a, g: ()).is_signed


def test_refusal_when_no_service_is_known_is_json() -> None:
    error = UnknownOperation(operation="X", service="y")

    assert refusal("", error, "r").headers[0][1] == b"application/x-amz-json-1.1"
    assert refusal("iam", error, "r").headers[0][1] == b"text/xml"
