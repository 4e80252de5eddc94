"""The IAM operations on users: their paths, tags and permissions boundaries."""

from __future__ import annotations

from dataclasses import replace

from moorage.access.authorize import authorize
from moorage.access.call import Call
from moorage.access.identities import account as accounts
from moorage.access.identities import boundaries, deleting, tags
from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Entity
from moorage.access.operations.listing import Listing
from moorage.aws.operation import operation
from moorage.aws.shapes.iam import (
    AttachedPermissionsBoundary,
    CreateUserRequest,
    CreateUserResponse,
    DeleteUserPermissionsBoundaryRequest,
    DeleteUserPermissionsBoundaryResponse,
    DeleteUserRequest,
    DeleteUserResponse,
    GetUserRequest,
    GetUserResponse,
    ListUsersRequest,
    ListUsersResponse,
    ListUserTagsRequest,
    ListUserTagsResponse,
    PutUserPermissionsBoundaryRequest,
    PutUserPermissionsBoundaryResponse,
    Tag,
    TagUserRequest,
    TagUserResponse,
    UntagUserRequest,
    UntagUserResponse,
    UpdateUserRequest,
    UpdateUserResponse,
    User,
)
from moorage.base.clock import wire_seconds
from moorage.base.errors.identities import NoSuchEntity
from moorage.base.errors.requests import Validation
from moorage.store.db.api import Reads

ROOT_NAME = "root"
"""What a root is called where the model wants the name of a user."""


@operation
async def create_user(call: Call, request: CreateUserRequest) -> CreateUserResponse:
    given = [(tag.key, tag.value) for tag in request.tags or []]
    boundary = request.permissions_boundary or ""
    async with call.services.epochs.changing(call.account) as tx:
        if boundary:
            await boundaries.check(tx, call.account, boundary)
        if call.limits.aws_quotas:
            await accounts.check_room(tx, call.account, "user")
        created = await entities.insert(
            tx,
            call.account,
            "user",
            request.user_name,
            call.now,
            path=request.path or "/",
            boundary=boundary,
        )
        await tags.add(tx, created.id, given)
    return CreateUserResponse(user=user_shape(created, given))


@operation
async def get_user(call: Call, request: GetUserRequest) -> GetUserResponse:
    """Without a name, the caller; of a root its account's name and age."""
    if request.user_name is None and call.principal.kind == "root":
        return GetUserResponse(user=await _root(call))
    user = await user_or_caller(call, request.user_name)
    return GetUserResponse(user=user_shape(user, await tags.of(call.db, user.id)))


@operation
async def list_users(call: Call, request: ListUsersRequest) -> ListUsersResponse:
    path = request.path_prefix or "/"
    listing = Listing(call, request, path)
    found = await entities.page(
        call.db, call.account, "user", path=path, after=listing.after, limit=listing.ask
    )
    page = listing.page(found, lambda user: user.name)
    return ListUsersResponse(
        users=[user_row(user) for user in page.items], is_truncated=page.is_truncated, marker=page.marker
    )


@operation
async def update_user(call: Call, request: UpdateUserRequest) -> UpdateUserResponse:
    """What it becomes is authorized too, for the user as it is when it is changed."""
    while True:
        user = await entities.need(call.db, call.account, "user", request.user_name)
        name, path = request.new_user_name or user.name, request.new_path or user.path
        await authorize(call, "iam:UpdateUser", replace(user, name=name, path=path).arn)
        async with call.services.epochs.changing(call.account) as tx:
            current = await entities.need(tx, call.account, "user", request.user_name)
            if current.arn != user.arn:
                continue
            await entities.rename(tx, current, name=name, path=path)
        return UpdateUserResponse()


@operation
async def delete_user(call: Call, request: DeleteUserRequest) -> DeleteUserResponse:
    async with call.services.epochs.changing(call.account) as tx:
        await deleting.delete(tx, await entities.need(tx, call.account, "user", request.user_name))
    return DeleteUserResponse()


