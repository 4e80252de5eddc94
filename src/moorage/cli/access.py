"""`moorage access`."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Sequence

import uvloop

from moorage.access.analysis import VERBS, Finding, UnknownPrincipal, findings
from moorage.access.grants import StoredGrants
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.base.names import is_account_id, is_repository_name
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, columns, say, styled
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.registry.repositories import repository as repositories
from moorage.server.app import Beside, opened_beside, read_organization

_ACTION = re.compile(r"ecr:[A-Za-z]+")
_STYLES = {"yes": "green", "if": "yellow", "no": "red"}
_PAGE = 1_000


def run(arguments: argparse.Namespace) -> int:
    name, verbs = arguments.repository, arguments.action or list(VERBS)
    if not is_repository_name(name):
        raise InvalidSettings(f"'{name}' is no name of a repository")
    wrong = [verb for verb in verbs if verb not in VERBS and not _ACTION.fullmatch(verb)]
    if wrong:
        raise InvalidSettings(f"--action is '{wrong[0]}': {', '.join(VERBS)}, or an action as ecr:PutImage")
    if arguments.id is not None and not is_account_id(arguments.id):
        raise InvalidSettings(f"--account is '{arguments.id}': an account id has 12 digits")
    settings = settings_from(arguments)
    with clear_errors(settings):
        found = uvloop.run(_findings(settings, arguments, verbs))
    if arguments.json:
        say(json.dumps([_document(finding) for finding in found], ensure_ascii=False))
    else:
        say(*_table(found))
    return 0


async def _findings(settings: Settings, arguments: argparse.Namespace, verbs: Sequence[str]) -> list[Finding]:
    async with opened_beside(settings) as beside:
        account = arguments.id or await beside.default_account()
        try:
            await repositories.find_in(beside.db, Registry(account, settings.region), arguments.repository)
            return await findings(
                beside.db,
                StoredGrants(beside.db, beside.epochs, read_organization(settings)),
                str(RepositoryArn(account, settings.region, arguments.repository)),
                verbs,
                accounts=await _accounts(beside),
                only=arguments.principal or "",
            )
        except UnknownPrincipal as error:
            raise Failed(f"there is no principal {error} here") from error
        except RepositoryNotFound as error:
            raise Failed(f"{error} in region {settings.region}") from error


async def _accounts(beside: Beside) -> list[str]:
    found: list[str] = []
    while page := await beside.credentials.accounts(found[-1] if found else "", _PAGE):
        found += [account for account, _ in page]
    return found


def _document(finding: Finding) -> dict[str, object]:
    return {
        "principal": finding.principal,
        "action": finding.verb,
        "may": finding.may,
        "why": finding.why,
        "conditions": list(finding.conditions),
    }


def _table(found: Sequence[Finding]) -> list[str]:
    heading = [styled(title, "bold") for title in ("PRINCIPAL", "MAY", "ACTION", "WHY")]
    return columns([heading, *_rows(found)])


def _rows(found: Iterable[Finding]) -> Iterable[list[str]]:
    """What is the same for several actions is one row; a principal is named once."""
    grouped: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for finding in found:
        key = (finding.principal, finding.may, finding.why, finding.conditions)
        grouped.setdefault(key, []).append(finding.verb)
    shown = ""
    for (principal, may, why, conditions), verbs in grouped.items():
        texts = [text if text.startswith("unless ") else f"if {text}" for text in conditions]
        yield [
            "" if principal == shown else principal,
            styled(may, _STYLES[may]),
            ", ".join(verbs),
            "; ".join([why, *texts]),
        ]
        shown = principal
