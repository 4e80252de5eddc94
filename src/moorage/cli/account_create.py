"""`moorage account create`."""

from __future__ import annotations

import argparse
import json

import uvloop

from moorage.access.credentials import AccessKey, AccountExists
from moorage.base.clock import system_clock
from moorage.base.names import is_account_id
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, say
from moorage.cli.profile import Profile, stored_profile, write_profile
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.server.app import opened_beside


def run(arguments: argparse.Namespace) -> int:
    if arguments.id is not None and not is_account_id(arguments.id):
        raise InvalidSettings(f"--account is '{arguments.id}': an account id has 12 digits")
    settings = settings_from(arguments)
    default = stored_profile(settings)
    with clear_errors(settings):
        created = uvloop.run(_create(settings, arguments.id))
    account = created.principal.account
    path = settings.data / f"credentials-{account}"
    write_profile(path, Profile(created.id, created.secret, default.region, default.endpoint))
    credentials = str(path.resolve())
    if arguments.json:
        say(json.dumps({"account": account, "credentials": credentials}))
    else:
        say(f"Account {account}; root credentials in {credentials}")
    return 0


async def _create(settings: Settings, account: str | None) -> AccessKey:
    async with opened_beside(settings) as beside:
        try:
            return await beside.credentials.create_account(account, system_clock())
        except AccountExists as error:
            raise Failed(f"account {error} exists already") from error
