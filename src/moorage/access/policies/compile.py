"""Policies ready to be asked: what can be worked out once is, when a policy is stored or first read.

A statement is asked only if its action matches, which is remembered for each action; so a policy of many statements
costs about as much as the few that are about the action.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from moorage.access.policies.asked import Asked, Caller
from moorage.access.policies.conditions import Condition, condition
from moorage.access.policies.document import VARIABLES_SINCE
from moorage.access.policies.globs import ARN_SEGMENTS, Piece, arn_glob, compiled, glob, matcher
from moorage.access.policies.operators import find_operator
from moorage.access.policies.principals import Grant, Principals, principals
from moorage.access.policies.syntax import ConditionText, Document, Effect, Kind, StatementText, read
from moorage.access.policies.variables import Context, Template
from moorage.aws.operation import ALSO_CALLED

_ACTIONS_REMEMBERED = 512
_POLICIES_REMEMBERED = 2_048
_WITHOUT_PRINCIPAL = frozenset({"identity", "scp"})

Resources = Callable[[str, Context], bool]


@dataclass(frozen=True, slots=True)
class Statement:
    sid: str
    number: int
    """In the document, from 0."""
    effect: Effect
    actions: Callable[[str], bool]
    """Of names in lower case."""
    resources: Resources | None
    """None: any, that is the resource that the policy is attached to."""
    fixed: tuple[str, ...] | None
    """The resources as expressions, if a statement is about nothing else: it holds for none that match none of them."""
    conditions: tuple[Condition, ...]
    principals: Principals | None
    is_not_principal: bool

    def holds(self, asked: Asked) -> bool:
        """Whether resource and conditions are those of the statement; its action is looked up, not asked."""
        if self.resources is not None and not self.resources(asked.resource, asked.context):
            return False
        for is_true in self.conditions:  # noqa: SIM110 - a generator would take twice the time
            if not is_true(asked.context):
                return False
        return True

    def grant(self, caller: Caller) -> Grant:
        """How directly it names the caller; in policies that name nobody, everyone is meant."""
        if self.principals is None:
            return Grant.NONE
        if not self.is_not_principal:
            return self.principals.grant(caller)
        is_meant = self.effect == "Deny" and not self.principals.spares(caller)
        return Grant.DIRECT if is_meant else Grant.NONE


@dataclass(frozen=True, slots=True)
class Candidates:
    """The statements about an action."""

    denies: Statements
    allows: Statements


class Statements:
    """Those of one effect. Most are about other resources: one expression for all of them says so at once."""

    __slots__ = ("_every", "_moving", "_names_one")

    def __init__(self, every: Sequence[Statement]) -> None:
        self._every = tuple(every)
        self._moving = tuple(statement for statement in every if statement.fixed is None)
        named = [expression for statement in every for expression in statement.fixed or ()]
        self._names_one = compiled("|".join(f"(?:{one})" for one in named)).fullmatch if named else None

    def about(self, resource: str) -> tuple[Statement, ...]:
        """Those that may be about it, all that are among them."""
        if self._names_one is None or self._names_one(resource) is None:
            return self._moving
        return self._every


@dataclass(frozen=True, slots=True)
class Policy:
    source: str
    """The policy's ARN or name, for messages."""
    kind: Kind
    statements: tuple[Statement, ...]
    reads: frozenset[str]
    """The condition keys that it may look at, in lower case (`aws:resourcetag/team`)."""
    size: int
    """Characters."""
    text: str = field(repr=False)
    _candidates: dict[str, Candidates] = field(default_factory=dict, compare=False, repr=False)

    def candidates(self, action: str) -> Candidates:
        """The statements that are about the action, `ecr:PutImage`."""
        found = self._candidates.get(action)
        if found is None:
            found = self._find(action)
            if len(self._candidates) >= _ACTIONS_REMEMBERED:
                self._candidates.clear()
            self._candidates[action] = found
        return found

    def _find(self, action: str) -> Candidates:
        about = [statement for statement in self.statements if _is_about(statement, action)]
        return Candidates(
            Statements([statement for statement in about if statement.effect == "Deny"]),
            Statements([statement for statement in about if statement.effect == "Allow"]),
        )


def compile_policy(text: str, kind: Kind, *, source: str = "") -> Policy:
    """Raise `MalformedPolicy` for what cannot be read at all; what is stored need not be what may be stored."""
    return _compiled(text, kind, source)


@lru_cache(maxsize=_POLICIES_REMEMBERED)
def _compiled(text: str, kind: Kind, source: str) -> Policy:
    document = read(text)
    return Policy(
        source=source,
        kind=kind,
        statements=tuple(
            _statement(statement, number, kind, document)
            for number, statement in enumerate(document.statements)
        ),
        reads=frozenset().union(*(_reads(statement, document) for statement in document.statements)),
        size=len(text),
        text=text,
    )


