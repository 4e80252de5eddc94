"""`moorage revoke`."""

from __future__ import annotations

import argparse
import json
import re

import uvloop

from moorage.access import revocation
from moorage.base.clock import system_clock
from moorage.base.errors.error import MoorageError
from moorage.base.names import is_account_id
from moorage.cli.moments import moment_of, written
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, say
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.server.app import Beside, opened_beside

_KEY_ID = re.compile(r"(?P<prefix>AKIA|ASIA)[A-Z0-9]{12,124}")
_PAGE = 1_000
Outcome = tuple[str, dict[str, object]]
"""A sentence, and the same for `--json`."""


def run(arguments: argparse.Namespace) -> int:
    now = system_clock()
    before = _before(arguments, now)
    _check_ids(arguments)
    settings = settings_from(arguments)
    with clear_errors(settings):
        sentence, document = uvloop.run(_revoke(settings, arguments, before, now))
    say(json.dumps(document) if arguments.json else sentence)
    return 0


def _before(arguments: argparse.Namespace, now: int) -> int:
    if arguments.before is None:
        return now
    if not (arguments.user or arguments.role):
        raise InvalidSettings("--before goes with --user or --role")
    try:
        before = moment_of(arguments.before)
    except ValueError:
        raise InvalidSettings(
            f"--before is '{arguments.before}': a time as 2026-11-24T20:00:00Z, UTC without a zone"
        ) from None
    if before > now:
        raise InvalidSettings(
            f"--before is '{arguments.before}': it has to be past, or nobody could log in until then"
        )
    return before


def _check_ids(arguments: argparse.Namespace) -> None:
    if arguments.id is not None and not is_account_id(arguments.id):
        raise InvalidSettings(f"--account is '{arguments.id}': an account id has 12 digits")
    for option, value, prefix in (("--session", arguments.session, "ASIA"), ("--key", arguments.key, "AKIA")):
        found = _KEY_ID.fullmatch(value or "")
        if value is not None and (found is None or found["prefix"] != prefix):
            raise InvalidSettings(f"{option} is '{value}': an id that begins with {prefix}")


async def _revoke(settings: Settings, arguments: argparse.Namespace, before: int, now: int) -> Outcome:
    async with opened_beside(settings) as beside:
        try:
            if arguments.session:
                return await _session(beside, arguments, now)
            if arguments.key:
                return await _key(beside, arguments)
            return await _issued(beside, arguments, before)
        except MoorageError as error:
            raise Failed(str(error)) from error


async def _session(beside: Beside, arguments: argparse.Namespace, now: int) -> Outcome:
    accounts = [arguments.id] if arguments.id else await _accounts(beside)
    await revocation.end_session(beside.epochs, accounts, arguments.session, now)
    return f"Session {arguments.session} is refused from now on", {"session": arguments.session}


async def _key(beside: Beside, arguments: argparse.Namespace) -> Outcome:
    owned = await revocation.deactivate_key(
        beside.db,
        beside.epochs,
        arguments.key,
        account=arguments.id or "",
        may_lock_out=arguments.force,
    )
    owner = f"user {owned.user}" if owned.user else "the root"
    account = owned.key.account
    return (
        f"Key {arguments.key} of {owner} of account {account} is inactive",
        {"key": arguments.key, "account": account, "user": owned.user or None, "status": "Inactive"},
    )


async def _issued(beside: Beside, arguments: argparse.Namespace, before: int) -> Outcome:
    account = arguments.id or await beside.default_account()
    ended = await revocation.end_sessions(
        beside.db,
        beside.epochs,
        account,
        "user" if arguments.user else "role",
        arguments.user or arguments.role,
        before,
    )
    moment = written(ended.before)
    return (
        f"Sessions and passwords of {ended.entity.arn} issued before {moment} are refused from now on",
        {"arn": ended.entity.arn, "before": moment},
    )


async def _accounts(beside: Beside) -> list[str]:
    found: list[str] = []
    while page := await beside.credentials.accounts(found[-1] if found else "", _PAGE):
        found += [account for account, _ in page]
    return found
