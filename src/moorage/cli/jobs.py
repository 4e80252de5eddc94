"""`moorage jobs`."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

import uvloop

from moorage.base.clock import SECOND
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import columns, say, styled
from moorage.config.settings import Settings
from moorage.server.app import opened_beside
from moorage.store.jobs import queue
from moorage.store.jobs.queue import NEVER, Listed

_PAGE = 1_000
_TITLES = ("ID", "JOB", "SUBJECT", "STATE", "PROGRESS", "NEXT", "ATTEMPTS", "LAST ERROR")
_ERROR_SHOWN = 60


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    with clear_errors(settings):
        found = uvloop.run(_jobs(settings))
    if arguments.json:
        say(json.dumps([_document(each) for each in found]))
        return 0
    heading = [styled(title, "bold") for title in _TITLES]
    say(*columns([heading, *(_row(each) for each in found)]))
    return 0


async def _jobs(settings: Settings) -> list[Listed]:
    async with opened_beside(settings) as beside:
        found: list[Listed] = []
        while page := await queue.page(beside.db, found[-1].id if found else 0, _PAGE):
            found += page
    return found


def _document(job: Listed) -> dict[str, object]:
    return {
        "id": job.id,
        "kind": job.kind,
        "subject": job.subject,
        "state": job.state,
        "created": _moment(job.created).isoformat(),
        "due": _moment(job.due).isoformat() if job.state == "waiting" and job.due < NEVER else None,
        "attempts": job.attempts,
        "error": job.error or None,
        "done": job.done,
        "total": job.total,
        "note": job.note or None,
    }


def _row(job: Listed) -> list[str]:
    state = styled(job.state, "red") if job.state == "failed" else job.state
    is_waiting = job.state == "waiting" and job.due < NEVER
    due = f"{_moment(job.due).astimezone():%Y-%m-%d %H:%M:%S}" if is_waiting else ""
    progress = f"{job.done} of {job.total}" if job.total else str(job.done or "")
    shown = " ".join(part for part in (progress, job.note) if part)
    error = "".join(letter if letter.isprintable() else " " for letter in job.error[:_ERROR_SHOWN])
    return [str(job.id), job.kind, job.subject, state, shown, due, str(job.attempts), error]


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / SECOND, UTC)
