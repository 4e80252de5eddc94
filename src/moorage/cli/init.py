"""`moorage init`."""

from __future__ import annotations

import argparse
import json

import uvloop

from moorage.cli.opening import clear_errors, record_address
from moorage.cli.options import settings_from
from moorage.cli.output import say
from moorage.config.addresses import host_and_port
from moorage.config.settings import NONE, Settings
from moorage.server.app import opened


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    with clear_errors(settings):
        uvloop.run(_init(settings, as_json=arguments.json))
    return 0


async def _init(settings: Settings, as_json: bool) -> None:
    port = host_and_port(settings.listen)[1] if settings.listen != NONE else None
    secure_port = host_and_port(settings.listen_tls)[1] if settings.listen_tls else None
    async with opened(settings, port, secure_port) as installation:
        is_first = record_address(installation, settings.endpoint(port, secure_port))
        if is_first:
            await installation.credentials.claimed()
    account, credentials = installation.default.account, str(settings.credentials_file.resolve())
    if as_json:
        say(json.dumps({"account": account, "credentials": credentials, "created": is_first}))
    elif is_first:
        say(f"Account {account}; root credentials in {credentials}")
    else:
        say(f"{settings.data} was initialised before: account {account}")
