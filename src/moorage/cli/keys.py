"""`moorage keys`."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import uvloop

from moorage.access.identities import keys
from moorage.access.identities.keys import OwnedKey
from moorage.base.clock import HOUR, SECOND, system_clock
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import columns, say, styled
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.server.app import opened_beside

_PAGE = 1_000
_DAY = 24 * HOUR
_TITLES = ("ACCESS KEY", "ACCOUNT", "USER", "STATUS", "AGE", "LAST USED")


@dataclass(frozen=True, slots=True)
class Aged:
    owned: OwnedKey
    days: int
    """Whole ones since it was created: a key is not changed, but replaced."""


def run(arguments: argparse.Namespace) -> int:
    least = _least_days(arguments.older_than)
    settings = settings_from(arguments)
    with clear_errors(settings):
        found = uvloop.run(_keys(settings))
    now = system_clock()
    aged = [Aged(each, (now - each.key.created) // _DAY) for each in found]
    shown = sorted(
        (each for each in aged if each.days >= least),
        key=lambda each: (each.owned.key.created, each.owned.key.id),
    )
    if arguments.json:
        say(json.dumps([_document(each) for each in shown]))
        return 0
    heading = [styled(title, "bold") for title in _TITLES]
    say(*columns([heading, *(_row(each) for each in shown)]))
    return 0


def _least_days(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise InvalidSettings(f"--older-than is '{text}': give a number of days")
    return int(text)


async def _keys(settings: Settings) -> list[OwnedKey]:
    async with opened_beside(settings) as beside:
        found: list[OwnedKey] = []
        while page := await keys.of_all(beside.db, after=found[-1].key.id if found else "", limit=_PAGE):
            found += page
    return found


def _document(aged: Aged) -> dict[str, object]:
    key = aged.owned.key
    return {
        "accessKeyId": key.id,
        "account": key.account,
        "user": aged.owned.user or None,
        "status": key.status,
        "created": _moment(key.created).isoformat(),
        "ageDays": aged.days,
        "lastUsed": None if key.last_used is None else _moment(key.last_used).isoformat(),
        "lastService": key.last_service or None,
        "lastRegion": key.last_region or None,
    }


def _row(aged: Aged) -> list[str]:
    key = aged.owned.key
    used = "never"
    if key.last_used is not None:
        moment = f"{_moment(key.last_used).astimezone():%Y-%m-%d %H:%M}"
        used = f"{moment} {key.last_service} {key.last_region}".rstrip()
    days = f"{aged.days} day{'' if aged.days == 1 else 's'}"
    status = key.status if key.is_active else styled(key.status, "dim")
    return [key.id, key.account, aged.owned.user or "root", status, days, used]


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / SECOND, UTC)
