"""Our own operations on images that no policy is to take, and on those that one has taken."""

from __future__ import annotations

import msgspec

from moorage.access.authorize import asks_for_tag, authorize_tags
from moorage.access.call import Call
from moorage.access.paging import DEFAULT_PAGE, next_token, position_in
from moorage.aws.operation import operation
from moorage.aws.shapes.moorage import (
    DeletedImage,
    DeregisterImageUseRequest,
    DeregisterImageUseResponse,
    ImageUse,
    ImageUseFilter,
    ListDeletedImagesRequest,
    ListDeletedImagesResponse,
    ListImageUsesRequest,
    ListImageUsesResponse,
    RegisterImageUseRequest,
    RegisterImageUseResponse,
    RestoreDeletedImagesRequest,
    RestoreDeletedImagesResponse,
    RestoredImage,
    RestoreFailure,
    RestoreFailureCode,
)
from moorage.base.clock import SECOND, wire_seconds
from moorage.base.digest import Digest
from moorage.base.errors.error import MoorageError
from moorage.base.errors.images import (
    ImageTagAlreadyExists,
    LayersNotFound,
    LimitExceeded,
    ManifestInvalid,
    ManifestTooLarge,
    ReferencedImagesNotFound,
)
from moorage.base.errors.layers import InvalidDigest
from moorage.base.errors.lifecycle import ImageUseNotFound
from moorage.base.errors.requests import InvalidParameter
from moorage.registry.images import manifest as manifests
from moorage.registry.images.identify import Failure, identify, refusal
from moorage.registry.lifecycle import erased, uses
from moorage.registry.lifecycle.bringing_back import content_of, restore
from moorage.registry.lifecycle.erased import Erased, Manifest
from moorage.registry.lifecycle.uses import Use
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository, confirm

_RESTORE = "moorage:RestoreDeletedImages"
_LATEST_S = 253_402_300_799  # the last second of the year 9999
_FAILURES: dict[type[MoorageError], RestoreFailureCode] = {
    ImageTagAlreadyExists: "ImageTagAlreadyExists",
    LayersNotFound: "LayersNotFound",
    LimitExceeded: "LimitExceeded",
    ManifestInvalid: "ManifestInvalid",
    ManifestTooLarge: "ManifestTooLarge",
    ReferencedImagesNotFound: "ReferencedImagesNotFound",
}


@operation
async def register_image_use(call: Call, request: RegisterImageUseRequest) -> RegisterImageUseResponse:
    """Of the image that a tag points at now, or that a digest names: the use is of its digest."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    until = _end(call, request.expires_at)
    asked = request.image_id
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        image = await identify(tx, repository, asked.image_digest, asked.image_tag)
        if isinstance(image, Failure):
            raise refusal(repository, asked.image_digest, asked.image_tag, image, "imageId")
        await uses.protect(tx, repository, image.digest, request.consumer, call.now, until)
        use = await uses.find(tx, repository, image.digest, request.consumer, call.now)
    assert use is not None  # it has just been registered, and its end is to come
    return RegisterImageUseResponse(
        registry_id=repository.registry.account, repository_name=repository.name, image_use=_use(use)
    )


@operation
async def deregister_image_use(call: Call, request: DeregisterImageUseRequest) -> DeregisterImageUseResponse:
    """The image need not be there any more."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    digest = _digest(request.image_digest, "imageDigest")
    async with call.db.transaction() as tx:
        use = await uses.find(tx, repository, digest, request.consumer, call.now)
        if use is None:
            raise ImageUseNotFound(
                digest=digest,
                name=repository.name,
                registry_id=repository.registry.account,
                consumer=request.consumer,
            )
        await uses.unprotect(tx, repository, digest, request.consumer)
    return DeregisterImageUseResponse(
        registry_id=repository.registry.account, repository_name=repository.name, image_use=_use(use)
    )


@operation
async def list_image_uses(call: Call, request: ListImageUsesRequest) -> ListImageUsesResponse:
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    wanted = request.filter or ImageUseFilter()
    digest = None if wanted.image_digest is None else _digest(wanted.image_digest, "filter.imageDigest")
    listing = ("ListImageUses", repository.id, wanted.consumer, wanted.image_digest)
    after = position_in(call, listing, request.next_token, _ByUse)
    limit = request.max_results or DEFAULT_PAGE
    found = await uses.page(
        call.db,
        repository,
        (after.digest, after.consumer) if after else None,
        limit + 1,
        call.now,
        consumer=wanted.consumer or "",
        digest=digest,
    )
    more = None
    if len(found) > limit:
        last = found[limit - 1]
        more = next_token(call, listing, _ByUse(last.digest.packed, last.consumer))
    return ListImageUsesResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        image_uses=[_use(use) for use in found[:limit]],
        next_token=more,
    )


