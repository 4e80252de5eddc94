"""Background work on images: purge what was in deleted repositories."""

from __future__ import annotations

from moorage.access.call import Services
from moorage.registry.account import exclusions
from moorage.registry.images.delete import erase
from moorage.registry.uploads import job as uploads_job

BATCH = 100  # images a transaction
WRITTEN_AT_ONCE = 1_000


async def purge(services: Services) -> int:
    """Empty deleted repositories, batch by batch, and remove their rows. Return how many are done."""
    done, repository = 0, 0
    while row := await services.db.one("repositories.next_purge", {"after": repository}):
        repository = row[0]
        done += await _purge_repository(services, repository)
    await uploads_job.remove_doomed_files(services)
    return done


async def note_pulls(services: Services) -> None:
    """Learn whose pulls do not count; write the times of the others, if that is due."""
    services.pull_times.excluded = await exclusions.of_all(services.db)
    if services.pull_times.is_due(services.clock()):
        await write_pulls(services)


async def write_pulls(services: Services) -> None:
    """What was noted since the last time: at most one write an hour for an image."""
    taken = services.pull_times.take(services.clock())
    rows = [{"image": image, "pulled": pulled} for image, pulled in sorted(taken.items())]
    try:
        for first in range(0, len(rows), WRITTEN_AT_ONCE):
            async with services.db.transaction() as tx:
                await tx.run("images.set_pulled", rows[first : first + WRITTEN_AT_ONCE])
    except BaseException:
        services.pull_times.back(taken)  # those that are written already change nothing
        raise
    services.pull_times.written(taken)


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