@operation
async def tag_user(call: Call, request: TagUserRequest) -> TagUserResponse:
    async with call.services.epochs.changing(call.account) as tx:
        user = await entities.need(tx, call.account, "user", request.user_name)
        await tags.add(tx, user.id, [(tag.key, tag.value) for tag in request.tags])
    return TagUserResponse()


@operation
async def untag_user(call: Call, request: UntagUserRequest) -> UntagUserResponse:
    async with call.services.epochs.changing(call.account) as tx:
        user = await entities.need(tx, call.account, "user", request.user_name)
        await tags.remove(tx, user.id, request.tag_keys)
    return UntagUserResponse()


@operation
async def list_user_tags(call: Call, request: ListUserTagsRequest) -> ListUserTagsResponse:
    user = await entities.need(call.db, call.account, "user", request.user_name)
    page = Listing(call, request, user.id).page_of_sorted(await tags.of(call.db, user.id), tags.key_of)
    return ListUserTagsResponse(
        tags=tag_shapes(page.items), is_truncated=page.is_truncated, marker=page.marker
    )


@operation
async def put_user_permissions_boundary(
    call: Call, request: PutUserPermissionsBoundaryRequest
) -> PutUserPermissionsBoundaryResponse:
    async with call.services.epochs.changing(call.account) as tx:
        user = await entities.need(tx, call.account, "user", request.user_name)
        await boundaries.check(tx, call.account, request.permissions_boundary)
        await entities.set_boundary(tx, user, request.permissions_boundary)
    return PutUserPermissionsBoundaryResponse()


@operation
async def delete_user_permissions_boundary(
    call: Call, request: DeleteUserPermissionsBoundaryRequest
) -> DeleteUserPermissionsBoundaryResponse:
    async with call.services.epochs.changing(call.account) as tx:
        user = await entities.need(tx, call.account, "user", request.user_name)
        if not user.boundary:
            raise NoSuchEntity(f"The user {user.name} has no permissions boundary.")
        await entities.set_boundary(tx, user, "")
    return DeleteUserPermissionsBoundaryResponse()


async def user_or_caller(call: Call, name: str | None, reads: Reads | None = None) -> Entity:
    """The user of that name; without one, the user who calls. Raise `NoSuchEntity`, `Validation`."""
    reads = reads or call.db
    if name is not None:
        return await entities.need(reads, call.account, "user", name)
    if call.principal.kind != "user":
        raise Validation("Must specify userName when calling with non-User credentials")
    found = await entities.by_id(reads, call.principal.id)
    if found is None:
        raise NoSuchEntity(f"The user with name {call.principal.name} cannot be found.")
    return found


def user_row(user: Entity) -> User:
    """As listings have it: without tags and boundary."""
    return User(
        path=user.path,
        user_name=user.name,
        user_id=user.id,
        arn=user.arn,
        create_date=wire_seconds(user.created),
    )


def user_shape(user: Entity, tagged: tags.Tags) -> User:
    return User(
        path=user.path,
        user_name=user.name,
        user_id=user.id,
        arn=user.arn,
        create_date=wire_seconds(user.created),
        permissions_boundary=boundary_shape(user),
        tags=tag_shapes(tagged) or None,
    )


def boundary_shape(entity: Entity) -> AttachedPermissionsBoundary | None:
    if not entity.boundary:
        return None
    return AttachedPermissionsBoundary(
        permissions_boundary_type="PermissionsBoundaryPolicy", permissions_boundary_arn=entity.boundary
    )


def tag_shapes(tagged: tags.Tags) -> list[Tag]:
    return [Tag(key=key, value=value) for key, value in tagged]


async def _root(call: Call) -> User:
    created = await accounts.created(call.db, call.account)
    return User(
        path="/",
        user_name=ROOT_NAME,
        user_id=call.account,
        arn=f"arn:aws:iam::{call.account}:root",
        create_date=wire_seconds(created),
    )
