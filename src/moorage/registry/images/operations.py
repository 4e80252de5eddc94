"""The ECR operations on images."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moorage.access.call import Call
from moorage.access.paging import DEFAULT_PAGE, next_token, position_in, refuse_paging
from moorage.aws.operation import operation
from moorage.aws.shapes.ecr import (
    BatchDeleteImageRequest,
    BatchDeleteImageResponse,
    BatchGetImageRequest,
    BatchGetImageResponse,
    DescribeImageSigningStatusRequest,
    DescribeImageSigningStatusResponse,
    DescribeImagesRequest,
    DescribeImagesResponse,
    ImageDetail,
    ImageFailure,
    ImageFailureCode,
    ImageIdentifier,
    ImageReferrer,
    ImageSigningStatus,
    ListImageReferrersRequest,
    ListImageReferrersResponse,
    ListImagesRequest,
    ListImagesResponse,
    PutImageRequest,
    PutImageResponse,
)
from moorage.aws.shapes.ecr import Image as ImageShape
from moorage.base.clock import wire_seconds
from moorage.base.digest import Digest
from moorage.base.errors.images import (
    ImageAlreadyExists,
    ImageDigestDoesNotMatch,
    ManifestInvalid,
)
from moorage.base.errors.layers import InvalidDigest
from moorage.base.errors.requests import InvalidParameter
from moorage.base.names import TAG_PATTERN, is_tag
from moorage.registry.account import signing
from moorage.registry.images import delete as deletes
from moorage.registry.images import find, referrers
from moorage.registry.images.bring import bring
from moorage.registry.images.find import Image
from moorage.registry.images.identify import Failure, identify, refusal
from moorage.registry.images.push import push_image
from moorage.registry.images.referrers import Referrer
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository

REFERRERS_PAGE = 20
_FIRST_IMAGE = (1 << 62, b"")  # later than any push
_STATUSES = {
    None: ("ACTIVE",),
    "ACTIVE": ("ACTIVE",),
    "ACTIVATING": ("ACTIVATING",),
    "ANY": ("ACTIVE", "ARCHIVED", "ACTIVATING"),
    "ARCHIVED": ("ARCHIVED",),
}


@operation
async def put_image(call: Call, request: PutImageRequest) -> PutImageResponse:
    """Unlike on `/v2/`, pushing what changes nothing is an error."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    content = request.image_manifest.encode()
    facts = {"name": repository.name, "registry_id": repository.registry.account}
    algorithm = "sha512" if (request.image_digest or "").startswith("sha512:") else "sha256"
    if request.image_digest is not None and str(Digest.of(content, algorithm)) != request.image_digest:
        raise ImageDigestDoesNotMatch(digest=request.image_digest, **facts)
    tag = request.image_tag
    if tag is not None and not is_tag(tag):
        raise InvalidParameter(at="imageTag", constraint=f"must satisfy regular expression '{TAG_PATTERN}'")
    pushed = await push_image(
        call,
        repository,
        content,
        request.image_manifest_media_type,
        [tag] if tag else [],
        algorithm=algorithm,
        strict=True,
    )
    if not pushed.is_new and not pushed.moved and not pushed.was_restored:
        raise ImageAlreadyExists(digest=pushed.digest, tag=tag or "null", **facts)
    image = ImageShape(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        image_id=ImageIdentifier(image_digest=str(pushed.digest), image_tag=tag),
        image_manifest=request.image_manifest,
        image_manifest_media_type=pushed.manifest.media_type,
    )
    return PutImageResponse(image=image)


@operation
async def batch_get_image(call: Call, request: BatchGetImageRequest) -> BatchGetImageResponse:
    """In the order asked; a failure for each that cannot be had. The bytes are those stored: nothing is converted."""
    repository, failed = await bring(call, request)
    images: list[ImageShape] = []
    failures: list[ImageFailure] = []
    for number, asked in enumerate(request.image_ids):  # at most 100; each is one indexed read
        if number in failed:
            failures.append(_failure(asked, *failed[number]))
            continue
        found = await identify(call.db, repository, asked.image_digest, asked.image_tag)
        if isinstance(found, Failure):
            failures.append(_failure(asked, found.code, found.reason))
        elif found.status not in find.ACTIVE:
            failures.append(_failure(asked, "ImageInaccessible", "The image is archived; restore it first"))
        else:
            images.append(await _with_manifest(call, repository, found, asked.image_tag))
            call.services.pull_times.note(found.id, call.principal, repository.registry, call.now)
    return BatchGetImageResponse(images=images, failures=failures)


