"""Tell what happens to images, inside the transaction in which it does."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.access.call import Services
from moorage.base.digest import Digest
from moorage.registry.account.replicas import replicate_push
from moorage.registry.events import shapes
from moorage.registry.events.outbox import emit
from moorage.registry.events.shapes import ImageFacts, StorageClass
from moorage.registry.images import find
from moorage.registry.images.find import Image
from moorage.registry.images.manifest import Manifest
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Transaction


async def pushed(
    services: Services,
    tx: Transaction,
    repository: Repository,
    digest: Digest,
    manifest: Manifest,
    tags: Sequence[str],
) -> None:
    """One event for each tag; one for a push without."""
    facts = ImageFacts(str(digest), manifest.media_type, manifest.artifact_type)
    named = tags or (None,)
    await emit(
        services,
        tx,
        *(shapes.image_pushed(repository.registry, repository.name, facts, tag) for tag in named),
    )


async def became_whole(services: Services, tx: Transaction, repository: Repository, digest: Digest) -> None:
    """All layers of an image of the cache are here: what follows a push follows now. Its coming was told already."""
    image = await find.by_digest(tx, repository, digest)
    if image is not None and image.status in find.ACTIVE:
        await replicate_push(services, tx, repository, digest, await find.tags_of(tx, image))


async def deleted(
    services: Services,
    tx: Transaction,
    repository: Repository,
    image: Image,
    tags: Sequence[str],
) -> None:
    """One event for each tag that goes; one for an image that had none."""
    named = tags or (None,)
    await emit(
        services,
        tx,
        *(shapes.image_deleted(repository.registry, repository.name, facts_of(image), tag) for tag in named),
    )


async def storage_class_updated(
    services: Services,
    tx: Transaction,
    repository: Repository,
    image: Image,
    target: StorageClass,
    activated: int | None = None,
) -> None:
    """It was archived, or restored at `activated`."""
    await emit(
        services,
        tx,
        shapes.storage_class_updated(
            repository.registry, repository.name, facts_of(image), target, activated
        ),
    )


def facts_of(image: Image) -> ImageFacts:
    return ImageFacts(
        str(image.digest), image.media_type, image.artifact_type, is_referrer=image.subject is not None
    )
