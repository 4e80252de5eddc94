from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from moorage.access import revocation
from moorage.access.bearers import Bearers
from moorage.access.credentials import Credentials, insert_key
from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Entity
from moorage.access.passwords import Passwords, password_for
from moorage.access.principals import principal_of
from moorage.access.sessions import SessionRequest, Temporary
from moorage.base.clock import SECOND
from moorage.base.errors.access import TokenExpired, UnrecognizedClient
from moorage.base.errors.identities import InvalidInput, NoSuchEntity

from ..registry.memory import in_memory
from ..registry.registry import ACCOUNT, REGION, MemoryRegistry


async def add_user(registry: MemoryRegistry, name: str = "eve") -> Entity:
    known = await registry.db.all("access.accounts", {"after": "", "limit": 1})
    async with registry.services.epochs.changing(ACCOUNT) as tx:
        if not known:
            await tx.run("access.insert_account", {"id": ACCOUNT, "created": 0})
        return await entities.insert(tx, ACCOUNT, "user", name, registry.now)


async def add_key(registry: MemoryRegistry, user: Entity) -> str:
    async with registry.services.epochs.changing(ACCOUNT) as tx:
        return (await insert_key(tx, registry.services.keys, ACCOUNT, user.id, registry.now))[0]


async def session_of(registry: MemoryRegistry, entity: Entity | None) -> Temporary:
    request = SessionRequest(entity, ACCOUNT, "s", 3_600)
    return await registry.services.sessions.issue(request, registry.now)


def login_of(registry: MemoryRegistry, user: Entity, key: str) -> str:
    """The header of a client that logged in with a password made with the key."""
    password, _ = password_for(replace(registry.call, principal=principal_of(user, key, None)))
    return "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()


async def holds(registry: MemoryRegistry, session: Temporary) -> bool:
    try:
        await registry.services.sessions.find(session.access_key_id, session.token)
    except UnrecognizedClient:
        return False
    return True


@in_memory
async def test_sessions_issued_before_are_refused_and_later_ones_hold(registry: MemoryRegistry) -> None:
    user, other = await add_user(registry), await add_user(registry, "adam")
    early, of_other = await session_of(registry, user), await session_of(registry, other)
    assert await holds(registry, early)
    registry.pass_time(SECOND)

    ended = await revocation.end_sessions(
        registry.db, registry.services.epochs, ACCOUNT, "user", "EVE", registry.now
    )

    late = await session_of(registry, user)
    assert ended.entity.name == "eve"
    assert not await holds(registry, early)
    assert await holds(registry, late)
    assert await holds(registry, of_other)


@in_memory
async def test_an_earlier_time_takes_nothing_back(registry: MemoryRegistry) -> None:
    user = await add_user(registry)
    early = await session_of(registry, user)
    now = registry.now + 1
    await revocation.end_sessions(registry.db, registry.services.epochs, ACCOUNT, "user", "eve", now)

    ended = await revocation.end_sessions(registry.db, registry.services.epochs, ACCOUNT, "user", "eve", 1)

    assert ended.before == now
    assert not await holds(registry, early)


@in_memory
async def test_one_session_is_ended_whatever_account_it_is_of(registry: MemoryRegistry) -> None:
    user = await add_user(registry)
    one, two = await session_of(registry, user), await session_of(registry, None)
    assert await holds(registry, one)

    await revocation.end_session(
        registry.services.epochs, ["210987654321", ACCOUNT], one.access_key_id, registry.now
    )

    assert not await holds(registry, one)
    assert await holds(registry, two)


@in_memory
async def test_password_of_a_key_is_refused_with_the_key(registry: MemoryRegistry) -> None:
    user = await add_user(registry)
    one, two = await add_key(registry, user), await add_key(registry, user)
    bearers = Bearers(
        Credentials(registry.db, registry.services.keys, registry.services.epochs), registry.services.sessions
    )
    passwords = Passwords(registry.services.tokens, bearers, registry.services.epochs)
    logins = [login_of(registry, user, key) for key in (one, two)]
    for login in logins:
        assert (await passwords.check(login, REGION, registry.now)).principal.name == "eve"

    owned = await revocation.deactivate_key(registry.db, registry.services.epochs, one)

    assert owned.user == "eve"
    with pytest.raises(TokenExpired):
        await passwords.check(logins[0], REGION, registry.now)
    assert (await passwords.check(logins[1], REGION, registry.now)).principal.name == "eve"


@in_memory
async def test_password_issued_before_the_end_of_its_user_is_refused(registry: MemoryRegistry) -> None:
    user = await add_user(registry)
    credentials = Credentials(registry.db, registry.services.keys, registry.services.epochs)
    passwords = Passwords(
        registry.services.tokens,
        Bearers(credentials, registry.services.sessions),
        registry.services.epochs,
    )
    key = await add_key(registry, user)
    early = login_of(registry, user, key)
    await passwords.check(early, REGION, registry.now)
    registry.pass_time(SECOND)

    await revocation.end_sessions(registry.db, registry.services.epochs, ACCOUNT, "user", "eve", registry.now)

    with pytest.raises(TokenExpired):
        await passwords.check(early, REGION, registry.now)
    assert await passwords.check(login_of(registry, user, key), REGION, registry.now)


@in_memory
async def test_the_last_key_of_an_account_goes_only_by_force(registry: MemoryRegistry) -> None:
    key = await add_key(registry, await add_user(registry))

    with pytest.raises(InvalidInput, match="last active one"):
        await revocation.deactivate_key(registry.db, registry.services.epochs, key)
    await revocation.deactivate_key(registry.db, registry.services.epochs, key, may_lock_out=True)

    # What is inactive already can be switched off again.
    await revocation.deactivate_key(registry.db, registry.services.epochs, key)


@pytest.mark.parametrize("account", ["", "210987654321"])
@in_memory
async def test_unknown_keys_and_those_of_other_accounts_are_refused(
    registry: MemoryRegistry, account: str
) -> None:
    key = await add_key(registry, await add_user(registry)) if account else "AKIA" + "A" * 16

    with pytest.raises(NoSuchEntity, match=key):
        await revocation.deactivate_key(registry.db, registry.services.epochs, key, account=account)


@in_memory
async def test_unknown_user_is_refused(registry: MemoryRegistry) -> None:
    with pytest.raises(NoSuchEntity, match="nobody"):
        await revocation.end_sessions(registry.db, registry.services.epochs, ACCOUNT, "role", "nobody", 1)
