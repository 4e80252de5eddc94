"""Who runs which image: registered within limits, listed page by page, over when it is over."""

import pytest

from moorage.base.clock import HOUR
from moorage.base.digest import Digest
from moorage.base.errors.images import LimitExceeded
from moorage.registry.lifecycle import uses
from moorage.registry.repositories.repository import Repository

from ..memory import in_memory
from ..registry import MemoryRegistry

ONE, TWO = Digest.of(b"1"), Digest.of(b"2")


async def protect(
    registry: MemoryRegistry, app: Repository, digest: Digest, consumer: str, until: int | None = None
) -> None:
    async with registry.db.transaction() as tx:
        await uses.protect(tx, app, digest, consumer, registry.now, until)


@in_memory
async def test_an_image_has_so_many_consumers_and_no_more(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    key = {"repository": app.id, "digest": ONE.packed, "now": registry.now, "until": None}
    async with registry.db.transaction() as tx:
        await tx.run(
            "lifecycle.protect", [{**key, "consumer": f"c{n}"} for n in range(uses.CONSUMERS_MAX - 1)]
        )

    await protect(registry, app, ONE, "the last")
    with pytest.raises(LimitExceeded):
        await protect(registry, app, ONE, "one more")
    await protect(registry, app, ONE, "the last", registry.now + HOUR)
    await protect(registry, app, TWO, "one more")

    assert await uses.find(registry.db, app, ONE, "one more", registry.now) is None
    assert len(await uses.uses_of(registry.db, app.id, registry.now)) == uses.CONSUMERS_MAX + 1


@in_memory
async def test_pages_of_uses_go_on_where_the_last_ended(registry: MemoryRegistry) -> None:
    app, other = await registry.repository("app"), await registry.repository("other")
    for digest in (ONE, TWO):
        for consumer in ("a", "b"):
            await protect(registry, app, digest, consumer)
    await protect(registry, other, ONE, "a")
    expected = [(digest, c) for digest in sorted((ONE, TWO), key=lambda each: each.packed) for c in "ab"]

    listed: list[tuple[Digest, str]] = []
    while True:
        after = (listed[-1][0].packed, listed[-1][1]) if listed else None
        page = await uses.page(registry.db, app, after, 1, registry.now)
        if not page:
            break
        listed += [(use.digest, use.consumer) for use in page]

    assert listed == expected


@in_memory
async def test_uses_of_one_consumer_or_one_image_are_listed(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    for digest, consumer in ((ONE, "a"), (ONE, "b"), (TWO, "a")):
        await protect(registry, app, digest, consumer)

    async def found(**wanted: object) -> set[tuple[Digest, str]]:
        page = await uses.page(registry.db, app, None, 9, registry.now, **wanted)  # type: ignore[arg-type]
        return {(use.digest, use.consumer) for use in page}

    assert await found(consumer="a") == {(ONE, "a"), (TWO, "a")}
    assert await found(digest=ONE) == {(ONE, "a"), (ONE, "b")}
    assert await found(consumer="b", digest=TWO) == set()


@in_memory
async def test_a_use_that_is_over_is_found_no_more(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await protect(registry, app, ONE, "a", registry.now + HOUR)

    before = await uses.find(registry.db, app, ONE, "a", registry.now)
    registry.pass_time(HOUR + 1)

    assert before == uses.Use(ONE, "a", registry.now - HOUR - 1, registry.now - 1)
    assert await uses.find(registry.db, app, ONE, "a", registry.now) is None
    assert await uses.page(registry.db, app, None, 9, registry.now) == []
