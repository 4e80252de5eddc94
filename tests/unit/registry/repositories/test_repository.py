from __future__ import annotations

import asyncio
from typing import Any

import pytest

from moorage.base.errors.repositories import (
    InvalidTagParameter,
    RepositoryAlreadyExists,
    RepositoryNotEmpty,
    RepositoryNotFound,
    TooManyTags,
)
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories import tags as resource_tags
from moorage.registry.repositories.mutability import Mutability

from ..memory import call_of, in_memory
from ..registry import ACCOUNT, REGION, MemoryRegistry

EXCLUDING = Mutability("IMMUTABLE_WITH_EXCLUSION", ("dev-*", "*"))


@in_memory
async def test_create_keeps_all_that_was_said(registry: MemoryRegistry) -> None:
    created = await repositories.create(
        registry.call, "team/app", EXCLUDING, scan_on_push=True, tags={"k": "v", "e": ""}
    )

    assert await repositories.find(registry.call, "team/app") == created
    assert created.mutability == EXCLUDING
    assert created.scan_on_push
    assert created.created == registry.now
    assert created.arn == f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/team/app"
    assert await resource_tags.of(registry.db, created.arn) == [("e", ""), ("k", "v")]


@in_memory
async def test_create_at_once_lets_one_through(registry: MemoryRegistry) -> None:
    results = await asyncio.gather(
        *(repositories.create(registry.call, "app", Mutability()) for _ in range(6)), return_exceptions=True
    )

    refused = [result for result in results if isinstance(result, RepositoryAlreadyExists)]
    assert len(refused) == 5
    assert registry.count("repositories") == 1


@pytest.mark.parametrize(
    ("tags", "error"),
    [
        ({"aws:k": ""}, InvalidTagParameter),
        ({"": ""}, InvalidTagParameter),
        ({f"k{n}": "" for n in range(51)}, TooManyTags),
    ],
)
@in_memory
async def test_create_with_bad_tags_leaves_nothing(
    registry: MemoryRegistry, tags: dict[str, str], error: Any
) -> None:
    with pytest.raises(error):
        await repositories.create(registry.call, "app", Mutability(), tags=tags)

    assert registry.count("repositories") == registry.count("resource_tags") == 0


@in_memory
async def test_find_looks_in_one_account_and_region(registry: MemoryRegistry) -> None:
    await registry.repository("app")
    for call in (call_of(registry, "210987654321"), call_of(registry, ACCOUNT, "home-2")):
        with pytest.raises(RepositoryNotFound) as raised:
            await repositories.find(call, "app")
        assert str(raised.value) == (
            f"The repository with name 'app' does not exist in the registry with id '{call.account}'"
        )
    across = await repositories.find(call_of(registry, "210987654321"), "app", ACCOUNT)
    assert across.registry.account == ACCOUNT


@in_memory
async def test_find_all_keeps_the_order_asked(registry: MemoryRegistry) -> None:
    for name in ("a0", "b0", "c0"):
        await registry.repository(name)

    found = await repositories.find_all(registry.call, ["c0", "a0", "c0"], None)

    assert [each.name for each in found] == ["c0", "a0"]
    with pytest.raises(RepositoryNotFound, match="'d0'"):
        await repositories.find_all(registry.call, ["a0", "d0", "e0"], None)


@in_memory
async def test_page_goes_on_after_a_name_and_leaves_out_the_deleted(registry: MemoryRegistry) -> None:
    for name in ("0a", "a0", "a/b", "b0"):
        await registry.repository(name)
    await repositories.delete(registry.call, "a0", None, force=False)

    first = await repositories.page(registry.call, None, "", 2)
    rest = await repositories.page(registry.call, None, first[-1].name, 10)

    assert [each.name for each in (*first, *rest)] == ["0a", "a/b", "b0"]


@in_memory
async def test_delete_with_images_wants_force(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await registry.push(app, [b"{}"])
    with pytest.raises(RepositoryNotEmpty):
        await repositories.delete(registry.call, "app", None, force=False)

    await repositories.delete(registry.call, "app", None, force=True)

    with pytest.raises(RepositoryNotFound):
        await repositories.find(registry.call, "app")


@in_memory
async def test_delete_frees_the_name_at_once_with_its_tags(registry: MemoryRegistry) -> None:
    old = await repositories.create(registry.call, "app", Mutability(), tags={"k": "v"})
    epoch = registry.db.epoch(old.id)

    await repositories.delete(registry.call, "app", None, force=False)
    new = await registry.repository("app")

    assert new.id != old.id
    assert registry.db.epoch(old.id) > epoch
    assert await resource_tags.of(registry.db, new.arn) == []
    async with registry.db.transaction() as tx:
        await repositories.confirm(tx, new)
        with pytest.raises(RepositoryNotFound):
            await repositories.confirm(tx, old)


@in_memory
async def test_delete_at_once_is_one_deletion(registry: MemoryRegistry) -> None:
    await registry.repository("app")

    results = await asyncio.gather(
        *(repositories.delete(registry.call, "app", None, force=True) for _ in range(4)),
        return_exceptions=True,
    )

    assert sum(isinstance(result, RepositoryNotFound) for result in results) == 3
    assert registry.count("purges") == 1


@in_memory
async def test_set_mutability_is_for_what_comes_later(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")

    await repositories.set_mutability(registry.call, app, EXCLUDING)

    assert (await repositories.find(registry.call, "app")).mutability == EXCLUDING


# Resource tags


async def set_tags(registry: MemoryRegistry, **tags: str) -> None:
    async with registry.db.transaction() as tx:
        await resource_tags.set_all(tx, "arn", tags)


@in_memory
async def test_tags_are_merged_up_to_fifty(registry: MemoryRegistry) -> None:
    await set_tags(registry, **{f"k{n:02}": "1" for n in range(50)})
    await set_tags(registry, k00="2")
    with pytest.raises(TooManyTags):
        await set_tags(registry, k01="2", other="")

    tags = dict(await resource_tags.of(registry.db, "arn"))

    assert len(tags) == 50
    assert (tags["k00"], tags["k01"]) == ("2", "1")


@in_memory
async def test_tags_that_are_not_there_are_removed_without_complaint(registry: MemoryRegistry) -> None:
    await set_tags(registry, a="1", b="2")

    async with registry.db.transaction() as tx:
        await resource_tags.unset(tx, "arn", ["a", "never"])
        await resource_tags.unset(tx, "other", ["b"])

    assert await resource_tags.of(registry.db, "arn") == [("b", "2")]
    with pytest.raises(InvalidTagParameter):
        resource_tags.check_keys(["b", "AWS:x"])
