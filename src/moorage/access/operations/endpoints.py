"""EC2's operations on VPC endpoints: private endpoints are made, listed, changed and deleted with them.

The name of a private listener stands where EC2 has a subnet. What the configuration says is listed, and changed there.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import msgspec

from moorage.access.call import Call
from moorage.access.endpoints import stored
from moorage.access.endpoints.asked import (
    checked_names,
    checked_network,
    checked_policy,
    checked_token,
    needed_id,
    tags_in,
    with_and_without,
)
from moorage.access.endpoints.endpoint import Endpoint, arn_of, new_id
from moorage.access.endpoints.filters import Attributes, of_tags, selected
from moorage.access.endpoints.names import CARRIED, service_in
from moorage.access.operations.ec2_calls import PAGE_MAX, end_dry_run, page_of, refuse_configured
from moorage.aws.operation import operation
from moorage.aws.shapes.ec2 import (
    CreateVpcEndpointRequest,
    CreateVpcEndpointResult,
    DeleteVpcEndpointsRequest,
    DeleteVpcEndpointsResult,
    DescribeVpcEndpointServicesRequest,
    DescribeVpcEndpointServicesResult,
    DescribeVpcEndpointsRequest,
    DescribeVpcEndpointsResult,
    ModifyVpcEndpointRequest,
    ModifyVpcEndpointResult,
    SecurityGroupIdentifier,
    ServiceDetail,
    ServiceTypeDetail,
    State,
    Tag,
    UnsuccessfulItem,
    UnsuccessfulItemError,
    VpcEndpoint,
)
from moorage.base.clock import wire_seconds
from moorage.base.errors.endpoints import (
    InvalidParameterCombination,
    InvalidParameterValue,
    InvalidServiceName,
    MissingParameter,
    OperationNotPermitted,
    VpcEndpointNotFound,
)
from moorage.base.errors.error import MoorageError
from moorage.store.db.api import UniqueViolation

DELETED_AT_ONCE = 100

_FILTERS = frozenset(
    {
        "ip-address-type",
        "service-name",
        "service-region",
        "tag-key",
        "vpc-endpoint-id",
        "vpc-endpoint-state",
        "vpc-endpoint-type",
        "vpc-id",
    }
)
_SERVICE_FILTERS = frozenset(
    {"owner", "service-name", "service-region", "service-type", "supported-ip-address-types"}
)


@operation(resources=lambda request, account, region: (arn_of("*", account, region),))
async def create_vpc_endpoint(call: Call, request: CreateVpcEndpointRequest) -> CreateVpcEndpointResult:
    new = _endpoint_of(call, request)
    token = checked_token(request.client_token)
    end_dry_run(request.dry_run)
    # A client that repeats itself repeats all of it.
    asked = hashlib.sha256(msgspec.json.encode(request)).hexdigest()
    try:
        made = await _insert(call, new, token, asked)
    except UniqueViolation:  # the same call, at the same time, through another process
        made = await _insert(call, new, token, asked)
    return CreateVpcEndpointResult(vpc_endpoint=_shape(call, made), client_token=request.client_token)


async def _insert(call: Call, new: Endpoint, token: str, asked: str) -> Endpoint:
    async with call.services.epochs.changing(call.account) as tx:
        made = await stored.insert(tx, new, token, asked)
    await call.services.endpoints.refresh()
    return made


def _endpoint_of(call: Call, request: CreateVpcEndpointRequest) -> Endpoint:
    if request.service_name is None:
        raise MissingParameter(name="ServiceName")
    service = service_in(request.service_name, call.region)
    if service is None:
        raise InvalidServiceName(name=request.service_name[:255])
    if request.vpc_endpoint_type not in (None, "Interface") or request.route_table_ids:
        raise InvalidParameterValue(
            value=request.vpc_endpoint_type or "Gateway",
            name="VpcEndpointType",
            reason="Endpoints here are of the type Interface.",
        )
    if request.service_region not in (None, call.region):
        raise InvalidParameterValue(
            value=request.service_region, name="ServiceRegion", reason="It has to be the region called."
        )
    if request.service_network_arn or request.resource_configuration_arn:
        raise InvalidParameterCombination("An endpoint here is for a service, named by ServiceName")
    named = [
        *(request.subnet_ids or ()),
        *(each.subnet_id or "" for each in request.subnet_configurations or ()),
    ]
    subnets = checked_names("SubnetId", named)
    return Endpoint(
        id=new_id(),
        account=call.account,
        region=call.region,
        service=service,
        network=checked_network(request.vpc_id),
        listeners=stored.listeners_in(subnets),
        policy=checked_policy(request.policy_document),
        private_dns=request.private_dns_enabled is not False,
        created=call.now,
        subnets=subnets,
        security_groups=checked_names("SecurityGroupId", request.security_group_ids),
        tags=tuple(_tags_of_specifications(request).items()),
    )


def _tags_of_specifications(request: CreateVpcEndpointRequest) -> dict[str, str]:
    given: list[Tag] = []
    for specification in request.tag_specifications or ():
        if specification.resource_type != "vpc-endpoint":
            raise InvalidParameterValue(
                value=specification.resource_type,
                name="TagSpecification.ResourceType",
                reason="It has to be vpc-endpoint.",
            )
        given += specification.tags or ()
    return tags_in(given)


@operation
async def describe_vpc_endpoints(
    call: Call, request: DescribeVpcEndpointsRequest
) -> DescribeVpcEndpointsResult:
    end_dry_run(request.dry_run)
    found = await _listed(call)
    if request.vpc_endpoint_ids:
        wanted = {needed_id(id_) for id_ in request.vpc_endpoint_ids[:PAGE_MAX]}
        for missing in sorted(wanted - {endpoint.id for endpoint in found}):
            raise VpcEndpointNotFound(id=missing)
        found = [endpoint for endpoint in found if endpoint.id in wanted]
    found = selected(found, request.filters, lambda endpoint: _attributes(call, endpoint), _FILTERS)
    shown, more = page_of(
        call, ("DescribeVpcEndpoints",), found, _key, request.next_token, request.max_results
    )
    return DescribeVpcEndpointsResult(
        vpc_endpoints=[_shape(call, endpoint) for endpoint in shown], next_token=more
    )


async def _listed(call: Call) -> list[Endpoint]:
    """Those of the account in the region, the configuration's among them, in an order that stays."""
    configured = [
        endpoint
        for endpoint in call.services.endpoints.configured
        if (endpoint.account, endpoint.region) == (call.account, call.region)
    ]
    made = await stored.listed(call.db, call.account, call.region)
    return sorted([*configured, *made], key=_key)


