"""The ECR operations on repositories and their resource tags."""

from __future__ import annotations

import msgspec

from moorage.access import resource_policy
from moorage.access.call import Call
from moorage.access.paging import DEFAULT_PAGE, next_token, position_in, refuse_paging
from moorage.aws.operation import operation
from moorage.aws.shapes.ecr import (
    CreateRepositoryRequest,
    CreateRepositoryResponse,
    DeleteRepositoryPolicyRequest,
    DeleteRepositoryPolicyResponse,
    DeleteRepositoryRequest,
    DeleteRepositoryResponse,
    DescribeRepositoriesRequest,
    DescribeRepositoriesResponse,
    EncryptionConfiguration,
    GetRepositoryPolicyRequest,
    GetRepositoryPolicyResponse,
    ImageScanningConfiguration,
    ImageTagMutabilityExclusionFilter,
    ListTagsForResourceRequest,
    ListTagsForResourceResponse,
    PutImageTagMutabilityRequest,
    PutImageTagMutabilityResponse,
    SetRepositoryPolicyRequest,
    SetRepositoryPolicyResponse,
    Tag,
    TagResourceRequest,
    TagResourceResponse,
    UntagResourceRequest,
    UntagResourceResponse,
)
from moorage.aws.shapes.ecr import Repository as RepositoryShape
from moorage.base.arn import RepositoryArn
from moorage.base.clock import wire_seconds
from moorage.base.errors.ourselves import KmsFailure
from moorage.base.errors.repositories import InvalidTagParameter, RepositoryPolicyNotFound
from moorage.base.errors.requests import InvalidParameter
from moorage.registry.account.setting_changes import changes
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories import tags as resource_tags
from moorage.registry.repositories.mutability import Mode, Mutability
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads


@operation
async def create_repository(call: Call, request: CreateRepositoryRequest) -> CreateRepositoryResponse:
    if request.registry_id not in (None, call.account):
        raise InvalidParameter(at="registryId", constraint="must be the caller's own registry")
    encryption = request.encryption_configuration
    if encryption is not None and encryption.encryption_type != "AES256":
        raise KmsFailure(
            f"Encryption {encryption.encryption_type} needs the KMS API, which is not built yet; use AES256",
            kmsError="NotFoundException",
        )
    scanning = request.image_scanning_configuration
    created = await repositories.create(
        call,
        request.repository_name,
        _mutability(
            request.image_tag_mutability or "MUTABLE", request.image_tag_mutability_exclusion_filters
        ),
        scan_on_push=bool(scanning and scanning.scan_on_push),
        tags=_tags(request.tags or []),
    )
    return CreateRepositoryResponse(repository=_shape(call, created))


@operation
async def describe_repositories(
    call: Call, request: DescribeRepositoriesRequest
) -> DescribeRepositoriesResponse:
    refuse_paging(request.repository_names, request.next_token, request.max_results, "repositoryNames")
    if request.repository_names is not None:
        named = await repositories.find_all(call, request.repository_names, request.registry_id)
        return DescribeRepositoriesResponse(repositories=[_shape(call, found) for found in named])
    listing = ("DescribeRepositories", request.registry_id)
    after = position_in(call, listing, request.next_token, _Name)
    limit = request.max_results or DEFAULT_PAGE
    found = await repositories.page(call, request.registry_id, after.name if after else "", limit + 1)
    shown = found[:limit]
    more = next_token(call, listing, _Name(shown[-1].name)) if len(found) > limit else None
    return DescribeRepositoriesResponse(repositories=[_shape(call, each) for each in shown], next_token=more)


@operation
async def delete_repository(call: Call, request: DeleteRepositoryRequest) -> DeleteRepositoryResponse:
    deleted = await repositories.delete(
        call, request.repository_name, request.registry_id, force=bool(request.force)
    )
    return DeleteRepositoryResponse(repository=_shape(call, deleted))


@operation
async def put_image_tag_mutability(
    call: Call, request: PutImageTagMutabilityRequest
) -> PutImageTagMutabilityResponse:
    mutability = _mutability(request.image_tag_mutability, request.image_tag_mutability_exclusion_filters)
    found = await repositories.find(call, request.repository_name, request.registry_id)
    await repositories.set_mutability(call, found, mutability)
    return PutImageTagMutabilityResponse(
        registry_id=found.registry.account,
        repository_name=found.name,
        image_tag_mutability=mutability.mode,
        image_tag_mutability_exclusion_filters=_filters(mutability),
    )


def _tagged_arn(
    request: TagResourceRequest | UntagResourceRequest | ListTagsForResourceRequest, account: str, region: str
) -> tuple[str]:
    """What is no ARN of the region called is told so, before anybody asks whether its account allows the call."""
    named = RepositoryArn.parse(request.resource_arn)
    if named.region != region:
        raise InvalidParameter(at="resourceArn", constraint="Invalid ARN")
    return (str(named),)


