"""What reaches an image by its digest reaches it under all of its tags: may the caller?

Asked before a transaction, which can wait for nothing; in it, only whether an image has got another tag since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moorage.access.authorize import asks_for_tag, authorize_tags
from moorage.access.call import Call
from moorage.base.digest import Digest
from moorage.registry.images import find
from moorage.registry.images.find import Image
from moorage.registry.images.identify import identify
from moorage.registry.repositories.repository import Repository


@dataclass(frozen=True, slots=True)
class TagRights:
    tags: Mapping[Digest, frozenset[str]] | None
    """Under which the caller may reach each image; None if no policy asks for tags."""

    def cover(self, image: Image, tags: Sequence[str]) -> bool:
        """False for a tag that was not asked about."""
        return self.tags is None or self.tags.get(image.digest, frozenset()).issuperset(tags)


async def ask(call: Call, action: str, repository: Repository, digests: Sequence[str]) -> TagRights:
    """Raise `AccessDenied`."""
    if not asks_for_tag(call, action, repository.arn):
        return TagRights(None)
    asked: dict[Digest, frozenset[str]] = {}
    for digest in digests:
        image = await identify(call.db, repository, digest, None)
        if isinstance(image, Image):
            tags = await find.tags_of(call.db, image)
            await authorize_tags(call, action, repository.arn, tags)
            asked[image.digest] = frozenset(tags)
    return TagRights(asked)
