"""What is wrong with a policy, where it stands, and what its author may not have meant.

Problems are what nobody may store (`document.parse`), with line and column. Warnings are what can be stored and does
nothing, or too much.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from moorage.access.policies.document import parse
from moorage.access.policies.explain import Position, spans
from moorage.access.policies.globs import glob, matcher
from moorage.access.policies.syntax import Document, Kind, MalformedPolicy, StatementText, read
from moorage.aws.operation import ALSO_CALLED
from moorage.aws.shapes import SERVICES, load

_PROVIDER_KEY = re.compile(r"[a-z0-9.-]+\.[a-z0-9.-]+(?:/[^:]*)?:[a-z_]+", re.IGNORECASE)
# Actions that are no operations (service authorization reference).
_PERMISSIONS: Mapping[str, frozenset[str]] = {
    "ecr": frozenset({"BatchImportUpstreamImage", "ReplicateImage", "UpdateImageStorageClass"}),
    "iam": frozenset({"PassRole"}),
    "sts": frozenset({"SetContext", "SetSourceIdentity", "TagSession"}),
}
_NOT_ACTIONS = {"ecr": frozenset({"ListImageReferrers"})}
_FILLED = frozenset(
    {
        *("aws:currenttime", "aws:epochtime", "aws:federatedprovider", "aws:multifactorauthpresent"),
        *("aws:principalaccount", "aws:principalarn", "aws:principalisawsservice", "aws:principalorgid"),
        *(
            "aws:principaltype",
            "aws:referer",
            "aws:requestedregion",
            "aws:resourceaccount",
            "aws:resourceorgid",
        ),
        *("aws:securetransport", "aws:sourceaccount", "aws:sourcearn", "aws:sourceidentity", "aws:sourceip"),
        *("aws:sourcevpc", "aws:sourcevpcarn"),
        *(
            "aws:sourcevpce",
            "aws:tagkeys",
            "aws:tokenissuetime",
            "aws:useragent",
            "aws:userid",
            "aws:username",
        ),
        *("aws:viaawsservice", "aws:vpceaccount", "aws:vpceorgid", "aws:vpcsourceip", "ecr:accountsetting"),
        *("iam:awsservicename", "iam:passedtoservice", "iam:permissionsboundary", "iam:policyarn"),
        *("moorage:imagetag", "sts:externalid", "sts:rolesessionname", "sts:sourceidentity"),
        "sts:transitivetagkeys",
    }
)
"""Keys that a request here may have."""
_FILLED_PREFIXES = (
    *("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/", "ecr:resourcetag/", "iam:resourcetag/"),
)
_NEVER_FILLED = frozenset(
    {
        *("aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "aws:ec2instancesourceprivateipv4"),
        *("aws:ec2instancesourcevpc", "aws:multifactorauthage", "aws:principalorgpaths"),
        *("aws:principalservicename", "aws:principalservicenameslist", "aws:resourceorgpaths"),
        *("aws:sourceorgid", "aws:sourceorgpaths", "aws:vpceorgpaths"),
    }
)
"""AWS has them, and nothing here sets them."""


@dataclass(frozen=True, slots=True)
class Remark:
    is_problem: bool
    text: str
    at: Position | None = None


def kind_of(text: str) -> Kind:
    """What it looks like: who names principals is a resource's, or a role's if it is about STS."""
    try:
        document = read(text)
    except MalformedPolicy:
        return "identity"
    if not any(statement.principals for statement in document.statements):
        return "identity"
    actions = [action.lower() for statement in document.statements for action in statement.actions]
    return "trust" if actions and all(action.startswith("sts:") for action in actions) else "repository"


def review(text: str, kind: Kind) -> list[Remark]:
    """Problems, or without any the warnings."""
    try:
        document = parse(text, kind)
    except MalformedPolicy as error:
        return [_problem(text, kind, str(error))]
    places = spans(text)
    found = [
        Remark(False, warning, places[number][0])
        for number, statement in enumerate(document.statements)
        for warning in _warnings(statement, kind)
    ]
    return [*found, *_of_all(document, kind)]


def _problem(text: str, kind: Kind, reason: str) -> Remark:
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        return Remark(True, f"{reason} {error.msg}", Position(error.lineno, error.colno))
    except RecursionError:
        return Remark(True, reason)
    if not isinstance(tree, dict):
        return Remark(True, reason, Position(1, 1))
    if reason == _reason(json.dumps({**tree, "Statement": []}), kind):
        return Remark(True, reason)
    statements = tree.get("Statement")
    each = statements if isinstance(statements, list) else [statements]
    for number, statement in enumerate(each):
        if reason == _reason(json.dumps({**tree, "Statement": [statement]}), kind):
            return Remark(True, reason, _place(text, number))
    return Remark(True, reason)


def _reason(text: str, kind: Kind) -> str:
    """Why it cannot be stored."""
    try:
        parse(text, kind)
    except MalformedPolicy as error:
        return str(error)
    return ""


def _place(text: str, number: int) -> Position | None:
    try:
        return spans(text)[number][0]
    except (IndexError, ValueError):  # `spans` is for what can be read
        return None


def _warnings(statement: StatementText, kind: Kind) -> Iterator[str]:
    yield from _about_actions(statement)
    for condition in statement.conditions:
        yield from _about_key(condition.key)
    if statement.effect == "Deny":
        return
    if statement.is_not_action:
        yield "Allow with NotAction allows all other actions, also those that are yet to come"
    everything = "*" in statement.actions and "*" in (statement.resources or ("*",))
    everyone = (statement.principals or {}).get("AWS", ()) == ("*",)
    if statement.conditions or kind in ("scp", "rcp", "endpoint"):
        return
    if everyone:
        yield "everyone of every account is allowed, without a condition"
    elif everything:
        yield "every action on every resource is allowed, without a condition"


def _about_actions(statement: StatementText) -> Iterator[str]:
    for action in statement.actions:
        service, _, name = action.partition(":")
        if "*" in service:
            continue
        known = _actions(service.lower())
        if known is None:
            yield f"{action}: nothing here is called by a service {service}"
        elif not any(map(matcher([glob(name.lower())]), known)):
            yield f"{action}: there is no such action"


@cache
def _actions(service: str) -> frozenset[str] | None:
    """In lower case; None for a service that is not here."""
    if service not in SERVICES:
        return None
    others = {name.partition(":")[2] for name in ALSO_CALLED.values() if name.startswith(f"{service}:")}
    names = {*load(service).OPERATIONS, *others, *_PERMISSIONS.get(service, ())}
    return frozenset(name.lower() for name in names - _NOT_ACTIONS.get(service, frozenset()))


def _about_key(key: str) -> Iterator[str]:
    folded = key.lower()
    if folded in _FILLED or folded.startswith(_FILLED_PREFIXES) or _PROVIDER_KEY.fullmatch(key):
        return
    if folded in _NEVER_FILLED:
        yield f"{key}: no request here has this key"
    else:
        yield f"{key}: an unknown condition key"


def _of_all(document: Document, kind: Kind) -> Iterable[Remark]:
    if kind == "scp" and not any(statement.effect == "Allow" for statement in document.statements):
        yield Remark(False, "nothing is allowed: some other policy of this level has to allow it")