@operation(resources=_tagged_arn)
async def tag_resource(call: Call, request: TagResourceRequest) -> TagResourceResponse:
    found = await _tagged(call, request.resource_arn)
    async with call.services.epochs.changing(found.registry.account) as tx:
        await repositories.confirm(tx, found)
        if await changes(call, tx, found, "tags"):
            await resource_tags.set_all(tx, found.arn, _tags(request.tags))
    return TagResourceResponse()


@operation(resources=_tagged_arn)
async def untag_resource(call: Call, request: UntagResourceRequest) -> UntagResourceResponse:
    found = await _tagged(call, request.resource_arn)
    resource_tags.check_keys(request.tag_keys)
    async with call.services.epochs.changing(found.registry.account) as tx:
        await repositories.confirm(tx, found)
        if await changes(call, tx, found, "tags"):
            await resource_tags.unset(tx, found.arn, request.tag_keys)
    return UntagResourceResponse()


@operation(resources=_tagged_arn)
async def list_tags_for_resource(
    call: Call, request: ListTagsForResourceRequest
) -> ListTagsForResourceResponse:
    found = await _tagged(call, request.resource_arn)
    tags = await resource_tags.of(call.db, found.arn)
    return ListTagsForResourceResponse(tags=[Tag(key=key, value=value) for key, value in tags])


@operation
async def set_repository_policy(
    call: Call, request: SetRepositoryPolicyRequest
) -> SetRepositoryPolicyResponse:
    found = await repositories.find(call, request.repository_name, request.registry_id)
    text = await resource_policy.checked(
        call, request.policy_text, "repository", found.registry.account, found.arn
    )
    if not request.force:
        await resource_policy.refuse_lock_out(call, text, found.arn)
    async with call.services.epochs.changing(found.registry.account) as tx:
        await repositories.confirm(tx, found)
        if await changes(call, tx, found, "policy"):
            await resource_policy.store(tx, found.arn, text, call.now)
    return SetRepositoryPolicyResponse(
        registry_id=found.registry.account,
        repository_name=found.name,
        policy_text=await resource_policy.printed(call, text, found.registry.account),
    )


@operation
async def get_repository_policy(
    call: Call, request: GetRepositoryPolicyRequest
) -> GetRepositoryPolicyResponse:
    found = await repositories.find(call, request.repository_name, request.registry_id)
    text = await _policy_of(call.db, found)
    return GetRepositoryPolicyResponse(
        registry_id=found.registry.account,
        repository_name=found.name,
        policy_text=await resource_policy.printed(call, text, found.registry.account),
    )


@operation
async def delete_repository_policy(
    call: Call, request: DeleteRepositoryPolicyRequest
) -> DeleteRepositoryPolicyResponse:
    found = await repositories.find(call, request.repository_name, request.registry_id)
    async with call.services.epochs.changing(found.registry.account) as tx:
        await repositories.confirm(tx, found)
        text = await _policy_of(tx, found)
        if await changes(call, tx, found, "policy"):
            await resource_policy.clear(tx, found.arn)
    return DeleteRepositoryPolicyResponse(
        registry_id=found.registry.account,
        repository_name=found.name,
        policy_text=await resource_policy.printed(call, text, found.registry.account),
    )


async def _policy_of(reads: Reads, found: Repository) -> str:
    text = await resource_policy.find(reads, found.arn)
    if text is None:
        raise RepositoryPolicyNotFound(name=found.name, registry_id=found.registry.account)
    return text


class _Name(msgspec.Struct, array_like=True):
    name: str


async def _tagged(call: Call, arn: str) -> Repository:
    """The repository of an ARN of the region called."""
    named = RepositoryArn.parse(arn)
    return await repositories.find(call, named.name, named.account)


def _mutability(mode: Mode, filters: list[ImageTagMutabilityExclusionFilter] | None) -> Mutability:
    return Mutability.parse(mode, [each.filter for each in filters] if filters is not None else None)


def _tags(given: list[Tag]) -> dict[str, str]:
    """Which of two values of one key is meant nobody can tell: raise `InvalidTagParameter`."""
    tags = {tag.key: tag.value for tag in given}
    if len(tags) < len(given):
        raise InvalidTagParameter()
    return tags


def _shape(call: Call, found: Repository) -> RepositoryShape:
    return RepositoryShape(
        repository_arn=found.arn,
        registry_id=found.registry.account,
        repository_name=found.name,
        repository_uri=call.services.addresses.repository_uri(
            found.registry, found.name, call.host, call.arrival.secure
        ),
        created_at=wire_seconds(found.created),
        image_tag_mutability=found.mutability.mode,
        image_tag_mutability_exclusion_filters=_filters(found.mutability),
        image_scanning_configuration=ImageScanningConfiguration(scan_on_push=found.scan_on_push),
        encryption_configuration=EncryptionConfiguration(encryption_type="AES256"),
    )


def _filters(mutability: Mutability) -> list[ImageTagMutabilityExclusionFilter] | None:
    filters = [
        ImageTagMutabilityExclusionFilter(filter_type="WILDCARD", filter=text) for text in mutability.filters
    ]
    return filters or None
