"""The operations on private endpoints and their tags, over a database in memory with a private listener `lan`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from moorage.access.call import Call
from moorage.access.endpoints import stored
from moorage.access.endpoints.endpoint import FULL_ACCESS, Endpoint
from moorage.access.endpoints.endpoints import Endpoints
from moorage.access.endpoints.names import CARRIED
from moorage.access.operations import endpoint_tags, endpoints
from moorage.aws.operation import OPERATIONS
from moorage.aws.shapes import ec2
from moorage.base.errors.endpoints import (
    DryRunOperation,
    IdempotentParameterMismatch,
    InvalidParameterCombination,
    InvalidParameterValue,
    InvalidPolicyDocument,
    InvalidServiceName,
    MissingParameter,
    OperationNotPermitted,
    ResourceIdInvalid,
    TagLimitExceeded,
    VpcEndpointIdMalformed,
    VpcEndpointLimitExceeded,
    VpcEndpointNotFound,
)
from moorage.base.errors.requests import InvalidParameter
from moorage.base.http import Arrival

from ...registry.memory import call_of, in_memory
from ...registry.registry import ACCOUNT, REGION, MemoryRegistry
from .calling import OTHER, add_account

API = f"com.amazonaws.{REGION}.ecr.api"
ALLOW = '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"*"}]}'
MISSING = "vpce-00000000000000000"
WRITTEN = Endpoint(
    id="vpce-0a1b2c3d4e5f60718",
    account=ACCOUNT,
    region=REGION,
    service="sts",
    network="vpc-lan",
    listeners=("lan",),
    name="lan",
    tags=(("Name", "lan"),),
)


async def begin(registry: MemoryRegistry, *configured: Endpoint) -> Call:
    """A call of the default account's root."""
    services = registry.services
    found = Endpoints(services.db, services.epochs, ACCOUNT, configured, ["lan", "side"])
    registry.services = replace(services, endpoints=found)
    await add_account(registry)
    return registry.call


async def create(call: Call, **members: Any) -> ec2.VpcEndpoint:
    values = {"vpc_id": "vpc-1", "service_name": API, "subnet_ids": ["subnet-lan"]} | members
    made = await endpoints.create_vpc_endpoint(call, ec2.CreateVpcEndpointRequest(**values))
    assert made.vpc_endpoint is not None
    return made.vpc_endpoint


async def describe(call: Call, **members: Any) -> list[ec2.VpcEndpoint]:
    request = ec2.DescribeVpcEndpointsRequest(**members)
    return (await endpoints.describe_vpc_endpoints(call, request)).vpc_endpoints or []


async def modify(call: Call, id_: str | None, **members: Any) -> None:
    assert id_ is not None
    await endpoints.modify_vpc_endpoint(call, ec2.ModifyVpcEndpointRequest(vpc_endpoint_id=id_, **members))


def filtered(name: str, *values: str) -> list[ec2.Filter]:
    return [ec2.Filter(name=name, values=list(values))]


def tagged(**tags: str) -> list[ec2.TagSpecification]:
    given = [ec2.Tag(key=key, value=value) for key, value in tags.items()]
    return [ec2.TagSpecification(resource_type="vpc-endpoint", tags=given)]


@in_memory
async def test_an_endpoint_that_was_made_is_described_and_carries_at_once(registry: MemoryRegistry) -> None:
    call = await begin(registry)

    made = await create(
        call, policy_document=ALLOW, security_group_ids=["sg-1"], tag_specifications=tagged(team="a")
    )

    assert await describe(call) == [made]
    assert (made.state, made.owner_id, made.service_name) == ("available", ACCOUNT, API)
    assert (made.policy_document, made.subnet_ids, made.private_dns_enabled) == (ALLOW, ["subnet-lan"], True)
    found = call.services.endpoints.find(Arrival(listener="lan"), "ecr.api")
    assert found is not None
    assert found.id == made.vpc_endpoint_id