def _statement(statement: StatementText, number: int, kind: Kind, document: Document) -> Statement:
    return Statement(
        sid=statement.sid,
        number=number,
        effect=statement.effect,
        actions=_actions(statement),
        resources=_resources(statement, document),
        fixed=_fixed(statement, document),
        conditions=tuple(
            _condition(one, statement.effect, document)
            # What is cheap and most often false comes first.
            for one in sorted(statement.conditions, key=lambda one: len(one.values))
        ),
        principals=_principals(statement, kind),
        is_not_principal=statement.is_not_principal,
    )


def _is_about(statement: Statement, action: str) -> bool:
    """An action with two names is both: a statement about either is about it."""
    other = ALSO_CALLED.get(action)
    if statement.actions(action.lower()):
        return True
    return other is not None and statement.actions(other.lower())


def _actions(statement: StatementText) -> Callable[[str], bool]:
    is_listed = matcher([glob(action.lower()) for action in statement.actions])
    if statement.is_not_action:
        return lambda action: not is_listed(action)
    return is_listed


def _resources(statement: StatementText, document: Document) -> Resources | None:
    if statement.resources is None:
        return None
    is_listed = _listed_resources(statement, document)
    if not statement.is_not_resource:
        return is_listed
    moving = _moving_resources(statement.resources, document)
    fails_closed = statement.effect == "Allow"

    def holds(resource: str, context: Context) -> bool:
        # All but something that cannot be told is allowed for nothing.
        if fails_closed and any(pattern.pieces(context) is None for _, pattern in moving):
            return False
        return not is_listed(resource, context)

    return holds


def _listed_resources(statement: StatementText, document: Document) -> Resources:
    listed = statement.resources or ()
    if "*" in listed:
        return lambda resource, context: True
    moving = _moving_resources(listed, document)
    fixed = matcher(
        [
            expression
            for resource in listed
            if not _is_moving(resource, document) and (expression := _expression(resource, document))
        ]
    )

    def holds(resource: str, context: Context) -> bool:
        if resource == "*":
            return False  # An action without resources is allowed by `*` only.
        return fixed(resource) or any(_matches(head, tail, resource, context) for head, tail in moving)

    return holds


def _fixed(statement: StatementText, document: Document) -> tuple[str, ...] | None:
    listed = statement.resources
    if listed is None or "*" in listed or statement.is_not_resource:
        return None
    if _moving_resources(listed, document):
        return None
    return tuple(
        expression for resource in listed if (expression := _expression(resource, document)) is not None
    )


def _moving_resources(resources: Sequence[str], document: Document) -> list[tuple[str, Template]]:
    """What stands before the fifth colon, and the rest, of those with variables."""
    found = []
    for resource in resources:
        if _is_moving(resource, document):
            *head, tail = resource.split(":", ARN_SEGMENTS - 1)
            found.append((":".join((*head, "")), Template.parse(tail)))
    return found


def _is_moving(resource: str, document: Document) -> bool:
    if document.version != VARIABLES_SINCE:
        return False
    segments = resource.split(":", ARN_SEGMENTS - 1)
    return len(segments) == ARN_SEGMENTS and not Template.parse(segments[-1]).is_fixed


def _expression(resource: str, document: Document) -> str | None:
    """Of an ARN without variables; an ARN that ends early goes on with `*`."""
    segments = resource.split(":", ARN_SEGMENTS - 1)
    segments += ["*"] * (ARN_SEGMENTS - len(segments))
    *head, tail = segments
    pieces = Template.parse(tail).pieces({}) if document.version == VARIABLES_SINCE else [(tail, True)]
    return arn_glob([(":".join((*head, "")), True), *(pieces or ())])


def _matches(head: str, tail: Template, resource: str, context: Context) -> bool:
    pieces = tail.pieces(context)
    if pieces is None:
        return False
    pattern = _filled(head, tuple(pieces))
    return pattern is not None and pattern.fullmatch(resource) is not None


@lru_cache(maxsize=4_096)
def _filled(head: str, pieces: tuple[Piece, ...]) -> re.Pattern[str] | None:
    """With the variables of one caller: building the expression takes 25 µs, and callers come again."""
    expression = arn_glob([(head, True), *pieces])
    return compiled(expression) if expression is not None else None


def _condition(one: ConditionText, effect: Effect, document: Document) -> Condition:
    operator = find_operator(one.operator)
    return condition(operator, one.key.lower(), _patterns(one, document), effect)


def _patterns(one: ConditionText, document: Document) -> list[Template]:
    operator = find_operator(one.operator)
    has_variables = operator is not None and operator.family is not None and operator.family.has_variables
    if has_variables and document.version == VARIABLES_SINCE:
        return [Template.parse(value) for value in one.values]
    return [Template.verbatim(value) for value in one.values]


def _principals(statement: StatementText, kind: Kind) -> Principals | None:
    if kind in _WITHOUT_PRINCIPAL:
        return None
    return principals(statement.principals or {})


def _reads(statement: StatementText, document: Document) -> frozenset[str]:
    keys = {one.key.lower() for one in statement.conditions}
    patterns = [pattern for one in statement.conditions for pattern in _patterns(one, document)]
    patterns += [tail for _, tail in _moving_resources(statement.resources or (), document)]
    return frozenset(keys).union(*(pattern.keys for pattern in patterns))
