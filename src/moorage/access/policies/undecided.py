"""Policies where the request is not known: what holds of every request, and what only if it is so.

A condition is decided if the key is one of the caller or the resource. Of the others either the best is assumed (what
allows holds, what denies does not) or the worst; where both decide the same, it is so for every request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from moorage.access.policies.compile import Policy, Statement, compile_policy
from moorage.access.policies.decide import Asked, Decision, PolicySet, decide
from moorage.access.policies.principals import Grant
from moorage.access.policies.syntax import ConditionText, StatementText, read
from moorage.access.policies.variables import keys_in

IsKnown = Callable[[str], bool]
"""Whether a condition key, in lower case, is told by the caller and the resource alone, be it by its absence."""

_NOTHING = "none:None"
_WORDS = {
    "arnequals": "like",
    "arnlike": "like",
    "arnnotequals": "not like",
    "arnnotlike": "not like",
    "bool": "is",
    "dategreaterthan": "after",
    "datelessthan": "before",
    "ipaddress": "in",
    "notipaddress": "not in",
    "numericequals": "=",
    "numericgreaterthan": ">",
    "numericgreaterthanequals": "≥",
    "numericlessthan": "<",
    "numericlessthanequals": "≤",
    "stringequals": "is",
    "stringequalsignorecase": "is",
    "stringlike": "like",
    "stringnotequals": "is not",
    "stringnotequalsignorecase": "is not",
    "stringnotlike": "not like",
}


@dataclass(frozen=True, slots=True)
class Outlook:
    """Of all requests of one caller for one action on one resource."""

    decision: Decision
    """The worst case if it allows, else the best."""
    conditions: tuple[str, ...]
    """Under which it is allowed; none where it is always or never."""


def foresee(asked: Asked, policies: PolicySet, is_known: IsKnown) -> Outlook:
    worst = _assuming(policies, is_known, best=False)
    decision = decide(asked, worst)
    if decision.allowed:
        return Outlook(decision, ())
    best = _assuming(policies, is_known, best=True)
    decision = decide(asked, best)
    if not decision.allowed:
        return Outlook(decision, ())
    return Outlook(
        decision, tuple(dict.fromkeys(_conditions(asked, policies, best, worst, decision, is_known)))
    )


def told(condition: ConditionText) -> str:
    """`aws:SourceIp in 10.0.0.0/8`"""
    operator = condition.operator.lower()
    for prefix in ("foranyvalue:", "forallvalues:"):
        operator = operator.removeprefix(prefix)
    base = operator.removesuffix("ifexists")
    values = " or ".join(condition.values)
    if base == "null":
        return f"{condition.key} is {'absent' if condition.values == ('true',) else 'there'}"
    ending = " (if it is there)" if base != operator else ""
    return f"{condition.key} {_WORDS.get(base, condition.operator)} {values}{ending}"


def _assuming(policies: PolicySet, is_known: IsKnown, *, best: bool) -> PolicySet:
    def each(group: tuple[Policy, ...]) -> tuple[Policy, ...]:
        return tuple(_settled(policy, is_known, best=best) for policy in group)

    return replace(
        policies,
        identity=each(policies.identity),
        boundary=None if policies.boundary is None else each(policies.boundary),
        session=None if policies.session is None else each(policies.session),
        resource=each(policies.resource),
        scps=tuple(map(each, policies.scps)),
        rcps=tuple(map(each, policies.rcps)),
        endpoint=None if policies.endpoint is None else each(policies.endpoint),
    )


def _settled(policy: Policy, is_known: IsKnown, *, best: bool) -> Policy:
    """The same statements in the same order, without the conditions that cannot be told."""
    document = read(policy.text)
    open_ = [_undecided(statement, is_known) for statement in document.statements]
    if not any(open_):
        return policy
    tree = json.loads(policy.text)
    statements = tree["Statement"] if isinstance(tree["Statement"], list) else [tree["Statement"]]
    for statement, conditions in zip(statements, open_, strict=True):
        if conditions and (statement["Effect"] == "Allow") is best:
            _take_away(statement["Condition"], conditions)
        elif conditions:
            statement.pop("NotAction", None)
            statement["Action"] = _NOTHING
    return compile_policy(json.dumps(tree), policy.kind, source=policy.source)


def _undecided(statement: StatementText, is_known: IsKnown) -> list[ConditionText]:
    return [
        condition
        for condition in statement.conditions
        if not all(map(is_known, {condition.key.lower(), *_variables(condition)}))
    ]


def _variables(condition: ConditionText) -> Iterator[str]:
    return (key.lower() for value in condition.values for key in keys_in(value))


def _take_away(tree: dict[str, dict[str, Any]], conditions: list[ConditionText]) -> None:
    for condition in conditions:
        del tree[condition.operator][condition.key]


def _conditions(
    asked: Asked,
    policies: PolicySet,
    best: PolicySet,
    worst: PolicySet,
    decision: Decision,
    is_known: IsKnown,
) -> Iterator[str]:
    """What each layer that has to allow asks for, and what is denied."""
    pairs = [
        *zip(policies.scps, best.scps, worst.scps, strict=True),
        (policies.endpoint or (), best.endpoint or (), worst.endpoint or ()),
    ]
    is_foreign = asked.caller.account != asked.resource_account
    if decision.layer == "resource" or is_foreign:
        pairs.append((policies.resource, best.resource, worst.resource))
    if decision.layer == "identity":
        pairs += [
            (policies.identity, best.identity, worst.identity),
            (policies.boundary or (), best.boundary or (), worst.boundary or ()),
            (policies.session or (), best.session or (), worst.session or ()),
        ]
    for originals, hopeful, cautious in pairs:
        if next(_holding(cautious, asked, "Allow"), None) is None:
            for place, statement in _holding(hopeful, asked, "Allow"):
                yield _texts(originals[place], statement, is_known)
                break
    for original, cautious_one in zip(policies.all, worst.all, strict=True):
        for _, statement in _holding((cautious_one,), asked, "Deny"):
            yield f"unless {_texts(original, statement, is_known)}"


def _holding(group: tuple[Policy, ...], asked: Asked, effect: str) -> Iterator[tuple[int, Statement]]:
    """Statements that hold, with the place of their policy in the group."""
    for place, policy in enumerate(group):
        candidates = policy.candidates(asked.action)
        for statement in candidates.allows if effect == "Allow" else candidates.denies:
            is_meant = statement.principals is None or statement.grant(asked.caller) is not Grant.NONE
            if is_meant and statement.holds(asked):
                yield place, statement


def _texts(policy: Policy, statement: Statement, is_known: IsKnown) -> str:
    return " and ".join(
        told(one) for one in _undecided(read(policy.text).statements[statement.number], is_known)
    )
