"""`moorage oidc list`."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

import uvloop

from moorage.access.identities import providers
from moorage.access.identities.providers import Provider
from moorage.base.clock import SECOND
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import columns, say, styled
from moorage.config.settings import Settings
from moorage.server.app import opened_beside


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    with clear_errors(settings):
        found = uvloop.run(_providers(settings))
    if arguments.json:
        say(json.dumps([_document(provider) for provider in found]))
        return 0
    heading = [styled(title, "bold") for title in ("ACCOUNT", "ISSUER", "AUDIENCES", "KEYS", "CREATED")]
    say(*columns([heading, *(_row(provider) for provider in found)]))
    return 0


async def _providers(settings: Settings) -> list[Provider]:
    async with opened_beside(settings) as beside:
        return await providers.of_all(beside.db)


def _document(provider: Provider) -> dict[str, object]:
    return {
        "arn": provider.arn,
        "account": provider.account,
        "issuer": provider.issuer,
        "audiences": list(provider.audiences),
        "keys": _keys(provider),
        "created": _created(provider).isoformat(),
    }


def _row(provider: Provider) -> list[str]:
    created = f"{_created(provider).astimezone():%Y-%m-%d %H:%M}"
    return [provider.account, provider.issuer, ",".join(provider.audiences), _keys(provider), created]


def _keys(provider: Provider) -> str:
    return "given" if provider.jwks else "published"


def _created(provider: Provider) -> datetime:
    return datetime.fromtimestamp(provider.created / SECOND, UTC)