@pytest.mark.parametrize(
    ("subnets", "state"),
    [
        (["lan"], "available"),
        (["subnet-wan"], "pendingAcceptance"),
        (["a", "side"], "available"),
        ([], "pendingAcceptance"),
    ],
)
@in_memory
async def test_an_endpoint_waits_until_it_has_a_private_listener(
    registry: MemoryRegistry, subnets: list[str], state: str
) -> None:
    call = await begin(registry)

    made = await create(call, subnet_ids=subnets)

    assert made.state == state


@in_memory
async def test_an_endpoint_of_another_account_waits_for_the_configuration(registry: MemoryRegistry) -> None:
    await begin(registry)
    await add_account(registry, OTHER)
    call = call_of(registry, OTHER)

    made = await create(call)

    assert made.state == "pendingAcceptance"
    assert await describe(registry.call) == []


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"service_name": None}, MissingParameter),
        ({"service_name": "com.amazonaws.elsewhere-1.ecr.api"}, InvalidServiceName),
        ({"service_name": f"com.amazonaws.{REGION}.s3"}, InvalidServiceName),
        ({"service_name": "sts"}, InvalidServiceName),
        ({"vpc_id": "net"}, InvalidParameterValue),
        ({"vpc_id": "vpc-" + "a" * 61}, InvalidParameterValue),
        ({"vpc_endpoint_type": "Gateway"}, InvalidParameterValue),
        ({"route_table_ids": ["rtb-1"]}, InvalidParameterValue),
        ({"service_region": "elsewhere-1"}, InvalidParameterValue),
        ({"resource_configuration_arn": "arn:a"}, InvalidParameterCombination),
        ({"subnet_ids": ["a/b"]}, InvalidParameterValue),
        ({"subnet_ids": [f"s{n}" for n in range(17)]}, InvalidParameterValue),
        ({"security_group_ids": [""]}, InvalidParameterValue),
        ({"client_token": "a" * 65}, InvalidParameterValue),
        ({"policy_document": "{"}, InvalidPolicyDocument),
        ({"policy_document": ""}, InvalidPolicyDocument),
        ({"policy_document": ALLOW + " " * 20_480}, InvalidPolicyDocument),
        ({"tag_specifications": [ec2.TagSpecification(resource_type="vpc")]}, InvalidParameterValue),
        ({"tag_specifications": [ec2.TagSpecification()]}, InvalidParameterValue),
        ({"tag_specifications": tagged(**{"aws:a": "b"})}, InvalidParameterValue),
        ({"tag_specifications": tagged(a="b" * 256)}, InvalidParameterValue),
        ({"tag_specifications": tagged(a="b") * 2}, InvalidParameterValue),
        ({"tag_specifications": tagged(**{f"k{n}": "" for n in range(51)})}, TagLimitExceeded),
        ({"dry_run": True}, DryRunOperation),
    ],
)
@in_memory
async def test_an_endpoint_that_is_refused_is_not_made(
    registry: MemoryRegistry, members: dict[str, Any], error: type[Exception]
) -> None:
    call = await begin(registry)

    with pytest.raises(error):
        await create(call, **members)

    assert registry.count("private_endpoints") == 0


@in_memory
async def test_a_call_with_the_token_of_an_earlier_one_makes_nothing_more(registry: MemoryRegistry) -> None:
    call = await begin(registry)
    first = await create(call, client_token="t")

    again = await create(call, client_token="t")

    assert again == first
    assert registry.count("private_endpoints") == 1
    with pytest.raises(IdempotentParameterMismatch):
        await create(call, client_token="t", vpc_id="vpc-2")
    assert (await create(call, client_token="u")).vpc_endpoint_id != first.vpc_endpoint_id


@in_memory
async def test_a_token_is_free_again_when_its_endpoint_is_gone(registry: MemoryRegistry) -> None:
    call = await begin(registry)
    first = await create(call, client_token="t")
    await endpoints.delete_vpc_endpoints(
        call, ec2.DeleteVpcEndpointsRequest(vpc_endpoint_ids=[first.vpc_endpoint_id or ""])
    )

    second = await create(call, client_token="t", vpc_id="vpc-2")

    assert second.vpc_endpoint_id != first.vpc_endpoint_id


