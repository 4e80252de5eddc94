"""The IAM operation that tells everything about who may do what in an account, in pages.

Users come first, then groups, roles, the account's managed policies and AWS's, each by name; a page may end anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.access.call import Call
from moorage.access.identities import attachments, groups, inline, managed, roles, tags
from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Entity, Kind
from moorage.access.identities.managed import ManagedPolicy, Version, Wanted
from moorage.access.operations.attachments import attached_shapes
from moorage.access.operations.documents import encoded
from moorage.access.operations.listing import Listing
from moorage.access.operations.managed_policies import version_shape
from moorage.access.operations.roles import last_used_shape
from moorage.access.operations.users import boundary_shape, tag_shapes
from moorage.aws.operation import operation
from moorage.aws.shapes.iam import (
    EntityType,
    GetAccountAuthorizationDetailsRequest,
    GetAccountAuthorizationDetailsResponse,
    GroupDetail,
    ManagedPolicyDetail,
    PolicyDetail,
    RoleDetail,
    UserDetail,
)
from moorage.base.clock import wire_seconds

_ORDER: tuple[EntityType, ...] = ("User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy")
_RANKS: dict[str, int] = {type_: rank for rank, type_ in enumerate(_ORDER)}
_KINDS: dict[EntityType, Kind] = {"User": "user", "Group": "group", "Role": "role"}
_MOST = 100
"""Of one page: a policy may have five versions of 128 KiB each, most of it white space."""


@dataclass(frozen=True, slots=True)
class _Found:
    type: EntityType
    it: Entity | ManagedPolicy

    @property
    def place(self) -> str:
        name = managed.place(self.it) if isinstance(self.it, ManagedPolicy) else self.it.name
        return f"{self.type}/{name}"


@operation
async def get_account_authorization_details(
    call: Call, request: GetAccountAuthorizationDetailsRequest
) -> GetAccountAuthorizationDetailsResponse:
    wanted = [type_ for type_ in _ORDER if not request.filter or type_ in request.filter]
    listing = Listing(call, request, *wanted, most=_MOST)
    page = listing.page(await _following(call, wanted, listing), lambda found: found.place)
    of_type = {type_: [found.it for found in page.items if found.type == type_] for type_ in _ORDER}
    policies = [it for found in page.items if isinstance(it := found.it, ManagedPolicy)]
    return GetAccountAuthorizationDetailsResponse(
        user_detail_list=await _users(call, _entities(of_type["User"])),
        group_detail_list=await _groups(call, _entities(of_type["Group"])),
        role_detail_list=await _roles(call, _entities(of_type["Role"])),
        policies=await _policies(call, policies),
        is_truncated=page.is_truncated,
        marker=page.marker,
    )


async def _following(call: Call, wanted: Sequence[EntityType], listing: Listing) -> list[_Found]:
    """At most as many as are asked for, after the place where the last page ended."""
    begun, _, name = listing.after.partition("/")
    found: list[_Found] = []
    for type_ in wanted:
        if _RANKS[type_] < _RANKS.get(begun, 0):
            continue
        after = name if type_ == begun else ""
        found += [_Found(type_, it) for it in await _page(call, type_, after, listing.ask - len(found))]
        if len(found) >= listing.ask:
            break
    return found


async def _page(
    call: Call, type_: EntityType, after: str, limit: int
) -> Sequence[Entity] | Sequence[ManagedPolicy]:
    kind = _KINDS.get(type_)
    if kind is not None:
        return await entities.page(call.db, call.account, kind, after=after, limit=limit)
    is_of_aws = type_ == "AWSManagedPolicy"
    wanted = Wanted(own=not is_of_aws, of_aws=is_of_aws)
    return await managed.page(call.db, call.account, wanted, after=after, limit=limit)


def _entities(found: Sequence[Entity | ManagedPolicy]) -> list[Entity]:
    return [it for it in found if isinstance(it, Entity)]


async def _users(call: Call, users: Sequence[Entity]) -> list[UserDetail]:
    ids = [user.id for user in users]
    documents = await inline.of_all(call.db, ids)
    grouped = await groups.names_of_all(call.db, ids)
    attached = await attachments.of_all(call.db, ids)
    tagged = await tags.of_all(call.db, ids)
    return [
        UserDetail(
            path=user.path,
            user_name=user.name,
            user_id=user.id,
            arn=user.arn,
            create_date=wire_seconds(user.created),
            user_policy_list=_inline(documents[user.id]),
            group_list=grouped[user.id],
            attached_managed_policies=attached_shapes(attached[user.id]),
            permissions_boundary=boundary_shape(user),
            tags=tag_shapes(tagged[user.id]),
        )
        for user in users
    ]


async def _groups(call: Call, found: Sequence[Entity]) -> list[GroupDetail]:
    ids = [group.id for group in found]
    documents = await inline.of_all(call.db, ids)
    attached = await attachments.of_all(call.db, ids)
    return [
        GroupDetail(
            path=group.path,
            group_name=group.name,
            group_id=group.id,
            arn=group.arn,
            create_date=wire_seconds(group.created),
            group_policy_list=_inline(documents[group.id]),
            attached_managed_policies=attached_shapes(attached[group.id]),
        )
        for group in found
    ]


async def _roles(call: Call, found: Sequence[Entity]) -> list[RoleDetail]:
    ids = [role.id for role in found]
    trusted = await roles.trust_policies_of(call.db, call.account, found)
    documents = await inline.of_all(call.db, ids)
    attached = await attachments.of_all(call.db, ids)
    tagged = await tags.of_all(call.db, ids)
    return [
        RoleDetail(
            path=role.path,
            role_name=role.name,
            role_id=role.id,
            arn=role.arn,
            create_date=wire_seconds(role.created),
            assume_role_policy_document=encoded(trusted[role.id]),
            instance_profile_list=[],
            role_policy_list=_inline(documents[role.id]),
            attached_managed_policies=attached_shapes(attached[role.id]),
            permissions_boundary=boundary_shape(role),
            tags=tag_shapes(tagged[role.id]),
            role_last_used=last_used_shape(role),
        )
        for role in found
    ]


async def _policies(call: Call, policies: Sequence[ManagedPolicy]) -> list[ManagedPolicyDetail]:
    versions = await managed.versions_of_all(call.db, policies)
    return [_policy(policy, versions[policy.arn]) for policy in policies]


def _policy(policy: ManagedPolicy, versions: Sequence[Version]) -> ManagedPolicyDetail:
    return ManagedPolicyDetail(
        policy_name=policy.name,
        policy_id=policy.id,
        arn=policy.arn,
        path=policy.path,
        default_version_id=f"v{policy.default_version}",
        attachment_count=policy.attachments,
        permissions_boundary_usage_count=policy.boundaries,
        is_attachable=policy.is_attachable,
        description=policy.description or None,
        create_date=wire_seconds(policy.created),
        update_date=wire_seconds(policy.updated),
        policy_version_list=[version_shape(version) for version in versions],
    )


def _inline(documents: Sequence[tuple[str, str]]) -> list[PolicyDetail]:
    return [PolicyDetail(policy_name=name, policy_document=encoded(text)) for name, text in documents]
