"""Accounts and access keys: made, stored sealed, looked up."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field

from moorage.access.principals import Principal, root_of
from moorage.base.names import is_account_id
from moorage.keys.keyring import Keyring
from moorage.store.db.api import Database, UniqueViolation, Value

_PURPOSE = "access-key"
_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CACHED = 4_096
_DEFAULT_ACCOUNT = "default-account"
_UNCLAIMED_KEY = "unclaimed-root-key"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What a caller signs with. The secret never shows in a log."""

    id: str
    principal: Principal
    secret: str = field(repr=False)
    is_active: bool


class AccountExists(Exception):
    """The account was created before."""


class Credentials:
    """Access keys by id, opened once and remembered until they change."""

    def __init__(self, db: Database, keys: Keyring) -> None:
        self._db = db
        self._keys = keys
        self._opened: dict[str, AccessKey] = {}
        self.epoch = 0
        """Rises with every change of a key or account: what was remembered of a login is asked again."""

    async def find(self, key_id: str) -> AccessKey | None:
        opened = self._opened.get(key_id)
        if opened is not None:
            return opened
        row = await self._db.one("access.access_key", {"id": key_id})
        if row is None:
            return None
        _, account, principal, sealed, status = row
        secret = self._keys.open_secret(_PURPOSE, (key_id, account, principal), sealed).decode()
        found = AccessKey(key_id, root_of(account, key_id), secret, status == "Active")
        if len(self._opened) >= _CACHED:
            self._opened.clear()
        self._opened[key_id] = found
        return found

    async def create_account(self, account: str | None, now: int, *, is_default: bool = False) -> AccessKey:
        """A new account and its root access key. Without an id, a random one. Raise `AccountExists`.

        That of the default account is handed out by `default_account` until it is `claimed`.
        """
        chosen = account or random_account_id()
        if not is_account_id(chosen):
            raise ValueError(f"'{chosen}' is not an account id: it has 12 digits")
        key_id, secret = "AKIA" + _random_id(), base64.b64encode(secrets.token_bytes(30)).decode()
        principal = root_of(chosen, key_id)
        sealed = self._keys.seal_secret(_PURPOSE, (key_id, chosen, principal.arn), secret.encode())
        try:
            async with self._db.transaction() as tx:
                await tx.run("access.insert_account", {"id": chosen, "created": now})
                await tx.run(
                    "access.insert_access_key",
                    {
                        "id": key_id,
                        "account": chosen,
                        "principal": principal.arn,
                        "sealed_secret": sealed,
                        "created": now,
                    },
                )
                if is_default:
                    await tx.run("access.set_setting", _installation(_DEFAULT_ACCOUNT, chosen))
                    await tx.run("access.set_setting", _installation(_UNCLAIMED_KEY, key_id))
        except UniqueViolation:
            raise AccountExists(chosen) from None
        self.epoch += 1
        return AccessKey(key_id, principal, secret, is_active=True)

    async def default_account(self) -> tuple[str, AccessKey | None] | None:
        """Its id, and its root access key as long as nobody has kept it; None before there is one."""
        account = await self._setting(_DEFAULT_ACCOUNT)
        if account is None:
            return None
        unclaimed = await self._setting(_UNCLAIMED_KEY)
        return account, await self.find(unclaimed) if unclaimed else None

    async def claimed(self) -> None:
        """The root access key of the default account is kept elsewhere: it is not handed out again."""
        async with self._db.transaction() as tx:
            await tx.run("access.set_setting", _installation(_UNCLAIMED_KEY, ""))

    async def _setting(self, name: str) -> str | None:
        row = await self._db.one("access.setting", {"account": "", "region": "", "name": name})
        return row[0] if row else None

    async def accounts(self, after: str = "", limit: int = 1_000) -> list[tuple[str, int]]:
        """Account ids and when they were created."""
        return [
            (id_, created)
            for id_, created in await self._db.all("access.accounts", {"after": after, "limit": limit})
        ]


def _installation(name: str, value: str) -> dict[str, Value]:
    """A setting of neither an account nor a region."""
    return {"account": "", "region": "", "name": name, "value": value}


def random_account_id() -> str:
    return f"{secrets.randbelow(9 * 10**11) + 10**11}"


def _random_id() -> str:
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(16))
