"""What is wrong with a request, in AWS's words (ECR API reference, "Common Errors"; Coral's messages).

Decoding is msgspec's, in C; it knows types, lengths, ranges, enums and required members. Two things it does
not know are done here: `pattern_check` looks at the patterns of what it accepted, and where it refused,
`convert` walks the JSON once more, slowly, to answer as AWS does: first the types (`SerializationException`),
then the constraints in the order of the model. ECR and our own service name the first failure, the others all of them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import msgspec

from moorage.aws.model import ListOf, MapOf, Node, Scalar, Structure, structure_of
from moorage.aws.patterns import matcher
from moorage.aws.shapes import Shape
from moorage.base.errors.error import MoorageError
from moorage.base.errors.requests import InvalidParameter, Serialization, Validation

S = TypeVar("S", bound=Shape)
Check = Callable[[Any], bool]

_RANGES = {-(1 << 31), (1 << 31) - 1, -(1 << 63), (1 << 63) - 1}
_ECHO = 256
_MOST = 100


@dataclass(frozen=True, slots=True)
class Violation:
    """`rule` reads "must not be null"; `path` "tags.2.member.key"; `value` is None for null."""

    path: str
    rule: str
    value: str | None = None
    pattern: str | None = None
    is_plain: bool = False
    """A null, length or pattern of a scalar member of the request itself: ECR says no "Member" there."""


def convert(service: str, shape: type[S], tree: object) -> S:
    """The request that `tree` means; raise `Serialization`, `InvalidParameter` or `Validation`."""
    structure = structure_of(shape)
    normal = normalized(structure, tree)
    found = list(islice(violations(structure, normal), 1 if _names_one(service) else _MOST))
    if found:
        raise refusal(service, found)
    try:
        return msgspec.convert(normal, shape)
    except msgspec.ValidationError as error:  # a difference between msgspec's rules and those above
        raise Serialization(str(error)) from None


def refusal(service: str, found: list[Violation]) -> MoorageError:
    if _names_one(service):
        first = found[0]
        constraint = first.rule if first.is_plain else f"Member {first.rule}"
        return InvalidParameter(at=first.path, constraint=constraint)
    plural = "s" if len(found) > 1 else ""
    sentences = "; ".join(_coral(violation) for violation in found)
    return Validation(f"{len(found)} validation error{plural} detected: {sentences}")


def _names_one(service: str) -> bool:
    return service in ("ecr", "ecr-public", "moorage")


def _coral(violation: Violation) -> str:
    value = "null" if violation.value is None else f"'{violation.value}'"
    rule = violation.rule
    if violation.pattern is not None:
        rule = f"must satisfy regular expression pattern: {violation.pattern}"
    return f"Value {value} at '{violation.path}' failed to satisfy constraint: Member {rule}"


def pattern_check(node: Node) -> Check | None:
    """A test of the patterns within a decoded value; None when there are none."""
    if isinstance(node, Scalar):
        return matcher(node.pattern) if node.pattern else None
    if isinstance(node, ListOf):
        return _every(pattern_check(node.item))
    if isinstance(node, MapOf):
        return _every_pair(pattern_check(node.key), pattern_check(node.value))
    found = [(member.attribute, pattern_check(member.node)) for member in node.members]
    checks = [(attribute, check) for attribute, check in found if check]
    return _each_of(checks) if checks else None


def _every(check: Check | None) -> Check | None:
    return (lambda values: all(map(check, values))) if check else None


def _every_pair(key: Check | None, value: Check | None) -> Check | None:
    if key is None and value is None:
        return None
    of_key, of_value = key or _anything, value or _anything
    return lambda pairs: all(of_key(k) and of_value(v) for k, v in pairs.items())


def _anything(_: object) -> bool:
    return True


def _each_of(checks: list[tuple[str, Check]]) -> Check:
    def check(shape: Shape) -> bool:
        for attribute, holds in checks:
            value = getattr(shape, attribute)
            if value is not None and not holds(value):
                return False
        return True

    return check


def normalized(node: Node, value: Any) -> Any:
    """`value` with whole floats as integers. Null passes: it breaks a constraint, not a type.

    Raise `Serialization` for a wrong type.
    """
    if value is None:
        return None
    if isinstance(node, Scalar):
        return _normalized_scalar(node, value)
    if isinstance(node, ListOf):
        _expect(isinstance(value, list), value, "a List")
        return [normalized(node.item, item) for item in value]
    _expect(isinstance(value, dict), value, "a Structure or Map")
    if isinstance(node, MapOf):
        return {key: normalized(node.value, item) for key, item in value.items()}
    known = [(member.wire, member.node) for member in node.members if value.get(member.wire) is not None]
    return {wire: normalized(inner, value[wire]) for wire, inner in known}


def _normalized_scalar(node: Scalar, value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if node.kind is int:
        _expect(is_number and value == int(value), value, "an Integer")
        _expect(not _is_outside(node, int(value)), value, "an Integer of this size")
        return int(value)
    if node.kind is float:
        _expect(is_number, value, "a Double")
    elif node.kind is bool:
        _expect(isinstance(value, bool), value, "a Boolean")
    else:
        _expect(isinstance(value, str), value, "a String")
    if node.kind is bytes:
        _expect(_is_base64(value), value, "a Blob")
    return value


def _is_outside(node: Scalar, value: int) -> bool:
    """Beyond the integer type itself; the model's own limits are constraints."""
    low, high = -(1 << 63), (1 << 63) - 1
    if node.least in _RANGES:
        low = node.least or low
    if node.most in _RANGES:
        high = node.most or high
    return not low <= value <= high


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _expect(holds: bool, value: Any, wanted: str) -> None:
    if holds:
        return
    if isinstance(value, list):
        raise Serialization("Start of list found where not expected")
    if isinstance(value, dict):
        raise Serialization("Start of structure or map found where not expected.")
    raise Serialization(f"{_token(value)} can not be converted to {wanted}")


