"""Policy documents as JSON, read into values: their shape only.

What a policy may say is told by `document`; what is stored already, perhaps by an older Moorage with other rules, is
read by the shape and judged, on the side of refusal, when it is evaluated. Sizes that Amazon counts are the caller's
business; the limits here bound the work. Reasons are worded as IAM words them, where it does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

Kind = Literal["identity", "trust", "repository", "registry", "endpoint", "scp", "rcp", "key"]
"""`identity` covers managed and inline policies, permissions boundaries and session policies."""
Effect = Literal["Allow", "Deny"]
Version = Literal["2008-10-17", "2012-10-17"]

CHARACTERS_MAX = 131_072
DEPTH_MAX = 10
STATEMENTS_MAX = 1_000
VALUES_MAX = 10_000
"""Actions, resources, principals and condition values, together."""
NUMBER_CHARACTERS_MAX = 64

_CHARACTERS = re.compile(r"[\t\n\r -\xff]*")
_BLOCKS = ("Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal")
_ELEMENTS = frozenset({"Sid", "Effect", "Condition", *_BLOCKS})


class MalformedPolicy(Exception):
    """`str(error)` is the reason, a sentence for the answer."""


@dataclass(frozen=True, slots=True)
class ConditionText:
    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatementText:
    sid: str
    effect: Effect
    actions: tuple[str, ...]
    is_not_action: bool
    resources: tuple[str, ...] | None
    """None: the element is not there, and the resource is the one that the policy is attached to."""
    is_not_resource: bool
    principals: Mapping[str, tuple[str, ...]] | None
    """By type; `"*"` is written `{"AWS": ("*",)}`."""
    is_not_principal: bool
    conditions: tuple[ConditionText, ...]


@dataclass(frozen=True, slots=True)
class Document:
    version: Version
    id: str | None
    statements: tuple[StatementText, ...]


class _Number(str):
    """A number as it is written: 10.0 stays 10.0, and digits without end are never computed with."""


def read(text: str) -> Document:
    """Raise `MalformedPolicy`."""
    policy = _object(_tree(text), "policy")
    _only(policy, {"Version", "Id", "Statement"})
    version = policy.get("Version", "2008-10-17")
    if version not in ("2008-10-17", "2012-10-17"):
        _refuse("The policy must contain a valid version string")
    id_ = policy.get("Id")
    if id_ is not None and type(id_) is not str:
        _refuse("Id must be a string")
    statements = policy.get("Statement")
    if statements is None:
        _refuse("Missing required field Statement")
    found = statements if isinstance(statements, list) else [statements]
    if len(found) > STATEMENTS_MAX:
        _refuse(f"A policy has at most {STATEMENTS_MAX} statements")
    document = Document(version, id_, tuple(map(_statement, found)))
    if sum(map(_count, document.statements)) > VALUES_MAX:
        _refuse(f"A policy has at most {VALUES_MAX} values")
    return document


def _tree(text: str) -> object:
    if len(text) > CHARACTERS_MAX:
        _refuse(f"A policy has at most {CHARACTERS_MAX} characters")
    if not _CHARACTERS.fullmatch(text):
        _refuse("The policy has characters outside of U+0009, U+000A, U+000D and U+0020 to U+00FF")
    try:
        tree = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError):
        raise MalformedPolicy("Syntax errors in policy.") from None
    _check_tree(tree, DEPTH_MAX)
    return tree


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Python keeps the last of equal keys, which is not the one a reader saw."""
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("An element is there twice")
    return found


def _number(text: str) -> _Number:
    if len(text) > NUMBER_CHARACTERS_MAX:
        _refuse("A number is too long")
    return _Number(text)


def _refuse_constant(name: str) -> NoReturn:
    _refuse(f"{name} is no number")


def _check_tree(tree: object, depth: int) -> None:
    """No deeper than `depth`, and no character that is not allowed came in as `\\u0000`."""
    if isinstance(tree, str):
        if not _CHARACTERS.fullmatch(tree):
            _refuse("The policy has characters outside of U+0009, U+000A, U+000D and U+0020 to U+00FF")
    elif isinstance(tree, dict | list):
        if depth == 0:
            _refuse(f"A policy is at most {DEPTH_MAX} levels deep")
        for inner in tree if isinstance(tree, list) else (*tree, *tree.values()):
            _check_tree(inner, depth - 1)


def _statement(tree: object) -> StatementText:
    statement = _object(tree, "Statement")
    _only(statement, _ELEMENTS)
    sid = statement.get("Sid", "")
    if type(sid) is not str:
        _refuse("Sid must be a string")
    effect = statement.get("Effect")
    if effect not in ("Allow", "Deny"):
        _refuse("Effect must be Allow or Deny")
    actions, is_not_action = _either(statement, "Action")
    if actions is None:
        _refuse("Policy statement must contain actions.")
    resources, is_not_resource = _either(statement, "Resource")
    principal, is_not_principal = _either(statement, "Principal")
    return StatementText(
        sid=sid,
        effect=effect,
        actions=_strings(actions, "Action"),
        is_not_action=is_not_action,
        resources=None if resources is None else _strings(resources, "Resource"),
        is_not_resource=is_not_resource,
        principals=None if principal is None else _principals(principal),
        is_not_principal=is_not_principal,
        conditions=_conditions(statement.get("Condition", {})),
    )


def _either(statement: Mapping[str, Any], name: str) -> tuple[Any, bool]:
    """The element or its opposite, and whether it is the opposite."""
    if name in statement and f"Not{name}" in statement:
        _refuse(f"A statement has {name} or Not{name}, not both")
    if f"Not{name}" in statement:
        return statement[f"Not{name}"], True
    return statement.get(name), False


def _principals(tree: object) -> Mapping[str, tuple[str, ...]]:
    if tree == "*":
        return {"AWS": ("*",)}
    types = _object(tree, "Principal")
    _only(types, {"AWS", "CanonicalUser", "Federated", "Service"})
    if not types:
        _refuse("Invalid principal in policy")
    return {kind: _strings(values, "Principal") for kind, values in types.items()}


def _conditions(tree: object) -> tuple[ConditionText, ...]:
    return tuple(
        ConditionText(operator, key, _values(values))
        for operator, keys in _object(tree, "Condition").items()
        for key, values in _object(keys, "Condition").items()
    )


def _values(tree: object) -> tuple[str, ...]:
    """Numbers and booleans need no quotes."""
    found = []
    for value in tree if isinstance(tree, list) else [tree]:
        if isinstance(value, bool):
            found.append("true" if value else "false")
        elif isinstance(value, str):
            found.append(str(value))
        else:
            _refuse("A condition's value must be a string, a number or a boolean")
    return tuple(found)


def _strings(tree: object, name: str) -> tuple[str, ...]:
    found = tree if isinstance(tree, list) else [tree]
    if not all(type(value) is str for value in found):
        _refuse(f"{name} must be a string or a list of strings")
    return tuple(found)


def _object(tree: object, name: str) -> dict[str, Any]:
    if not isinstance(tree, dict):
        _refuse(f"{name} must be an object")
    return tree


def _only(found: Mapping[str, object], known: Set[str]) -> None:
    for name in found:
        if name not in known:
            _refuse(f"Unknown element {name[:64]}")


def _count(statement: StatementText) -> int:
    return (
        len(statement.actions)
        + len(statement.resources or ())
        + sum(map(len, (statement.principals or {}).values()))
        + sum(len(condition.values) for condition in statement.conditions)
    )


def _refuse(reason: str) -> NoReturn:
    raise MalformedPolicy(reason)
