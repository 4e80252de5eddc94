"""The keys of providers: when they are asked for, and when not."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from moorage.access.web_identity import token as tokens
from moorage.access.web_identity.provider_keys import ASKED_EVERY, FRESH, USABLE, ProviderKeys
from moorage.base.clock import SECOND
from moorage.base.errors.identities import IDPCommunicationError, InvalidIdentityToken
from moorage.remote.errors import RemoteFailed, RemoteRefused

from .issuer import ISSUER, Signer, jwks

ONE = Signer.rsa("one")
TWO = Signer.rsa("two")
DISCOVERY = f"{ISSUER}/.well-known/openid-configuration"
KEYS = "https://keys.example/jwks"


def awaited(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**parameters: Any) -> None:
        async def over() -> None:
            await test(**parameters)

        asyncio.run(over())

    return run


class Provider:
    """What an egress client would get; counts what is asked for."""

    def __init__(self, *signers: Signer) -> None:
        self.answers: dict[str, bytes | Exception] = {
            DISCOVERY: json.dumps({"issuer": ISSUER, "jwks_uri": KEYS}).encode(),
            KEYS: jwks(*signers).encode(),
        }
        self.asked: list[str] = []
        self.now = 1_000 * SECOND
        self.keys = ProviderKeys(self, lambda: self.now)  # type: ignore[arg-type]  # get is all that is called

    async def get(self, url: str, limit: int, headers: Mapping[str, str] | None = None) -> bytes:
        self.asked.append(url)
        await asyncio.sleep(0)
        answer = self.answers[url]
        if isinstance(answer, Exception):
            raise answer
        assert len(answer) <= limit
        return answer

    async def find(self, signer: Signer, **options: Any) -> list[str | None]:
        found = await self.keys.candidates(tokens.parse(signer.token()), ISSUER, **options)
        return [key.id for key in found]


@awaited
async def test_keys_are_discovered_once_and_remembered() -> None:
    provider = Provider(ONE)

    for _ in range(3):
        assert await provider.find(ONE) == ["one"]
    assert provider.asked == [DISCOVERY, KEYS]


@awaited
async def test_keys_that_are_given_are_not_asked_for() -> None:
    provider = Provider()

    assert await provider.find(ONE, jwks=jwks(ONE)) == ["one"]
    with pytest.raises(InvalidIdentityToken):
        await provider.find(TWO, jwks=jwks(ONE))
    with pytest.raises(InvalidIdentityToken):
        await provider.find(ONE, jwks="not a key set")
    assert provider.asked == []


@awaited
async def test_a_flood_of_unknown_keys_asks_once_in_half_a_minute() -> None:
    provider = Provider(ONE)
    await provider.find(ONE)

    for n in range(200):
        with pytest.raises(InvalidIdentityToken, match="verification key"):
            await provider.find(Signer(f"unknown-{n}", ONE.private))
    assert len(provider.asked) == 2
    provider.now += ASKED_EVERY
    for _ in range(200):
        with pytest.raises(InvalidIdentityToken):
            await provider.find(TWO)
    assert len(provider.asked) == 4


@awaited
async def test_those_who_come_together_ask_once() -> None:
    provider = Provider(ONE)

    found = await asyncio.gather(*(provider.find(ONE) for _ in range(50)))

    assert found == [["one"]] * 50
    assert provider.asked == [DISCOVERY, KEYS]


@awaited
async def test_a_new_key_is_learnt_of_after_half_a_minute() -> None:
    provider = Provider(ONE)
    await provider.find(ONE)
    provider.answers[KEYS] = jwks(ONE, TWO).encode()

    with pytest.raises(InvalidIdentityToken):
        await provider.find(TWO)
    provider.now += ASKED_EVERY
    assert await provider.find(TWO) == ["two"]


@awaited
async def test_a_key_that_was_withdrawn_is_refused_within_the_hour() -> None:
    provider = Provider(ONE, TWO)
    await provider.find(ONE)
    provider.answers[KEYS] = jwks(TWO).encode()

    provider.now += FRESH
    with pytest.raises(InvalidIdentityToken):
        await provider.find(ONE)


@awaited
async def test_known_keys_serve_a_day_while_the_provider_is_away() -> None:
    provider = Provider(ONE)
    await provider.find(ONE)
    provider.answers[DISCOVERY] = RemoteFailed("away")

    provider.now += USABLE - 1
    assert await provider.find(ONE) == ["one"]
    provider.now += 1
    with pytest.raises(IDPCommunicationError):
        await provider.find(ONE)


@awaited
async def test_a_failure_is_told_again_without_asking_again() -> None:
    provider = Provider(ONE)
    provider.answers[KEYS] = RemoteFailed("10.0.0.7 is down")

    for _ in range(5):
        with pytest.raises(IDPCommunicationError) as refused:
            await provider.find(ONE)
        assert "10.0.0.7" not in str(refused.value)
    assert provider.asked == [DISCOVERY, KEYS]


@pytest.mark.parametrize(
    "answer",
    [
        RemoteRefused("it has the address 10.0.0.7"),
        b"not json",
        b'{"issuer": "https://other.example", "jwks_uri": "https://keys.example/jwks"}',
        b'{"issuer": "https://idp.example/realm/", "jwks_uri": "https://keys.example/jwks"}',
        b'{"issuer": "https://idp.example/realm"}',
        b'{"issuer": "https://idp.example/realm", "jwks_uri": ["https://keys.example/jwks"]}',
        b'{"issuer": "https://idp.example/realm", "issuer": "x", "jwks_uri": "https://keys.example/jwks"}',
    ],
)
@awaited
async def test_a_discovery_document_that_is_not_the_issuers_is_of_no_use(answer: bytes | Exception) -> None:
    provider = Provider(ONE)
    provider.answers[DISCOVERY] = answer

    with pytest.raises(InvalidIdentityToken, match="verification key") as refused:
        await provider.find(ONE)
    assert "10.0.0.7" not in str(refused.value)
    assert provider.asked == [DISCOVERY]


@awaited
async def test_many_providers_do_not_fill_the_memory() -> None:
    provider = Provider(ONE)

    for n in range(1_100):
        provider.answers[f"https://n{n}.example/.well-known/openid-configuration"] = RemoteFailed("away")
        with pytest.raises(IDPCommunicationError):
            await provider.keys.candidates(tokens.parse(ONE.token()), f"https://n{n}.example")
    assert len(provider.keys._known) <= 1_024
