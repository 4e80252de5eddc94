"""What BatchGetImage asks for comes from upstream registries where rules say so, as a pull's on `/v2/` does."""

from __future__ import annotations

from dataclasses import replace

from moorage.access.call import Call
from moorage.aws.shapes.ecr import BatchGetImageRequest, ImageFailureCode, ImageIdentifier
from moorage.base.errors import (
    ManifestUnknown,
    MoorageError,
    RepositoryNotFound,
    UnableToGetUpstreamImage,
    UpstreamAccessDenied,
    UpstreamImageUnknown,
    UpstreamTooManyRequests,
    UpstreamUnavailable,
)
from moorage.registry.images.identify import Failure, identify
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository

Failed = dict[int, tuple[ImageFailureCode, str]]
"""By the place in the request."""

_CODES: dict[type[MoorageError], ImageFailureCode] = {
    UpstreamAccessDenied:    "UpstreamAccessDenied",
    UpstreamTooManyRequests: "UpstreamTooManyRequests",
    UpstreamUnavailable:     "UpstreamUnavailable",
}  # fmt: skip


async def bring(call: Call, request: BatchGetImageRequest) -> tuple[Repository, Failed]:
    """The repository, which may be made by it, and the images that could not be brought.

    Raise `RepositoryNotFound`, or `UnableToGetUpstreamImage` where nothing was brought into one that is not there.
    """
    of_registry = replace(call, account=request.registry_id or call.account)
    failed: Failed = {}
    for number, asked in enumerate(request.image_ids):
        try:
            await _bring_one(of_registry, request.repository_name, asked)
        except (UpstreamImageUnknown, ManifestUnknown) as error:
            failed[number] = ("ImageNotFound", str(error))
        except (UpstreamAccessDenied, UpstreamTooManyRequests, UpstreamUnavailable) as error:
            failed[number] = (_CODES[type(error)], str(error))
    try:
        repository = await repositories.find(of_registry, request.repository_name)
    except RepositoryNotFound:
        reasons = [reason for code, reason in failed.values() if code != "ImageNotFound"]
        if reasons:
            raise UnableToGetUpstreamImage(reason=reasons[0]) from None
        raise
    return repository, failed


async def _bring_one(call: Call, name: str, asked: ImageIdentifier) -> None:
    """What is here is left as it is, but for a tag of the cache that is due."""
    reference = asked.image_digest or asked.image_tag
    if reference is None:
        return
    try:
        repository = await repositories.find(call, name)
    except RepositoryNotFound:
        await call.services.upstreams.image(call, name, reference)
        return
    if asked.image_tag is not None:
        await call.services.upstreams.freshen(call, repository.id, name, asked.image_tag)
    found = await identify(call.db, repository, asked.image_digest, asked.image_tag)
    if isinstance(found, Failure) and found.code == "ImageNotFound":
        await call.services.upstreams.image(call, name, reference)
