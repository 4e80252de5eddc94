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
from moorage.config.settings import Settings
from moorage.registry.lifecycle import stored
from moorage.registry.lifecycle.explanation import Explanation, explain
from moorage.registry.lifecycle.policy import Policy, parse
from moorage.registry.lifecycle.survey import survey, survey_tags
from moorage.registry.lifecycle.tags import has_tag_rules
from moorage.registry.repositories.repository import Repository


def run(arguments: argparse.Namespace) -> int:
    check_names(arguments, [arguments.repository])
    settings = settings_from(arguments)
    with clear_errors(settings):
        explained = uvloop.run(_explained(settings, arguments))
    if arguments.json:
        say(json.dumps(documents(explained), ensure_ascii=False))
    else:
        say(*table(explained))
    return 0


async def _explained(settings: Settings, arguments: argparse.Namespace) -> list[Explanation]:
    async with opened_registry(settings, arguments) as opened:
        repository = await opened.repository(arguments.repository)
        if arguments.policy is not None:
            policy = _read(arguments.policy, with_extensions=settings.lifecycle_extensions)
        else:
            policy = await _stored(opened, repository)
        images = await survey(opened.beside.db, repository.id, system_clock())
        tags = await survey_tags(opened.beside.db, repository.id, images) if has_tag_rules(policy) else []
    return explain(images, tags, policy, system_clock())


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
