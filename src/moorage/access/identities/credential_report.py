"""Who has which access keys, how old they are and when they were last used: a table as AWS's credential report.

Source: IAM user guide, "Generate credential reports", "Understanding the report format".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from moorage.access.identities import account as accounts
from moorage.access.identities import entity as entities
from moorage.access.identities import keys
from moorage.access.identities.entity import Entity
from moorage.access.identities.keys import Key
from moorage.base.clock import SECOND
from moorage.store.db.api import Reads

ROOT = "<root_account>"
_NONE = "N/A"
_PAGE = 400

COLUMNS = (
    "user",
    "arn",
    "user_creation_time",
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "password_next_rotation",
    "mfa_active",
    "access_key_1_active",
    "access_key_1_last_rotated",
    "access_key_1_last_used_date",
    "access_key_1_last_used_region",
    "access_key_1_last_used_service",
    "access_key_2_active",
    "access_key_2_last_rotated",
    "access_key_2_last_used_date",
    "access_key_2_last_used_region",
    "access_key_2_last_used_service",
    "cert_1_active",
    "cert_1_last_rotated",
    "cert_2_active",
    "cert_2_last_rotated",
)
_NO_CERTIFICATES = ["false", _NONE, "false", _NONE]


async def report(reads: Reads, account: str) -> str:
    """CSV: a heading, the root, the users by name."""
    root = f"arn:aws:iam::{account}:root"
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    of_root = await keys.of_owners(reads, [root])
    table.writerow(_root_row(root, await accounts.created(reads, account), of_root))
    after = ""
    while users := await entities.page(reads, account, "user", after=after, limit=_PAGE):
        after = users[-1].name
        found = await keys.of_owners(reads, [user.id for user in users])
        table.writerows(_rows(users, found))
    return text.getvalue()


def _rows(users: Sequence[Entity], found: Sequence[Key]) -> Iterator[list[str]]:
    owned: dict[str, list[Key]] = {user.id: [] for user in users}
    for key in found:
        owned[key.owner].append(key)
    for user in users:
        password = ["false", _NONE, _NONE, _NONE]
        yield _row(user.name, user.arn, user.created, password, owned[user.id])


def _root_row(arn: str, created: int, found: Sequence[Key]) -> list[str]:
    return _row(ROOT, arn, created, ["not_supported", _NONE, "not_supported", "not_supported"], found)


def _row(name: str, arn: str, created: int, password: list[str], found: Sequence[Key]) -> list[str]:
    slots = [*found, None, None][: keys.MOST]
    key_cells = [cell for key in slots for cell in _key_cells(key)]
    return [name, arn, _time(created), *password, "false", *key_cells, *_NO_CERTIFICATES]


def _key_cells(key: Key | None) -> list[str]:
    if key is None:
        return ["false", _NONE, _NONE, _NONE, _NONE]
    used = _NONE if key.last_used is None else _time(key.last_used)
    region, service = key.last_region or _NONE, key.last_service or _NONE
    return ["true" if key.is_active else "false", _time(key.created), used, region, service]


def _time(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // SECOND, UTC).isoformat()
