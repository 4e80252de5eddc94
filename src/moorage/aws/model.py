"""The generated types as values, for `explain` and the query protocol. Built once a type, on first use."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union

import msgspec

from moorage.aws.shapes import Shape


@dataclass(frozen=True, slots=True)
class Scalar:
    """`least` and `most` bound a number, or the length of a string or blob."""

    kind: type
    least: int | None = None
    most: int | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    is_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Node
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class MapOf:
    key: Node
    value: Node
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    attribute: str
    wire: str
    node: Node
    is_required: bool


@dataclass(frozen=True, slots=True)
class Structure:
    name: str
    members: tuple[Member, ...]
    """In the order of the model, which is the order of validation."""


Node = Scalar | ListOf | MapOf | Structure


@cache
def structure_of(shape: type[Shape]) -> Structure:
    hints = typing.get_type_hints(shape, include_extras=True)
    names = zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True)
    return Structure(shape.__name__, tuple(_member(shape, name, wire, hints[name]) for name, wire in names))


def _member(shape: type[Shape], attribute: str, wire: str, hint: Any) -> Member:
    is_optional = typing.get_origin(hint) in (types.UnionType, Union)
    inner = typing.get_args(hint)[0] if is_optional else hint
    return Member(attribute, wire, _node(inner), not is_optional)


def _node(hint: Any, meta: msgspec.Meta | None = None) -> Node:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _node(arguments[0], arguments[1])
    if origin is Literal:
        return Scalar(str, enum=arguments)
    if origin is None and issubclass(hint, Shape):
        return structure_of(hint)
    least, most = _bounds(meta)
    if origin is list:
        return ListOf(_node(arguments[0]), least, most)
    if origin is dict:
        return MapOf(_node(arguments[0]), _node(arguments[1]), least, most)
    extra = (meta.extra if meta else None) or {}
    return Scalar(hint, least, most, extra.get("pattern"), is_sensitive=extra.get("sensitive", False))


def _bounds(meta: msgspec.Meta | None) -> tuple[Any, Any]:
    if meta is None:
        return None, None
    if meta.ge is not None:
        return meta.ge, meta.le
    return meta.min_length, meta.max_length
