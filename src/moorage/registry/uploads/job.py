"""Background work on layers: collect what nothing refers to, drop idle sessions, clear up after a crash.

Every step's work is proportional to the garbage, and every one can be killed and run again.
"""

from __future__ import annotations

from dataclasses import dataclass

from moorage.access.call import Services
from moorage.registry.uploads import layers, session
from moorage.store.db.api import Values

BATCH = 200  # links a transaction, so that pushes get their turn in between


@dataclass(frozen=True, slots=True)
class Collected:
    links: int
    files: int


async def collect(services: Services) -> Collected:
    """Remove due links, the blobs that lose their last one, and then the files."""
    links = 0
    while removed := await _collect_batch(services):
        links += removed
    return Collected(links, await remove_doomed_files(services))


async def _collect_batch(services: Services) -> int:
    """Return the candidates taken; those that an image refers to after all are only forgotten."""
    taken: dict[int, list[bytes]] = {}
    blobs: list[bytes] = []
    async with services.db.transaction() as tx:
        for repository, digest in await tx.all(
            "uploads.due_candidates", {"now": services.clock(), "limit": BATCH}
        ):
            taken.setdefault(repository, []).append(digest)
        # By repository: `(repository, digest) IN (SELECT …)` makes SQLite look at every link of each repository.
        for repository, digests in taken.items():
            links: Values = {"repository": repository, "digests": digests}
            blobs += [blob for (blob,) in await tx.all("uploads.collect_links", links)]
            await tx.run("uploads.forget_candidates", links)
        await layers.doom_unlinked(tx, list(dict.fromkeys(blobs)))
    return sum(map(len, taken.values()))


async def remove_doomed_files(services: Services) -> int:
    """Remove the files of blobs whose row is gone. A crash between the two leaves the file doomed, not lost."""
    removed = 0
    while rows := await services.db.all("uploads.doomed_files", {"limit": BATCH}):
        blobs = [blob for (blob,) in rows]
        await services.work(_delete_files, services, blobs)
        async with services.db.transaction() as tx:
            await tx.run("uploads.file_gone", [{"blob": blob} for blob in blobs])
        removed += len(blobs)
    return removed


async def expire_sessions(services: Services) -> int:
    """Drop the sessions that nobody has used for long, and those that could not be dropped before."""
    dropped = 0
    for upload in services.uploads.expired(services.clock()):
        if not upload.busy:  # a request may have taken it up while the one before was dropped
            await session.drop(services, upload)
            dropped += 1
    await remove_doomed_files(services)
    return dropped


async def clear_left_behind(services: Services) -> int:
    """End the sessions of processes that are gone, and remove their files: partial, or committed without a row."""
    cleared = 0
    while rows := await services.db.all("uploads.left_behind", {"process": services.process, "limit": BATCH}):
        async with services.db.transaction() as tx:
            await tx.run("uploads.doom_file", [{"blob": blob} for _, blob in rows])
            await tx.run("uploads.end", [{"id": id_} for id_, _ in rows])
        cleared += len(rows)
    await remove_doomed_files(services)
    return cleared


async def purge_batch(services: Services, repository: int) -> bool:
    """Remove some of a deleted repository's links, its candidates and sessions. False when there was nothing left."""
    for upload in services.uploads.of_repository(repository):
        await session.drop(services, upload)
    async with services.db.transaction() as tx:
        links = await tx.all("uploads.purge_links", {"repository": repository, "limit": BATCH})
        sessions = await tx.all("uploads.purge_uploads", {"repository": repository})
        await tx.run("uploads.purge_candidates", {"repository": repository})
        await tx.run("uploads.doom_file", [{"blob": blob} for (blob,) in sessions])
        await layers.doom_unlinked(tx, list(dict.fromkeys(blob for (blob,) in links)))
    return bool(links or sessions)


def _delete_files(services: Services, blobs: list[bytes]) -> None:
    for blob in blobs:
        services.blobs.delete(blob)
