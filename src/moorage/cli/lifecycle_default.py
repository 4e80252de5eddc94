"""`moorage lifecycle default`: the policy of repositories that have none of their own."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import uvloop

from moorage.base.clock import system_clock
from moorage.cli.lifecycle_repositories import check_names, opened_registry
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, say
from moorage.config.settings import Settings
from moorage.registry.lifecycle import stored
from moorage.registry.lifecycle.stored import StoredPolicy
from moorage.store.jobs.queue import Jobs


def run(arguments: argparse.Namespace) -> int:
    check_names(arguments, [])
    settings = settings_from(arguments)
    with clear_errors(settings):
        found = uvloop.run(_default(settings, arguments))
    if arguments.json:
        say(json.dumps({"policy": json.loads(found.text) if found else None}))
    else:
        say(found.text if found else "There is no default lifecycle policy")
    return 0


async def _default(settings: Settings, arguments: argparse.Namespace) -> StoredPolicy | None:
    """What holds now."""
    async with opened_registry(settings, arguments) as opened:
        async with opened.beside.db.transaction() as tx:
            if arguments.put is not None:
                await stored.put_default(tx, Jobs(), opened.registry, _read(arguments.put), system_clock())
            if arguments.remove and not await stored.delete_default(tx, opened.registry):
                raise Failed("there is no default lifecycle policy")
        return await stored.default_of(opened.beside.db, opened.registry)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{path} cannot be read: {error}") from error
