from __future__ import annotations

from dataclasses import replace

import pytest

from moorage.access.epochs import Epochs
from moorage.access.operations import access_keys, users
from moorage.aws.shapes import iam
from moorage.base.clock import SECOND
from moorage.base.errors.identities import InvalidInput, NoSuchEntity
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.requests import Validation

from ...registry.memory import in_memory
from ...registry.registry import MemoryRegistry
from ...registry.straddling import TRANSACTION, straddle
from .calling import OTHER, add_account, add_key, add_user, by, by_role, every_page


@in_memory
async def test_create_access_key_tells_a_secret_that_is_stored_sealed(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    alice = await add_user(call, "Alice")

    key = await add_key(call, "alice")

    account, owner, sealed, status = registry.db._writer.execute(
        "SELECT account, principal, sealed_secret, status FROM access_keys WHERE id = ?", (key.access_key_id,)
    ).fetchone()
    place = (key.access_key_id, call.account, alice.user_id)
    assert registry.services.keys.open_secret("access-key", place, sealed).decode() == key.secret_access_key
    assert (account, owner, status, key.user_name) == (call.account, alice.user_id, "Active", "Alice")
    assert len(key.secret_access_key) == 40
    assert key.secret_access_key.encode() not in sealed


@in_memory
async def test_create_access_key_without_name_is_for_the_caller(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    alice = await add_user(call, "alice")

    own, of_root = await add_key(by(call, alice)), await add_key(call)
    with pytest.raises(Validation, match=r"^Must specify userName when calling with non-User credentials$"):
        await add_key(by_role(call))

    rows = dict(registry.db._writer.execute("SELECT id, principal FROM access_keys").fetchall())
    assert rows == {
        own.access_key_id: alice.user_id,
        of_root.access_key_id: f"arn:aws:iam::{call.account}:root",
    }


@in_memory
async def test_a_user_has_two_keys_and_not_three(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    for name in ("alice", "bob"):
        await add_user(call, name)
        await add_key(call, name)
    await add_key(call, "alice")

    with pytest.raises(LimitExceeded, match=r"^Cannot exceed quota for AccessKeysPerUser: 2$"):
        await add_key(call, "alice")
    await add_key(call, "bob")

    assert registry.count("access_keys") == 4


@in_memory
async def test_list_access_keys_is_in_pages_and_never_shows_a_secret(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")
    made = sorted(
        [(await add_key(call, "alice")).access_key_id, (await add_key(call, "alice")).access_key_id]
    )

    first = await access_keys.list_access_keys(
        call, iam.ListAccessKeysRequest(user_name="alice", max_items=1)
    )
    pages = await every_page(
        call,
        access_keys.list_access_keys,
        iam.ListAccessKeysRequest,
        "access_key_metadata",
        user_name="alice",
    )

    assert [key.access_key_id for key in first.access_key_metadata] == made[:1]
    assert first.is_truncated is True
    assert [[key.access_key_id for key in page] for page in pages] == [made]
    assert "secret" not in repr(pages).lower()


@in_memory
async def test_update_access_key_switches_it_off_and_on(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    alice = await add_user(call, "alice")
    await add_key(call)
    key = await add_key(call, "alice")

    async def status_after(wanted: str) -> str | None:
        await access_keys.update_access_key(
            by(call, alice),
            iam.UpdateAccessKeyRequest(access_key_id=key.access_key_id, status=wanted),  # type: ignore[arg-type]
        )
        listed = await access_keys.list_access_keys(call, iam.ListAccessKeysRequest(user_name="alice"))
        return listed.access_key_metadata[0].status

    assert await status_after("Inactive") == "Inactive"
    assert await status_after("Inactive") == "Inactive"
    assert await status_after("Active") == "Active"
    with pytest.raises(InvalidInput):
        await status_after("Expired")


@in_memory
async def test_a_key_of_somebody_else_is_not_found(registry: MemoryRegistry) -> None:
    call, other = await add_account(registry), await add_account(registry, OTHER)
    await add_user(call, "alice")
    await add_user(call, "bob")
    await add_user(other, "bob")
    key = await add_key(call, "alice")

    for caller, name in ((call, "bob"), (call, None), (other, "bob"), (other, None)):
        with pytest.raises(
            NoSuchEntity, match=f"^The Access Key with id {key.access_key_id} cannot be found"
        ):
            await access_keys.update_access_key(
                caller,
                iam.UpdateAccessKeyRequest(
                    user_name=name, access_key_id=key.access_key_id, status="Inactive"
                ),
            )
        with pytest.raises(NoSuchEntity):
            await access_keys.delete_access_key(
                caller, iam.DeleteAccessKeyRequest(user_name=name, access_key_id=key.access_key_id)
            )
    with pytest.raises(NoSuchEntity):
        await access_keys.get_access_key_last_used(
            other, iam.GetAccessKeyLastUsedRequest(access_key_id=key.access_key_id)
        )
    assert registry.count("access_keys") == 1


@in_memory
async def test_the_last_active_key_of_an_account_stays(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")
    of_root, of_user = await add_key(call), await add_key(call, "alice")
    delete_root = iam.DeleteAccessKeyRequest(access_key_id=of_root.access_key_id)
    switch_off = iam.UpdateAccessKeyRequest(
        user_name="alice", access_key_id=of_user.access_key_id, status="Inactive"
    )
    await access_keys.update_access_key(call, switch_off)

    with pytest.raises(InvalidInput, match="last active"):
        await access_keys.delete_access_key(call, delete_root)
    assert registry.count("access_keys") == 2

    await access_keys.update_access_key(
        call,
        iam.UpdateAccessKeyRequest(user_name="alice", access_key_id=of_user.access_key_id, status="Active"),
    )
    await access_keys.delete_access_key(call, delete_root)
    with pytest.raises(InvalidInput, match="last active"):
        await access_keys.update_access_key(call, switch_off)
    assert registry.count("access_keys") == 1


@in_memory
async def test_last_used_of_a_key_is_na_until_it_is_used(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "Alice")
    key = await add_key(call, "alice")
    request = iam.GetAccessKeyLastUsedRequest(access_key_id=key.access_key_id)

    before = await access_keys.get_access_key_last_used(call, request)
    registry.db._writer.execute(
        "UPDATE access_keys SET last_used = ?, last_service = 'ecr', last_region = 'home-1'", (90 * SECOND,)
    )
    after = await access_keys.get_access_key_last_used(call, request)

    assert before.access_key_last_used == iam.AccessKeyLastUsed(service_name="N/A", region="N/A")
    assert after == iam.GetAccessKeyLastUsedResponse(
        user_name="Alice",
        access_key_last_used=iam.AccessKeyLastUsed(last_used_date=90.0, service_name="ecr", region="home-1"),
    )


@in_memory
async def test_a_user_who_is_deleted_while_a_key_is_made_leaves_none(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")

    async def leave() -> None:
        await users.delete_user(call, iam.DeleteUserRequest(user_name="alice"))

    straddle(registry, TRANSACTION, leave)
    straddled = replace(registry.services, epochs=Epochs(registry.services.db))
    with pytest.raises(NoSuchEntity):
        await add_key(replace(call, services=straddled), "alice")

    assert registry.count("access_keys") == 0
