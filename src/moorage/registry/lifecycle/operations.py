"""The ECR operations on lifecycle policies, their previews, and the storage class of images."""

from __future__ import annotations

import msgspec

from moorage.access.call import Call
from moorage.access.paging import DEFAULT_PAGE, next_token, position_in, refuse_paging
from moorage.aws.operation import operation
from moorage.aws.shapes.ecr import (
    DeleteLifecyclePolicyRequest,
    DeleteLifecyclePolicyResponse,
    GetLifecyclePolicyPreviewRequest,
    GetLifecyclePolicyPreviewResponse,
    GetLifecyclePolicyRequest,
    GetLifecyclePolicyResponse,
    ImageIdentifier,
    LifecyclePolicyPreviewResult,
    LifecyclePolicyPreviewSummary,
    LifecyclePolicyRuleAction,
    PutLifecyclePolicyRequest,
    PutLifecyclePolicyResponse,
    StartLifecyclePolicyPreviewRequest,
    StartLifecyclePolicyPreviewResponse,
    TargetStorageClass,
    TransitioningImageTotalCount,
    UpdateImageStorageClassRequest,
    UpdateImageStorageClassResponse,
)
from moorage.base.clock import wire_seconds
from moorage.base.digest import Digest
from moorage.base.errors.images import ImageStorageClassUpdateNotSupported
from moorage.base.errors.requests import InvalidParameter
from moorage.registry.images import archive, find, tag_rights
from moorage.registry.images.identify import Failure, identify, refusal
from moorage.registry.lifecycle import preview as previews
from moorage.registry.lifecycle import stored
from moorage.registry.lifecycle.preview import Preview, Result
from moorage.registry.lifecycle.stored import StoredPolicy
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Transaction, Values

_UPDATE = "ecr:UpdateImageStorageClass"


@operation
async def put_lifecycle_policy(call: Call, request: PutLifecyclePolicyRequest) -> PutLifecyclePolicyResponse:
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    policy = await stored.put(call, repository, request.lifecycle_policy_text)
    return PutLifecyclePolicyResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        lifecycle_policy_text=policy.text,
    )


@operation
async def get_lifecycle_policy(call: Call, request: GetLifecyclePolicyRequest) -> GetLifecyclePolicyResponse:
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    policy = await stored.find(call.db, repository)
    return GetLifecyclePolicyResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        lifecycle_policy_text=policy.text,
        last_evaluated_at=_evaluated(policy),
    )


@operation
async def delete_lifecycle_policy(
    call: Call, request: DeleteLifecyclePolicyRequest
) -> DeleteLifecyclePolicyResponse:
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    policy = await stored.delete(call, repository)
    return DeleteLifecyclePolicyResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        lifecycle_policy_text=policy.text,
        last_evaluated_at=_evaluated(policy),
    )


@operation
async def start_lifecycle_policy_preview(
    call: Call, request: StartLifecyclePolicyPreviewRequest
) -> StartLifecyclePolicyPreviewResponse:
    """Of the text given, which is answered as it came; without one, of the policy that is stored."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    text = request.lifecycle_policy_text
    if text is None:
        text = (await stored.find(call.db, repository)).text
    await previews.start(call, repository, text)
    return StartLifecyclePolicyPreviewResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        lifecycle_policy_text=text,
        status="IN_PROGRESS",
    )


@operation
async def get_lifecycle_policy_preview(
    call: Call, request: GetLifecyclePolicyPreviewRequest
) -> GetLifecyclePolicyPreviewResponse:
    """The images that would be taken; the totals are of all of them, whatever is asked for."""
    refuse_paging(request.image_ids, request.next_token, request.max_results, "imageIds")
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    preview = await previews.find(call, repository)
    shown: list[Result] = []
    more = None
    if preview.status == "COMPLETE":
        shown, more = await _results(call, repository, preview, request)
    return GetLifecyclePolicyPreviewResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        lifecycle_policy_text=preview.text,
        status=preview.status,
        next_token=more,
        preview_results=[_result(each) for each in shown],
        summary=_summary(preview) if preview.status == "COMPLETE" else None,
    )


@operation
async def update_image_storage_class(
    call: Call, request: UpdateImageStorageClassRequest
) -> UpdateImageStorageClassResponse:
    """To the archive at once; back it takes a while, and the image is ACTIVATING until then."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    asked = request.image_id
    found = await _move(call, repository, asked, request.target_storage_class)
    return UpdateImageStorageClassResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        image_id=ImageIdentifier(image_digest=str(found.digest), image_tag=asked.image_tag),
        image_status="ARCHIVED" if request.target_storage_class == "ARCHIVE" else "ACTIVATING",
    )