def _key(endpoint: Endpoint) -> str:
    return f"{endpoint.id}/{endpoint.service}"


def _attributes(call: Call, endpoint: Endpoint) -> Attributes:
    return {
        "ip-address-type": ("ipv4",),
        "service-name": (endpoint.service_name,),
        "service-region": (endpoint.region,),
        "vpc-endpoint-id": (endpoint.id,),
        "vpc-endpoint-state": (_state(call, endpoint),),
        "vpc-endpoint-type": ("Interface",),
        "vpc-id": (endpoint.network,),
        **of_tags(endpoint.tags),
    }


def _named_arn(request: ModifyVpcEndpointRequest, account: str, region: str) -> tuple[str, ...]:
    return (arn_of(needed_id(request.vpc_endpoint_id), account, region),)


@operation(resources=_named_arn)
async def modify_vpc_endpoint(call: Call, request: ModifyVpcEndpointRequest) -> ModifyVpcEndpointResult:
    if request.reset_policy and request.policy_document is not None:
        raise InvalidParameterCombination("ResetPolicy and PolicyDocument cannot be given together")
    if request.add_route_table_ids or request.remove_route_table_ids:
        raise InvalidParameterCombination("Endpoints of the type Interface have no route tables")
    policy = checked_policy(request.policy_document)
    refuse_configured(call, request.vpc_endpoint_id)
    if request.dry_run:
        await stored.need(call.db, call.account, call.region, request.vpc_endpoint_id)
    end_dry_run(request.dry_run)
    async with call.services.epochs.changing(call.account) as tx:
        found = await stored.need(tx, call.account, call.region, request.vpc_endpoint_id)
        await stored.modify(tx, _modified(found, request, policy))
    await call.services.endpoints.refresh()
    return ModifyVpcEndpointResult(return_=True)


def _modified(found: Endpoint, request: ModifyVpcEndpointRequest, policy: str) -> Endpoint:
    if not request.reset_policy and request.policy_document is None:
        policy = found.policy
    added = [
        *(request.add_subnet_ids or ()),
        *(each.subnet_id or "" for each in request.subnet_configurations or ()),
    ]
    return replace(
        found,
        policy=policy,
        private_dns=found.private_dns if request.private_dns_enabled is None else request.private_dns_enabled,
        subnets=with_and_without("SubnetId", found.subnets, added, request.remove_subnet_ids),
        security_groups=with_and_without(
            "SecurityGroupId",
            found.security_groups,
            request.add_security_group_ids,
            request.remove_security_group_ids,
        ),
    )


