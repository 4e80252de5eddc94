"""The keys that identity providers publish: fetched through the guarded client, remembered, asked again with restraint.

Anybody can send tokens that name unknown keys. So a provider is asked at most every half minute, one request at a time,
and never because of a token whose issuer nobody registered.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from functools import lru_cache

from moorage.access.web_identity.jwk import Key, NoKeySet, keys_in
from moorage.access.web_identity.strict_json import NotStrict, loads
from moorage.access.web_identity.token import NO_KEY, Unverified, candidates
from moorage.base.clock import HOUR, SECOND, Clock
from moorage.base.errors.error import MoorageError
from moorage.base.errors.identities import IDPCommunicationError, InvalidIdentityToken
from moorage.remote.egress import Egress
from moorage.remote.errors import RemoteFailed, RemoteRefused

ASKED_EVERY = 30 * SECOND
FRESH = HOUR
"""After which the keys are asked for again, to learn which were withdrawn."""
USABLE = 24 * HOUR
"""How long they serve when their provider cannot be reached."""
DISCOVERY_MAX, KEYS_MAX = 64 << 10, 512 << 10
"""Bytes."""
_PROVIDERS_MAX = 1_024
_DISCOVERY = "/.well-known/openid-configuration"

_log = logging.getLogger("moorage")


@dataclass(slots=True)
class _Known:
    keys: tuple[Key, ...] = ()
    fetched: int | None = None
    asked: int | None = None
    failure: MoorageError | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_younger(self, moment: int | None, age: int, now: int) -> bool:
        return moment is not None and now - moment < age


class ProviderKeys:
    def __init__(self, egress: Egress, clock: Clock) -> None:
        self._egress = egress
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def candidates(self, token: Unverified, issuer: str, jwks: str = "") -> list[Key]:
        """Keys of `issuer` that may have signed `token`: those of `jwks` if there are any, else those it publishes.

        Raise `InvalidIdentityToken` where there is none, `IDPCommunicationError` where asking again may help.
        """
        if jwks:
            found = candidates(token, _given(jwks))
        else:
            found = await self._published(token, issuer)
        if not found:
            raise InvalidIdentityToken(NO_KEY)
        return found

    async def _published(self, token: Unverified, issuer: str) -> list[Key]:
        known = self._entry(issuer)
        found = candidates(token, known.keys)
        if found and known.is_younger(known.fetched, FRESH, self._clock()):
            return found
        async with known.asking:  # who waited here finds that it was asked just now
            if not known.is_younger(known.asked, ASKED_EVERY, self._clock()):
                await self._ask(known, issuer)
        if not known.is_younger(known.fetched, USABLE, self._clock()):
            raise known.failure or InvalidIdentityToken(NO_KEY)
        return candidates(token, known.keys)

    def _entry(self, issuer: str) -> _Known:
        known = self._known.get(issuer)
        if known is None:
            if len(self._known) >= _PROVIDERS_MAX:
                del self._known[next(iter(self._known))]
            known = self._known[issuer] = _Known()
        return known

    async def _ask(self, known: _Known, issuer: str) -> None:
        try:
            known.keys = await self._fetch(issuer)
            known.fetched, known.failure = self._clock(), None
        except RemoteFailed as error:
            _log.warning("the keys of the identity provider %s did not arrive: %s", issuer, error)
            known.failure = IDPCommunicationError(reason="its verification keys did not arrive")
        except (RemoteRefused, NotStrict, NoKeySet) as error:
            _log.warning("the keys of the identity provider %s are of no use: %s", issuer, error)
            known.failure = InvalidIdentityToken(NO_KEY)
        finally:
            known.asked = self._clock()

    async def _fetch(self, issuer: str) -> tuple[Key, ...]:
        """OpenID Connect Discovery 1.0, section 4."""
        about = loads(await self._egress.get(issuer.rstrip("/") + _DISCOVERY, DISCOVERY_MAX))
        if about.get("issuer") != issuer:
            raise NoKeySet("its discovery document is of another issuer")
        address = about.get("jwks_uri")
        if not isinstance(address, str):
            raise NoKeySet("its discovery document names no keys")
        return keys_in(await self._egress.get(address, KEYS_MAX))


@lru_cache(maxsize=256)
def _given(jwks: str) -> tuple[Key, ...]:
    try:
        return keys_in(jwks.encode())
    except NoKeySet:
        return ()
