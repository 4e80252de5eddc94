"""The IAM operations on roles: trust policies, tags and permissions boundaries."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.access.identities import account as accounts
from moorage.access.identities import boundaries, deleting, roles, tags
from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Entity
from moorage.access.operations.documents import check, encoded
from moorage.access.operations.listing import Listing
from moorage.access.operations.users import boundary_shape, tag_shapes
from moorage.aws.operation import operation
from moorage.aws.shapes.iam import (
    CreateRoleRequest,
    CreateRoleResponse,
    DeleteRolePermissionsBoundaryRequest,
    DeleteRolePermissionsBoundaryResponse,
    DeleteRoleRequest,
    DeleteRoleResponse,
    GetRoleRequest,
    GetRoleResponse,
    ListRolesRequest,
    ListRolesResponse,
    ListRoleTagsRequest,
    ListRoleTagsResponse,
    PutRolePermissionsBoundaryRequest,
    PutRolePermissionsBoundaryResponse,
    Role,
    RoleLastUsed,
    TagRoleRequest,
    TagRoleResponse,
    UntagRoleRequest,
    UntagRoleResponse,
    UpdateAssumeRolePolicyRequest,
    UpdateAssumeRolePolicyResponse,
    UpdateRoleDescriptionRequest,
    UpdateRoleDescriptionResponse,
    UpdateRoleRequest,
    UpdateRoleResponse,
)
from moorage.base.clock import wire_seconds
from moorage.base.errors.identities import NoSuchEntity


@operation
async def create_role(call: Call, request: CreateRoleRequest) -> CreateRoleResponse:
    check(request.assume_role_policy_document, "trust")
    given = [(tag.key, tag.value) for tag in request.tags or []]
    boundary = request.permissions_boundary or ""
    async with call.services.epochs.changing(call.account) as tx:
        if boundary:
            await boundaries.check(tx, call.account, boundary)
        if call.limits.aws_quotas:
            await accounts.check_room(tx, call.account, "role")
        created = await roles.create(
            tx,
            call.account,
            request.role_name,
            request.assume_role_policy_document,
            call.now,
            path=request.path or "/",
            description=request.description or "",
            session_s=request.max_session_duration or entities.SESSION_S,
            boundary=boundary,
            most_trust=_most_trust(call),
        )
        await tags.add(tx, created.id, given)
        trust_policy = await roles.trust_policy_of(tx, created)
    return CreateRoleResponse(role=role_shape(created, trust_policy, given))


@operation
async def get_role(call: Call, request: GetRoleRequest) -> GetRoleResponse:
    role = await entities.need(call.db, call.account, "role", request.role_name)
    trust_policy = await roles.trust_policy_of(call.db, role)
    return GetRoleResponse(role=role_shape(role, trust_policy, await tags.of(call.db, role.id)))


@operation
async def list_roles(call: Call, request: ListRolesRequest) -> ListRolesResponse:
    path = request.path_prefix or "/"
    listing = Listing(call, request, path)
    found = await entities.page(
        call.db, call.account, "role", path=path, after=listing.after, limit=listing.ask
    )
    page = listing.page(found, lambda role: role.name)
    trust = await roles.trust_policies_of(call.db, call.account, page.items)
    return ListRolesResponse(
        roles=[role_row(role, trust[role.id]) for role in page.items],
        is_truncated=page.is_truncated,
        marker=page.marker,
    )


@operation
async def update_role(call: Call, request: UpdateRoleRequest) -> UpdateRoleResponse:
    async with call.services.epochs.changing(call.account) as tx:
        role = await entities.need(tx, call.account, "role", request.role_name)
        if request.max_session_duration is not None:
            roles.refuse_service_linked(role)
        await roles.describe(
            tx, role, description=request.description, session_s=request.max_session_duration
        )
    return UpdateRoleResponse()


@operation
async def update_role_description(
    call: Call, request: UpdateRoleDescriptionRequest
) -> UpdateRoleDescriptionResponse:
    async with call.services.epochs.changing(call.account) as tx:
        role = await entities.need(tx, call.account, "role", request.role_name)
        await roles.describe(tx, role, description=request.description)
        changed = await entities.need(tx, call.account, "role", request.role_name)
        shape = role_row(changed, await roles.trust_policy_of(tx, changed))
    return UpdateRoleDescriptionResponse(role=shape)


@operation
async def update_assume_role_policy(
    call: Call, request: UpdateAssumeRolePolicyRequest
) -> UpdateAssumeRolePolicyResponse:
    check(request.policy_document, "trust")
    async with call.services.epochs.changing(call.account) as tx:
        role = await roles.need_own(tx, call.account, request.role_name)
        await roles.set_trust(tx, role, request.policy_document, _most_trust(call))
    return UpdateAssumeRolePolicyResponse()


@operation
async def delete_role(call: Call, request: DeleteRoleRequest) -> DeleteRoleResponse:
    async with call.services.epochs.changing(call.account) as tx:
        await deleting.delete(tx, await roles.need_own(tx, call.account, request.role_name))
    return DeleteRoleResponse()


@operation
async def tag_role(call: Call, request: TagRoleRequest) -> TagRoleResponse:
    async with call.services.epochs.changing(call.account) as tx:
        role = await entities.need(tx, call.account, "role", request.role_name)
        await tags.add(tx, role.id, [(tag.key, tag.value) for tag in request.tags])
    return TagRoleResponse()


@operation
async def untag_role(call: Call, request: UntagRoleRequest) -> UntagRoleResponse:
    async with call.services.epochs.changing(call.account) as tx:
        role = await entities.need(tx, call.account, "role", request.role_name)
        await tags.remove(tx, role.id, request.tag_keys)
    return UntagRoleResponse()


@operation
async def list_role_tags(call: Call, request: ListRoleTagsRequest) -> ListRoleTagsResponse:
    role = await entities.need(call.db, call.account, "role", request.role_name)
    page = Listing(call, request, role.id).page_of_sorted(await tags.of(call.db, role.id), tags.key_of)
    return ListRoleTagsResponse(
        tags=tag_shapes(page.items), is_truncated=page.is_truncated, marker=page.marker
    )


@operation
async def put_role_permissions_boundary(
    call: Call, request: PutRolePermissionsBoundaryRequest
) -> PutRolePermissionsBoundaryResponse:
    async with call.services.epochs.changing(call.account) as tx:
        role = await roles.need_own(tx, call.account, request.role_name)
        await boundaries.check(tx, call.account, request.permissions_boundary)
        await entities.set_boundary(tx, role, request.permissions_boundary)
    return PutRolePermissionsBoundaryResponse()


@operation
async def delete_role_permissions_boundary(
    call: Call, request: DeleteRolePermissionsBoundaryRequest
) -> DeleteRolePermissionsBoundaryResponse:
    async with call.services.epochs.changing(call.account) as tx:
        role = await roles.need_own(tx, call.account, request.role_name)
        if not role.boundary:
            raise NoSuchEntity(f"The role {role.name} has no permissions boundary.")
        await entities.set_boundary(tx, role, "")
    return DeleteRolePermissionsBoundaryResponse()


def role_row(role: Entity, trust_policy: str) -> Role:
    """As listings have it: without tags, boundary and last use."""
    return Role(
        path=role.path,
        role_name=role.name,
        role_id=role.id,
        arn=role.arn,
        create_date=wire_seconds(role.created),
        assume_role_policy_document=encoded(trust_policy),
        description=role.description or None,
        max_session_duration=role.session_s,
    )


def role_shape(role: Entity, trust_policy: str, tagged: tags.Tags) -> Role:
    return Role(
        path=role.path,
        role_name=role.name,
        role_id=role.id,
        arn=role.arn,
        create_date=wire_seconds(role.created),
        assume_role_policy_document=encoded(trust_policy),
        description=role.description or None,
        max_session_duration=role.session_s,
        permissions_boundary=boundary_shape(role),
        tags=tag_shapes(tagged) or None,
        role_last_used=last_used_shape(role),
    )


def last_used_shape(role: Entity) -> RoleLastUsed:
    """Empty for a role that nobody has used."""
    if role.last_used is None:
        return RoleLastUsed()
    return RoleLastUsed(last_used_date=wire_seconds(role.last_used), region=role.last_region)


def _most_trust(call: Call) -> int:
    return roles.MOST_TRUST_CHARACTERS_OF_AWS if call.limits.aws_quotas else roles.MOST_TRUST_CHARACTERS
