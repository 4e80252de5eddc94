"""Any interleaving of pushes, deletions, mounts and the collector, against a simple model.

What a live manifest refers to can be pulled and hashes right, at every moment; at the end no blob file is there that
nothing refers to. Several tasks run at once over the real engine; a seed decides who does what, and how time passes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from moorage.base.clock import HOUR
from moorage.base.digest import Digest
from moorage.base.errors.images import LayersNotFound
from moorage.base.errors.layers import BlobUnknown, LayerReferenced
from moorage.base.errors.repositories import RepositoryAlreadyExists, RepositoryNotFound
from moorage.registry.images import delete, find
from moorage.registry.images import job as images_job
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import job as uploads_job
from moorage.registry.uploads import layers, session

from ..unit.registry.registry import MemoryRegistry, image_of, memory_registry, once

NAMES = ("one", "two", "three")
CONTENTS = [b"content %d " % number * (1 + 40_000 * (number == 0)) for number in range(16)]
TAGS = ("a", "b", "c")
GRACE = 24 * HOUR
REFUSALS = (BlobUnknown, LayerReferenced, LayersNotFound, RepositoryAlreadyExists, RepositoryNotFound)
TASKS = 4
ACTIONS = 60


@pytest.mark.parametrize("seed", range(25))
def test_no_interleaving_loses_what_a_manifest_refers_to(seed: int) -> None:
    async def over() -> None:
        async with memory_registry() as registry:
            world = World(registry, random.Random(seed))
            async with asyncio.TaskGroup() as tasks:
                for _ in range(TASKS):
                    tasks.create_task(world.act_for_a_while())
            await world.check_all()
            await world.end()

    asyncio.run(over())


@dataclass
class World:
    registry: MemoryRegistry
    source: random.Random
    images: dict[tuple[int, str], list[bytes]] = field(default_factory=dict)
    """(Repository id, image digest) to its contents: those acknowledged, and not since asked to be deleted."""
    repositories: dict[str, Repository] = field(default_factory=dict)
    pushed: dict[str, list[bytes]] = field(default_factory=dict)
    """Every image there ever was: its digest to its contents."""
    doomed: set[tuple[int, str]] = field(default_factory=set)
    """Being deleted: a push of the same digest at this moment may be before that or after."""

    async def act_for_a_while(self) -> None:
        weighted: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.push, 8),
            (self.push_old_layers, 6),
            (self.upload_only, 3),
            (self.abandon_upload, 1),
            (self.mount, 3),
            (self.ask, 3),
            (self.delete_image, 4),
            (self.delete_tag, 2),
            (self.delete_blob, 3),
            (self.delete_repository, 1),
            (self.collect, 5),
            (self.turn_clock, 5),
            (self.check_one, 4),
        ]
        actions, weights = zip(*weighted, strict=True)
        for _ in range(ACTIONS):
            [action] = self.source.choices(actions, weights)
            # The repository or a layer went away meanwhile: a clear answer, and the client's turn.
            with suppress(*REFUSALS):
                await action()
            await asyncio.sleep(0)

    # What clients do

    async def push(self) -> None:
        repository, contents = await self._repository(), self._contents()
        for content in contents:
            await self.registry.push_layer(repository, content)
            if self.source.random() < 0.3:
                await self.turn_clock()
        await self._put(repository, contents)

    async def push_old_layers(self) -> None:
        """As a client that asks first and uploads only what is missing."""
        repository, contents = await self._repository(), self._contents()
        present = await layers.sizes(self.registry.call, repository, [Digest.of(each) for each in contents])
        for content in contents:
            if Digest.of(content) not in present:
                await self.registry.push_layer(repository, content)
        # The answer was good for the time of a push: within the grace nothing that was there may go missing.
        self.registry.pass_time(self.source.randrange(GRACE // 100))
        await self._put(repository, contents)

    async def upload_only(self) -> None:
        await self.registry.push_layer(await self._repository(), self.source.choice(CONTENTS))

    async def abandon_upload(self) -> None:
        upload = await session.begin(self.registry.call, await self._repository())
        await session.append(self.registry.call, upload, once(CONTENTS[0]))

    async def mount(self) -> None:
        repository, digest = await self._repository(), Digest.of(self.source.choice(CONTENTS))
        for holder in await layers.holders(self.registry.call, repository, digest, None):
            if await layers.mount(self.registry.call, repository, digest, holder):
                return

    async def ask(self) -> None:
        await layers.find(
            self.registry.call, await self._repository(), Digest.of(self.source.choice(CONTENTS))
        )

    async def delete_image(self) -> None:
        if self.images:
            key = self.source.choice(list(self.images))
            found = self._alive(key[0])
            self.images.pop(key)
            if found is not None:
                self.doomed.add(key)
                await delete.remove_image(self.registry.call, found, Digest(key[1]))
                self.doomed.discard(key)

    async def delete_tag(self) -> None:
        await delete.remove_tag(self.registry.call, await self._repository(), self.source.choice(TAGS))

    async def delete_blob(self) -> None:
        await layers.remove(
            self.registry.call, await self._repository(), Digest.of(self.source.choice(CONTENTS))
        )

    async def delete_repository(self) -> None:
        if self.repositories:
            repository = self.repositories.pop(self.source.choice(list(self.repositories)))
            self.images = {key: contents for key, contents in self.images.items() if key[0] != repository.id}
            await repositories.delete(self.registry.call, repository.name, None, force=True)

    # What goes on beside them

    async def collect(self) -> None:
        jobs = [
            uploads_job.collect,
            images_job.purge,
            uploads_job.expire_sessions,
            uploads_job.remove_doomed_files,
        ]
        await self.source.choice(jobs)(self.registry.services)

    async def turn_clock(self) -> None:
        self.registry.pass_time(self.source.choice([HOUR, GRACE // 2, GRACE + 1]))

    # What must hold

    async def check_one(self) -> None:
        if self.images:
            await self._check(*self.source.choice(list(self.images)))

    async def check_all(self) -> None:
        for key in self.images:
            await self._check(*key)

    async def end(self) -> None:
        """Few images are left, and everything is past its grace: what is there is what they name, stored once."""
        for repository, digest in self.source.sample(list(self.images), max(0, len(self.images) - 2)):
            found = self._alive(repository)
            assert found is not None
            await delete.remove_image(self.registry.call, found, Digest(digest))
            self.images.pop((repository, digest))
        self.registry.pass_time(2 * GRACE)
        for job in (uploads_job.expire_sessions, images_job.purge, uploads_job.collect):
            await job(self.registry.services)
        await self.check_all()
        read = self.registry.db._reader.execute
        live = [
            self.pushed[str(Digest.unpack(packed))]
            for (packed,) in read("SELECT digest FROM images").fetchall()
        ]
        blobs = read("SELECT id, digest FROM blobs").fetchall()
        assert {packed for _, packed in blobs} == {
            Digest.of(each).packed for contents in live for each in contents
        }
        assert set(self.registry.files.committed) == {blob for blob, _ in blobs}
        assert not self.registry.files.partial
        assert [
            self.registry.count(table) for table in ("candidates", "doomed_files", "uploads", "purges")
        ] == [0] * 4

    async def _check(self, repository: int, digest: str) -> None:
        """Unless it is deleted while we look."""
        found = self._alive(repository)
        contents = self.images.get((repository, digest))
        if found is None or contents is None:
            return
        image = await find.by_digest(self.registry.db, found, Digest(digest))
        assert image is not None
        assert await find.manifest_of(self.registry.call, found, image) == image_of(contents)
        for content in contents:
            assert await self.registry.pull_layer(found, Digest.of(content)) == content

    async def _put(self, repository: Repository, contents: list[bytes]) -> None:
        digest = str(
            await self.registry.push_manifest(repository, image_of(contents), self.source.choice(TAGS))
        )
        self.pushed[digest] = contents
        key = (repository.id, digest)
        if key not in self.doomed and self._alive(repository.id):
            image = await find.by_digest(self.registry.db, repository, Digest(digest))
            if image is not None:  # else it was deleted between the commit and its answer
                self.images[key] = contents

    def _alive(self, repository: int) -> Repository | None:
        return next((each for each in self.repositories.values() if each.id == repository), None)

    async def _repository(self) -> Repository:
        name = self.source.choice(NAMES)
        if name not in self.repositories:
            created = await self.registry.repository(name)
            self.repositories[name] = created
        return self.repositories[name]

    def _contents(self) -> list[bytes]:
        return self.source.sample(CONTENTS, self.source.randrange(1, 5))