@operation
async def describe_images(call: Call, request: DescribeImagesRequest) -> DescribeImagesResponse:
    """Those named, all of which must exist, or a page of the newest."""
    refuse_paging(request.image_ids, request.next_token, request.max_results, "imageIds")
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    if request.image_ids is not None:
        named = await _find_all(call, repository, request.image_ids)
        return DescribeImagesResponse(image_details=[_detail(call, repository, image) for image in named])
    tag_status = (request.filter.tag_status if request.filter else None) or "ANY"
    image_status = request.filter.image_status if request.filter else None
    listing = ("DescribeImages", repository.id, tag_status, image_status)
    after = position_in(call, listing, request.next_token, _ByPush)
    limit = request.max_results or DEFAULT_PAGE
    start = (after.pushed, after.digest) if after else _FIRST_IMAGE
    found = await find.page(call, repository, tag_status, _STATUSES[image_status], start, limit + 1)
    shown = found[:limit]
    more = None
    if len(found) > limit:
        more = next_token(call, listing, _ByPush(shown[-1].pushed, shown[-1].digest.packed))
    return DescribeImagesResponse(
        image_details=[_detail(call, repository, image) for image in shown], next_token=more
    )


@operation
async def list_images(call: Call, request: ListImagesRequest) -> ListImagesResponse:
    """An element for each tag, and one for each untagged image."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    tag_status = (request.filter.tag_status if request.filter else None) or "ANY"
    image_status = request.filter.image_status if request.filter else None
    listing = ("ListImages", repository.id, tag_status, image_status)
    after = position_in(call, listing, request.next_token, _ById)
    limit = request.max_results or DEFAULT_PAGE
    start = (after.digest, after.tag) if after else (b"", "")
    found = await find.id_page(call, repository, tag_status, _STATUSES[image_status], start, limit + 1)
    shown = found[:limit]
    more = None
    if len(found) > limit:
        more = next_token(call, listing, _ById(shown[-1].digest.packed, shown[-1].tag or ""))
    ids = [ImageIdentifier(image_digest=str(each.digest), image_tag=each.tag) for each in shown]
    return ListImagesResponse(image_ids=ids, next_token=more)


@operation
async def batch_delete_image(call: Call, request: BatchDeleteImageRequest) -> BatchDeleteImageResponse:
    """By tag: the tag, and with its last one the image. By digest: the image with all its tags.

    An index's child stays while the index does, so indexes go first: one call can delete both.
    """
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    asked = [(each.image_digest, each.image_tag) for each in request.image_ids]
    results = await deletes.remove_all(call, repository, asked)
    deleted: list[ImageIdentifier] = []
    failures: list[ImageFailure] = []
    for identifier, result in zip(request.image_ids, results, strict=True):
        if isinstance(result, Failure):
            failures.append(_failure(identifier, result.code, result.reason))
        else:
            deleted += [ImageIdentifier(image_digest=str(digest), image_tag=tag) for digest, tag in result]
    return BatchDeleteImageResponse(image_ids=deleted, failures=failures)


@operation
async def list_image_referrers(call: Call, request: ListImageReferrersRequest) -> ListImageReferrersResponse:
    """What refers to a digest, whether that is here or not."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    try:
        subject = Digest.parse(request.subject_id.image_digest)
    except InvalidDigest:
        raise InvalidParameter(
            at="subjectId.imageDigest", constraint="must be a sha256 or sha512 digest"
        ) from None
    artifact_types = (request.filter.artifact_types if request.filter else None) or []
    status = (request.filter.artifact_status if request.filter else None) or "ACTIVE"
    listing = ("ListImageReferrers", repository.id, str(subject), tuple(artifact_types), status)
    after = position_in(call, listing, request.next_token, _ByArrival)
    limit = request.max_results or REFERRERS_PAGE
    found = await referrers.page(
        call, repository, subject, artifact_types, after.cursor if after else 0, limit + 1
    )
    more = None
    if len(found) > limit:
        more = next_token(call, listing, _ByArrival(found[limit - 1].cursor))
    shown = [_referrer(each) for each in found[:limit] if each.status in _STATUSES[status]]
    return ListImageReferrersResponse(referrers=shown, next_token=more)


