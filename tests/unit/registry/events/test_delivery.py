"""At least once, in order for each repository, and nobody waits for another's target."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from moorage.access.call import Services
from moorage.base.clock import HOUR, MINUTE, SECOND
from moorage.registry.events import delivery as deliveries
from moorage.registry.events.delivery import KIND, Delivery
from moorage.registry.events.outbox import Dispatcher, Written
from moorage.registry.events.targets import Target
from moorage.registry.repositories import repository as repositories
from moorage.remote.errors import RemoteFailed
from moorage.server.jobs import Handler, JobRunner

from ..memory import in_memory
from ..registry import MemoryRegistry, image_of


@dataclass
class Receiver:
    """A target. `refuses` are repositories whose events it does not take; `takes` is how many at once."""

    refuses: set[str] = field(default_factory=set)
    takes: int = 1_000
    hangs: asyncio.Event | None = None
    received: list[Written] = field(default_factory=list)
    attempts: int = 0

    async def deliver(self, services: Services, events: Sequence[Written]) -> int:
        self.attempts += 1
        if self.hangs is not None:
            await self.hangs.wait()
        if events[0].event.repository in self.refuses:
            raise RemoteFailed("the target answers 503")
        taken = events[: self.takes]
        self.received += taken
        return len(taken)

    async def close(self) -> None:
        pass

    def tags(self, repository: str = "team/app") -> list[str]:
        return [
            each.event.detail["image-tag"] for each in self.received if each.event.repository == repository
        ]


def made(**receivers: Receiver) -> Delivery:
    return Delivery([Target(name, "stdout") for name in receivers], receivers)


async def push(registry: MemoryRegistry, name: str, *tags: str) -> None:
    repository = await registry.repository(name)
    await registry.push_layer(repository, b"{}")
    for tag in tags:
        await registry.push_manifest(repository, image_of([b"{}"]), tag)


async def hand_on(registry: MemoryRegistry, delivery: Delivery) -> None:
    await Dispatcher(registry.services, [delivery.take]).dispatch()


async def deliver(registry: MemoryRegistry, delivery: Delivery) -> None:
    """What is due now."""
    await hand_on(registry, delivery)
    await JobRunner(registry.services, {KIND: Handler(delivery.run, at_once=8)}).run_due()


@in_memory
async def test_each_target_gets_each_event_once_and_in_order(registry: MemoryRegistry) -> None:
    one, two = Receiver(), Receiver(takes=2)
    await push(registry, "team/app", "1", "2", "3", "4", "5")

    await deliver(registry, made(one=one, two=two))

    assert one.tags() == two.tags() == ["1", "2", "3", "4", "5"]
    assert [each.id for each in one.received] == [each.id for each in two.received]
    assert [
        registry.count(table) for table in ("outbox", "events", "deliveries", "delivery_lanes", "jobs")
    ] == [0] * 5


@in_memory
async def test_an_event_stays_until_the_last_target_has_it(registry: MemoryRegistry) -> None:
    good, bad = Receiver(), Receiver(refuses={"team/app"})
    delivery = made(good=good, bad=bad)
    await push(registry, "team/app", "1")

    await deliver(registry, delivery)
    assert (registry.count("events"), registry.count("deliveries")) == (1, 1)

    bad.refuses.clear()
    registry.pass_time(SECOND)
    await deliver(registry, delivery)

    assert good.tags() == bad.tags() == ["1"]
    assert good.received[0].id == bad.received[0].id
    assert registry.count("events") == 0


@in_memory
async def test_a_repository_that_fails_keeps_its_order_and_holds_up_no_other(
    registry: MemoryRegistry,
) -> None:
    receiver = Receiver(refuses={"team/app"})
    delivery = made(hook=receiver)
    await push(registry, "team/app", "1", "2")
    await push(registry, "team/other", "9")

    await deliver(registry, delivery)
    assert (receiver.tags(), receiver.tags("team/other")) == ([], ["9"])

    receiver.refuses.clear()
    repository = await repositories.find(registry.call, "team/app")
    await registry.push_manifest(repository, image_of([b"{}"]), "3")
    registry.pass_time(SECOND)
    await deliver(registry, delivery)

    assert receiver.tags() == ["1", "2", "3"]


@in_memory
async def test_a_target_that_hangs_holds_up_no_other(registry: MemoryRegistry) -> None:
    good, hung = Receiver(), Receiver(hangs=asyncio.Event())
    delivery = made(good=good, hung=hung)
    await push(registry, "team/app", "1")
    await hand_on(registry, delivery)
    over = asyncio.create_task(
        JobRunner(registry.services, {KIND: Handler(delivery.run, at_once=8)}).run_due()
    )

    async with asyncio.timeout(5):
        while not good.received:  # noqa: ASYNC110  # what it waits for is in a thread
            await asyncio.sleep(0)

    assert good.tags() == ["1"]
    assert hung.hangs is not None
    hung.hangs.set()
    await over
    assert hung.tags() == ["1"]


@in_memory
async def test_attempts_are_further_and_further_apart(registry: MemoryRegistry) -> None:
    receiver = Receiver(refuses={"team/app"})
    delivery = made(hook=receiver)
    await push(registry, "team/app", "1")
    waits = []
    for _ in range(12):
        await deliver(registry, delivery)
        row = await registry.db.one("events.next_lane", {"target": "hook"})
        assert row is not None
        waits.append((row[0] - registry.now) // SECOND)
        registry.pass_time(row[0] - registry.now)

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    assert receiver.attempts == 12


@in_memory
async def test_what_cannot_be_delivered_for_a_day_is_left_out(registry: MemoryRegistry) -> None:
    receiver = Receiver(refuses={"team/app"})
    delivery = made(hook=receiver)
    await push(registry, "team/app", "1")
    await deliver(registry, delivery)
    registry.pass_time(24 * HOUR - MINUTE)
    await push(registry, "team/fresh", "2")
    receiver.refuses.clear()
    registry.pass_time(MINUTE)

    await deliver(registry, delivery)

    assert (receiver.tags(), receiver.tags("team/fresh")) == ([], ["2"])
    assert delivery.given_up == 1
    assert registry.count("events") == 0


@in_memory
async def test_only_what_a_target_wants_is_put_down_for_it(registry: MemoryRegistry) -> None:
    receiver = Receiver()
    delivery = Delivery([Target("hook", "stdout", repositories=("other/",))], {"hook": receiver})
    await push(registry, "team/app", "1")

    await deliver(registry, delivery)

    assert receiver.received == []
    assert registry.count("events") == 0


@in_memory
async def test_a_target_that_is_no_longer_configured_gets_nothing_and_leaves_nothing(
    registry: MemoryRegistry,
) -> None:
    before = made(old=Receiver(refuses={"team/app"}), kept=Receiver(refuses={"team/app"}))
    await push(registry, "team/app", "1")
    await deliver(registry, before)
    kept = Receiver()
    after = made(kept=kept)

    await after.begin(registry.services)
    registry.pass_time(SECOND)
    await deliver(registry, after)

    assert kept.tags() == ["1"]
    assert [
        registry.count(table) for table in ("outbox", "events", "deliveries", "delivery_lanes", "jobs")
    ] == [0] * 5


@in_memory
async def test_the_lag_of_each_target_is_known(registry: MemoryRegistry) -> None:
    delivery = made(hook=Receiver(refuses={"team/app"}))
    await push(registry, "team/app", "1", "2")
    assert await deliveries.undispatched(registry.db) == (2, registry.now)

    await deliver(registry, delivery)

    (lag,) = await deliveries.lags(registry.db)
    assert (lag.target, lag.waiting, lag.oldest) == ("hook", 2, registry.now)
    assert await deliveries.undispatched(registry.db) == (0, None)
