"""The IAM operations on groups and who is in them."""

from __future__ import annotations

from dataclasses import replace

from moorage.access.authorize import authorize
from moorage.access.call import Call
from moorage.access.identities import account as accounts
from moorage.access.identities import deleting
from moorage.access.identities import entity as entities
from moorage.access.identities import groups as memberships
from moorage.access.identities.entity import Entity
from moorage.access.operations.listing import Listing
from moorage.access.operations.users import user_row
from moorage.aws.operation import operation
from moorage.aws.shapes.iam import (
    AddUserToGroupRequest,
    AddUserToGroupResponse,
    CreateGroupRequest,
    CreateGroupResponse,
    DeleteGroupRequest,
    DeleteGroupResponse,
    GetGroupRequest,
    GetGroupResponse,
    Group,
    ListGroupsForUserRequest,
    ListGroupsForUserResponse,
    ListGroupsRequest,
    ListGroupsResponse,
    RemoveUserFromGroupRequest,
    RemoveUserFromGroupResponse,
    UpdateGroupRequest,
    UpdateGroupResponse,
)
from moorage.base.clock import wire_seconds


@operation
async def create_group(call: Call, request: CreateGroupRequest) -> CreateGroupResponse:
    async with call.services.epochs.changing(call.account) as tx:
        if call.limits.aws_quotas:
            await accounts.check_room(tx, call.account, "group")
        created = await entities.insert(
            tx, call.account, "group", request.group_name, call.now, path=request.path or "/"
        )
    return CreateGroupResponse(group=_shape(created))


@operation
async def get_group(call: Call, request: GetGroupRequest) -> GetGroupResponse:
    """The group, and its users in pages."""
    group = await entities.need(call.db, call.account, "group", request.group_name)
    listing = Listing(call, request, group.id)
    found = await memberships.members(call.db, group, after=listing.after, limit=listing.ask)
    page = listing.page(found, lambda user: user.name)
    return GetGroupResponse(
        group=_shape(group),
        users=[user_row(user) for user in page.items],
        is_truncated=page.is_truncated,
        marker=page.marker,
    )


@operation
async def list_groups(call: Call, request: ListGroupsRequest) -> ListGroupsResponse:
    path = request.path_prefix or "/"
    listing = Listing(call, request, path)
    found = await entities.page(
        call.db, call.account, "group", path=path, after=listing.after, limit=listing.ask
    )
    page = listing.page(found, lambda group: group.name)
    return ListGroupsResponse(
        groups=[_shape(group) for group in page.items], is_truncated=page.is_truncated, marker=page.marker
    )


@operation
async def update_group(call: Call, request: UpdateGroupRequest) -> UpdateGroupResponse:
    """What it becomes is authorized too, for the group as it is when it is changed."""
    while True:
        group = await entities.need(call.db, call.account, "group", request.group_name)
        name, path = request.new_group_name or group.name, request.new_path or group.path
        await authorize(call, "iam:UpdateGroup", replace(group, name=name, path=path).arn)
        async with call.services.epochs.changing(call.account) as tx:
            current = await entities.need(tx, call.account, "group", request.group_name)
            if current.arn != group.arn:
                continue
            await entities.rename(tx, current, name=name, path=path)
        return UpdateGroupResponse()


@operation
async def delete_group(call: Call, request: DeleteGroupRequest) -> DeleteGroupResponse:
    async with call.services.epochs.changing(call.account) as tx:
        await deleting.delete(tx, await entities.need(tx, call.account, "group", request.group_name))
    return DeleteGroupResponse()


@operation
async def add_user_to_group(call: Call, request: AddUserToGroupRequest) -> AddUserToGroupResponse:
    async with call.services.epochs.changing(call.account) as tx:
        group = await entities.need(tx, call.account, "group", request.group_name)
        user = await entities.need(tx, call.account, "user", request.user_name)
        await memberships.add(tx, group, user, has_quota=call.limits.aws_quotas)
    return AddUserToGroupResponse()


@operation
async def remove_user_from_group(
    call: Call, request: RemoveUserFromGroupRequest
) -> RemoveUserFromGroupResponse:
    async with call.services.epochs.changing(call.account) as tx:
        group = await entities.need(tx, call.account, "group", request.group_name)
        user = await entities.need(tx, call.account, "user", request.user_name)
        await memberships.remove(tx, group, user)
    return RemoveUserFromGroupResponse()


@operation
async def list_groups_for_user(call: Call, request: ListGroupsForUserRequest) -> ListGroupsForUserResponse:
    user = await entities.need(call.db, call.account, "user", request.user_name)
    listing = Listing(call, request, user.id)
    found = await memberships.of_user(call.db, user, after=listing.after, limit=listing.ask)
    page = listing.page(found, lambda group: group.name)
    return ListGroupsForUserResponse(
        groups=[_shape(group) for group in page.items], is_truncated=page.is_truncated, marker=page.marker
    )


def _shape(group: Entity) -> Group:
    return Group(
        path=group.path,
        group_name=group.name,
        group_id=group.id,
        arn=group.arn,
        create_date=wire_seconds(group.created),
    )
