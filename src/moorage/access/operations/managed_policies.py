"""The IAM operations on managed policies and their versions."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.access.identities import account as accounts
from moorage.access.identities import managed, tags
from moorage.access.identities.aws_managed import aws_managed
from moorage.access.identities.managed import ManagedPolicy, Version
from moorage.access.operations.documents import check, encoded
from moorage.access.operations.listing import Listing
from moorage.access.operations.users import tag_shapes
from moorage.aws.operation import operation
from moorage.aws.shapes.iam import (
    CreatePolicyRequest,
    CreatePolicyResponse,
    CreatePolicyVersionRequest,
    CreatePolicyVersionResponse,
    DeletePolicyRequest,
    DeletePolicyResponse,
    DeletePolicyVersionRequest,
    DeletePolicyVersionResponse,
    GetPolicyRequest,
    GetPolicyResponse,
    GetPolicyVersionRequest,
    GetPolicyVersionResponse,
    ListPoliciesRequest,
    ListPoliciesResponse,
    ListPolicyTagsRequest,
    ListPolicyTagsResponse,
    ListPolicyVersionsRequest,
    ListPolicyVersionsResponse,
    Policy,
    PolicyVersion,
    SetDefaultPolicyVersionRequest,
    SetDefaultPolicyVersionResponse,
    TagPolicyRequest,
    TagPolicyResponse,
    UntagPolicyRequest,
    UntagPolicyResponse,
)
from moorage.base.clock import wire_seconds
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.images import LimitExceeded

MOST_OF_AWS = 1_500
"""Policies of an account (IAM user guide, "IAM and AWS STS quotas")."""


@operation
async def create_policy(call: Call, request: CreatePolicyRequest) -> CreatePolicyResponse:
    check(request.policy_document, "identity")
    given = [(tag.key, tag.value) for tag in request.tags or []]
    async with call.services.epochs.changing(call.account) as tx:
        if call.limits.aws_quotas and (await accounts.counts(tx, call.account)).policies >= MOST_OF_AWS:
            raise LimitExceeded(f"Cannot exceed quota for PoliciesPerAccount: {MOST_OF_AWS}")
        created = await managed.create(
            tx,
            call.account,
            request.policy_name,
            request.policy_document,
            call.now,
            path=request.path or "/",
            description=request.description or "",
        )
        await tags.add(tx, created.arn, given)
    return CreatePolicyResponse(policy=policy_shape(created, given))


@operation
async def get_policy(call: Call, request: GetPolicyRequest) -> GetPolicyResponse:
    policy = await managed.need(call.db, call.account, request.policy_arn)
    return GetPolicyResponse(policy=policy_shape(policy, await tags.of(call.db, policy.arn)))


@operation
async def list_policies(call: Call, request: ListPoliciesRequest) -> ListPoliciesResponse:
    scope, path = request.scope or "All", request.path_prefix or "/"
    wanted = managed.Wanted(
        own=scope != "AWS",
        of_aws=scope != "Local",
        path=path,
        attached=bool(request.only_attached) or request.policy_usage_filter == "PermissionsPolicy",
        bounding=request.policy_usage_filter == "PermissionsBoundary",
    )
    listing = Listing(call, request, wanted)
    found = await managed.page(call.db, call.account, wanted, after=listing.after, limit=listing.ask)
    page = listing.page(found, managed.place)
    return ListPoliciesResponse(
        policies=[policy_row(policy) for policy in page.items],
        is_truncated=page.is_truncated,
        marker=page.marker,
    )


@operation
async def delete_policy(call: Call, request: DeletePolicyRequest) -> DeletePolicyResponse:
    _refuse_of_aws(call, "DeletePolicy", request.policy_arn)
    async with call.services.epochs.changing(call.account) as tx:
        await managed.delete(tx, await managed.need(tx, call.account, request.policy_arn))
    return DeletePolicyResponse()


@operation
async def create_policy_version(
    call: Call, request: CreatePolicyVersionRequest
) -> CreatePolicyVersionResponse:
    _refuse_of_aws(call, "CreatePolicyVersion", request.policy_arn)
    check(request.policy_document, "identity")
    async with call.services.epochs.changing(call.account) as tx:
        policy = await managed.need(tx, call.account, request.policy_arn)
        added = await managed.add_version(
            tx, policy, request.policy_document, call.now, is_default=bool(request.set_as_default)
        )
    return CreatePolicyVersionResponse(policy_version=_version_row(added))


@operation
async def get_policy_version(call: Call, request: GetPolicyVersionRequest) -> GetPolicyVersionResponse:
    policy = await managed.need(call.db, call.account, request.policy_arn)
    version = await managed.need_version(call.db, policy, request.version_id)
    return GetPolicyVersionResponse(policy_version=version_shape(version))


@operation
async def list_policy_versions(call: Call, request: ListPolicyVersionsRequest) -> ListPolicyVersionsResponse:
    policy = await managed.need(call.db, call.account, request.policy_arn)
    versions = await managed.versions(call.db, policy)
    page = Listing(call, request, policy.arn).page_of_sorted(versions, managed.newest_first)
    return ListPolicyVersionsResponse(
        versions=[_version_row(version) for version in page.items],
        is_truncated=page.is_truncated,
        marker=page.marker,
    )


@operation
async def delete_policy_version(
    call: Call, request: DeletePolicyVersionRequest
) -> DeletePolicyVersionResponse:
    _refuse_of_aws(call, "DeletePolicyVersion", request.policy_arn)
    async with call.services.epochs.changing(call.account) as tx:
        policy = await managed.need(tx, call.account, request.policy_arn)
        await managed.delete_version(tx, policy, request.version_id)
    return DeletePolicyVersionResponse()


@operation
async def set_default_policy_version(
    call: Call, request: SetDefaultPolicyVersionRequest
) -> SetDefaultPolicyVersionResponse:
    _refuse_of_aws(call, "SetDefaultPolicyVersion", request.policy_arn)
    async with call.services.epochs.changing(call.account) as tx:
        policy = await managed.need(tx, call.account, request.policy_arn)
        await managed.set_default(tx, policy, request.version_id, call.now)
    return SetDefaultPolicyVersionResponse()


@operation
async def tag_policy(call: Call, request: TagPolicyRequest) -> TagPolicyResponse:
    _refuse_of_aws(call, "TagPolicy", request.policy_arn)
    async with call.services.epochs.changing(call.account) as tx:
        policy = await managed.need(tx, call.account, request.policy_arn)
        await tags.add(tx, policy.arn, [(tag.key, tag.value) for tag in request.tags])
    return TagPolicyResponse()


@operation
async def untag_policy(call: Call, request: UntagPolicyRequest) -> UntagPolicyResponse:
    _refuse_of_aws(call, "UntagPolicy", request.policy_arn)
    async with call.services.epochs.changing(call.account) as tx:
        policy = await managed.need(tx, call.account, request.policy_arn)
        await tags.remove(tx, policy.arn, request.tag_keys)
    return UntagPolicyResponse()


@operation
async def list_policy_tags(call: Call, request: ListPolicyTagsRequest) -> ListPolicyTagsResponse:
    policy = await managed.need(call.db, call.account, request.policy_arn)
    page = Listing(call, request, policy.arn).page_of_sorted(await tags.of(call.db, policy.arn), tags.key_of)
    return ListPolicyTagsResponse(
        tags=tag_shapes(page.items), is_truncated=page.is_truncated, marker=page.marker
    )


def _refuse_of_aws(call: Call, operation: str, arn: str) -> None:
    """Raise `AccessDenied`, as AWS does, whatever the caller's policies say."""
    if aws_managed(arn) is not None:
        raise AccessDenied(
            principal=call.principal.arn,
            action=f"iam:{operation}",
            resource=arn,
            because="because nobody may change the managed policies of AWS",
        )


def policy_row(policy: ManagedPolicy) -> Policy:
    """As listings have it: without description and tags."""
    return Policy(
        policy_name=policy.name,
        policy_id=policy.id,
        arn=policy.arn,
        path=policy.path,
        default_version_id=f"v{policy.default_version}",
        attachment_count=policy.attachments,
        permissions_boundary_usage_count=policy.boundaries,
        is_attachable=policy.is_attachable,
        create_date=wire_seconds(policy.created),
        update_date=wire_seconds(policy.updated),
    )


def policy_shape(policy: ManagedPolicy, tagged: tags.Tags) -> Policy:
    return Policy(
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
        tags=tag_shapes(tagged),
    )


def version_shape(version: Version) -> PolicyVersion:
    return PolicyVersion(
        document=encoded(version.document),
        version_id=version.id,
        is_default_version=version.is_default,
        create_date=wire_seconds(version.created),
    )


def _version_row(version: Version) -> PolicyVersion:
    """Without the document."""
    return PolicyVersion(
        version_id=version.id,
        is_default_version=version.is_default,
        create_date=wire_seconds(version.created),
    )
