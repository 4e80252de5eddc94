"""`moorage account list`."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import uvloop

from moorage.base.clock import SECOND
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import columns, say, styled
from moorage.config.settings import Settings
from moorage.server.app import opened_beside

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    created: datetime
    is_default: bool


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    with clear_errors(settings):
        accounts = uvloop.run(_accounts(settings))
    if arguments.json:
        say(json.dumps([_document(account) for account in accounts]))
        return 0
    heading = [styled(title, "bold") for title in ("ACCOUNT", "CREATED", "")]
    say(*columns([heading, *(_row(account) for account in accounts)]))
    return 0


async def _accounts(settings: Settings) -> list[Account]:
    async with opened_beside(settings) as beside:
        default = await beside.credentials.default_account()
        rows: list[tuple[str, int]] = []
        while page := await beside.credentials.accounts(rows[-1][0] if rows else "", _PAGE):
            rows += page
    return [
        Account(id_, datetime.fromtimestamp(created / SECOND, UTC), default is not None and id_ == default[0])
        for id_, created in rows
    ]


def _document(account: Account) -> dict[str, object]:
    return {"account": account.id, "created": account.created.isoformat(), "default": account.is_default}


def _row(account: Account) -> list[str]:
    created = f"{account.created.astimezone():%Y-%m-%d %H:%M}"
    return [account.id, created, "default" if account.is_default else ""]
