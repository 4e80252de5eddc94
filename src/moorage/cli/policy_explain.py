"""`moorage policy explain`."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import uvloop

from moorage.access.analysis import UnknownPrincipal, context_of, policies_of, principal_named, reason
from moorage.access.authorizer import as_asked
from moorage.access.grants import StoredGrants, account_of
from moorage.access.policies.context import normalized
from moorage.access.policies.decide import Asked, Layer, PolicySet
from moorage.access.policies.explain import Explanation, Matched, explain
from moorage.cli.opening import clear_errors
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, columns, say, styled
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.server.app import opened_beside, read_organization

_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+")
_RESOURCE = re.compile(r"\*|arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:\S+")


@dataclass(frozen=True, slots=True)
class Explained:
    asked: Asked
    policies: PolicySet
    explanation: Explanation


def run(arguments: argparse.Namespace) -> int:
    if not _ACTION.fullmatch(arguments.action):
        raise InvalidSettings(f"--action is '{arguments.action}': SERVICE:NAME, as ecr:PutImage")
    if not _RESOURCE.fullmatch(arguments.resource):
        raise InvalidSettings(f"--resource is '{arguments.resource}': an ARN, or *")
    context = _context(arguments.context or [])
    settings = settings_from(arguments)
    with clear_errors(settings):
        explained = uvloop.run(_explain(settings, arguments, context))
    if arguments.json:
        say(json.dumps(_document(explained), ensure_ascii=False))
    else:
        say(*_lines(explained))
    return 0 if explained.explanation.decision.allowed else 1


def _context(entries: Sequence[str]) -> dict[str, str | list[str]]:
    """A key that is given several times has several values."""
    found: dict[str, str | list[str]] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals or ":" not in key:
            raise InvalidSettings(f"--context is '{entry}': KEY=VALUE, as aws:SourceIp=10.0.0.1")
        before = found.get(key.lower())
        if before is None:
            found[key.lower()] = value
        else:
            found[key.lower()] = [*([before] if isinstance(before, str) else before), value]
    return found


async def _explain(
    settings: Settings, arguments: argparse.Namespace, given: Mapping[str, str | list[str]]
) -> Explained:
    async with opened_beside(settings) as beside:
        try:
            principal = await principal_named(beside.db, arguments.principal)
        except UnknownPrincipal as error:
            raise Failed(f"there is no principal {error} here") from error
        stored = StoredGrants(beside.db, beside.epochs, read_organization(settings))
        owner = account_of(arguments.resource) or principal.account
        about = await stored.about(arguments.resource, owner, settings.region)
        facts = as_asked(about, principal, arguments.action)
        grants = await stored.of(principal)
        known = context_of(principal, grants, facts)
        region = {"aws:requestedregion": settings.region}
        context = {**region, **known, **normalized(given)}
        policies = policies_of(grants, facts)
        asked = Asked(grants.caller, arguments.action, arguments.resource, facts.account, context)
        return Explained(asked, policies, explain(asked, policies))


def _lines(explained: Explained) -> Iterator[str]:
    asked, decision = explained.asked, explained.explanation.decision
    word = styled("allowed", "green") if decision.allowed else styled("denied", "red")
    yield f"{word}: {reason(decision, asked.action)}"
    yield ""
    heading = [
        styled(title, "bold") for title in ("LAYER", "SAYS", "POLICY", "STATEMENT", "LINES", "BUT NOT")
    ]
    yield from columns([heading, *_rows(explained)])
    if explained.explanation.missing:
        yield ""
        keys = ", ".join(explained.explanation.missing)
        yield f"Asked for, and not known: {keys} (give --context KEY=VALUE)"


def _rows(explained: Explained) -> Iterator[list[str]]:
    """One for each statement that is about it; a layer that says nothing has one too."""
    for layer, policies in _layers(explained.policies):
        matched = [one for one in explained.explanation.matched if one.layer == layer]
        unmet = [one for one in explained.explanation.unmet if one.statement.layer == layer]
        if not (matched or unmet):
            says = "not there" if policies is None else "nothing" if policies else "no policy"
            yield [layer, styled(says, "dim"), "", "", "", ""]
        for one in matched:
            style = "green" if one.effect == "Allow" else "red"
            yield [layer, styled(one.effect.lower(), style), one.source, one.sid, _span(one), ""]
        for missed in unmet:
            one = missed.statement
            says = styled(f"would {one.effect.lower()}", "dim")
            yield [layer, says, one.source, one.sid, _span(one), ", ".join(missed.conditions)]


def _span(one: Matched) -> str:
    return f"{one.start.line}-{one.end.line}" if one.end.line > one.start.line else str(one.start.line)


def _layers(policies: PolicySet) -> Iterator[tuple[Layer, Sequence[object] | None]]:
    """In the order in which they are asked; None is what there is not."""
    yield "scp", policies.scps or None
    yield "rcp", policies.rcps or None
    yield "resource", policies.resource or None
    yield "identity", policies.identity
    yield "boundary", policies.boundary


def _document(explained: Explained) -> dict[str, object]:
    decision = explained.explanation.decision
    return {
        "allowed": decision.allowed,
        "why": reason(decision, explained.asked.action),
        "layer": decision.layer,
        "explicit": decision.explicit,
        "matched": [_statement(one) for one in explained.explanation.matched],
        "unmet": [
            {**_statement(one.statement), "conditions": list(one.conditions)}
            for one in explained.explanation.unmet
        ],
        "missing": list(explained.explanation.missing),
    }


def _statement(one: Matched) -> dict[str, object]:
    return {
        "layer": one.layer,
        "policy": one.source,
        "statement": one.sid,
        "effect": one.effect,
        "line": one.start.line,
        "column": one.start.column,
    }
