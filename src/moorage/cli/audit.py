"""`moorage audit`."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

import uvloop

from moorage.base.clock import SECOND
from moorage.cli.moments import moment_of
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import columns, say, styled
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.registry.audit import trail
from moorage.registry.audit.record import Record
from moorage.server.app import opened_beside

_PAGE = 1_000
_TITLES = ("TIME", "WHO", "FROM", "EVENT", "RESOURCE", "OUTCOME")


def run(arguments: argparse.Namespace) -> int:
    since = _since(arguments.since)
    settings = settings_from(arguments)
    with clear_errors(settings):
        records = uvloop.run(_records(settings, arguments, since))
    if arguments.json:
        say(json.dumps([trail.members_of(record) for record in records]))
        return 0
    heading = [styled(title, "bold") for title in _TITLES]
    say(*columns([heading, *(_row(record) for record in records)]))
    return 0


def _since(text: str | None) -> int:
    if text is None:
        return 0
    try:
        return moment_of(text)
    except ValueError:
        raise InvalidSettings(
            f"--since is '{text}': a time as 2026-11-24T20:00:00Z, UTC without a zone"
        ) from None


async def _records(settings: Settings, arguments: argparse.Namespace, since: int) -> list[Record]:
    """The newest that are asked for, newest first."""
    async with opened_beside(settings) as beside:
        found: list[Record] = []
        before = None
        while page := await trail.latest(beside.db, since, before, _PAGE):
            found += [each.record for each in page if _is_asked_for(each.record, arguments)]
            if len(found) >= arguments.limit:
                break
            before = page[-1].id
    return found[: arguments.limit]


def _is_asked_for(record: Record, arguments: argparse.Namespace) -> bool:
    return (
        (arguments.event is None or record.name == arguments.event)
        and (arguments.user is None or record.username == arguments.user)
        and (arguments.key is None or record.access_key == arguments.key)
        and (arguments.resource is None or record.resource == arguments.resource)
        and (not arguments.denied or "errorCode" in trail.members_of(record))
    )


def _row(record: Record) -> list[str]:
    members = trail.members_of(record)
    moment = f"{datetime.fromtimestamp(record.occurred / SECOND, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    code = members.get("errorCode")
    cells = [
        moment,
        record.username or record.access_key or _service(members) or "unknown",
        "" if _service(members) else members["sourceIPAddress"],
        record.name,
    ]
    cells.append(record.resource)
    shown = [_printable(cell) for cell in cells]
    return [*shown, styled(_printable(code), "red") if code else "done"]


def _service(members: dict[str, Any]) -> str:
    """Of what it did by itself: nobody called."""
    return "the service" if members.get("eventType") == "AwsServiceEvent" else ""


def _printable(value: Any) -> str:
    """What strangers sent may not move the cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))
