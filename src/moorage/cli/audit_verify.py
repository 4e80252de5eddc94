"""`moorage audit verify`."""

from __future__ import annotations

import argparse
import json
import re

import uvloop

from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, say
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.registry.audit import trail
from moorage.registry.audit.trail import Checked
from moorage.server.app import opened_beside

_HASH = re.compile(r"[0-9a-f]{64}")


def run(arguments: argparse.Namespace) -> int:
    noted = _noted(arguments.head)
    settings = settings_from(arguments)
    with clear_errors(settings):
        checked, has_noted = uvloop.run(_check(settings, noted))
    if checked.broken_at is not None:
        raise Failed(f"record {checked.broken_at} does not fit: {checked.why}; {checked.count} before it do")
    if not has_noted:
        raise Failed(
            f"no record has the hash {arguments.head}: the chain was made anew, or is too old for it"
        )
    head = checked.head.hex()
    if arguments.json:
        say(json.dumps({"valid": True, "records": checked.count, "head": head}))
    else:
        say(f"{checked.count} records fit; note the hash of the last elsewhere: {head}")
    return 0


def _noted(text: str | None) -> bytes | None:
    if text is None:
        return None
    if not _HASH.fullmatch(text):
        raise InvalidSettings(f"--head is '{text}': the 64 characters that an earlier check has printed")
    return bytes.fromhex(text)


async def _check(settings: Settings, noted: bytes | None) -> tuple[Checked, bool]:
    async with opened_beside(settings) as beside:
        checked = await trail.check(beside.db)
        has_noted = noted is None or await trail.has_hash(beside.db, noted)
    return checked, has_noted
