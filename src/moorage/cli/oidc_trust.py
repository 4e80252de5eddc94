"""`moorage oidc trust`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import uvloop

from moorage.access.identities import providers
from moorage.access.identities.providers import Provider
from moorage.access.web_identity.jwk import NoKeySet, keys_in
from moorage.base.clock import system_clock
from moorage.base.errors.identities import EntityAlreadyExists, InvalidInput
from moorage.base.errors.images import LimitExceeded
from moorage.base.names import is_account_id
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, say
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.server.app import Beside, opened_beside
from moorage.store.db.api import MissingReference

AUDIENCE = "sts.amazonaws.com"
"""What AWS's SDKs and the EKS webhook ask tokens for."""


def run(arguments: argparse.Namespace) -> int:
    if arguments.id is not None and not is_account_id(arguments.id):
        raise InvalidSettings(f"--account is '{arguments.id}': an account id has 12 digits")
    settings = settings_from(arguments)
    jwks = _read(arguments.jwks) if arguments.jwks else ""
    audiences = arguments.audiences or [AUDIENCE]
    with clear_errors(settings):
        trusted = uvloop.run(_trust(settings, arguments.id, arguments.issuer, audiences, jwks))
    if arguments.json:
        say(json.dumps({"arn": trusted.arn, "issuer": trusted.issuer, "audiences": list(trusted.audiences)}))
    else:
        keys = (
            "signed with the keys of the file" if trusted.jwks else "signed with the keys that it publishes"
        )
        say(
            f"Account {trusted.account} trusts tokens of {trusted.issuer}, {keys}, for {', '.join(trusted.audiences)}"
        )
    return 0


def _read(file: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"--jwks {file} cannot be read: {error}") from error
    try:
        providers.checked_jwks(text)
        usable = keys_in(text.encode())
    except (InvalidInput, NoKeySet) as error:
        raise Failed(f"--jwks {file} is not accepted: {error}") from error
    if not usable:
        raise Failed(f"--jwks {file} is not accepted: no key in it verifies RS256 to RS512 or ES256 to ES512")
    return text


async def _trust(
    settings: Settings, account: str | None, issuer: str, audiences: list[str], jwks: str
) -> Provider:
    async with opened_beside(settings) as beside:
        chosen = account or await beside.default_account()
        try:
            return await _create_or_change(beside, chosen, issuer, audiences, jwks)
        except (EntityAlreadyExists, InvalidInput, LimitExceeded) as error:
            raise Failed(str(error)) from error
        except MissingReference as error:
            raise Failed(
                f"there is no account {chosen}: `moorage account list` lists those there are"
            ) from error


async def _create_or_change(
    beside: Beside, account: str, issuer: str, audiences: list[str], jwks: str
) -> Provider:
    """Doing it again replaces audiences and keys: how keys are rotated."""
    async with beside.epochs.changing(account) as tx:
        known = await providers.find(tx, account, issuer)
        if known is not None:
            return await providers.change(tx, known, audiences=audiences, jwks=jwks)
        return await providers.create(tx, account, issuer, system_clock(), audiences=audiences, jwks=jwks)
