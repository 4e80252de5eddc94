"""Who signed an AWS call."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from moorage.access.credentials import AccessKey, Credentials
from moorage.access.principals import Principal
from moorage.access.sessions import NOT_VALID, Sessions
from moorage.aws.sigv4 import (
    Authorization,
    SignedParts,
    SigningKeys,
    check_service,
    parse_authorization,
    verify,
)
from moorage.base.errors.access import UnrecognizedClient
from moorage.base.http import Request


@dataclass(frozen=True, slots=True)
class Signer:
    principal: Principal
    authorization: Authorization

    @property
    def region(self) -> str:
        """Of the signature's scope: the caller's choice."""
        return self.authorization.scope.region

    @property
    def service(self) -> str:
        return self.authorization.scope.service

    def check_service(self, service: str) -> None:
        """The operation belongs to the service that was signed for; raise `InvalidSignature` otherwise.

        Credentials of GetSessionToken without a second factor do not work on IAM: a key that was stolen for a while
        does not become one for good. Raise `UnrecognizedClient`.
        """
        check_service(self.authorization, service)
        if service == "iam" and self.principal.session is not None and self.principal.kind != "role":
            raise UnrecognizedClient(NOT_VALID)


class Signatures:
    def __init__(self, credentials: Credentials, sessions: Sessions) -> None:
        self._credentials = credentials
        self._sessions = sessions
        self._keys = SigningKeys()

    async def check(self, request: Request, body: bytes, service: str | None, now: int) -> Signer:
        """`service` is the one addressed by `X-Amz-Target`; of a form it is known only later. Raise in AWS's order."""
        authorization = parse_authorization(request.headers, request.raw_query, now=now, service=service)
        key = await self._key_of(authorization)
        parts = SignedParts(
            request.method, request.raw_query, request.headers, hashlib.sha256(body).hexdigest()
        )
        is_temporary = key.principal.session is not None
        verify(authorization, parts, key.secret, keys=self._keys, is_temporary=is_temporary)
        return Signer(key.principal, authorization)

    async def _key_of(self, authorization: Authorization) -> AccessKey:
        """Checks 10 and 11: a stored key that is active, or one that its session token vouches for."""
        if authorization.session_token is not None:
            return await self._sessions.find(authorization.key_id, authorization.session_token)
        key = await self._credentials.find(authorization.key_id)
        if key is None or not key.is_active:
            raise UnrecognizedClient()
        return key
