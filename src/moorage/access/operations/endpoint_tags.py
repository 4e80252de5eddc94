"""EC2's operations on tags: only VPC endpoints have any here."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.access.call import Call
from moorage.access.endpoints import stored
from moorage.access.endpoints.asked import checked_key, tags_in
from moorage.access.endpoints.endpoint import Endpoint, arn_of
from moorage.access.endpoints.filters import Attributes, selected
from moorage.access.endpoints.names import is_endpoint_id
from moorage.access.operations.ec2_calls import end_dry_run, page_of, refuse_configured
from moorage.aws.operation import operation
from moorage.aws.shapes.ec2 import (
    CreateTagsRequest,
    CreateTagsResponse,
    DeleteTagsRequest,
    DeleteTagsResponse,
    DescribeTagsRequest,
    DescribeTagsResult,
    TagDescription,
)
from moorage.base.errors.endpoints import (
    InvalidParameterValue,
    MissingParameter,
    ResourceIdInvalid,
    VpcEndpointNotFound,
)
from moorage.store.db.api import Transaction

RESOURCES_MAX = 100
_FILTERS = frozenset({"key", "resource-id", "resource-type", "value"})


def _arns(request: CreateTagsRequest | DeleteTagsRequest, account: str, region: str) -> list[str]:
    return [arn_of(id_, account, region) for id_ in _ids(request)]


def _ids(request: CreateTagsRequest | DeleteTagsRequest) -> list[str]:
    if not request.resources:
        raise MissingParameter(name="ResourceId")
    ids = list(dict.fromkeys(request.resources))
    for id_ in ids:
        if not is_endpoint_id(id_):
            raise ResourceIdInvalid(id=id_[:64])
    if len(ids) > RESOURCES_MAX:
        raise InvalidParameterValue(
            value=f"{len(ids)} ids", name="ResourceId", reason=f"At most {RESOURCES_MAX} at once."
        )
    return ids


@operation(resources=_arns)
async def create_tags(call: Call, request: CreateTagsRequest) -> CreateTagsResponse:
    tags = tags_in(request.tags)
    if not tags:
        raise MissingParameter(name="Tag")
    ids = _ids(request)
    _refuse_all_configured(call, ids)
    end_dry_run(request.dry_run)
    async with call.services.epochs.changing(call.account) as tx:
        found = await _all_of(tx, call, ids)
        for endpoint in found.values():
            await stored.set_tags(tx, endpoint, tags)
    await call.services.endpoints.refresh()
    return CreateTagsResponse()


@operation(resources=_arns)
async def delete_tags(call: Call, request: DeleteTagsRequest) -> DeleteTagsResponse:
    """Without tags all go; a tag without a value goes whatever its value is."""
    ids = _ids(request)
    given = [(checked_key(tag.key), tag.value) for tag in request.tags or ()]
    if len(given) > stored.TAGS_MAX:
        raise InvalidParameterValue(
            value=f"{len(given)} tags", name="Tag", reason=f"At most {stored.TAGS_MAX} at once."
        )
    _refuse_all_configured(call, ids)
    end_dry_run(request.dry_run)
    async with call.services.epochs.changing(call.account) as tx:
        for id_ in await _all_of(tx, call, ids):
            if given:
                await stored.unset_tags(tx, id_, given)
            else:
                await stored.clear_tags(tx, id_)
    await call.services.endpoints.refresh()
    return DeleteTagsResponse()


def _refuse_all_configured(call: Call, ids: list[str]) -> None:
    for id_ in ids:
        refuse_configured(call, id_)


async def _all_of(tx: Transaction, call: Call, ids: list[str]) -> dict[str, Endpoint]:
    """Raise `VpcEndpointNotFound` for the first that is missing."""
    found = await stored.named(tx, call.account, call.region, ids)
    for id_ in ids:
        if id_ not in found:
            raise VpcEndpointNotFound(id=id_)
    return found


@dataclass(frozen=True, slots=True)
class _Tagged:
    endpoint: str
    key: str
    value: str


@operation
async def describe_tags(call: Call, request: DescribeTagsRequest) -> DescribeTagsResult:
    end_dry_run(request.dry_run)
    endpoints = await stored.listed(call.db, call.account, call.region)
    every = [_Tagged(each.id, key, value) for each in endpoints for key, value in each.tags]
    found = selected(sorted(every, key=_position), request.filters, _attributes, _FILTERS)
    shown, more = page_of(call, ("DescribeTags",), found, _position, request.next_token, request.max_results)
    described = [
        TagDescription(key=tag.key, resource_id=tag.endpoint, resource_type="vpc-endpoint", value=tag.value)
        for tag in shown
    ]
    return DescribeTagsResult(tags=described, next_token=more)


def _position(tag: _Tagged) -> str:
    return f"{tag.endpoint}/{tag.key}"


def _attributes(tag: _Tagged) -> Attributes:
    return {
        "key": (tag.key,),
        "resource-id": (tag.endpoint,),
        "resource-type": ("vpc-endpoint",),
        "value": (tag.value,),
        f"tag:{tag.key}": (tag.value,),
    }
