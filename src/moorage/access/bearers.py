"""On whose behalf a password or a download URL acts: told in its sealed claims, asked again at each request.

The access key it was made with must still be active, and its user, role or session not revoked since.
"""

from __future__ import annotations

import msgspec

from moorage.access.credentials import Credentials
from moorage.access.principals import Principal
from moorage.access.sessions import Claims, Sessions, claims_in


class Bearer(msgspec.Struct, array_like=True, frozen=True):
    access_key_id: str
    account: str
    issued: int
    """Microseconds."""
    session: Claims | None
    """Of temporary credentials."""


def bearer_of(principal: Principal, now: int) -> Bearer:
    session = principal.session
    return Bearer(
        principal.access_key_id, principal.account, now, claims_in(session) if session is not None else None
    )


def life_of(principal: Principal, now: int, most: int) -> int:
    """When what is made now expires (microseconds): after `most`, and never after the session it is made with."""
    session = principal.session
    return now + most if session is None else min(now + most, session.expires)


class Bearers:
    def __init__(self, credentials: Credentials, sessions: Sessions) -> None:
        self._credentials = credentials
        self._sessions = sessions

    async def principal_of(self, bearer: Bearer) -> Principal | None:
        """Who it is now; None when revoked."""
        if bearer.session is not None:
            return await self._sessions.principal_of(bearer.session)
        key = await self._credentials.find(bearer.access_key_id)
        if key is None or not key.is_active or bearer.issued < key.not_before:
            return None
        return key.principal
