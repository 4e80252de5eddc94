"""The ECR operations on layers: the upload that SDKs drive part by part, and the download URL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from moorage.access.call import Call
from moorage.access.downloads import download_url
from moorage.aws.operation import operation
from moorage.aws.shapes.ecr import (
    BatchCheckLayerAvailabilityRequest,
    BatchCheckLayerAvailabilityResponse,
    CompleteLayerUploadRequest,
    CompleteLayerUploadResponse,
    GetDownloadUrlForLayerRequest,
    GetDownloadUrlForLayerResponse,
    InitiateLayerUploadRequest,
    InitiateLayerUploadResponse,
    Layer,
    LayerFailure,
    UploadLayerPartRequest,
    UploadLayerPartResponse,
)
from moorage.base.digest import Digest
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.layers import (
    BlobUnknown,
    DigestMismatch,
    EmptyUpload,
    InvalidDigest,
    InvalidLayer,
    InvalidLayerPart,
    LayerAlreadyExists,
    LayerInaccessible,
    LayerNotFound,
    LayerPartTooSmall,
    RangeNotInOrder,
)
from moorage.base.errors.upstream import (
    UnableToGetUpstreamLayer,
    UpstreamAccessDenied,
    UpstreamImageUnknown,
    UpstreamTooManyRequests,
    UpstreamUnavailable,
)
from moorage.keys.receiving import OpenUpload
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import layers, session
from moorage.registry.uploads.layers import Layer as StoredLayer

PART_BYTES = 10 << 20  # what InitiateLayerUpload proposes, as Amazon's does


@operation
async def batch_check_layer_availability(
    call: Call, request: BatchCheckLayerAvailabilityRequest
) -> BatchCheckLayerAvailabilityResponse:
    """A digest that is not here is UNAVAILABLE, not a failure; what is no digest is one."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    asked: list[Digest] = []
    failures: list[LayerFailure] = []
    for text in request.layer_digests:
        try:
            asked.append(Digest.parse(text))
        except InvalidDigest:
            failures.append(_failure(text))
    sizes = await layers.sizes(call, repository, asked)
    archived = await layers.archived(call, repository, asked)
    return BatchCheckLayerAvailabilityResponse(
        layers=[_availability(digest, sizes.get(digest), digest in archived) for digest in asked],
        failures=failures,
    )


@operation
async def initiate_layer_upload(
    call: Call, request: InitiateLayerUploadRequest
) -> InitiateLayerUploadResponse:
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    upload = await session.begin(call, repository)
    return InitiateLayerUploadResponse(upload_id=upload.id, part_size=PART_BYTES)


@operation
async def upload_layer_part(call: Call, request: UploadLayerPartRequest) -> UploadLayerPartResponse:
    """Offsets are zero-based and inclusive; parts come in order."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    upload = session.find(call, repository, request.upload_id)
    part = request.layer_part_blob
    announced = request.part_last_byte - request.part_first_byte + 1
    if len(part) != announced:
        raise InvalidLayerPart(
            f"The layer part has {len(part)} bytes where its range has {announced}",
            **_standing(repository, upload),
        )
    if call.limits.aws_quotas and upload.parts >= call.limits.quotas.layer_parts:
        raise LimitExceeded(
            f"The upload with id '{upload.id}' in the repository with name '{repository.name}' in registry with id "
            f"'{repository.registry.account}' already has the maximum allowed number of layer parts which is "
            f"'{call.limits.quotas.layer_parts}'",
            quota="layer-parts",
        )
    try:
        received = await session.append(call, upload, _one_batch(part), first=request.part_first_byte)
    except RangeNotInOrder:
        raise _out_of_order(repository, upload, request.part_first_byte) from None
    session.note_part(upload, len(part), call.limits.layer_part_min_bytes)
    return UploadLayerPartResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        upload_id=upload.id,
        last_byte_received=received - 1,
    )


@operation
async def complete_layer_upload(
    call: Call, request: CompleteLayerUploadRequest
) -> CompleteLayerUploadResponse:
    """Every digest given must be the layer's. A layer that the repository has already ends the session all the same."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    upload = session.find(call, repository, request.upload_id)
    facts = {"upload_id": upload.id, "name": repository.name, "registry_id": repository.registry.account}
    if not upload.parts:
        raise EmptyUpload(**facts)
    if upload.has_short_part:
        raise LayerPartTooSmall()
    digests = [Digest.parse(text) for text in request.layer_digests]
    is_known = bool(await layers.sizes(call, repository, digests))
    if is_known and await layers.archived(call, repository, digests):
        is_known = False  # the image that is being pushed brings it back
    try:
        digest = await session.finish(call, repository, upload, digests)
    except DigestMismatch:
        raise InvalidLayer() from None
    if is_known:
        raise LayerAlreadyExists(digest=digest, name=repository.name, registry_id=repository.registry.account)
    return CompleteLayerUploadResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        upload_id=upload.id,
        layer_digest=str(digest),
    )


