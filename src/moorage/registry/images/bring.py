"""What BatchGetImage asks for comes from upstream registries where rules say so, as a pull's on `/v2/` does."""

from __future__ import annotations

from dataclasses import replace

from moorage.access.call import Call
from moorage.aws.shapes.ecr import BatchGetImageRequest, ImageFailureCode, ImageIdentifier
from moorage.base.errors.error import MoorageError
from moorage.base.errors.images import ManifestUnknown
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.base.errors.upstream import (
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
    repository = await _find(of_registry, request.repository_name)
    for number, asked in enumerate(request.image_ids):
        try:
            if await _bring_one(of_registry, repository, request.repository_name, asked):
                repository = await _find(of_registry, request.repository_name)
        except (UpstreamImageUnknown, ManifestUnknown) as error:
            failed[number] = ("ImageNotFound", str(error))
        except (UpstreamAccessDenied, UpstreamTooManyRequests, UpstreamUnavailable) as error:
            failed[number] = (_CODES[type(error)], str(error))
    reasons = [reason for code, reason in failed.values() if code != "ImageNotFound"]
    if repository is None and reasons:
        raise UnableToGetUpstreamImage(reason=reasons[0])
    if repository is None:
        raise RepositoryNotFound(name=request.repository_name, registry_id=of_registry.account)
    return repository, failed


async def _find(call: Call, name: str) -> Repository | None:
    try:
        return await repositories.find(call, name)
    except RepositoryNotFound:
        return None


async def _bring_one(call: Call, repository: Repository | None, name: str, asked: ImageIdentifier) -> bool:
    """What is here is left as it is, but for a tag of the cache that is due. Return whether something was brought."""
    reference = asked.image_digest or asked.image_tag
    if reference is None:
        return False
    if repository is None:
        return await call.services.upstreams.image(call, name, reference)
    if asked.image_tag is not None:
        await call.services.upstreams.freshen(call, repository.id, name, asked.image_tag)
    found = await identify(call.db, repository, asked.image_digest, asked.image_tag)
    if isinstance(found, Failure) and found.code == "ImageNotFound":
        return await call.services.upstreams.image(call, name, reference)
    return False
