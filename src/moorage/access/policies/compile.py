"""Policies ready to be asked: what can be worked out once is, when a policy is stored or first read.

A statement is asked only if its action matches, which is remembered for each action; so a policy of many statements
costs about as much as the few that are about the action.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from moorage.access.policies.asked import Asked, Caller
from moorage.access.policies.conditions import Condition, condition
from moorage.access.policies.document import VARIABLES_SINCE
from moorage.access.policies.globs import compiled, glob, matcher
from moorage.access.policies.operators import find_operator
from moorage.access.policies.principals import Grant, Principals, principals
from moorage.access.policies.resources import Listed, Resources, compile_resources
from moorage.access.policies.syntax import ConditionText, Document, Effect, Kind, StatementText, read
from moorage.access.policies.variables import Template
from moorage.aws.operation import ALSO_CALLED

_ACTIONS_REMEMBERED = 512
_POLICIES_REMEMBERED = 2_048
_WITHOUT_PRINCIPAL = frozenset({"identity", "scp"})
_OTHER_NAMES = {action.lower(): other.lower() for action, other in ALSO_CALLED.items()}


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

    def __iter__(self) -> Iterator[Statement]:
        return iter(self._every)

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
        about = [statement for statement in self.statements if statement.actions(action.lower())]
        return Candidates(
            Statements([statement for statement in about if statement.effect == "Deny"]),
            Statements([statement for statement in about if statement.effect == "Allow"]),
        )


def compile_policy(text: str, kind: Kind, *, source: str = "") -> Policy:
    """Raise `MalformedPolicy` for what cannot be read at all; what is stored need not be what may be stored."""
    return _remembered(text, kind, source)


def compile_once(text: str, kind: Kind, source: str) -> Policy:
    """As `compile_policy`, of what nobody will ask for again."""
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


_remembered = lru_cache(maxsize=_POLICIES_REMEMBERED)(compile_once)


def _statement(statement: StatementText, number: int, kind: Kind, document: Document) -> Statement:
    listed = _listed(statement, document)
    return Statement(
        sid=statement.sid,
        number=number,
        effect=statement.effect,
        actions=_actions(statement),
        resources=_resources(statement, listed),
        fixed=listed.expressions if listed and listed.is_fixed and not statement.is_not_resource else None,
        conditions=tuple(
            _condition(one, statement.effect, document) for one in in_order_of_test(statement.conditions)
        ),
        principals=_principals(statement, kind),
        is_not_principal=statement.is_not_principal,
    )


def in_order_of_test(conditions: Sequence[ConditionText]) -> list[ConditionText]:
    """What is cheap and most often false comes first."""
    return sorted(conditions, key=lambda one: len(one.values))


def _actions(statement: StatementText) -> Callable[[str], bool]:
    """An action with two names is both: a statement that lists either lists it."""
    is_named = matcher([glob(action.lower()) for action in statement.actions])

    def is_listed(action: str) -> bool:
        return is_named(action) or (action in _OTHER_NAMES and is_named(_OTHER_NAMES[action]))

    if statement.is_not_action:
        return lambda action: not is_listed(action)
    return is_listed


def _listed(statement: StatementText, document: Document) -> Listed | None:
    if statement.resources is None:
        return None
    return compile_resources(statement.resources, has_variables=document.version == VARIABLES_SINCE)


def _resources(statement: StatementText, listed: Listed | None) -> Resources | None:
    if listed is None:
        return None
    if statement.is_not_resource:
        return listed.all_but(fails_closed=statement.effect == "Allow")
    return listed.any_of()


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
    if document.version == VARIABLES_SINCE:
        patterns += [Template.parse(resource) for resource in statement.resources or ()]
    return frozenset(keys).union(*(pattern.keys for pattern in patterns))