@in_memory
async def test_an_account_has_so_many_endpoints(registry: MemoryRegistry) -> None:
    call = await begin(registry)
    limit, stored.ENDPOINTS_MAX = stored.ENDPOINTS_MAX, 2
    try:
        await create(call)
        await create(call)
        with pytest.raises(VpcEndpointLimitExceeded):
            await create(call)
    finally:
        stored.ENDPOINTS_MAX = limit


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("vpc-id", ["vpc-1"], ["a"]),
        ("vpc-id", ["vpc-*"], ["a", "b"]),
        ("service-name", ["*.sts"], ["b"]),
        ("vpc-endpoint-state", ["available"], ["a"]),
        ("vpc-endpoint-type", ["Interface"], ["a", "b"]),
        ("tag:team", ["a"], ["a"]),
        ("tag-key", ["team"], ["a", "b"]),
    ],
)
@in_memory
async def test_endpoints_are_described_by_filters(
    registry: MemoryRegistry, name: str, values: list[str], expected: list[str]
) -> None:
    call = await begin(registry)
    await create(call, tag_specifications=tagged(team="a"))
    await create(
        call,
        vpc_id="vpc-2",
        service_name=f"com.amazonaws.{REGION}.sts",
        subnet_ids=[],
        tag_specifications=tagged(team="b"),
    )

    found = await describe(call, filters=filtered(name, *values))

    assert sorted(each.tags[0].value or "" for each in found if each.tags) == expected


@in_memory
async def test_endpoints_are_described_by_id(registry: MemoryRegistry) -> None:
    call = await begin(registry)
    made = [await create(call) for _ in range(3)]
    ids = [each.vpc_endpoint_id or "" for each in made]

    assert await describe(call, vpc_endpoint_ids=[ids[1]]) == [made[1]]
    with pytest.raises(VpcEndpointNotFound):
        await describe(call, vpc_endpoint_ids=[ids[0], MISSING])
    with pytest.raises(VpcEndpointIdMalformed):
        await describe(call, vpc_endpoint_ids=["vpce-1"])


@in_memory
async def test_pages_have_every_endpoint_once(registry: MemoryRegistry) -> None:
    call = await begin(registry, WRITTEN, replace(WRITTEN, service="ecr.dkr"))
    ids = {(await create(call)).vpc_endpoint_id for _ in range(3)} | {WRITTEN.id}
    seen, token = [], None
    while True:
        request = ec2.DescribeVpcEndpointsRequest(max_results=2, next_token=token)
        answer = await endpoints.describe_vpc_endpoints(call, request)
        seen += [(each.vpc_endpoint_id, each.service_name) for each in answer.vpc_endpoints or ()]
        token = answer.next_token
        if token is None:
            break

    assert len(seen) == len(set(seen)) == 5
    assert {id_ for id_, _ in seen} == ids
    for wrong in ({"next_token": "x"}, {"max_results": 0}):
        with pytest.raises((InvalidParameter, InvalidParameterValue)):
            await describe(call, **wrong)


@in_memory
async def test_a_change_holds_for_the_next_request(registry: MemoryRegistry) -> None:
    call = await begin(registry)
    id_ = (await create(call, security_group_ids=["sg-1"])).vpc_endpoint_id
    before = call.services.endpoints.find(Arrival(listener="lan"), "ecr.api")

    await modify(
        call, id_, policy_document=ALLOW, add_subnet_ids=["subnet-side"], remove_subnet_ids=["subnet-lan"],
        add_security_group_ids=["sg-2"], private_dns_enabled=False,
    )  # fmt: skip

    (changed,) = await describe(call)
    after = call.services.endpoints.find(Arrival(listener="side"), "ecr.api")
    assert before is not None
    assert after is not None
    assert after.policies != before.policies
    assert (changed.policy_document, changed.subnet_ids, changed.private_dns_enabled) == (
        ALLOW,
        ["subnet-side"],
        False,
    )
    assert [group.group_id for group in changed.groups or ()] == ["sg-1", "sg-2"]
    await modify(call, id_, reset_policy=True)
    (reset,) = await describe(call)
    assert reset.policy_document == FULL_ACCESS
    assert reset.subnet_ids == ["subnet-side"]


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"policy_document": "[]"}, InvalidPolicyDocument),
        ({"policy_document": ALLOW, "reset_policy": True}, InvalidParameterCombination),
        ({"remove_subnet_ids": ["subnet-side"]}, InvalidParameterValue),
        ({"add_subnet_ids": [f"s{n}" for n in range(16)]}, InvalidParameterValue),
        ({"add_route_table_ids": ["rtb-1"]}, InvalidParameterCombination),
        ({"dry_run": True, "policy_document": ALLOW}, DryRunOperation),
    ],
)
@in_memory
async def test_a_change_that_is_refused_changes_nothing(
    registry: MemoryRegistry, members: dict[str, Any], error: type[Exception]
) -> None:
    call = await begin(registry)
    made = await create(call)

    with pytest.raises(error):
        await modify(call, made.vpc_endpoint_id, **members)

    assert await describe(call) == [made]


