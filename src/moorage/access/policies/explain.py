"""Why a decision is what it is: which statements match, where they stand, which keys are missing.

For simulations and for people. It looks at everything, where `decide` stops at what settles the matter.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from moorage.access.policies.asked import Asked
from moorage.access.policies.compile import Policy, Statement, in_order_of_test
from moorage.access.policies.decide import Decision, Layer, PolicySet, decide
from moorage.access.policies.document import VARIABLES_SINCE
from moorage.access.policies.principals import Grant
from moorage.access.policies.syntax import Document, Effect, read
from moorage.access.policies.variables import Context, keys_in

_TEXTS_REMEMBERED = 64
_SPACE = " \t\n\r"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Matched:
    layer: Layer
    source: str
    """Of the policy."""
    sid: str
    effect: Effect
    start: Position
    """After the statement's opening brace, as IAM's simulator counts."""
    end: Position
    """After the closing one."""


@dataclass(frozen=True, slots=True)
class Unmet:
    statement: Matched
    """As it would have matched."""
    conditions: tuple[str, ...]
    """The untrue ones as they are written, operator and key: `StringEquals aws:SourceIp`."""


@dataclass(frozen=True, slots=True)
class Explanation:
    decision: Decision
    matched: tuple[Matched, ...]
    """Every statement that is about the request and whose conditions are true."""
    unmet: tuple[Unmet, ...]
    """Every statement that is about the request but for its conditions."""
    missing: tuple[str, ...]
    """Keys that identity and resource policies read and the request has not, as they are written."""
    allowed_by_organization: bool | None
    """None: there are no service control policies."""
    allowed_by_boundary: bool | None
    """None: there is no boundary."""

    @property
    def determining(self) -> tuple[Matched, ...]:
        """What settled it, of identity and resource policies: the denials; or what allows; nothing, if nothing does."""
        if not self.decision.allowed and not self.decision.explicit:
            return ()
        effect: Effect = "Allow" if self.decision.allowed else "Deny"
        return tuple(
            one
            for one in self.matched
            if one.effect == effect and one.layer in ("identity", "resource", "trust")
        )


def explain(asked: Asked, policies: PolicySet) -> Explanation:
    decision = decide(asked, policies)
    matched: list[Matched] = []
    unmet: list[Unmet] = []
    for layer, policy in _layers(policies):
        for statement in _about(policy, asked):
            if not _is_meant(statement, asked):
                continue
            one = Matched(
                layer, policy.source, statement.sid, statement.effect, *spans(policy.text)[statement.number]
            )
            if statement.holds(asked):
                matched.append(one)
            elif untrue := _untrue(policy, statement, asked):
                unmet.append(Unmet(one, untrue))
    return Explanation(
        decision=decision,
        matched=tuple(matched),
        unmet=tuple(unmet),
        missing=_missing((*policies.identity, *policies.resource), asked.context),
        allowed_by_organization=all(_allow(level, asked) for level in policies.scps)
        if policies.scps
        else None,
        allowed_by_boundary=None if policies.boundary is None else _allow(policies.boundary, asked),
    )


def keys_read(document: Document) -> list[str]:
    """The condition keys of a policy as they are written, each once, in their order."""
    found: dict[str, str] = {}
    for statement in document.statements:
        texts = list(statement.resources or ())
        for condition in statement.conditions:
            found.setdefault(condition.key.lower(), condition.key)
            texts += condition.values
        if document.version == VARIABLES_SINCE:
            for key in (key for text in texts for key in keys_in(text)):
                found.setdefault(key.lower(), key)
    return list(found.values())


@lru_cache(maxsize=_TEXTS_REMEMBERED)
def spans(text: str) -> list[tuple[Position, Position]]:
    """Where each statement of a policy begins and ends; `text` is one that `read` accepts."""
    lines = [-1, *(at for at, character in enumerate(text) if character == "\n")]
    return [(_position(lines, start + 1), _position(lines, end)) for start, end in _statements(text)]


def _statements(text: str) -> Iterator[tuple[int, int]]:
    decode = json.JSONDecoder().raw_decode
    at = _skip(text, text.index("{") + 1)
    while True:
        key, at = decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        if key == "Statement":
            break
        at = _skip(text, decode(text, at)[1])
        at = _skip(text, at + 1)
    if text[at] == "{":
        yield at, decode(text, at)[1]
        return
    at = _skip(text, at + 1)
    while text[at] != "]":
        end = decode(text, at)[1]
        yield at, end
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _position(lines: list[int], at: int) -> Position:
    """`lines` are the places of the line breaks before each line."""
    line = bisect_left(lines, at)
    return Position(line, at - lines[line - 1])


def _layers(policies: PolicySet) -> Iterator[tuple[Layer, Policy]]:
    groups: list[tuple[Layer, Iterable[Policy]]] = [
        *(("scp", level) for level in policies.scps),
        *(("rcp", level) for level in policies.rcps),
        ("endpoint", policies.endpoint or ()),
        ("identity", policies.identity),
        ("boundary", policies.boundary or ()),
        ("session", policies.session or ()),
    ]
    for layer, group in groups:
        for policy in group:
            yield layer, policy
    for policy in policies.resource:
        yield "trust" if policy.kind == "trust" else "resource", policy


def _about(policy: Policy, asked: Asked) -> list[Statement]:
    candidates = policy.candidates(asked.action)
    return sorted((*candidates.denies, *candidates.allows), key=lambda statement: statement.number)


def _holds(statement: Statement, asked: Asked) -> bool:
    return _is_meant(statement, asked) and statement.holds(asked)


def _is_meant(statement: Statement, asked: Asked) -> bool:
    return statement.principals is None or statement.grant(asked.caller) is not Grant.NONE


def _untrue(policy: Policy, statement: Statement, asked: Asked) -> tuple[str, ...]:
    """Its untrue conditions; none, if it is about another resource."""
    if statement.resources is not None and not statement.resources(asked.resource, asked.context):
        return ()
    texts = in_order_of_test(_read(policy.text).statements[statement.number].conditions)
    return tuple(
        f"{text.operator} {text.key}"
        for text, is_true in zip(texts, statement.conditions, strict=True)
        if not is_true(asked.context)
    )


def _allow(policies: Iterable[Policy], asked: Asked) -> bool:
    effects = {one.effect for policy in policies for one in _about(policy, asked) if _holds(one, asked)}
    return effects == {"Allow"}


def _missing(policies: Iterable[Policy], context: Context) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for policy in policies:
        for key in _keys_of(policy.text):
            if key.lower() not in context:
                found.setdefault(key.lower(), key)
    return tuple(found.values())


@lru_cache(maxsize=_TEXTS_REMEMBERED)
def _keys_of(text: str) -> list[str]:
    return keys_read(_read(text))


_read = lru_cache(maxsize=_TEXTS_REMEMBERED)(read)