@operation
async def get_download_url_for_layer(
    call: Call, request: GetDownloadUrlForLayerRequest
) -> GetDownloadUrlForLayerResponse:
    """Only a layer that an image refers to can be downloaded."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    of_registry = replace(call, account=repository.registry.account)
    facts = {
        "digest": request.layer_digest,
        "name": repository.name,
        "registry_id": repository.registry.account,
    }
    try:
        digest = Digest.parse(request.layer_digest)
        layer = await _find_or_bring(of_registry, repository, digest)
    except (BlobUnknown, InvalidDigest):
        raise LayerNotFound(**facts) from None
    if layer is not None and layer.is_candidate:
        raise LayerInaccessible(**facts)
    return GetDownloadUrlForLayerResponse(
        download_url=download_url(of_registry, repository.name, digest), layer_digest=str(digest)
    )


async def _find_or_bring(call: Call, repository: Repository, digest: Digest) -> StoredLayer | None:
    """None for one that an upstream registry sends just now."""
    try:
        return await layers.find(call, repository, digest)
    except BlobUnknown:
        try:
            arriving = await call.services.upstreams.layer(call, repository.name, digest)
        except (UpstreamAccessDenied, UpstreamTooManyRequests, UpstreamUnavailable) as error:
            raise UnableToGetUpstreamLayer(reason=error) from None
        except UpstreamImageUnknown:
            raise BlobUnknown(digest=digest, name=repository.name) from None
        return None if arriving is not None else await layers.find(call, repository, digest)


def _availability(digest: Digest, size: int | None, is_archived: bool) -> Layer:
    if size is None:
        return Layer(layer_digest=str(digest), layer_availability="UNAVAILABLE")
    return Layer(
        layer_digest=str(digest),
        layer_availability="ARCHIVED" if is_archived else "AVAILABLE",
        layer_size=size,
    )


def _failure(text: str) -> LayerFailure:
    if not text.strip():
        reason = "The layer digest is missing"
        return LayerFailure(layer_digest=text, failure_code="MissingLayerDigest", failure_reason=reason)
    reason = "The layer digest must be sha256 or sha512 with lower-case hexadecimal digits"
    return LayerFailure(layer_digest=text, failure_code="InvalidLayerDigest", failure_reason=reason)


def _out_of_order(repository: Repository, upload: OpenUpload, first: int) -> InvalidLayerPart:
    return InvalidLayerPart(first=first, expected=upload.writer.received, **_standing(repository, upload))


def _standing(repository: Repository, upload: OpenUpload) -> dict[str, object]:
    """Members of the error's body: where the client goes on."""
    return {
        "registryId": repository.registry.account,
        "repositoryName": repository.name,
        "uploadId": upload.id,
        "lastValidByteReceived": upload.writer.received - 1,
    }


async def _one_batch(part: bytes) -> AsyncIterator[memoryview]:
    yield memoryview(part)