@operation
async def describe_image_signing_status(
    call: Call, request: DescribeImageSigningStatusRequest
) -> DescribeImageSigningStatusResponse:
    """One element for each profile that is to sign the image. Nothing signs yet, so none is further than that."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    (image,) = await _find_all(call, repository, [request.image_id])
    rules = await signing.rules_of(call.db, repository.registry) or ()
    profiles: list[str] = []
    if image.subject is None:  # signatures, and all else that refers to an image, are not signed
        profiles = signing.profiles_for(rules, repository.name, image.pushed)
    return DescribeImageSigningStatusResponse(
        repository_name=repository.name,
        image_id=ImageIdentifier(image_digest=str(image.digest), image_tag=request.image_id.image_tag),
        registry_id=repository.registry.account,
        signing_statuses=[
            ImageSigningStatus(signing_profile_arn=profile, status="IN_PROGRESS") for profile in profiles
        ],
    )


class _ByPush(msgspec.Struct, array_like=True):
    pushed: int
    digest: bytes


class _ById(msgspec.Struct, array_like=True):
    digest: bytes
    tag: str


class _ByArrival(msgspec.Struct, array_like=True):
    cursor: int


async def _find_all(call: Call, repository: Repository, asked: Sequence[ImageIdentifier]) -> list[Image]:
    """With their tags. Looked for again where a tag has moved, or an image has gone, between two reads."""
    while True:
        found: dict[int, Image] = {}
        tags: dict[int, set[str]] = {}
        for each in asked:  # at most 100
            image = await identify(call.db, repository, each.image_digest, each.image_tag)
            if isinstance(image, Failure):
                raise refusal(repository, each.image_digest, each.image_tag, image, "imageIds")
            found.setdefault(image.id, image)
            tags.setdefault(image.id, set()).update([each.image_tag] if each.image_tag is not None else [])
        named = await find.with_tags(call.db, list(found.values()))
        if len(named) == len(found) and all(tags[image.id].issubset(image.tags) for image in named):
            return named


async def _with_manifest(call: Call, repository: Repository, image: Image, tag: str | None) -> ImageShape:
    content = await find.manifest_of(call, repository, image)
    return ImageShape(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        image_id=ImageIdentifier(image_digest=str(image.digest), image_tag=tag),
        image_manifest=_text(content),
        image_manifest_media_type=image.media_type,
    )


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ManifestInvalid(reason="the manifest is not UTF-8; pull it through the registry API") from None


def _failure(asked: ImageIdentifier, code: ImageFailureCode, reason: str) -> ImageFailure:
    return ImageFailure(image_id=asked, failure_code=code, failure_reason=reason)


def _detail(call: Call, repository: Repository, image: Image) -> ImageDetail:
    return ImageDetail(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        image_digest=str(image.digest),
        image_tags=list(image.tags) or None,  # ECR omits it when there is none
        image_size_in_bytes=image.image_size,
        image_pushed_at=wire_seconds(image.pushed),
        image_manifest_media_type=image.media_type,
        artifact_media_type=image.artifact_type,
        last_recorded_pull_time=_seconds(call.services.pull_times.of(image.id, image.pulled)),
        subject_manifest_digest=str(image.subject) if image.subject else None,
        image_status=image.status,
        last_archived_at=_seconds(image.archived),
        last_activated_at=_seconds(image.activated),
    )


def _seconds(time: int | None) -> float | None:
    return None if time is None else wire_seconds(time)


def _referrer(found: Referrer) -> ImageReferrer:
    return ImageReferrer(
        digest=str(found.digest),
        media_type=found.media_type,
        artifact_type=found.artifact_type or None,
        size=found.size,
        annotations=found.annotations or None,
        artifact_status=found.status,
    )
