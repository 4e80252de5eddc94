"""The ECR operations on repository creation templates."""

from __future__ import annotations

import msgspec

from moorage.access import resource_policy
from moorage.access.authorize import authorize
from moorage.access.call import Call
from moorage.access.paging import DEFAULT_PAGE, next_token, position_in, refuse_paging
from moorage.access.service_roles import ECR, check_passing, ensure_service_linked
from moorage.aws.operation import operation
from moorage.aws.shapes.ecr import (
    CreateRepositoryCreationTemplateRequest,
    CreateRepositoryCreationTemplateResponse,
    DeleteRepositoryCreationTemplateRequest,
    DeleteRepositoryCreationTemplateResponse,
    DescribeRepositoryCreationTemplatesRequest,
    DescribeRepositoryCreationTemplatesResponse,
    EncryptionConfigurationForRepositoryCreationTemplate,
    ImageTagMutabilityExclusionFilter,
    RepositoryCreationTemplate,
    Tag,
    UpdateRepositoryCreationTemplateRequest,
    UpdateRepositoryCreationTemplateResponse,
)
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.clock import wire_seconds
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.requests import Validation
from moorage.registry.lifecycle import policy as lifecycle
from moorage.registry.repositories.mutability import Mutability
from moorage.registry.repositories.tags import TAGS_MAX, is_tag
from moorage.registry.templates import template as templates
from moorage.registry.templates.template import ROOT, Content, Template

Given = CreateRepositoryCreationTemplateRequest | UpdateRepositoryCreationTemplateRequest


@operation
async def create_repository_creation_template(
    call: Call, request: CreateRepositoryCreationTemplateRequest
) -> CreateRepositoryCreationTemplateResponse:
    registry = _registry(call)
    most = call.limits.quotas.templates
    if call.limits.aws_quotas and len(await templates.page(call.db, registry, "", most)) == most:
        raise LimitExceeded(
            f"The registry with id '{call.account}' already has the maximum allowed number of repository creation "
            f"templates which is '{most}'",
            quota="templates",
        )
    policy = await _check(call, request)
    content = _changed(Content(), request, policy)
    await ensure_service_linked(call, call.account, ECR, caller_needs_right=False)
    created = await templates.create(call.db, registry, request.prefix, content, call.now)
    return CreateRepositoryCreationTemplateResponse(
        registry_id=call.account, repository_creation_template=await _shape(call, created)
    )


@operation
async def describe_repository_creation_templates(
    call: Call, request: DescribeRepositoryCreationTemplatesRequest
) -> DescribeRepositoryCreationTemplatesResponse:
    """Those named that exist, or a page of all by their prefixes."""
    refuse_paging(request.prefixes, request.next_token, request.max_results, "prefixes")
    registry = _registry(call)
    more = None
    if request.prefixes is not None:
        shown = await templates.find_all(call.db, registry, request.prefixes)
    else:
        listing = ("DescribeRepositoryCreationTemplates",)
        after = position_in(call, listing, request.next_token, _Prefix)
        limit = request.max_results or DEFAULT_PAGE
        found = await templates.page(call.db, registry, after.prefix if after else "", limit + 1)
        shown = found[:limit]
        more = next_token(call, listing, _Prefix(shown[-1].prefix)) if len(found) > limit else None
    return DescribeRepositoryCreationTemplatesResponse(
        registry_id=call.account,
        repository_creation_templates=[await _shape(call, each) for each in shown],
        next_token=more,
    )


@operation
async def update_repository_creation_template(
    call: Call, request: UpdateRepositoryCreationTemplateRequest
) -> UpdateRepositoryCreationTemplateResponse:
    """What is given replaces what was; an empty policy takes it away. The rest stays."""
    policy = await _check(call, request)
    updated = await templates.update(
        call.db,
        _registry(call),
        request.prefix,
        lambda content: _changed(content, request, policy),
        call.now,
    )
    return UpdateRepositoryCreationTemplateResponse(
        registry_id=call.account, repository_creation_template=await _shape(call, updated)
    )


@operation
async def delete_repository_creation_template(
    call: Call, request: DeleteRepositoryCreationTemplateRequest
) -> DeleteRepositoryCreationTemplateResponse:
    deleted = await templates.delete(call.db, _registry(call), request.prefix)
    return DeleteRepositoryCreationTemplateResponse(
        registry_id=call.account, repository_creation_template=await _shape(call, deleted)
    )


