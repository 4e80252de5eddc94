"""`moorage account key`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import uvloop

from moorage.access.credentials import AccessKey, UnknownAccount
from moorage.base.clock import system_clock
from moorage.base.errors.images import LimitExceeded
from moorage.base.names import is_account_id
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, say
from moorage.cli.profile import InvalidProfile, Profile, read_profile, write_profile
from moorage.config.addresses import host_and_port
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.server.app import Beside, opened_beside


def run(arguments: argparse.Namespace) -> int:
    if arguments.id is not None and not is_account_id(arguments.id):
        raise InvalidSettings(f"--account is '{arguments.id}': an account id has 12 digits")
    settings = settings_from(arguments)
    with clear_errors(settings):
        made, path = uvloop.run(_make(settings, arguments.id))
    account = made.principal.account
    if arguments.json:
        say(json.dumps({"account": account, "accessKeyId": made.id, "credentials": str(path)}))
    else:
        say(f"Account {account} has the root key {made.id}; credentials in {path}")
    return 0


async def _make(settings: Settings, account: str | None) -> tuple[AccessKey, Path]:
    async with opened_beside(settings) as beside:
        default = await beside.default_account()
        chosen = account or default
        path = settings.credentials_file if chosen == default else settings.data / f"credentials-{chosen}"
        before = _kept(path)
        if before is not None and await _is_good(beside, before):
            raise Failed(
                f"{path} has a root key that is active: revoke it first, with `moorage revoke --key`"
            )
        try:
            made = await beside.credentials.make_root_key(chosen, system_clock())
        except UnknownAccount as error:
            raise Failed(f"there is no account {error} here: `moorage account list`") from error
        except LimitExceeded as error:
            raise Failed(
                f"the root of account {chosen} has as many active keys as it may: `moorage keys`"
            ) from error
    like = before or _kept(settings.credentials_file)
    region = like.region if like is not None else settings.region
    endpoint = like.endpoint if like is not None else _configured_endpoint(settings)
    write_profile(path, Profile(made.id, made.secret, region, endpoint))
    return made, path.resolve()


def _configured_endpoint(settings: Settings) -> str:
    """Where the server should be; it corrects the file when it starts."""
    port = host_and_port(settings.listen)[1] if settings.listen else None
    secure_port = host_and_port(settings.listen_tls)[1] if settings.listen_tls else None
    return settings.endpoint(port, secure_port)


def _kept(path: Path) -> Profile | None:
    try:
        return read_profile(path)
    except (FileNotFoundError, InvalidProfile):
        return None


async def _is_good(beside: Beside, profile: Profile) -> bool:
    key = await beside.credentials.find(profile.access_key_id)
    return key is not None and key.is_active and key.secret == profile.secret
