"""Who signed an AWS call."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from moorage.access.credentials import Credentials
from moorage.access.principals import Principal
from moorage.aws.sigv4 import (
    Authorization,
    SignedParts,
    SigningKeys,
    check_service,
    parse_authorization,
    verify,
)
from moorage.base.errors import UnrecognizedClient
from moorage.base.http import Request


@dataclass(frozen=True, slots=True)
class Signer:
    principal: Principal
    authorization: Authorization

    @property
    def region(self) -> str:
        """Of the signature's scope: the caller's choice."""
        return self.authorization.scope.region

    def check_service(self, service: str) -> None:
        """The operation belongs to the service that was signed for; raise `InvalidSignature` otherwise."""
        check_service(self.authorization, service)


class Signatures:
    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._keys = SigningKeys()

    async def check(self, request: Request, body: bytes, service: str | None, now: int) -> Signer:
        """`service` is the one addressed by `X-Amz-Target`; of a form it is known only later. Raise in AWS's order."""
        authorization = parse_authorization(request.headers, request.raw_query, now=now, service=service)
        key = await self._credentials.find(authorization.key_id)
        if key is None or not key.is_active:
            raise UnrecognizedClient()
        parts = SignedParts(
            request.method, request.raw_query, request.headers, hashlib.sha256(body).hexdigest()
        )
        verify(authorization, parts, key.secret, keys=self._keys)
        return Signer(key.principal, authorization)
