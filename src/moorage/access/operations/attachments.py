"""The IAM operations that attach managed policies to users, groups and roles, which differ in name only."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.access.identities import attachments, managed
from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Kind
from moorage.access.identities.roles import refuse_service_linked
from moorage.access.operations.listing import Listing, Page, Paged
from moorage.aws.operation import operation
from moorage.aws.shapes.iam import (
    AttachedPolicy,
    AttachGroupPolicyRequest,
    AttachGroupPolicyResponse,
    AttachRolePolicyRequest,
    AttachRolePolicyResponse,
    AttachUserPolicyRequest,
    AttachUserPolicyResponse,
    DetachGroupPolicyRequest,
    DetachGroupPolicyResponse,
    DetachRolePolicyRequest,
    DetachRolePolicyResponse,
    DetachUserPolicyRequest,
    DetachUserPolicyResponse,
    ListAttachedGroupPoliciesRequest,
    ListAttachedGroupPoliciesResponse,
    ListAttachedRolePoliciesRequest,
    ListAttachedRolePoliciesResponse,
    ListAttachedUserPoliciesRequest,
    ListAttachedUserPoliciesResponse,
    ListEntitiesForPolicyRequest,
    ListEntitiesForPolicyResponse,
    PolicyGroup,
    PolicyRole,
    PolicyUser,
)

_KINDS: dict[str | None, tuple[Kind, ...]] = {
    None: ("group", "role", "user"),
    "Group": ("group",),
    "Role": ("role",),
    "User": ("user",),
}
"""By `EntityFilter`, which names policies too: they hold none."""


@operation
async def attach_user_policy(call: Call, request: AttachUserPolicyRequest) -> AttachUserPolicyResponse:
    await _attach(call, "user", request.user_name, request.policy_arn)
    return AttachUserPolicyResponse()


@operation
async def attach_group_policy(call: Call, request: AttachGroupPolicyRequest) -> AttachGroupPolicyResponse:
    await _attach(call, "group", request.group_name, request.policy_arn)
    return AttachGroupPolicyResponse()


@operation
async def attach_role_policy(call: Call, request: AttachRolePolicyRequest) -> AttachRolePolicyResponse:
    await _attach(call, "role", request.role_name, request.policy_arn)
    return AttachRolePolicyResponse()


@operation
async def detach_user_policy(call: Call, request: DetachUserPolicyRequest) -> DetachUserPolicyResponse:
    await _detach(call, "user", request.user_name, request.policy_arn)
    return DetachUserPolicyResponse()


@operation
async def detach_group_policy(call: Call, request: DetachGroupPolicyRequest) -> DetachGroupPolicyResponse:
    await _detach(call, "group", request.group_name, request.policy_arn)
    return DetachGroupPolicyResponse()


@operation
async def detach_role_policy(call: Call, request: DetachRolePolicyRequest) -> DetachRolePolicyResponse:
    await _detach(call, "role", request.role_name, request.policy_arn)
    return DetachRolePolicyResponse()


@operation
async def list_attached_user_policies(
    call: Call, request: ListAttachedUserPoliciesRequest
) -> ListAttachedUserPoliciesResponse:
    page = await _attached(call, request, "user", request.user_name, request.path_prefix)
    return ListAttachedUserPoliciesResponse(
        attached_policies=attached_shapes(page.items), is_truncated=page.is_truncated, marker=page.marker
    )


@operation
async def list_attached_group_policies(
    call: Call, request: ListAttachedGroupPoliciesRequest
) -> ListAttachedGroupPoliciesResponse:
    page = await _attached(call, request, "group", request.group_name, request.path_prefix)
    return ListAttachedGroupPoliciesResponse(
        attached_policies=attached_shapes(page.items), is_truncated=page.is_truncated, marker=page.marker
    )


@operation
async def list_attached_role_policies(
    call: Call, request: ListAttachedRolePoliciesRequest
) -> ListAttachedRolePoliciesResponse:
    page = await _attached(call, request, "role", request.role_name, request.path_prefix)
    return ListAttachedRolePoliciesResponse(
        attached_policies=attached_shapes(page.items), is_truncated=page.is_truncated, marker=page.marker
    )


@operation
async def list_entities_for_policy(
    call: Call, request: ListEntitiesForPolicyRequest
) -> ListEntitiesForPolicyResponse:
    policy = await managed.need(call.db, call.account, request.policy_arn)
    usage, path = request.policy_usage_filter, request.path_prefix or "/"
    listing = Listing(call, request, policy.arn, request.entity_filter, path, usage)
    kind, _, name = listing.after.partition("/")
    found = await attachments.holders(
        call.db,
        call.account,
        policy.arn,
        kinds=_KINDS.get(request.entity_filter, ()),
        path=path,
        permissions=usage != "PermissionsBoundary",
        bounding=usage != "PermissionsPolicy",
        after=(kind, name),
        limit=listing.ask,
    )
    page = listing.page(found, lambda holder: f"{holder.kind}/{holder.name}")
    of_kind: dict[Kind, list[attachments.Holder]] = {"group": [], "role": [], "user": []}
    for holder in page.items:
        of_kind[holder.kind].append(holder)
    return ListEntitiesForPolicyResponse(
        policy_groups=[PolicyGroup(group_name=each.name, group_id=each.id) for each in of_kind["group"]],
        policy_users=[PolicyUser(user_name=each.name, user_id=each.id) for each in of_kind["user"]],
        policy_roles=[PolicyRole(role_name=each.name, role_id=each.id) for each in of_kind["role"]],
        is_truncated=page.is_truncated,
        marker=page.marker,
    )


async def _attach(call: Call, kind: Kind, name: str, arn: str) -> None:
    most = attachments.MOST_OF_AWS if call.limits.aws_quotas else attachments.MOST
    async with call.services.epochs.changing(call.account) as tx:
        entity = await entities.need(tx, call.account, kind, name)
        refuse_service_linked(entity)
        await attachments.attach(tx, entity, arn, most=most)


async def _detach(call: Call, kind: Kind, name: str, arn: str) -> None:
    async with call.services.epochs.changing(call.account) as tx:
        entity = await entities.need(tx, call.account, kind, name)
        refuse_service_linked(entity)
        await attachments.detach(tx, entity, arn)


async def _attached(call: Call, request: Paged, kind: Kind, name: str, prefix: str | None) -> Page[str]:
    entity = await entities.need(call.db, call.account, kind, name)
    path = prefix or "/"
    listing = Listing(call, request, entity.id, path)
    under = [
        arn for arn in await attachments.of(call.db, entity) if managed.path_and_name(arn)[0].startswith(path)
    ]
    following = sorted(
        (arn for arn in under if attachments.sort_key(arn) > listing.after), key=attachments.sort_key
    )
    return listing.page(following[: listing.ask], attachments.sort_key)


def attached_shapes(arns: list[str]) -> list[AttachedPolicy]:
    return [AttachedPolicy(policy_name=managed.path_and_name(arn)[1], policy_arn=arn) for arn in arns]
