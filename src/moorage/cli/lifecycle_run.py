"""`moorage lifecycle run`: the running server applies the policies; this asks it to, and waits."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict

import uvloop

from moorage.base.clock import SECOND, system_clock
from moorage.cli.lifecycle_decisions import documents, table
from moorage.cli.lifecycle_repositories import BesideRegistry, check_names, opened_registry
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, say
from moorage.config.settings import Settings
from moorage.registry.lifecycle import stored
from moorage.registry.lifecycle.evaluate import Decision, evaluate, without_waiting
from moorage.registry.lifecycle.job import Left, Run, last_run, left
from moorage.registry.lifecycle.policy import parse
from moorage.registry.lifecycle.survey import survey
from moorage.registry.repositories.repository import Repository
from moorage.store.jobs.queue import Jobs

_LOOK_S = 0.2
_TAKEN_UP_US = 15 * SECOND
_GETS_ON_US = 60 * SECOND
_SHOWN_US = 2 * SECOND


def run(arguments: argparse.Namespace) -> int:
    check_names(arguments, arguments.repositories)
    settings = settings_from(arguments)
    with clear_errors(settings):
        return uvloop.run(_run(settings, arguments))


async def _run(settings: Settings, arguments: argparse.Namespace) -> int:
    async with opened_registry(settings, arguments) as opened:
        if arguments.repositories:
            chosen = [await opened.repository(name) for name in arguments.repositories]
        else:
            chosen = await opened.with_policies()
        for repository in chosen:
            if await stored.effective(opened.beside.db, repository) is None:
                await stored.find(opened.beside.db, repository)  # says that there is none
        if arguments.dry_run:
            await _show(opened, chosen, as_json=arguments.json)
        else:
            await _apply(opened, chosen, as_json=arguments.json)
    return 0


async def _show(opened: BesideRegistry, chosen: list[Repository], *, as_json: bool) -> None:
    shown: dict[str, list[dict[str, object]]] = {}
    for repository in chosen:
        decisions = await _would_take(opened, repository)
        shown[repository.name] = documents(decisions)
        if not as_json:
            say(f"{repository.name}: {len(decisions)} would go", *(table(decisions) if decisions else ()))
    if as_json:
        say(json.dumps(shown, ensure_ascii=False))


async def _would_take(opened: BesideRegistry, repository: Repository) -> list[Decision]:
    policy = await stored.effective(opened.beside.db, repository)
    if policy is None:  # taken away since it was looked for
        return []
    images = await survey(opened.beside.db, repository.id, system_clock())
    return without_waiting(evaluate(images, parse(policy.text, with_extensions=True), system_clock()))


async def _apply(opened: BesideRegistry, chosen: list[Repository], *, as_json: bool) -> None:
    db, jobs = opened.beside.db, Jobs()
    asked = system_clock()
    async with db.transaction() as tx:
        for repository in chosen:
            await stored.ask(tx, jobs, repository.id, now=asked, due=asked)
    done: dict[str, dict[str, object]] = {}
    for repository in chosen:
        result = await _finished(opened, repository, chosen, asked, as_json=as_json)
        counts = {
            name: value for name, value in asdict(result).items() if name not in ("started", "finished")
        }
        stayed = await left(db, repository.id)
        done[repository.name] = {**counts, "left": [_document(each) for each in stayed]}
        if not as_json:
            lines = (f"  {each.digest} (rule {each.priority}): {each.reason}" for each in stayed)
            say(f"{repository.name}: {_told(result)}", *lines)
    if as_json:
        say(json.dumps(done))


async def _finished(
    opened: BesideRegistry, repository: Repository, chosen: list[Repository], asked: int, *, as_json: bool
) -> Run:
    """When the server is through; it shows how far it is meanwhile. It takes one of those `chosen` after the other."""
    shown = moved = asked
    before: list[Run] = []
    while True:
        now, found = system_clock(), await _run_since(opened, repository, asked)
        if found is not None and found.finished is not None:
            return found
        runs = [run for each in chosen if (run := await _run_since(opened, each, asked)) is not None]
        if runs != before:
            before, moved = runs, now
        _check_server(runs, now - moved)
        if found is not None and now - shown > _SHOWN_US:
            shown = now
            if not as_json:
                say(f"{repository.name}: {_told(found)} so far")
        await asyncio.sleep(_LOOK_S)


async def _run_since(opened: BesideRegistry, repository: Repository, asked: int) -> Run | None:
    found = await last_run(opened.beside.db, repository.id)
    return found if found is not None and found.started >= asked else None


def _check_server(runs: list[Run], idle: int) -> None:
    """Raise `Failed` where none has got on for too long."""
    is_at_work = any(run.finished is None for run in runs)
    if is_at_work and idle > _GETS_ON_US:
        raise Failed(
            "the server has stopped in the middle: is it running? What is left is done when it starts"
        )
    if not is_at_work and idle > _TAKEN_UP_US:
        raise Failed(
            "no server has taken it up: is `moorage serve` running? What was asked for is done when one starts"
        )


def _document(each: Left) -> dict[str, object]:
    return {
        "imageDigest": str(each.digest),
        "rulePriority": each.priority,
        "failureCode": each.code,
        "failureReason": each.reason,
    }


def _told(found: Run) -> str:
    parts = [f"{found.expired} expired", f"{found.archived} archived"]
    if found.untagged:
        parts.append(f"{found.untagged} tags removed")
    if found.failed:
        parts.append(f"{found.failed} had to stay")
    return ", ".join(parts)