@in_memory
async def test_what_is_missing_or_another_accounts_cannot_be_changed(registry: MemoryRegistry) -> None:
    call = await begin(registry)
    await add_account(registry, OTHER)
    made = await create(call)
    other = call_of(registry, OTHER)

    elsewhere = replace(call, region="b-1")
    for caller, id_ in ((call, MISSING), (other, made.vpc_endpoint_id), (elsewhere, made.vpc_endpoint_id)):
        with pytest.raises(VpcEndpointNotFound):
            await modify(caller, id_, reset_policy=True)
    answer = await endpoints.delete_vpc_endpoints(
        other, ec2.DeleteVpcEndpointsRequest(vpc_endpoint_ids=[made.vpc_endpoint_id or ""])
    )
    assert len(answer.unsuccessful or ()) == 1
    assert await describe(call) == [made]


@in_memory
async def test_deleting_says_which_could_not_be(registry: MemoryRegistry) -> None:
    call = await begin(registry, WRITTEN)
    id_ = (await create(call, tag_specifications=tagged(a="b"))).vpc_endpoint_id or ""

    answer = await endpoints.delete_vpc_endpoints(
        call, ec2.DeleteVpcEndpointsRequest(vpc_endpoint_ids=[MISSING, id_, id_, WRITTEN.id])
    )

    failed = [(each.resource_id, each.error and each.error.code) for each in answer.unsuccessful or ()]
    assert failed == [(MISSING, "InvalidVpcEndpointId.NotFound"), (WRITTEN.id, "OperationNotPermitted")]
    assert [each.vpc_endpoint_id for each in await describe(call)] == [WRITTEN.id]
    assert (registry.count("private_endpoints"), registry.count("endpoint_tags")) == (0, 0)
    for ids, error in (([], MissingParameter), ([MISSING] * 101, InvalidParameterValue)):
        with pytest.raises(error):
            await endpoints.delete_vpc_endpoints(call, ec2.DeleteVpcEndpointsRequest(vpc_endpoint_ids=ids))


@in_memory
async def test_what_the_configuration_says_is_listed_and_not_changed(registry: MemoryRegistry) -> None:
    call = await begin(registry, WRITTEN)

    (found,) = await describe(call, filters=filtered("tag:Name", "lan"))

    assert (found.state, found.requester_managed) == ("available", True)
    with pytest.raises(OperationNotPermitted):
        await modify(call, WRITTEN.id, policy_document=ALLOW)
    with pytest.raises(OperationNotPermitted):
        await endpoint_tags.create_tags(
            call, ec2.CreateTagsRequest(resources=[WRITTEN.id], tags=[ec2.Tag(key="a", value="b")])
        )


@in_memory
async def test_services_are_those_of_the_region(registry: MemoryRegistry) -> None:
    call = await begin(registry)
    request = ec2.DescribeVpcEndpointServicesRequest(service_names=[API])

    one = await endpoints.describe_vpc_endpoint_services(call, request)
    every = await endpoints.describe_vpc_endpoint_services(call, ec2.DescribeVpcEndpointServicesRequest())

    assert one.service_names == [API]
    assert [detail.service_name for detail in one.service_details or ()] == [API]
    assert every.service_names == [f"com.amazonaws.{call.region}.{service}" for service in CARRIED]
    with pytest.raises(InvalidServiceName):
        await endpoints.describe_vpc_endpoint_services(
            call, ec2.DescribeVpcEndpointServicesRequest(service_names=["s3"])
        )


