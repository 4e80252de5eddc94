from __future__ import annotations

import asyncio

import pytest

from moorage.access.credentials import AccountExists, Credentials, random_account_id
from moorage.base.errors.ourselves import Corrupted
from moorage.base.names import is_account_id

from ..registry.memory import in_memory
from ..registry.registry import MemoryRegistry


def credentials_of(registry: MemoryRegistry) -> Credentials:
    return Credentials(registry.db, registry.services.keys, registry.services.epochs)


@in_memory
async def test_create_account_gives_a_root_key_that_is_found_again(registry: MemoryRegistry) -> None:
    created = await credentials_of(registry).create_account("123456789012", 5)

    found = await credentials_of(registry).find(created.id)

    assert found == created
    assert created.is_active
    assert created.principal.arn == "arn:aws:iam::123456789012:root"
    assert created.principal.access_key_id == created.id
    assert len(created.secret) == 40
    assert created.id.startswith("AKIA")
    assert len(created.id) == 20
    assert created.secret not in repr(created)


@in_memory
async def test_a_secret_is_stored_sealed_and_bound_to_its_row(registry: MemoryRegistry) -> None:
    one = await credentials_of(registry).create_account(None, 5)
    two = await credentials_of(registry).create_account(None, 5)
    rows = dict(registry.db._writer.execute("SELECT id, sealed_secret FROM access_keys"))

    assert one.secret.encode() not in rows[one.id]
    registry.db._writer.execute(
        "UPDATE access_keys SET sealed_secret = ? WHERE id = ?", (rows[two.id], one.id)
    )
    with pytest.raises(Corrupted):
        await credentials_of(registry).find(one.id)


@in_memory
async def test_create_account_twice_is_refused_and_makes_no_key(registry: MemoryRegistry) -> None:
    credentials = credentials_of(registry)
    results = await asyncio.gather(
        *(credentials.create_account("123456789012", n) for n in range(5)), return_exceptions=True
    )

    assert sum(isinstance(result, AccountExists) for result in results) == 4
    assert registry.count("access_keys") == registry.count("accounts") == 1


@pytest.mark.parametrize("account", ["12345678901", "1234567890123", "a" * 12, "12345678901२"])
@in_memory
async def test_create_account_of_what_is_no_id_is_refused(registry: MemoryRegistry, account: str) -> None:
    with pytest.raises(ValueError, match="12 digits"):
        await credentials_of(registry).create_account(account, 5)


@in_memory
async def test_find_of_an_unknown_key_is_nothing_and_not_remembered(registry: MemoryRegistry) -> None:
    """An account that another process creates works at its first request."""
    asked, other = credentials_of(registry), credentials_of(registry)
    assert await asked.find("AKIAUNKNOWN") is None

    created = await other.create_account(None, 5)

    assert await asked.find(created.id) == created


@in_memory
async def test_find_of_an_inactive_key_says_so(registry: MemoryRegistry) -> None:
    created = await credentials_of(registry).create_account(None, 5)
    registry.db._writer.execute("UPDATE access_keys SET status = 'Inactive'")

    found = await credentials_of(registry).find(created.id)

    assert found is not None
    assert not found.is_active


@in_memory
async def test_accounts_are_listed_in_order_from_one(registry: MemoryRegistry) -> None:
    credentials = credentials_of(registry)
    for account in ("333333333333", "111111111111", "222222222222"):
        await credentials.create_account(account, int(account[0]))

    assert await credentials.accounts() == [
        ("111111111111", 1),
        ("222222222222", 2),
        ("333333333333", 3),
    ]
    assert await credentials.accounts("111111111111", 1) == [("222222222222", 2)]


def test_random_account_ids_have_twelve_digits() -> None:
    assert all(is_account_id(random_account_id()) for _ in range(100))
