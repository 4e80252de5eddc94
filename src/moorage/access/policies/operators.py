"""The condition operators: their names, and how one value of a request is held against those of a policy.

A test answers None where the value cannot be read (an address that is none): neither the operator nor its opposite is
true of it. A policy's value that cannot be read, or whose variables have no value, equals nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from moorage.access.policies import values
from moorage.access.policies.globs import ARN_SEGMENTS, arn_glob, arn_pattern, glob_of, glob_pattern, matcher
from moorage.access.policies.variables import Context, Template

Test = Callable[[str, Context], bool | None]
Build = Callable[[Sequence[Template]], Test]
Quantifier = Literal["", "any", "all"]

_NOTHING: Context = {}


@dataclass(frozen=True, slots=True)
class Family:
    build: Build
    is_readable: Callable[[str], bool] = lambda text: True
    """Whether a policy's value without variables means something."""
    has_variables: bool = False


@dataclass(frozen=True, slots=True)
class Operator:
    name: str
    """In lower case, without prefix and suffix; `null` is the one that has no family."""
    family: Family | None
    is_negated: bool = False
    quantifier: Quantifier = ""
    if_exists: bool = False


def find_operator(text: str) -> Operator | None:
    """`ForAnyValue:StringLikeIfExists`, in any case; None for what is no operator."""
    name = text.lower()
    quantifier: Quantifier = ""
    for prefix, meaning in _PREFIXES.items():
        if name.startswith(prefix):
            name, quantifier = name.removeprefix(prefix), meaning
    base = name.removesuffix("ifexists")
    if name == "null" and not quantifier:
        return Operator("null", None)
    if base not in _OPERATORS:
        return None
    family, is_negated = _OPERATORS[base]
    return Operator(base, family, is_negated, quantifier, base != name)


def _equality(fold: Callable[[str], str]) -> Build:
    def build(patterns: Sequence[Template]) -> Test:
        fixed = frozenset(fold(pattern.text(_NOTHING) or "") for pattern in patterns if pattern.is_fixed)
        moving = tuple(pattern for pattern in patterns if not pattern.is_fixed)

        def test(value: str, context: Context) -> bool:
            folded = fold(value)
            if folded in fixed:
                return True
            texts = (pattern.text(context) for pattern in moving)
            return any(text is not None and fold(text) == folded for text in texts)

        return test

    return build


def _likeness(patterns: Sequence[Template]) -> Test:
    fixed = matcher([glob_of(pattern.pieces(_NOTHING) or ()) for pattern in patterns if pattern.is_fixed])
    moving = tuple(pattern for pattern in patterns if not pattern.is_fixed)

    def test(value: str, context: Context) -> bool:
        if fixed(value):
            return True
        globs = (pattern.pieces(context) for pattern in moving)
        return any(pieces is not None and glob_pattern(tuple(pieces)).fullmatch(value) for pieces in globs)

    return test


def _arn_likeness(patterns: Sequence[Template]) -> Test:
    """Segment by segment; a variable may stand for a whole ARN here, unlike in Resource."""
    fixed = matcher([e for p in patterns if p.is_fixed and (e := arn_glob(p.pieces(_NOTHING) or ()))])
    moving = tuple(pattern for pattern in patterns if not pattern.is_fixed)

    def test(value: str, context: Context) -> bool | None:
        if not is_arn(value):
            return None
        if fixed(value):
            return True
        return any(_is_arn_like(value, pattern, context) for pattern in moving)

    return test


def _is_arn_like(value: str, pattern: Template, context: Context) -> bool:
    pieces = pattern.pieces(context)
    expression = None if pieces is None else arn_pattern(tuple(pieces))
    return expression is not None and expression.fullmatch(value) is not None


def is_arn(text: str) -> bool:
    return text.startswith("arn:") and text.count(":") >= ARN_SEGMENTS - 1


def _comparison(read: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Build:
    """Numbers, dates, bytes. Where no value of the policy can be read, nothing can be compared."""

    def build(patterns: Sequence[Template]) -> Test:
        texts = [pattern.text(_NOTHING) for pattern in patterns]
        bounds = [bound for text in texts if text is not None and (bound := read(text)) is not None]

        def test(value: str, context: Context) -> bool | None:
            asked = read(value)
            if asked is None or not bounds:
                return None
            return any(compare(asked, bound) for bound in bounds)

        return test

    return build


def _truth(patterns: Sequence[Template]) -> Test:
    def test(value: str, context: Context) -> bool | None:
        asked = values.truth(value)
        if asked is None:
            return None
        texts = (pattern.text(context) for pattern in patterns)
        return any(text is not None and values.truth(text) is asked for text in texts)

    return test


def _inclusion(patterns: Sequence[Template]) -> Test:
    texts = [pattern.text(_NOTHING) for pattern in patterns]
    networks = [found for text in texts if text is not None and (found := values.network(text)) is not None]

    def test(value: str, context: Context) -> bool | None:
        found = values.address(value)
        if found is None or not networks:
            return None
        version, number = found
        return any(network.has(version, number) for network in networks)

    return test


def _family(read: Callable[[str], object], build: Build, has_variables: bool = False) -> Family:
    return Family(build, lambda text: read(text) is not None, has_variables)


_ARN = Family(_arn_likeness, is_arn, has_variables=True)
_BINARY = _family(values.octets, _comparison(values.octets, operator.eq))
_BOOL = _family(values.truth, _truth, has_variables=True)
_IP = _family(values.network, _inclusion)
_LIKE = Family(_likeness, has_variables=True)
_SAME = Family(_equality(str), has_variables=True)
_SAME_IGNORING_CASE = Family(_equality(str.lower), has_variables=True)


def _number(compare: Callable[[Any, Any], bool]) -> Family:
    return _family(values.number, _comparison(values.number, compare))


def _date(compare: Callable[[Any, Any], bool]) -> Family:
    return _family(values.moment, _comparison(values.moment, compare))


_PREFIXES: dict[str, Quantifier] = {"forallvalues:": "all", "foranyvalue:": "any"}

# What the name means, and whether its opposite is meant.
_OPERATORS: dict[str, tuple[Family, bool]] = {
    "arnequals": (_ARN, False),
    "arnlike": (_ARN, False),
    "arnnotequals": (_ARN, True),
    "arnnotlike": (_ARN, True),
    "binaryequals": (_BINARY, False),
    "bool": (_BOOL, False),
    "dateequals": (_date(operator.eq), False),
    "dategreaterthan": (_date(operator.gt), False),
    "dategreaterthanequals": (_date(operator.ge), False),
    "datelessthan": (_date(operator.lt), False),
    "datelessthanequals": (_date(operator.le), False),
    "datenotequals": (_date(operator.eq), True),
    "ipaddress": (_IP, False),
    "notipaddress": (_IP, True),
    "numericequals": (_number(operator.eq), False),
    "numericgreaterthan": (_number(operator.gt), False),
    "numericgreaterthanequals": (_number(operator.ge), False),
    "numericlessthan": (_number(operator.lt), False),
    "numericlessthanequals": (_number(operator.le), False),
    "numericnotequals": (_number(operator.eq), True),
    "stringequals": (_SAME, False),
    "stringequalsignorecase": (_SAME_IGNORING_CASE, False),
    "stringlike": (_LIKE, False),
    "stringnotequals": (_SAME, True),
    "stringnotequalsignorecase": (_SAME_IGNORING_CASE, True),
    "stringnotlike": (_LIKE, True),
}
