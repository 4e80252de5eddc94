"""The IAM operations on inline policies: of users, groups and roles, which differ in name only."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.access.identities import entity as entities
from moorage.access.identities import inline
from moorage.access.identities.entity import Entity, Kind
from moorage.access.identities.roles import refuse_service_linked
from moorage.access.operations.documents import check, encoded
from moorage.access.operations.listing import Listing, Page, Paged
from moorage.aws.operation import operation
from moorage.aws.shapes.iam import (
    DeleteGroupPolicyRequest,
    DeleteGroupPolicyResponse,
    DeleteRolePolicyRequest,
    DeleteRolePolicyResponse,
    DeleteUserPolicyRequest,
    DeleteUserPolicyResponse,
    GetGroupPolicyRequest,
    GetGroupPolicyResponse,
    GetRolePolicyRequest,
    GetRolePolicyResponse,
    GetUserPolicyRequest,
    GetUserPolicyResponse,
    ListGroupPoliciesRequest,
    ListGroupPoliciesResponse,
    ListRolePoliciesRequest,
    ListRolePoliciesResponse,
    ListUserPoliciesRequest,
    ListUserPoliciesResponse,
    PutGroupPolicyRequest,
    PutGroupPolicyResponse,
    PutRolePolicyRequest,
    PutRolePolicyResponse,
    PutUserPolicyRequest,
    PutUserPolicyResponse,
)


@operation
async def put_user_policy(call: Call, request: PutUserPolicyRequest) -> PutUserPolicyResponse:
    await _put(call, "user", request.user_name, request.policy_name, request.policy_document)
    return PutUserPolicyResponse()


@operation
async def get_user_policy(call: Call, request: GetUserPolicyRequest) -> GetUserPolicyResponse:
    user, document = await _get(call, "user", request.user_name, request.policy_name)
    return GetUserPolicyResponse(
        user_name=user.name, policy_name=request.policy_name, policy_document=encoded(document)
    )


@operation
async def delete_user_policy(call: Call, request: DeleteUserPolicyRequest) -> DeleteUserPolicyResponse:
    await _delete(call, "user", request.user_name, request.policy_name)
    return DeleteUserPolicyResponse()


@operation
async def list_user_policies(call: Call, request: ListUserPoliciesRequest) -> ListUserPoliciesResponse:
    page = await _names(call, request, "user", request.user_name)
    return ListUserPoliciesResponse(
        policy_names=page.items, is_truncated=page.is_truncated, marker=page.marker
    )


@operation
async def put_group_policy(call: Call, request: PutGroupPolicyRequest) -> PutGroupPolicyResponse:
    await _put(call, "group", request.group_name, request.policy_name, request.policy_document)
    return PutGroupPolicyResponse()


@operation
async def get_group_policy(call: Call, request: GetGroupPolicyRequest) -> GetGroupPolicyResponse:
    group, document = await _get(call, "group", request.group_name, request.policy_name)
    return GetGroupPolicyResponse(
        group_name=group.name, policy_name=request.policy_name, policy_document=encoded(document)
    )


@operation
async def delete_group_policy(call: Call, request: DeleteGroupPolicyRequest) -> DeleteGroupPolicyResponse:
    await _delete(call, "group", request.group_name, request.policy_name)
    return DeleteGroupPolicyResponse()


@operation
async def list_group_policies(call: Call, request: ListGroupPoliciesRequest) -> ListGroupPoliciesResponse:
    page = await _names(call, request, "group", request.group_name)
    return ListGroupPoliciesResponse(
        policy_names=page.items, is_truncated=page.is_truncated, marker=page.marker
    )


@operation
async def put_role_policy(call: Call, request: PutRolePolicyRequest) -> PutRolePolicyResponse:
    await _put(call, "role", request.role_name, request.policy_name, request.policy_document)
    return PutRolePolicyResponse()


@operation
async def get_role_policy(call: Call, request: GetRolePolicyRequest) -> GetRolePolicyResponse:
    role, document = await _get(call, "role", request.role_name, request.policy_name)
    return GetRolePolicyResponse(
        role_name=role.name, policy_name=request.policy_name, policy_document=encoded(document)
    )


@operation
async def delete_role_policy(call: Call, request: DeleteRolePolicyRequest) -> DeleteRolePolicyResponse:
    await _delete(call, "role", request.role_name, request.policy_name)
    return DeleteRolePolicyResponse()


@operation
async def list_role_policies(call: Call, request: ListRolePoliciesRequest) -> ListRolePoliciesResponse:
    page = await _names(call, request, "role", request.role_name)
    return ListRolePoliciesResponse(
        policy_names=page.items, is_truncated=page.is_truncated, marker=page.marker
    )


async def _put(call: Call, kind: Kind, owner: str, name: str, document: str) -> None:
    check(document, "identity")
    async with call.services.epochs.changing(call.account) as tx:
        entity = await entities.need(tx, call.account, kind, owner)
        refuse_service_linked(entity)
        await inline.put(tx, entity, name, document)


async def _get(call: Call, kind: Kind, owner: str, name: str) -> tuple[Entity, str]:
    """Whose it is, and the document."""
    entity = await entities.need(call.db, call.account, kind, owner)
    return entity, await inline.need(call.db, entity, name)


async def _delete(call: Call, kind: Kind, owner: str, name: str) -> None:
    async with call.services.epochs.changing(call.account) as tx:
        entity = await entities.need(tx, call.account, kind, owner)
        refuse_service_linked(entity)
        await inline.delete(tx, entity, name)


async def _names(call: Call, request: Paged, kind: Kind, owner: str) -> Page[str]:
    entity = await entities.need(call.db, call.account, kind, owner)
    listing = Listing(call, request, entity.id)
    found = await inline.names(call.db, entity, after=listing.after, limit=listing.ask)
    return listing.page(found, lambda name: name)