def _token(value: Any) -> str:
    if isinstance(value, bool):
        return f"{str(value).upper()}_VALUE"
    return "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"


def violations(structure: Structure, tree: dict[str, Any], path: str = "") -> Iterator[Violation]:
    """Every broken constraint of a normalized tree, in the order of the model."""
    for member in structure.members:
        value = tree.get(member.wire)
        at = f"{path}{'.' if path else ''}{member.wire[0].lower()}{member.wire[1:]}"
        if value is not None:
            yield from _violations(member.node, value, at, is_nested=bool(path))
        elif member.is_required:
            yield Violation(at, "must not be null", is_plain=not path)


def _violations(node: Node, value: Any, path: str, *, is_nested: bool) -> Iterator[Violation]:
    if isinstance(node, Structure):
        yield from violations(node, value, path)
    elif isinstance(node, Scalar):
        yield from _scalar_violations(node, value, path, is_nested)
    else:
        yield from _size_violations(node, value, path)
        yield from _inner_violations(node, value, path)


def _inner_violations(node: ListOf | MapOf, value: Any, path: str) -> Iterator[Violation]:
    for inner, item, at in _parts(node, value, path):
        if item is None:
            yield Violation(at, "must not be null")
        else:
            yield from _violations(inner, item, at, is_nested=True)


def _parts(node: ListOf | MapOf, value: Any, path: str) -> Iterator[tuple[Node, Any, str]]:
    if isinstance(node, ListOf):
        yield from ((node.item, item, f"{path}.{n}.member") for n, item in enumerate(value, 1))
        return
    for key, item in value.items():
        yield node.key, key, f"{path}.key"
        yield node.value, item, f"{path}.{key[:_ECHO]}.member"


def _size_violations(node: ListOf | MapOf, value: Any, path: str) -> Iterator[Violation]:
    rule = _bound_broken(node.least, node.most, len(value), "length")
    if rule:
        yield Violation(path, rule, f"[{len(value)} members]")


def _scalar_violations(node: Scalar, value: Any, path: str, is_nested: bool) -> Iterator[Violation]:
    shown = "***" if node.is_sensitive or node.kind is bytes else str(value)[:_ECHO]
    is_plain = not is_nested
    if node.enum:
        if value not in node.enum:
            yield Violation(path, f"must satisfy enum value set: [{', '.join(node.enum)}]", shown)
    elif node.kind is int:
        rule = _bound_broken(node.least, node.most, value, "value")
        if rule:
            yield Violation(path, rule, shown)
    elif rule := _bound_broken(node.least, node.most, _length(node, value), "length"):
        yield Violation(path, rule, shown, is_plain=is_plain)
    elif node.pattern and not matcher(node.pattern)(value):
        printed = node.pattern.replace("\\/", "/")
        yield Violation(path, f"must satisfy regular expression '{printed}'", shown, printed, is_plain)


def _length(node: Scalar, value: Any) -> int:
    if node.kind is bytes:
        return len(base64.b64decode(value))
    return len(value) if isinstance(value, str) else 0


def _bound_broken(least: int | None, most: int | None, actual: int, what: str) -> str | None:
    if least is not None and actual < least:
        return f"must have {what} greater than or equal to {least}"
    if most is not None and actual > most:
        return f"must have {what} less than or equal to {most}"
    return None
