"""Which image an API caller means: a digest, a tag, or both, which must agree (ECR API: ImageIdentifier)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from moorage.base.digest import Digest
from moorage.base.errors.error import MoorageError
from moorage.base.errors.images import ImageNotFound
from moorage.base.errors.layers import InvalidDigest
from moorage.base.errors.requests import InvalidParameter
from moorage.base.names import is_tag
from moorage.registry.images import find
from moorage.registry.images.find import Image
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads

Code = Literal[
    "ImageNotFound",
    "ImageReferencedByManifestList",
    "ImageTagDoesNotMatchDigest",
    "InvalidImageDigest",
    "InvalidImageTag",
    "MissingDigestAndTag",
]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one of several images could not be had; the others are not affected."""

    code: Code
    reason: str


NOT_FOUND = Failure("ImageNotFound", "Requested image not found")
_MISSING = Failure("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null")
_BAD_DIGEST = Failure(
    "InvalidImageDigest",
    "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
)
_BAD_TAG = Failure(
    "InvalidImageTag",
    "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'",
)
_MISMATCH = Failure(
    "ImageTagDoesNotMatchDigest", "The image tag does not point at the image digest given with it"
)


async def identify(
    reads: Reads, repository: Repository, digest: str | None, tag: str | None
) -> Image | Failure:
    """The image, whatever its status."""
    if digest is None and tag is None:
        return _MISSING
    wanted = None
    if digest is not None:
        try:
            wanted = Digest.parse(digest)
        except InvalidDigest:
            return _BAD_DIGEST
    if tag is None:
        assert wanted is not None  # one of the two is given
        return await find.by_digest(reads, repository, wanted) or NOT_FOUND
    if not is_tag(tag):
        return _BAD_TAG
    image = await find.by_tag(reads, repository, tag)
    if image is None:
        return NOT_FOUND
    return _MISMATCH if wanted is not None and image.digest != wanted else image


def refusal(
    repository: Repository, digest: str | None, tag: str | None, failure: Failure, at: str
) -> MoorageError:
    """The same for operations on single images, which know no partial failure; `at` names the member."""
    if failure.code in ("ImageNotFound", "ImageTagDoesNotMatchDigest"):
        return ImageNotFound(
            digest=digest or "null",
            tag=tag or "null",
            name=repository.name,
            registry_id=repository.registry.account,
        )
    return InvalidParameter(at=at, constraint=failure.reason)
