"""Events are as durable as what they tell of, and go to all who want them, in order."""

from __future__ import annotations

import pytest

from moorage.access.call import Services
from moorage.base.errors.images import ImageTagAlreadyExists
from moorage.registry.events import outbox
from moorage.registry.events.outbox import Dispatcher, Written
from moorage.registry.images import delete
from moorage.registry.images.push import push_image
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.mutability import Mutability
from moorage.store.db.api import Transaction

from ..memory import in_memory
from ..registry import MANIFEST_TYPE, MemoryRegistry, image_of

Told = list[tuple[str, str | None]]


class Heard:
    """A subscriber that notes what it hears; `keeps` is what it answers."""

    def __init__(self, *, keeps: bool = False) -> None:
        self.written: list[Written] = []
        self._keeps = keeps

    async def __call__(self, services: Services, tx: Transaction, written: Written) -> bool:
        self.written.append(written)
        return self._keeps

    @property
    def told(self) -> Told:
        details = [each.event.detail for each in self.written]
        return [(each.get("action-type", each.get("eventName")), each.get("image-tag")) for each in details]


async def heard(registry: MemoryRegistry) -> Told:
    """What has been told since the last time."""
    subscriber = Heard()
    await Dispatcher(registry.services, [subscriber]).dispatch()
    return subscriber.told


@in_memory
async def test_each_tag_of_a_push_is_told_and_a_push_without_tags_once(registry: MemoryRegistry) -> None:
    repository = await registry.repository("team/app")
    content = image_of([b"{}"])
    await registry.push_layer(repository, b"{}")
    await push_image(registry.call, repository, content, MANIFEST_TYPE, ["1", "latest"])
    await push_image(registry.call, repository, content, MANIFEST_TYPE, [])

    assert await heard(registry) == [("PUSH", "1"), ("PUSH", "latest"), ("PUSH", None)]


@in_memory
async def test_what_is_refused_is_not_told(registry: MemoryRegistry) -> None:
    repository = await repositories.create(registry.call, "team/app", Mutability("IMMUTABLE", ()))
    await registry.push(repository, [b"{}"], "1")
    await registry.push_layer(repository, b"{ }")
    await heard(registry)

    with pytest.raises(ImageTagAlreadyExists):
        await registry.push_manifest(repository, image_of([b"{ }"]), "1")

    assert await heard(registry) == []


@in_memory
async def test_each_tag_that_is_deleted_is_told(registry: MemoryRegistry) -> None:
    repository = await registry.repository("team/app")
    digest = await registry.push(repository, [b"{}"], "1")
    await registry.push_manifest(repository, image_of([b"{}"]), "2")
    await registry.push_manifest(repository, image_of([b"{}"]), "3")
    await heard(registry)

    assert await delete.remove_tag(registry.call, repository, "1")
    assert not await delete.remove_tag(registry.call, repository, "1")
    assert await heard(registry) == [("DELETE", "1")]

    await delete.remove_all(registry.call, repository, [(None, "2"), (None, "none")])
    assert await heard(registry) == [("DELETE", "2")]

    assert await delete.remove_image(registry.call, repository, digest)
    assert not await delete.remove_image(registry.call, repository, digest)
    assert await heard(registry) == [("DELETE", "3")]


@in_memory
async def test_an_image_without_tags_is_told_once(registry: MemoryRegistry) -> None:
    repository = await registry.repository("team/app")
    digest = await registry.push(repository, [b"{}"], "1")
    await delete.remove_tag(registry.call, repository, "1")
    await heard(registry)

    await delete.remove_all(registry.call, repository, [(str(digest), None)])

    assert await heard(registry) == [("DELETE", None)]


@in_memory
async def test_a_repository_that_is_deleted_is_told_as_the_call_that_did_it(registry: MemoryRegistry) -> None:
    repository = await registry.repository("team/app")
    await repositories.delete(registry.call, repository.name, None, force=True)

    assert await heard(registry) == [("DeleteRepository", None)]


@in_memory
async def test_order_and_ids_are_those_of_what_happened(registry: MemoryRegistry) -> None:
    repository = await registry.repository("team/app")
    await registry.push(repository, [b"{}"], "1")
    for number in range(2, 6):
        await registry.push_manifest(repository, image_of([b"{}"]), str(number))
    subscriber = Heard()

    await Dispatcher(registry.services, [subscriber]).dispatch()

    assert [tag for _, tag in subscriber.told] == ["1", "2", "3", "4", "5"]
    assert len({written.id for written in subscriber.written}) == 5


@in_memory
async def test_without_anybody_who_wants_them_rows_go_at_once(registry: MemoryRegistry) -> None:
    repository = await registry.repository("team/app")
    await registry.push(repository, [b"{}"])
    assert registry.count("outbox") == 1

    assert await Dispatcher(registry.services, []).dispatch() == 1

    assert registry.count("outbox") == 0


@in_memory
async def test_what_somebody_refers_to_stays_and_is_not_told_again(registry: MemoryRegistry) -> None:
    repository = await registry.repository("team/app")
    await registry.push(repository, [b"{}"])
    keeper, other = Heard(keeps=True), Heard()
    dispatcher = Dispatcher(registry.services, [keeper, other])

    assert await dispatcher.dispatch() == 1
    assert await dispatcher.dispatch() == 0

    assert len(keeper.written) == len(other.written) == 1
    assert (registry.count("outbox"), registry.count("events")) == (0, 1)


@in_memory
async def test_what_fails_while_it_is_dispatched_is_dispatched_again_with_the_same_id(
    registry: MemoryRegistry,
) -> None:
    repository = await registry.repository("team/app")
    await registry.push(repository, [b"{}"])
    seen = Heard()

    async def fails(services: Services, tx: Transaction, written: Written) -> bool:
        raise LookupError

    with pytest.raises(LookupError):
        await Dispatcher(registry.services, [seen, fails]).dispatch()
    await Dispatcher(registry.services, [seen]).dispatch()

    assert len(seen.written) == 2
    assert seen.written[0].id == seen.written[1].id


@in_memory
async def test_many_events_are_dispatched_in_batches(
    registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    repository = await registry.repository("team/app")
    await registry.push(repository, [b"{}"], "1")
    for number in range(2, 6):
        await registry.push_manifest(repository, image_of([b"{}"]), str(number))
    subscriber = Heard()

    assert await Dispatcher(registry.services, [subscriber]).dispatch() == 5

    assert [tag for _, tag in subscriber.told] == ["1", "2", "3", "4", "5"]
