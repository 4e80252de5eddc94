"""When keys and roles were last used: noted in memory at each request, written a few times an hour.

A request costs no write: what is written is at most `EVERY_US` old (GetAccessKeyLastUsed, RoleLastUsed).
"""

from __future__ import annotations

from moorage.access.principals import Principal
from moorage.base.clock import MINUTE
from moorage.store.db.api import Database

EVERY_US = MINUTE
_NOTED = 65_536


class Usage:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._keys: dict[str, tuple[int, str, str]] = {}
        self._roles: dict[str, tuple[int, str]] = {}

    def note(self, principal: Principal, service: str, region: str, now: int) -> None:
        if principal.session is None:
            self._keys[principal.access_key_id] = (now, service, region)
        elif principal.kind == "role":
            self._roles[principal.id] = (now, region)
        if len(self._keys) + len(self._roles) > _NOTED:  # more than one interval has; the latest are kept
            self._keys.clear()
            self._roles.clear()

    async def write(self) -> None:
        """Called every `EVERY_US`, and when the server stops."""
        keys, self._keys = self._keys, {}
        roles, self._roles = self._roles, {}
        if not keys and not roles:
            return
        try:
            await self._write(keys, roles)
        except BaseException:  # the next time has those that were not noted again since
            self._keys = {**keys, **self._keys}
            self._roles = {**roles, **self._roles}
            raise

    async def _write(self, keys: dict[str, tuple[int, str, str]], roles: dict[str, tuple[int, str]]) -> None:
        async with self._db.transaction() as tx:
            for id_, (now, service, region) in keys.items():
                await tx.run("access.use_key", {"id": id_, "now": now, "service": service, "region": region})
            for id_, (now, region) in roles.items():
                await tx.run("identities.use_role", {"id": id_, "now": now, "region": region})
