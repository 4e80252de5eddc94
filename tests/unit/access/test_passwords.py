from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from moorage.access import paging
from moorage.access.bearers import Bearer, Bearers
from moorage.access.credentials import Credentials
from moorage.access.passwords import TOKEN_CHARACTERS_MAX, Passwords, _Claims, password_for
from moorage.access.principals import root_of
from moorage.access.sessions import Sessions
from moorage.base.clock import HOUR, SECOND
from moorage.base.errors.access import TokenExpired, Unauthorized

from ..registry.memory import in_memory
from ..registry.registry import REGION, MemoryRegistry

LIFE = 12 * HOUR


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def reader_of(registry: MemoryRegistry) -> tuple[Passwords, Credentials]:
    """One that remembers nothing, and the keys behind it."""
    services = registry.services
    credentials = Credentials(registry.db, services.keys, services.epochs)
    sessions = Sessions(registry.db, services.tokens, services.epochs, lambda: registry.now)
    return Passwords(services.tokens, Bearers(credentials, sessions), services.epochs), credentials


async def logged_in(registry: MemoryRegistry) -> tuple[Passwords, Credentials, str]:
    """A reader, the keys behind it, and the header of a password that lives for twelve hours."""
    passwords, credentials = reader_of(registry)
    key = await credentials.create_account("123456789012", registry.now)
    call = replace(registry.call, principal=root_of(key.principal.account, key.id))
    password, expires = password_for(call)
    assert expires == registry.now + LIFE
    return passwords, credentials, basic("AWS", password)


@in_memory
async def test_check_of_a_good_password_tells_who_it_is(registry: MemoryRegistry) -> None:
    passwords, _, header = await logged_in(registry)

    login = await passwords.check(header, REGION, registry.now)

    assert login.principal.arn == "arn:aws:iam::123456789012:root"
    assert login.expires == registry.now // SECOND * SECOND + LIFE
    assert passwords.remembered(header, REGION, registry.now) == login
    assert len(header) < TOKEN_CHARACTERS_MAX
    assert await passwords.check(header.replace("Basic", "bearer"), REGION, registry.now) == login


@in_memory
async def test_check_of_an_expired_password_is_expired_whether_remembered_or_not(
    registry: MemoryRegistry,
) -> None:
    passwords, _, header = await logged_in(registry)
    last = registry.now + LIFE - SECOND
    await passwords.check(header, REGION, last)

    for reader in (passwords, reader_of(registry)[0]):
        with pytest.raises(TokenExpired):
            await reader.check(header, REGION, last + SECOND)
    assert passwords.remembered(header, REGION, last + SECOND) is None


@in_memory
async def test_check_in_another_region_is_unauthorized_even_if_remembered(registry: MemoryRegistry) -> None:
    passwords, _, header = await logged_in(registry)
    await passwords.check(header, REGION, registry.now)

    with pytest.raises(Unauthorized):
        await passwords.check(header, "home-2", registry.now)


@in_memory
async def test_check_after_the_credentials_changed_asks_again(registry: MemoryRegistry) -> None:
    passwords, _, header = await logged_in(registry)
    before = await passwords.check(header, REGION, registry.now)
    async with registry.services.epochs.changing("123456789012"):
        pass

    assert passwords.remembered(header, REGION, registry.now) is None
    after = await passwords.check(header, REGION, registry.now)
    assert (after.principal, after.epoch) == (before.principal, before.epoch + 1)


@pytest.mark.parametrize("change", ["inactive", "gone"])
@in_memory
async def test_check_of_a_revoked_key_is_expired(registry: MemoryRegistry, change: str) -> None:
    _, _, header = await logged_in(registry)
    statement = {
        "inactive": "UPDATE access_keys SET status = 'Inactive'",
        "gone": "DELETE FROM access_keys",
    }[change]
    registry.db._writer.execute(statement)

    passwords, _ = reader_of(registry)

    with pytest.raises(TokenExpired):
        await passwords.check(header, REGION, registry.now)


def envelope(**members: Any) -> str:
    good = {"payload": "x", "datakey": "", "version": "2", "type": "DATA_KEY", "expiration": 1}
    return base64.b64encode(json.dumps(good | members).encode()).decode()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !",
        "Digest x",
        basic("AWS", ""),
        basic("aws", "x"),
        basic("AWS", "x"),
        basic("AWS", "é"),
        basic("AWS", envelope()),
        basic("AWS", envelope(payload=1)),
        basic("AWS", base64.b64encode(b"[]").decode()),
        basic("AWS", base64.b64encode(b"[" * 100_000).decode()),
        basic("AWS", base64.b64encode(b"\xff").decode()),
        "Basic " + base64.b64encode(b"AWS").decode(),
    ],
)
@in_memory
async def test_check_of_what_is_no_password_is_unauthorized(registry: MemoryRegistry, header: str) -> None:
    passwords, _, _ = await logged_in(registry)

    with pytest.raises(Unauthorized):
        await passwords.check(header, REGION, registry.now)
    assert passwords.remembered(header, REGION, registry.now) is None


@in_memory
async def test_check_of_a_token_for_another_purpose_is_unauthorized(registry: MemoryRegistry) -> None:
    passwords, _, _ = await logged_in(registry)
    claims = _Claims(Bearer("AKIA", "123456789012", 1, None), REGION, 1 << 40)
    page = registry.services.tokens.seal(paging.PURPOSE, claims)

    with pytest.raises(Unauthorized):
        await passwords.check(basic("AWS", envelope(payload=page)), REGION, registry.now)
