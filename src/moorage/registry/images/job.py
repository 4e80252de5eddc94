"""Background work on images: purge what was in deleted repositories."""

from __future__ import annotations

from moorage.access.call import Services
from moorage.registry.images.delete import erase
from moorage.registry.uploads import job as uploads_job

BATCH = 100  # images a transaction


async def purge(services: Services) -> int:
    """Empty deleted repositories, batch by batch, and remove their rows. Return how many are done."""
    done, repository = 0, 0
    while row := await services.db.one("repositories.next_purge", {"after": repository}):
        repository = row[0]
        done += await _purge_repository(services, repository)
    await uploads_job.remove_doomed_files(services)
    return done


async def _purge_repository(services: Services, repository: int) -> bool:
    """False if a body is still arriving there, whose file must not go from under it: the next turn does it."""
    if any(upload.busy for upload in services.uploads.of_repository(repository)):
        return False
    while await _purge_images(services, repository):
        pass
    while await uploads_job.purge_batch(services, repository):
        pass
    async with services.db.transaction() as tx:
        await tx.run("repositories.purge_done", {"id": repository})
        await tx.run("repositories.delete", {"id": repository})
    return True


async def _purge_images(services: Services, repository: int) -> bool:
    async with services.db.transaction() as tx:
        images = await tx.all("images.some_of", {"repository": repository, "limit": BATCH})
        for (image,) in images:  # a few statements for each, and a batch is short
            await erase(tx, image, services.clock())
    return bool(images)