# Tags


async def tag(call: Call, *ids: str, **tags: str | None) -> None:
    given = [ec2.Tag(key=key, value=value) for key, value in tags.items()]
    await endpoint_tags.create_tags(call, ec2.CreateTagsRequest(resources=list(ids), tags=given))


async def tags_of(call: Call, *filters: ec2.Filter) -> dict[str, str]:
    answer = await endpoint_tags.describe_tags(call, ec2.DescribeTagsRequest(filters=list(filters)))
    return {each.key or "": each.value or "" for each in answer.tags or ()}


@in_memory
async def test_tags_are_added_replaced_and_described(registry: MemoryRegistry) -> None:
    call = await begin(registry)
    id_ = (await create(call, tag_specifications=tagged(a="1", b="2"))).vpc_endpoint_id or ""

    await tag(call, id_, b="3", c=None)

    assert await tags_of(call) == {"a": "1", "b": "3", "c": ""}
    assert await tags_of(call, *filtered("key", "b"), *filtered("resource-id", id_)) == {"b": "3"}
    assert await tags_of(call, *filtered("tag:a", "2")) == {}


@pytest.mark.parametrize(
    ("tags", "left"),
    [
        ([ec2.Tag(key="a")], {"b": ""}),
        ([ec2.Tag(key="a", value="x"), ec2.Tag(key="b", value="")], {"a": "1"}),
        (None, {}),
        ([ec2.Tag(key="z")], {"a": "1", "b": ""}),
    ],
)
@in_memory
async def test_tags_go_by_key_or_by_key_and_value_or_all(
    registry: MemoryRegistry, tags: list[ec2.Tag] | None, left: dict[str, str]
) -> None:
    call = await begin(registry)
    id_ = (await create(call, tag_specifications=tagged(a="1", b=""))).vpc_endpoint_id or ""

    await endpoint_tags.delete_tags(call, ec2.DeleteTagsRequest(resources=[id_], tags=tags))

    assert await tags_of(call) == left


@in_memory
async def test_an_endpoint_has_fifty_tags_and_what_is_none_has_no_tags(registry: MemoryRegistry) -> None:
    call = await begin(registry)
    id_ = (await create(call, tag_specifications=tagged(**{f"k{n}": "" for n in range(50)}))).vpc_endpoint_id
    assert id_ is not None

    with pytest.raises(TagLimitExceeded):
        await tag(call, id_, one_more="")
    with pytest.raises(ResourceIdInvalid):
        await tag(call, "i-0123456789abcdef0", a="b")
    with pytest.raises(VpcEndpointNotFound):
        await tag(call, id_, MISSING, k1="changed")

    assert (await tags_of(call, *filtered("key", "k1"))) == {"k1": ""}


@pytest.mark.parametrize(
    ("name", "members", "expected"),
    [
        ("CreateVpcEndpoint", {"vpc_id": "vpc-1"}, ["*"]),
        ("ModifyVpcEndpoint", {"vpc_endpoint_id": MISSING}, [MISSING]),
        ("DeleteVpcEndpoints", {"vpc_endpoint_ids": [MISSING, WRITTEN.id]}, [MISSING, WRITTEN.id]),
        ("CreateTags", {"resources": [MISSING], "tags": []}, [MISSING]),
        ("DeleteTags", {"resources": [MISSING]}, [MISSING]),
        ("DescribeVpcEndpoints", {}, None),
        ("DescribeVpcEndpointServices", {}, None),
        ("DescribeTags", {}, None),
    ],
)
def test_operations_are_authorized_on_the_endpoints_named(
    name: str, members: dict[str, Any], expected: list[str] | None
) -> None:
    operation = OPERATIONS["ec2", name]

    arns = operation.resources(operation.request(**members), ACCOUNT, REGION)

    named = [f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-endpoint/{id_}" for id_ in expected or ()]
    assert list(arns) == (named if expected is not None else ["*"])
