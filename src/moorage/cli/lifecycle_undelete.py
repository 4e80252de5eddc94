"""`moorage lifecycle undelete`: bring back what a policy took. The running server does it."""

from __future__ import annotations

import argparse
import asyncio
import json

import uvloop

from moorage.base.clock import SECOND, system_clock
from moorage.cli.lifecycle_images import ImageName, image_name
from moorage.cli.lifecycle_repositories import BesideRegistry, check_names, opened_registry
from moorage.cli.moments import written
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, columns, say, styled
from moorage.config.settings import Settings
from moorage.registry.images import find
from moorage.registry.lifecycle import erased
from moorage.registry.lifecycle.bringing_back import BRING_BACK, subject_of
from moorage.registry.lifecycle.erased import Erased
from moorage.registry.repositories.repository import Repository
from moorage.store.jobs.queue import Jobs

_LOOK_S = 0.2
_WAIT_US = 15 * SECOND
_TITLES = ("IMAGE", "TAGS", "TAKEN", "UNTIL")


def run(arguments: argparse.Namespace) -> int:
    """With a digest it is brought back; without one, what can be is listed."""
    settings = settings_from(arguments)
    if "@" in arguments.image:
        name = image_name(arguments)
        with clear_errors(settings):
            uvloop.run(_bring_back(settings, arguments, name))
        document = {"repository": name.repository, "imageDigest": str(name.digest)}
        say(json.dumps(document) if arguments.json else f"{arguments.image} is back")
        return 0
    check_names(arguments, [arguments.image])
    with clear_errors(settings):
        found = uvloop.run(_list(settings, arguments))
    if arguments.json:
        say(json.dumps([_document(each) for each in found]))
    else:
        heading = [styled(title, "bold") for title in _TITLES]
        say(*columns([heading, *(_row(each) for each in found)]))
    return 0


async def _list(settings: Settings, arguments: argparse.Namespace) -> list[Erased]:
    async with opened_registry(settings, arguments) as opened:
        return await _erased(opened, await opened.repository(arguments.image))


async def _erased(opened: BesideRegistry, repository: Repository) -> list[Erased]:
    found: list[Erased] = []
    while page := await erased.page(
        opened.beside.db, repository, found[-1].digest if found else None, system_clock()
    ):
        found += page
    return found


async def _bring_back(settings: Settings, arguments: argparse.Namespace, name: ImageName) -> None:
    async with opened_registry(settings, arguments) as opened:
        db, repository = opened.beside.db, await opened.repository(name.repository)
        if name.digest not in {each.digest for each in await _erased(opened, repository)}:
            raise Failed(
                f"{name.digest} cannot be brought back: see `moorage lifecycle undelete {name.repository}`"
            )
        asked = system_clock()
        async with db.transaction() as tx:
            await Jobs().put(tx, BRING_BACK, subject_of(repository, name.digest), now=asked)
        while await find.by_digest(db, repository, name.digest) is None:
            if system_clock() - asked > _WAIT_US:
                raise Failed(
                    "it is not back yet: is `moorage serve` running? Children of an index come first"
                )
            await asyncio.sleep(_LOOK_S)


def _document(each: Erased) -> dict[str, object]:
    return {
        "imageDigest": str(each.digest),
        "imageTags": list(each.tags),
        "erased": written(each.erased),
        "until": written(each.until),
    }


def _row(each: Erased) -> list[str]:
    return [str(each.digest), ", ".join(each.tags) or "-", written(each.erased), written(each.until)]
