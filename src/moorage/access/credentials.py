"""Accounts and long-term access keys: made, stored sealed, looked up."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field

from moorage.access.epochs import Epochs
from moorage.access.identities import entity as entities
from moorage.access.identities import keys as access_keys
from moorage.access.identities.ids import new_id
from moorage.access.principals import Principal, principal_of, root_of
from moorage.base.names import is_account_id
from moorage.keys.keyring import Keyring
from moorage.store.db.api import Database, Transaction, UniqueViolation, Value

_PURPOSE = "access-key"
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
    not_before: int = 0
    """Passwords and URLs that were made earlier are refused."""


class AccountExists(Exception):
    """The account was created before."""


class UnknownAccount(Exception):
    """There is no such account."""


class Credentials:
    """Access keys by id, opened once and remembered until the epoch of their account rises."""

    def __init__(self, db: Database, keys: Keyring, epochs: Epochs) -> None:
        self._db = db
        self._keys = keys
        self._epochs = epochs
        self._opened: dict[str, tuple[int, AccessKey]] = {}

    async def find(self, key_id: str) -> AccessKey | None:
        """None: there is no such key, or its user is gone."""
        kept = self._opened.get(key_id)
        if kept is not None and kept[0] == self._epochs.of(kept[1].principal.account):
            return kept[1]
        account = await self._db.one("access.account_of_key", {"id": key_id})
        epoch = self._epochs.of(account[0]) if account else 0  # before the facts
        row = await self._db.one("access.access_key", {"id": key_id})
        if account is None or row is None:
            self._opened.pop(key_id, None)
            return None
        found = await self._open(key_id, *row)
        if found is None:
            return None
        if len(self._opened) >= _CACHED:
            self._opened.clear()
        self._opened[key_id] = (epoch, found)
        return found

    async def _open(
        self, key_id: str, account: str, owner: str, sealed: bytes, status: str
    ) -> AccessKey | None:
        principal, not_before = root_of(account, key_id), 0
        if owner != principal.arn:
            user = await entities.by_id(self._db, owner)
            if user is None:
                return None
            principal, not_before = principal_of(user, key_id, None), user.not_before
        secret = self._keys.open_secret(_PURPOSE, (key_id, account, owner), sealed).decode()
        return AccessKey(key_id, principal, secret, status == "Active", not_before)

    async def create_account(self, account: str | None, now: int, *, is_default: bool = False) -> AccessKey:
        """A new account and its root access key. Without an id, a random one. Raise `AccountExists`.

        That of the default account is handed out by `default_account` until it is `claimed`.
        """
        chosen = account or random_account_id()
        if not is_account_id(chosen):
            raise ValueError(f"'{chosen}' is not an account id: it has 12 digits")
        root = root_of(chosen, "")
        try:
            async with self._epochs.changing(chosen) as tx:
                await tx.run("access.insert_account", {"id": chosen, "created": now})
                key_id, secret = await insert_key(tx, self._keys, chosen, root.arn, now)
                if is_default:
                    await tx.run("access.set_setting", _installation(_DEFAULT_ACCOUNT, chosen))
                    await tx.run("access.set_setting", _installation(_UNCLAIMED_KEY, key_id))
        except UniqueViolation:
            raise AccountExists(chosen) from None
        return AccessKey(key_id, root_of(chosen, key_id), secret, is_active=True)

    async def make_root_key(self, account: str, now: int) -> AccessKey:
        """A new root access key, where the old one is lost or revoked; an inactive one gives its place.

        Raise `UnknownAccount`, and `LimitExceeded` where the root has as many active ones as it may.
        """
        root = root_of(account, "")
        async with self._epochs.changing(account) as tx:
            if await tx.one("access.account", {"id": account}) is None:
                raise UnknownAccount(account)
            have = await access_keys.of_owner(tx, root.arn)
            inactive = sorted((key.created, key.id) for key in have if not key.is_active)
            if inactive and len(have) >= access_keys.MOST:
                await access_keys.delete(tx, root.arn, inactive[0][1])
            await access_keys.check_room(tx, root.arn)
            key_id, secret = await insert_key(tx, self._keys, account, root.arn, now)
        return AccessKey(key_id, root_of(account, key_id), secret, is_active=True)

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


async def insert_key(tx: Transaction, keys: Keyring, account: str, owner: str, now: int) -> tuple[str, str]:
    """A new key of `owner` (the ARN of a root, or the id of a user): its id and its secret, told this once."""
    key_id, secret = new_id("AKIA"), base64.b64encode(secrets.token_bytes(30)).decode()
    await tx.run(
        "access.insert_access_key",
        {
            "id": key_id,
            "account": account,
            "principal": owner,
            "sealed_secret": keys.seal_secret(_PURPOSE, (key_id, account, owner), secret.encode()),
            "created": now,
        },
    )
    return key_id, secret


def _installation(name: str, value: str) -> dict[str, Value]:
    """A setting of neither an account nor a region."""
    return {"account": "", "region": "", "name": name, "value": value}


def random_account_id() -> str:
    return f"{secrets.randbelow(9 * 10**11) + 10**11}"
