"""What many ask for at once is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from moorage.base.errors.upstream import UpstreamUnavailable
from moorage.keys.frames import BlobKey
from moorage.keys.sealed import SealedBlobs
from moorage.registry.upstream.flight import ArrivingLayer, Flights
from moorage.store.blobs.memory import MemoryBlobs

FRAME = 65_536


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def over() -> None:
        async with asyncio.timeout(10):
            await scenario()

    asyncio.run(over())


def test_all_who_ask_share_one_flight_and_its_result() -> None:
    async def scenario() -> None:
        flights: Flights[str, int] = Flights()
        go, begun = asyncio.Event(), 0

        async def work() -> int:
            nonlocal begun
            begun += 1
            await go.wait()
            return 7

        waiting = [asyncio.ensure_future(flights.join("key", work)) for _ in range(50)]
        await asyncio.sleep(0)
        go.set()

        assert await asyncio.gather(*waiting) == [7] * 50
        assert begun == 1
        assert len(flights) == 0

    run(scenario)


def test_the_error_is_everybody_s_and_the_next_may_try_again() -> None:
    async def scenario() -> None:
        flights: Flights[str, int] = Flights()

        async def fail() -> int:
            raise UpstreamUnavailable(upstream="x", reason="y")

        async def succeed() -> int:
            return 1

        outcomes = await asyncio.gather(*(flights.join("k", fail) for _ in range(3)), return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [UpstreamUnavailable] * 3
        assert await flights.join("k", succeed) == 1

    run(scenario)


def test_one_who_leaves_ends_nothing_for_the_others() -> None:
    async def scenario() -> None:
        flights: Flights[str, int] = Flights()
        go = asyncio.Event()

        async def work() -> int:
            await go.wait()
            return 7

        leaving, staying = (asyncio.ensure_future(flights.join("key", work)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        go.set()

        assert await staying == 7

    run(scenario)


def test_close_ends_what_is_under_way() -> None:
    async def scenario() -> None:
        flights: Flights[str, None] = Flights()
        task = flights.begin("key", asyncio.Event().wait)  # type: ignore[arg-type]  # never ends

        await flights.close()

        assert task.cancelled()
        assert len(flights) == 0

    run(scenario)


def test_a_layer_can_be_followed_as_far_as_it_is_sealed_and_to_its_end_when_it_is_stored() -> None:
    async def scenario() -> None:
        content = bytes(range(256)) * (3 * FRAME // 256)
        blobs = SealedBlobs(MemoryBlobs())
        writer = blobs.create(bytes(16), 1, BlobKey.new())
        arriving = ArrivingLayer(len(content))
        arriving.begin(writer)
        await arriving.begun()
        reader = arriving.follow()

        writer.append(memoryview(content))
        arriving.advance_to_sealed()

        assert 0 < arriving.reach < len(content)
        await arriving.passes(0)
        assert reader.read(0, arriving.reach) == content[: arriving.reach]
        waiting = asyncio.ensure_future(arriving.passes(len(content) - 1))
        await asyncio.sleep(0)
        assert not waiting.done()
        writer.finish()
        arriving.complete()
        await waiting
        await arriving.arrived()
        assert reader.read(0, len(content)) == content
        blobs.close()

    run(scenario)


def test_who_follows_what_fails_is_told_and_never_gets_to_the_end() -> None:
    async def scenario() -> None:
        blobs = SealedBlobs(MemoryBlobs())
        writer = blobs.create(bytes(16), 1, BlobKey.new())
        arriving = ArrivingLayer(2 * FRAME)
        arriving.begin(writer)
        writer.append(memoryview(bytes(2 * FRAME)))
        arriving.advance_to_sealed()
        waiting = asyncio.ensure_future(arriving.passes(2 * FRAME - 1))
        await asyncio.sleep(0)

        arriving.fail(UpstreamUnavailable(upstream="x", reason="y"))

        with pytest.raises(ConnectionError):
            await waiting
        with pytest.raises(ConnectionError):
            await arriving.passes(2 * FRAME - 1)
        with pytest.raises(UpstreamUnavailable):
            await arriving.arrived()
        blobs.close()

    run(scenario)


def test_who_waits_for_the_beginning_learns_why_there_is_none() -> None:
    async def scenario() -> None:
        arriving = ArrivingLayer(1)
        waiting = asyncio.ensure_future(arriving.begun())
        await asyncio.sleep(0)

        arriving.fail(UpstreamUnavailable(upstream="x", reason="y"))

        with pytest.raises(UpstreamUnavailable):
            await waiting

    run(scenario)


def test_an_empty_layer_is_there_when_it_is_stored_and_not_before() -> None:
    async def scenario() -> None:
        arriving = ArrivingLayer(0)
        waiting = asyncio.ensure_future(arriving.arrived())
        await asyncio.sleep(0)
        assert not waiting.done()

        arriving.complete()

        await waiting

    run(scenario)


def test_what_turns_out_to_be_here_is_over_and_cannot_be_followed() -> None:
    async def scenario() -> None:
        arriving = ArrivingLayer(2 * FRAME)

        arriving.complete()

        await arriving.begun()
        await arriving.arrived()
        with pytest.raises(FileNotFoundError):
            arriving.follow()

    run(scenario)