async def _check(call: Call, request: Given) -> str | None:
    """May the caller have repositories made so, and is what is given valid? Return the repository policy to store.

    Raise `AccessDenied`, `InvalidParameter` or `Validation`.
    """
    arn = _arn_of_all(call, request.prefix)
    if request.custom_role_arn:
        await check_passing(call, request.custom_role_arn, call.account)
    if request.repository_policy:
        await authorize(call, "ecr:SetRepositoryPolicy", arn)
    if request.lifecycle_policy:
        await authorize(call, "ecr:PutLifecyclePolicy", arn)
        lifecycle.parse(request.lifecycle_policy, with_extensions=call.limits.lifecycle_extensions)
    if request.resource_tags:
        _check_tags(request.resource_tags)
    if not request.repository_policy:
        return request.repository_policy
    return await resource_policy.checked(call, request.repository_policy, "repository", call.account, arn)


def _check_tags(tags: list[Tag]) -> None:
    """They would be refused when they are given to a repository."""
    if len({tag.key.lower() for tag in tags}) < len(tags):
        raise Validation("Tag parameters are invalid: a key can be given only once, without regard to case")
    if len(tags) > TAGS_MAX or not all(is_tag(tag.key, tag.value) for tag in tags):
        raise Validation("Tag parameters are invalid")


def _changed(content: Content, request: Given, policy: str | None) -> Content:
    """Raise `InvalidParameter` or `Validation` for what does not fit together."""
    changes: dict[str, object] = {}
    if request.description is not None:
        changes["description"] = request.description
    if request.applied_for is not None:
        changes["applied_for"] = tuple(dict.fromkeys(request.applied_for))
    if request.resource_tags is not None:
        changes["tags"] = tuple((tag.key, tag.value) for tag in request.resource_tags)
    if request.lifecycle_policy is not None:
        changes["lifecycle_policy"] = request.lifecycle_policy
    if policy is not None:
        changes["repository_policy"] = policy
    if request.custom_role_arn is not None:
        changes["role_arn"] = request.custom_role_arn
    return msgspec.structs.replace(
        content, **changes, **_encryption(request), mutability=_mutability(content, request)
    )


def _encryption(request: Given) -> dict[str, object]:
    encryption = request.encryption_configuration
    if encryption is None:
        return {}
    if encryption.kms_key and encryption.encryption_type == "AES256":
        raise Validation("A KMS key can be given only for the encryption types KMS and KMS_DSSE")
    return {"encryption_type": encryption.encryption_type, "key_arn": encryption.kms_key}


def _mutability(content: Content, request: Given) -> Mutability:
    """Another mode drops the filters of the one before."""
    mode, filters = request.image_tag_mutability, request.image_tag_mutability_exclusion_filters
    if mode is None and filters is None:
        return content.mutability
    return Mutability.parse(
        mode or content.mutability.mode, [each.filter for each in filters] if filters is not None else None
    )


async def _shape(call: Call, found: Template) -> RepositoryCreationTemplate:
    content = found.content
    policy = None
    if content.repository_policy:
        policy = await resource_policy.printed(call, content.repository_policy, call.account)
    filters = [
        ImageTagMutabilityExclusionFilter(filter_type="WILDCARD", filter=text)
        for text in content.mutability.filters
    ]
    return RepositoryCreationTemplate(
        prefix=found.written,
        description=content.description,
        encryption_configuration=EncryptionConfigurationForRepositoryCreationTemplate(
            encryption_type=content.encryption_type, kms_key=content.key_arn
        ),
        resource_tags=[Tag(key=key, value=value) for key, value in content.tags] or None,
        image_tag_mutability=content.mutability.mode,
        image_tag_mutability_exclusion_filters=filters or None,
        repository_policy=policy,
        lifecycle_policy=content.lifecycle_policy or None,
        applied_for=list(content.applied_for),
        custom_role_arn=content.role_arn or None,
        created_at=wire_seconds(found.created),
        updated_at=wire_seconds(found.updated),
    )


class _Prefix(msgspec.Struct, array_like=True):
    prefix: str


def _registry(call: Call) -> Registry:
    return Registry(call.account, call.region)


def _arn_of_all(call: Call, prefix: str) -> str:
    """Of the repositories that a template makes: what its policies are given for."""
    below = "*" if prefix == ROOT else f"{prefix.rstrip('/')}/*"
    return str(RepositoryArn(call.account, call.region, below))