def _deleted_arns(request: DeleteVpcEndpointsRequest, account: str, region: str) -> list[str]:
    ids = dict.fromkeys(request.vpc_endpoint_ids[: DELETED_AT_ONCE + 1])
    return [arn_of(needed_id(id_), account, region) for id_ in ids]


@operation(resources=_deleted_arns)
async def delete_vpc_endpoints(call: Call, request: DeleteVpcEndpointsRequest) -> DeleteVpcEndpointsResult:
    """Those that can be deleted are; the others are listed with the reason."""
    ids = list(dict.fromkeys(request.vpc_endpoint_ids))
    if not ids:
        raise MissingParameter(name="VpcEndpointId")
    if len(request.vpc_endpoint_ids) > DELETED_AT_ONCE:
        raise InvalidParameterValue(
            value=f"{len(request.vpc_endpoint_ids)} ids",
            name="VpcEndpointId",
            reason=f"At most {DELETED_AT_ONCE} can be deleted at once.",
        )
    end_dry_run(request.dry_run)
    failed: list[UnsuccessfulItem] = []
    async with call.services.epochs.changing(call.account) as tx:
        found = await stored.named(tx, call.account, call.region, ids)
        for id_ in ids:
            if id_ in found:
                await stored.delete(tx, id_)
            else:
                failed.append(_unsuccessful(id_, _why_not(call, id_)))
    await call.services.endpoints.refresh()
    return DeleteVpcEndpointsResult(unsuccessful=failed)


def _why_not(call: Call, id_: str) -> MoorageError:
    try:
        refuse_configured(call, id_)
    except OperationNotPermitted as error:
        return error
    return VpcEndpointNotFound(id=id_)


def _unsuccessful(id_: str, error: MoorageError) -> UnsuccessfulItem:
    code = error.code().removesuffix("Exception")
    return UnsuccessfulItem(error=UnsuccessfulItemError(code=code, message=str(error)), resource_id=id_)


@operation
async def describe_vpc_endpoint_services(
    call: Call, request: DescribeVpcEndpointServicesRequest
) -> DescribeVpcEndpointServicesResult:
    """What an endpoint can be for. They are few: one page."""
    end_dry_run(request.dry_run)
    names = [f"com.amazonaws.{call.region}.{service}" for service in CARRIED]
    if request.service_names:
        for name in request.service_names:
            if name not in names:
                raise InvalidServiceName(name=name[:255])
        names = [name for name in names if name in request.service_names]
    if request.service_regions and call.region not in request.service_regions:
        names = []
    names = selected(names, request.filters, lambda name: _service_attributes(call, name), _SERVICE_FILTERS)
    return DescribeVpcEndpointServicesResult(
        service_names=names, service_details=[_service(call, name) for name in names]
    )


def _service_attributes(call: Call, name: str) -> Attributes:
    return {
        "owner": ("amazon",),
        "service-name": (name,),
        "service-region": (call.region,),
        "service-type": ("Interface",),
        "supported-ip-address-types": ("ipv4", "ipv6"),
    }


def _service(call: Call, name: str) -> ServiceDetail:
    return ServiceDetail(
        service_name=name,
        service_id="vpce-svc-" + hashlib.sha256(name.encode()).hexdigest()[:17],
        service_type=[ServiceTypeDetail(service_type="Interface")],
        service_region=call.region,
        availability_zones=[],
        owner="amazon",
        base_endpoint_dns_names=[],
        vpc_endpoint_policy_supported=True,
        acceptance_required=False,
        manages_vpc_endpoints=False,
        tags=[],
        supported_ip_address_types=["ipv4", "ipv6"],
    )


def _state(call: Call, endpoint: Endpoint) -> State:
    return "available" if call.services.endpoints.is_bound(endpoint) else "pendingAcceptance"


def _shape(call: Call, endpoint: Endpoint) -> VpcEndpoint:
    return VpcEndpoint(
        vpc_endpoint_id=endpoint.id,
        vpc_endpoint_type="Interface",
        vpc_id=endpoint.network,
        service_name=endpoint.service_name,
        state=_state(call, endpoint),
        policy_document=endpoint.document,
        route_table_ids=[],
        subnet_ids=list(endpoint.subnets),
        groups=[SecurityGroupIdentifier(group_id=id_, group_name=id_) for id_ in endpoint.security_groups],
        ip_address_type="ipv4",
        private_dns_enabled=endpoint.private_dns,
        requester_managed=endpoint.is_configured,
        network_interface_ids=[],
        dns_entries=[],
        creation_timestamp=wire_seconds(endpoint.created),
        tags=[Tag(key=key, value=value) for key, value in endpoint.tags],
        owner_id=endpoint.account,
        service_region=endpoint.region,
    )
