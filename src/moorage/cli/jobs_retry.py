"""`moorage jobs retry`."""

from __future__ import annotations

import argparse
import json

import uvloop

from moorage.base.clock import system_clock
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, say
from moorage.config.settings import Settings
from moorage.server.app import opened_beside
from moorage.store.jobs import queue


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    with clear_errors(settings):
        is_there = uvloop.run(_retry(settings, arguments.id))
    if not is_there:
        raise Failed(f"there is no job {arguments.id} that waits or has failed: see `moorage jobs`")
    say(json.dumps({"id": arguments.id}) if arguments.json else f"Job {arguments.id} is tried again at once")
    return 0


async def _retry(settings: Settings, id_: int) -> bool:
    async with opened_beside(settings) as beside:
        return await queue.retry(beside.db, id_, system_clock())
