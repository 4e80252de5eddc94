"""Temporary credentials: a key whose secret and claims travel, sealed, in the session token. Nothing is stored.

    issue    a user or role, and what narrows it    →  key id, secret, token
    find     key id and token                       →  the access key, as of a user's

Each request asks whether the user or role still is, and whether its sessions were ended meanwhile: the answer is
remembered until the epoch of the account rises. What a session brings along (a policy, tags) and would make the token
and the registry passwords made from it too long is stored under its hash.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from moorage.access.credentials import AccessKey
from moorage.access.epochs import Epochs
from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Entity
from moorage.access.identities.ids import new_id
from moorage.access.principals import Principal, Session, principal_of, root_of
from moorage.base.clock import SECOND, Clock
from moorage.base.errors.access import ExpiredToken, UnrecognizedClient
from moorage.base.errors.identities import PackedPolicyTooLarge
from moorage.keys.tokens import TokenRefused, Tokens
from moorage.store.db.api import Database

PURPOSE = "session"
PACKED_MAX = 4_096
"""Bytes of policy, policy ARNs and tags, compressed; AWS does not say its own bound."""
_INLINE_MAX = 420
"""Compressed bytes that travel in tokens: more would make `authorizationToken` longer than 2,048 characters."""
_REMEMBERED = 16_384
NOT_VALID = "The security token included in the request is invalid"


class Brought(msgspec.Struct, array_like=True, frozen=True):
    """What a session carries beyond who it is."""

    policy: str = ""
    policy_arns: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    transitive: tuple[str, ...] = ()
    source_identity: str = ""
    provider: str = ""
    is_chained: bool = False


class Claims(msgspec.Struct, array_like=True, frozen=True):
    """Who a session is of: in the session token, and in each password and URL that is made with it."""

    access_key_id: str
    account: str
    id: str
    """Of the user or role; the account of a root."""
    name: str
    issued: int
    expires: int
    """Microseconds."""
    brought: bytes
    """Compressed `Brought`, or nothing where `digest` names it."""
    digest: bytes


class _Token(msgspec.Struct, array_like=True, frozen=True):
    claims: Claims
    secret: str


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """`entity` is a user or role; None is the root of `account`."""

    entity: Entity | None
    account: str
    name: str
    seconds: int
    policy: str = ""
    policy_arns: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: tuple[str, ...] = ()
    source_identity: str = ""
    provider: str = ""
    is_chained: bool = False


@dataclass(frozen=True, slots=True)
class Temporary:
    access_key_id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    expires: int
    """Microseconds."""
    packed_percent: int
    """Of `PACKED_MAX`."""


class Sessions:
    """Makes them, reads them, and remembers who each was of."""

    def __init__(self, db: Database, tokens: Tokens, epochs: Epochs, clock: Clock) -> None:
        self._db, self._tokens, self._epochs, self._clock = db, tokens, epochs, clock
        self._remembered: dict[str, tuple[int, Principal]] = {}
        """By key id, with the epoch they were asked under."""

    async def issue(self, request: SessionRequest, now: int) -> Temporary:
        """Raise `PackedPolicyTooLarge`."""
        brought = Brought(
            request.policy,
            request.policy_arns,
            tuple(request.tags.items()),
            request.transitive,
            request.source_identity,
            request.provider,
            request.is_chained,
        )
        packed = b"" if brought == Brought() else zlib.compress(msgspec.msgpack.encode(brought), 9)
        percent = -(-100 * len(packed) // PACKED_MAX)
        if percent > 100:
            raise PackedPolicyTooLarge(percent=percent)
        expires = now + request.seconds * SECOND
        digest = b""
        if len(packed) > _INLINE_MAX:
            digest = hashlib.sha256(packed).digest()
            async with self._db.transaction() as tx:
                await tx.run(
                    "access.keep_session_document", {"digest": digest, "document": packed, "until": expires}
                )
        claims = Claims(
            new_id("ASIA"),
            request.account,
            request.entity.id if request.entity else request.account,
            request.name,
            now,
            expires,
            b"" if digest else packed,
            digest,
        )
        secret = base64.b64encode(secrets.token_bytes(30)).decode()
        token = self._tokens.seal(PURPOSE, _Token(claims, secret))
        return Temporary(claims.access_key_id, secret, token, expires, percent)

    async def find(self, key_id: str, token: str) -> AccessKey:
        """Raise `UnrecognizedClient` for what is no token of that key or was ended, `ExpiredToken` for an old one."""
        try:
            opened = self._tokens.open(PURPOSE, token, _Token)
        except TokenRefused:
            raise UnrecognizedClient(NOT_VALID) from None
        if opened.claims.access_key_id != key_id:
            raise UnrecognizedClient(NOT_VALID)
        if opened.claims.expires <= self._clock():
            raise ExpiredToken()
        principal = await self.principal_of(opened.claims)
        if principal is None:
            raise UnrecognizedClient(NOT_VALID)
        return AccessKey(key_id, principal, opened.secret, is_active=True)

    async def principal_of(self, claims: Claims) -> Principal | None:
        """Who a session is of now; None when its user or role is gone, or it was ended. Its time is not looked at."""
        epoch = self._epochs.of(claims.account)
        kept = self._remembered.get(claims.access_key_id)
        if kept is not None and kept[0] == epoch:
            return kept[1]
        principal = await self._resolve(claims)
        if principal is None:
            self._remembered.pop(claims.access_key_id, None)
            return None
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[claims.access_key_id] = (epoch, principal)
        return principal

    async def _resolve(self, claims: Claims) -> Principal | None:
        if await self._db.one("access.ended_session", {"id": claims.access_key_id}) is not None:
            return None
        brought = await self._brought(claims)
        if brought is None:
            return None
        session = Session(
            claims.name,
            claims.issued,
            claims.expires,
            brought.policy,
            brought.policy_arns,
            brought.tags,
            brought.transitive,
            brought.source_identity,
            brought.provider,
            brought.is_chained,
            msgspec.msgpack.encode(claims),
        )
        if claims.id == claims.account:
            return root_of(claims.account, claims.access_key_id, session)
        entity = await entities.by_id(self._db, claims.id)
        if entity is None or claims.issued < entity.not_before:
            return None
        return principal_of(entity, claims.access_key_id, session)

    async def _brought(self, claims: Claims) -> Brought | None:
        packed = claims.brought
        if claims.digest:
            row = await self._db.one("access.session_document", {"digest": claims.digest})
            if row is None or hashlib.sha256(row[0]).digest() != claims.digest:
                return None
            packed = row[0]
        return msgspec.msgpack.decode(zlib.decompress(packed), type=Brought) if packed else Brought()


def claims_in(session: Session) -> Claims:
    """For a password or URL that acts as this session."""
    return msgspec.msgpack.decode(session.claims, type=Claims)


async def clear_up(db: Database, now: int) -> None:
    """Forget what is past the end of every session that it was about."""
    async with db.transaction() as tx:
        await tx.run("access.forget_ended_sessions", {"now": now})
        await tx.run("access.forget_session_documents", {"now": now})
