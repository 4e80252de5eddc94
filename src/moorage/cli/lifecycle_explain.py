"""`moorage lifecycle explain`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import uvloop

from moorage.base.clock import system_clock
from moorage.cli.lifecycle_decisions import documents, table
from moorage.cli.lifecycle_repositories import BesideRegistry, check_names, opened_registry
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, say
from moorage.config import Settings
from moorage.registry.lifecycle import stored
from moorage.registry.lifecycle.evaluate import Decision, evaluate
from moorage.registry.lifecycle.policy import Policy, parse
from moorage.registry.lifecycle.survey import survey
from moorage.registry.repositories.repository import Repository


def run(arguments: argparse.Namespace) -> int:
    check_names(arguments, [arguments.repository])
    settings = settings_from(arguments)
    with clear_errors(settings):
        decisions = uvloop.run(_decisions(settings, arguments))
    if arguments.json:
        say(json.dumps(documents(decisions), ensure_ascii=False))
    else:
        say(*table(decisions))
    return 0


async def _decisions(settings: Settings, arguments: argparse.Namespace) -> tuple[Decision, ...]:
    async with opened_registry(settings, arguments) as opened:
        repository = await opened.repository(arguments.repository)
        if arguments.policy is not None:
            policy = _read(arguments.policy, with_extensions=settings.lifecycle_extensions)
        else:
            policy = await _stored(opened, repository)
        images = await survey(opened.beside.db, repository.id, system_clock())
    return evaluate(images, policy, system_clock()).decisions


def _read(path: Path, *, with_extensions: bool) -> Policy:
    try:
        return parse(path.read_text(encoding="utf-8"), with_extensions=with_extensions)
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{path} cannot be read: {error}") from error


async def _stored(opened: BesideRegistry, repository: Repository) -> Policy:
    """Its own, else the default of the registry."""
    found = await stored.effective(opened.beside.db, repository)
    found = found or await stored.find(opened.beside.db, repository)  # says that there is none
    return parse(found.text, with_extensions=True)
