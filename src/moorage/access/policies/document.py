"""What a policy may say when somebody stores it.

`parse` refuses whatever could mean something else than its author thinks: an operator that does not exist, a number
that is none, a wildcard that would not be one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NoReturn

from moorage.access.policies import values
from moorage.access.policies.globs import ARN_SEGMENTS, arn_pattern
from moorage.access.policies.operators import find_operator
from moorage.access.policies.principals import is_principal
from moorage.access.policies.syntax import (
    ConditionText,
    Document,
    Kind,
    MalformedPolicy,
    StatementText,
    Version,
    read,
)
from moorage.access.policies.variables import Template

__all__ = ["Document", "Kind", "MalformedPolicy", "names_only", "parse"]

VARIABLES_SINCE: Version = "2012-10-17"

_SID = re.compile(r"[0-9A-Za-z]*")
_ACTION = re.compile(r"(?P<service>[A-Za-z0-9-]+|\*(?=:\*\Z)):[A-Za-z0-9*?]+")
_PARTITION = re.compile(r"\*|aws(?:-[a-z]+)*")
_SERVICE = re.compile(r"[A-Za-z0-9-]+")
_EVERYONE = {"AWS": ("*",)}
_ECHO = 128


def parse(text: str, kind: Kind) -> Document:
    """Raise `MalformedPolicy`, whose text is the reason."""
    document = read(text)
    if not document.statements:
        _refuse("Missing required field Statement")
    if kind == "identity" and document.id is not None:
        _refuse("Unknown element Id")
    sids = [statement.sid for statement in document.statements if statement.sid]
    if len(set(sids)) != len(sids):
        _refuse("Statement IDs (SID) in a single policy must be unique.")
    check_kind = _KINDS[kind]
    for statement in document.statements:
        check_kind(statement)
        _check_actions(statement)
        _check_resources(statement, document.version)
        _check_principals(statement)
        for condition in statement.conditions:
            _check_condition(condition, document.version)
    return document


def names_only(document: Document, arn: str) -> bool:
    """Whether every Resource is `*` or matches `arn`: a repository's policy speaks of no other repository."""
    return not any(
        statement.is_not_resource or not all(_names(resource, arn) for resource in statement.resources or ())
        for statement in document.statements
    )


def _names(resource: str, arn: str) -> bool:
    pattern = arn_pattern(((resource, True),))
    return resource == "*" or (pattern is not None and pattern.fullmatch(arn) is not None)


def _check_identity(statement: StatementText) -> None:
    if statement.principals is not None:
        _refuse("Policy document should not specify a principal.")
    if not _SID.fullmatch(statement.sid):
        _refuse(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*"
        )
    _want_resources(statement)


def _check_trust(statement: StatementText) -> None:
    if statement.resources is not None:
        _refuse("Has prohibited field Resource")
    if statement.is_not_principal:
        _refuse("Has prohibited field NotPrincipal")
    if not all(action.lower().startswith("sts:") for action in statement.actions):
        _refuse("AssumeRole policy may only specify STS AssumeRole actions.")
    _want_principals(statement)


def _check_repository(statement: StatementText) -> None:
    _want_principals(statement)


def _check_resource_policy(statement: StatementText) -> None:
    _want_principals(statement)
    _want_resources(statement)


def _check_resource_control(statement: StatementText) -> None:
    if statement.principals != _EVERYONE or statement.is_not_principal:
        _refuse('Principal must be "*"')
    _want_resources(statement)


_KINDS: Mapping[Kind, Callable[[StatementText], None]] = {
    "endpoint": _check_resource_policy,
    "identity": _check_identity,
    "key": _check_resource_policy,
    "rcp": _check_resource_control,
    "registry": _check_resource_policy,
    "repository": _check_repository,
    "scp": _check_identity,
    "trust": _check_trust,
}


def _want_resources(statement: StatementText) -> None:
    if statement.resources is None:
        _refuse("Policy statement must contain resources.")


def _want_principals(statement: StatementText) -> None:
    if statement.principals is None:
        _refuse("Missing required field Principal")
    if statement.is_not_principal and statement.effect == "Allow":
        _refuse("NotPrincipal is for Deny only")


def _check_actions(statement: StatementText) -> None:
    if not statement.actions:
        _refuse("Policy statement must contain actions.")
    for action in statement.actions:
        if action != "*" and not _ACTION.fullmatch(action):
            _refuse("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")


def _check_resources(statement: StatementText, version: Version) -> None:
    if statement.resources == ():
        _refuse("Policy statement must contain resources.")
    for resource in statement.resources or ():
        if resource != "*":
            _check_resource(resource, version)


def _check_resource(resource: str, version: Version) -> None:
    """An ARN may end early: what is missing is `*`."""
    segments = resource.split(":", ARN_SEGMENTS - 1)
    if segments[0] != "arn" or len(segments) < 3:
        _refuse(f'Resource {resource[:_ECHO]} must be in ARN format or "*".')
    if not _PARTITION.fullmatch(segments[1]):
        _refuse(f'Partition "{segments[1][:_ECHO]}" is not valid for resource "{resource[:_ECHO]}".')
    if not _SERVICE.fullmatch(segments[2]):
        _refuse("Resource vendor must be fully qualified and cannot contain regexes.")
    if version == VARIABLES_SINCE:
        if any("${" in segment for segment in segments[: ARN_SEGMENTS - 1]):
            _refuse("A resource's variables stand after the fifth colon")
        _check_variables(segments[-1])


def _check_principals(statement: StatementText) -> None:
    for kind, named in (statement.principals or {}).items():
        if not named:
            _refuse("Invalid principal in policy")
        for value in named:
            if not is_principal(kind, value):
                _refuse(f'Invalid principal in policy: "{kind}":"{value[:_ECHO]}"')


def _check_condition(condition: ConditionText, version: Version) -> None:
    operator = find_operator(condition.operator)
    if operator is None:
        _refuse(f"Invalid Condition type : {condition.operator[:_ECHO]}.")
    service, _, name = condition.key.partition(":")
    if not service or not name:
        _refuse("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    if not condition.values:
        _refuse(f"Condition {condition.operator[:_ECHO]} must have values")
    has_variables = (
        operator.family is not None and operator.family.has_variables and version == VARIABLES_SINCE
    )
    for value in condition.values:
        if has_variables:
            _check_variables(value)
        if has_variables and not Template.parse(value).is_fixed:
            continue
        is_readable = (
            operator.family.is_readable(value) if operator.family else values.truth(value) is not None
        )
        if not is_readable:
            _refuse(f"Invalid value {value[:_ECHO]} of condition type {condition.operator[:_ECHO]}")


def _check_variables(text: str) -> None:
    if Template.parse(text).is_malformed:
        _refuse(f"Invalid variable in {text[:_ECHO]}")


def _refuse(reason: str) -> NoReturn:
    raise MalformedPolicy(reason)