async def _move(
    call: Call, repository: Repository, asked: ImageIdentifier, target: TargetStorageClass
) -> find.Image:
    whole = [asked.image_digest] if asked.image_digest is not None and asked.image_tag is None else []
    while True:
        rights = await tag_rights.ask(call, _UPDATE, repository, whole)
        async with call.db.transaction() as tx:
            await repositories.confirm(tx, repository)
            found = await identify(tx, repository, asked.image_digest, asked.image_tag)
            if isinstance(found, Failure):
                raise refusal(repository, asked.image_digest, asked.image_tag, found, "imageId")
            if whole and not rights.cover(found, await find.tags_of(tx, found)):
                continue
            if target == "ARCHIVE":
                await _archive(call, tx, repository, found)
            else:
                await _restore(call, tx, repository, found)
        return found


async def _archive(call: Call, tx: Transaction, repository: Repository, image: find.Image) -> None:
    values: Values = {"repository": repository.id, "child": image.digest.packed}
    parents = [str(Digest.unpack(packed)) for (packed,) in await tx.all("images.active_parents", values)]
    if parents:
        raise ImageStorageClassUpdateNotSupported(
            reason=f"Requested image referenced by manifest list: [{', '.join(parents)}]"
        )
    if not await archive.archive(call.services, tx, repository, image, call.now):
        raise ImageStorageClassUpdateNotSupported(reason=f"The image is {image.status}.")


async def _restore(call: Call, tx: Transaction, repository: Repository, image: find.Image) -> None:
    if not await archive.restore(call.services, tx, repository, image, call.now):
        raise ImageStorageClassUpdateNotSupported(reason=f"The image is {image.status}.")


class _ByPosition(msgspec.Struct, array_like=True):
    position: int


async def _results(
    call: Call, repository: Repository, preview: Preview, request: GetLifecyclePolicyPreviewRequest
) -> tuple[list[Result], str | None]:
    tag_status = (request.filter.tag_status if request.filter else None) or "ANY"
    if request.image_ids is not None:
        digests = await _digests(call, repository, request.image_ids)
        return await previews.of_images(call, repository, tag_status, digests), None
    listing = ("GetLifecyclePolicyPreview", repository.id, preview.number, tag_status)
    after = position_in(call, listing, request.next_token, _ByPosition)
    limit = request.max_results or DEFAULT_PAGE
    found = await previews.page(call, repository, tag_status, after.position if after else 0, limit + 1)
    if len(found) <= limit:
        return found, None
    return found[:limit], next_token(call, listing, _ByPosition(found[limit - 1].position))


async def _digests(call: Call, repository: Repository, asked: list[ImageIdentifier]) -> list[Digest]:
    """Of the images asked for; what is not there would not be taken either."""
    digests: dict[Digest, None] = {}
    for each in asked:  # at most 100
        image = await identify(call.db, repository, each.image_digest, each.image_tag)
        if not isinstance(image, Failure):
            digests[image.digest] = None
        elif image.code not in ("ImageNotFound", "ImageTagDoesNotMatchDigest"):
            raise InvalidParameter(at="imageIds", constraint=image.reason)
    return list(digests)


def _result(result: Result) -> LifecyclePolicyPreviewResult:
    is_expiring = result.action == "expire"
    return LifecyclePolicyPreviewResult(
        image_tags=list(result.tags) or None,  # ECR omits it when there is none
        image_digest=str(result.digest),
        image_pushed_at=wire_seconds(result.pushed),
        action=LifecyclePolicyRuleAction(
            type="EXPIRE" if is_expiring else "TRANSITION",
            target_storage_class=None if is_expiring else "ARCHIVE",
        ),
        applied_rule_priority=result.priority,
        storage_class="ARCHIVE" if result.storage_class == "archive" else "STANDARD",
    )


def _summary(preview: Preview) -> LifecyclePolicyPreviewSummary:
    moving = TransitioningImageTotalCount(
        target_storage_class="ARCHIVE", image_total_count=preview.transitioning
    )
    return LifecyclePolicyPreviewSummary(
        expiring_image_total_count=preview.expiring,
        transitioning_image_total_counts=[moving] if preview.transitioning else None,
    )


def _evaluated(policy: StoredPolicy) -> float:
    """Zero before the first run, as Amazon ECR answers."""
    return wire_seconds(policy.evaluated or 0)
