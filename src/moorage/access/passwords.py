"""Registry passwords: what `aws ecr get-login-password` prints, and who sends one.

A password is standard base64 of the JSON that Amazon's has (`payload`, `datakey`, `version`, `type`, `expiration`),
because tools decode `expiration`; its payload is the sealed claims. Nothing is stored: it is opened with the key of its
purpose, and the access key it came from is asked for at each request.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import msgspec

from moorage.access.bearers import Bearer, Bearers, bearer_of, life_of
from moorage.access.call import Call
from moorage.access.epochs import Epochs
from moorage.access.principals import Principal
from moorage.base.clock import SECOND
from moorage.base.errors.access import TokenExpired, Unauthorized
from moorage.keys.tokens import TokenRefused, Tokens

USER = "AWS"
PURPOSE = "registry-password"
TOKEN_CHARACTERS_MAX = 2_048  # some credential stores hold no more than 2.5 kB
_REMEMBERED = 8_192


class _Claims(msgspec.Struct, array_like=True):
    bearer: Bearer
    region: str
    expires: int
    """Seconds, as `expiration` says it."""


class _Envelope(msgspec.Struct):
    payload: str
    datakey: str
    version: str
    type: str
    expiration: int


@dataclass(frozen=True, slots=True)
class Login:
    principal: Principal
    region: str
    expires: int
    """Microseconds."""
    epoch: int
    """Of the principal's account, when it was asked."""


def password_for(call: Call) -> tuple[str, int]:
    """A password of the caller, whose user name is `AWS`, and when it expires (microseconds).

    Good for every account of the region that they may use, as long as the service allows and their session lives.
    """
    expires = life_of(call.principal, call.now, call.limits.password_us)
    claims = _Claims(bearer_of(call.principal, call.now), call.region, expires // SECOND)
    payload = call.services.tokens.seal(PURPOSE, claims)
    envelope = _Envelope(payload, "", "2", "DATA_KEY", expires // SECOND)
    return base64.b64encode(msgspec.json.encode(envelope)).decode(), expires


class Passwords:
    """Reads passwords, and remembers those it has read."""

    def __init__(self, tokens: Tokens, bearers: Bearers, epochs: Epochs) -> None:
        self._tokens = tokens
        self._bearers = bearers
        self._epochs = epochs
        self._remembered: dict[str, Login] = {}

    def remembered(self, authorization: str, region: str, now: int) -> Login | None:
        """A login seen before that still holds; None asks `check`."""
        login = self._remembered.get(authorization)
        if (
            login is None
            or login.expires <= now
            or login.epoch != self._epochs.of(login.principal.account)
            or login.region != region
        ):
            return None
        return login

    async def check(self, authorization: str, region: str, now: int) -> Login:
        """Who sends this `Authorization` header: Basic, or Bearer with the token as the API gives it.

        Raise `Unauthorized` for what is malformed, of another user or another region, `TokenExpired` for what was good
        once: expired, or its access key, user, role or session revoked.
        """
        remembered = self.remembered(authorization, region, now)
        if remembered is not None:
            return remembered
        claims = self._open(_password_in(authorization))
        if claims.region != region:
            raise Unauthorized()
        if claims.expires * SECOND <= now:
            raise TokenExpired()
        epoch = self._epochs.of(claims.bearer.account)
        principal = await self._bearers.principal_of(claims.bearer)
        if principal is None:
            raise TokenExpired()
        login = Login(principal, claims.region, claims.expires * SECOND, epoch)
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[authorization] = login
        return login

    def _open(self, password: str) -> _Claims:
        try:
            envelope = msgspec.json.decode(base64.b64decode(password, validate=True), type=_Envelope)
            return self._tokens.open(PURPOSE, envelope.payload, _Claims)
        except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError, TokenRefused):
            raise Unauthorized() from None


def _password_in(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() not in ("basic", "bearer"):
        raise Unauthorized()
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).decode("ascii").partition(":")
    except (binascii.Error, ValueError):
        raise Unauthorized() from None
    # A password read from a file often ends with a line break; Amazon's answers 400 to it.
    if not colon or user != USER:
        raise Unauthorized()
    return password.strip()
