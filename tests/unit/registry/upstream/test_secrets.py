"""Secrets, while others change them."""

from __future__ import annotations

import pytest

from moorage.aws.shapes.secretsmanager import ListSecretsRequest
from moorage.base.errors.upstream import ResourceNotFound
from moorage.registry.upstream import secrets
from moorage.registry.upstream.secret_operations import list_secrets
from moorage.registry.upstream.secrets import Secret, Value

from ..memory import in_memory
from ..registry import MemoryRegistry
from ..straddling import TRANSACTION, straddle

NAME = "ecr-pullthroughcache/hub"


def versions(number: int) -> str:
    return f"{number:032x}"


async def secret_of(registry: MemoryRegistry, name: str = NAME) -> Secret:
    return await secrets.create(registry.call, name, Value(b"0", True), versions(0))


@in_memory
async def test_a_value_for_a_secret_that_is_deleted_meanwhile_is_refused(registry: MemoryRegistry) -> None:
    secret, call = await secret_of(registry), registry.call

    async def delete() -> None:
        await secrets.delete(call, secret, None)

    straddle(registry, TRANSACTION, delete)
    with pytest.raises(ResourceNotFound):
        await secrets.put_value(registry.call, secret, Value(b"1", True), versions(1))


@in_memory
async def test_a_value_that_is_replaced_while_it_is_read_is_the_new_one(registry: MemoryRegistry) -> None:
    secret, call = await secret_of(registry), registry.call

    async def replace_twice() -> None:
        for number in (1, 2):
            content = Value(str(number).encode(), True)
            await secrets.put_value(call, secret, content, versions(number))

    straddle(registry, "upstream.version", replace_twice)
    read = await secrets.version_of(registry.call, secret)

    assert (read.id, read.value.content) == (versions(2), b"2")


@pytest.mark.parametrize("order", ["asc", "desc"])
@in_memory
async def test_a_listing_goes_on_though_the_last_secret_shown_is_gone(
    registry: MemoryRegistry, order: str
) -> None:
    made = [await secret_of(registry, f"{NAME}{letter}") for letter in "abc"]
    if order == "desc":
        made.reverse()
    asked = {"max_results": 2, "sort_by": "name", "sort_order": order}

    first = await list_secrets(registry.call, ListSecretsRequest(**asked))
    await secrets.delete(registry.call, made[1], None)
    second = await list_secrets(registry.call, ListSecretsRequest(**asked, next_token=first.next_token))

    assert [entry.name for entry in second.secret_list or []] == [made[2].name]
    assert second.next_token is None