@operation
async def list_deleted_images(call: Call, request: ListDeletedImagesRequest) -> ListDeletedImagesResponse:
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    listing = ("ListDeletedImages", repository.id)
    after = position_in(call, listing, request.next_token, _ByDigest)
    limit = request.max_results or DEFAULT_PAGE
    last = Digest.unpack(after.digest) if after else None
    found = await erased.page(call.db, repository, last, call.now, limit + 1)
    more = None
    if len(found) > limit:
        more = next_token(call, listing, _ByDigest(found[limit - 1].digest.packed))
    return ListDeletedImagesResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        deleted_images=[_deleted(each) for each in found[:limit]],
        next_token=more,
    )


@operation
async def restore_deleted_images(
    call: Call, request: RestoreDeletedImagesRequest
) -> RestoreDeletedImagesResponse:
    """Each as a push of its own, children of an index before it; whoever may not set a tag brings back nothing."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    failures: list[RestoreFailure] = []
    wanted: dict[Digest, Manifest] = {}
    for text in dict.fromkeys(request.image_digests):  # at most 100
        kept = await _kept(call, repository, text)
        if isinstance(kept, RestoreFailure):
            failures.append(kept)
        else:
            wanted[kept.digest] = kept
    if asks_for_tag(call, _RESTORE, repository.arn):
        for kept in wanted.values():
            await authorize_tags(call, _RESTORE, repository.arn, kept.tags)
    restored: list[RestoredImage] = []
    for kept in await _children_first(call, repository, wanted):
        try:
            tags = await restore(call, repository, kept)
        except tuple(_FAILURES) as error:
            failures.append(
                RestoreFailure(
                    image_digest=str(kept.digest),
                    failure_code=_FAILURES[type(error)],
                    failure_reason=str(error),
                )
            )
        else:
            restored.append(RestoredImage(image_digest=str(kept.digest), image_tags=tags or None))
    return RestoreDeletedImagesResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        restored_images=restored,
        failures=failures,
    )


class _ByDigest(msgspec.Struct, array_like=True):
    digest: bytes


class _ByUse(msgspec.Struct, array_like=True):
    digest: bytes
    consumer: str


def _end(call: Call, expires_at: float | None) -> int | None:
    """Raise `InvalidParameter` for what is over, or no time."""
    if expires_at is None:
        return None
    if not call.now < expires_at * SECOND <= _LATEST_S * SECOND:  # not a number is neither
        raise InvalidParameter(at="expiresAt", constraint="must be in the future")
    return int(expires_at * SECOND)


def _digest(text: str, at: str) -> Digest:
    try:
        return Digest.parse(text)
    except InvalidDigest as error:
        raise InvalidParameter(at=at, constraint=str(error)) from None


def _use(use: Use) -> ImageUse:
    return ImageUse(
        image_digest=str(use.digest),
        consumer=use.consumer,
        registered_at=wire_seconds(use.since),
        expires_at=None if use.until is None else wire_seconds(use.until),
    )


def _deleted(each: Erased) -> DeletedImage:
    return DeletedImage(
        image_digest=str(each.digest),
        image_tags=list(each.tags) or None,
        image_manifest_media_type=each.media_type,
        deleted_at=wire_seconds(each.erased),
        restorable_until=wire_seconds(each.until),
    )


async def _kept(call: Call, repository: Repository, text: str) -> Manifest | RestoreFailure:
    try:
        digest = Digest.parse(text)
    except InvalidDigest as error:
        return RestoreFailure(image_digest=text, failure_code="InvalidImageDigest", failure_reason=str(error))
    found = await erased.find(call.db, repository.id, digest, call.now)
    return found or RestoreFailure(
        image_digest=text,
        failure_code="DeletedImageNotFound",
        failure_reason="There is no such image that can be brought back",
    )


async def _children_first(
    call: Call, repository: Repository, wanted: dict[Digest, Manifest]
) -> list[Manifest]:
    """The same, what an index refers to before it, however deep."""
    children: dict[Digest, list[Digest]] = {}
    for digest, kept in wanted.items():
        manifest = manifests.parse(await content_of(call, repository, kept), kept.media_type)
        children[digest] = [child.digest for child in manifest.children if child.digest in wanted]
    ordered: dict[Digest, Manifest] = {}
    for digest in wanted:
        waiting = [digest]
        while waiting:
            before = [child for child in children[waiting[-1]] if child not in ordered]
            if before:
                waiting += before
            else:
                last = waiting.pop()
                ordered[last] = wanted[last]
    return list(ordered.values())
