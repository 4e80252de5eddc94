"""`moorage lifecycle protect`, `unprotect` and `uses`: who runs which image."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from moorage.base.clock import system_clock
from moorage.cli.lifecycle_images import ImageName, image_name
from moorage.cli.lifecycle_repositories import BesideRegistry, check_names, opened_registry
from moorage.cli.moments import moment_of, written
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, columns, say, styled
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.registry.images import find
from moorage.registry.lifecycle import uses
from moorage.registry.repositories.repository import find_by_id

_CONSUMER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}")
_TITLES = ("IMAGE", "IN USE BY", "SINCE", "UNTIL")


def run(arguments: argparse.Namespace) -> int:
    commands: dict[str, Callable[[Settings, argparse.Namespace], Coroutine[Any, Any, None]]] = {
        "protect": _protect,
        "unprotect": _unprotect,
        "uses": _list,
    }
    if arguments.verb == "uses":
        check_names(arguments, [arguments.repository])
    elif not _CONSUMER.fullmatch(arguments.by):
        raise InvalidSettings(f"--by is '{arguments.by}': 1 to 128 characters A-Z, a-z, 0-9 and ._:/@-")
    settings = settings_from(arguments)
    with clear_errors(settings):
        uvloop.run(commands[arguments.verb](settings, arguments))
    return 0


async def _protect(settings: Settings, arguments: argparse.Namespace) -> None:
    name, until = image_name(arguments), _until(arguments.until)
    async with opened_registry(settings, arguments) as opened:
        repository = await opened.repository(name.repository)
        async with opened.beside.db.transaction() as tx:  # a policy may take it until then
            is_there = await find_by_id(tx, repository.id) is not None
            if not is_there or await find.by_digest(tx, repository, name.digest) is None:
                raise Failed(f"there is no image {name.digest} in {name.repository}")
            await uses.protect(tx, repository, name.digest, arguments.by, system_clock(), until)
    _tell(arguments, name, "No lifecycle policy takes", until)


async def _unprotect(settings: Settings, arguments: argparse.Namespace) -> None:
    name = image_name(arguments)
    async with opened_registry(settings, arguments) as opened:
        repository = await opened.repository(name.repository)
        async with opened.beside.db.transaction() as tx:
            was_there = await uses.unprotect(tx, repository, name.digest, arguments.by)
    if not was_there:
        raise Failed(f"{arguments.by} does not use {name.digest}")
    _tell(arguments, name, f"{arguments.by} no longer uses", None)


async def _list(settings: Settings, arguments: argparse.Namespace) -> None:
    async with opened_registry(settings, arguments) as opened:
        found = await _uses(opened, arguments.repository)
    if arguments.json:
        say(json.dumps([_document(each) for each in found]))
    else:
        heading = [styled(title, "bold") for title in _TITLES]
        say(*columns([heading, *(_row(each) for each in found)]))


async def _uses(opened: BesideRegistry, name: str) -> list[uses.Use]:
    repository = await opened.repository(name)
    return await uses.uses_of(opened.beside.db, repository.id, system_clock())


def _until(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        until = moment_of(text)
    except ValueError:
        raise InvalidSettings(
            f"--until is '{text}': a time as 2026-12-24T20:00:00Z, UTC without a zone"
        ) from None
    if until <= system_clock():
        raise InvalidSettings(f"--until is '{text}', which is over: an image is in use until a time to come")
    return until


def _tell(arguments: argparse.Namespace, name: ImageName, sentence: str, until: int | None) -> None:
    if arguments.json:
        say(
            json.dumps(
                {"repository": name.repository, "imageDigest": str(name.digest), "consumer": arguments.by}
            )
        )
    else:
        say(f"{sentence} {name.repository}@{name.digest}" + (f" before {written(until)}" if until else ""))


def _document(each: uses.Use) -> dict[str, object]:
    return {
        "imageDigest": str(each.digest),
        "consumer": each.consumer,
        "since": written(each.since),
        "until": None if each.until is None else written(each.until),
    }


def _row(each: uses.Use) -> list[str]:
    until = "-" if each.until is None else written(each.until)
    return [str(each.digest), each.consumer, written(each.since), until]
