"""The Resource element: which ARNs it means, in these circumstances."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from moorage.access.policies.globs import ARN_SEGMENTS, arn_glob, arn_head, compiled, glob_pattern, matcher
from moorage.access.policies.variables import Context, Template

Resources = Callable[[str, Context], bool]

_WILDCARD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class _Moving:
    """An ARN with variables. What can be told without them is looked at first."""

    head: re.Pattern[str]
    """Up to the fifth colon."""
    beginning: str
    """Of the rest, before the first variable or wildcard."""
    rest: Template

    def matches(self, resource: str, context: Context) -> bool:
        head = self.head.match(resource)
        if head is None or not resource.startswith(self.beginning, head.end()):
            return False
        pieces = self.rest.pieces(context)
        return pieces is not None and glob_pattern(tuple(pieces)).fullmatch(resource, head.end()) is not None


@dataclass(frozen=True, slots=True)
class Listed:
    has_star: bool
    expressions: tuple[str, ...]
    """Of those without variables."""
    moving: tuple[_Moving, ...]

    @property
    def is_fixed(self) -> bool:
        """Whether the expressions are all there is."""
        return not self.has_star and not self.moving

    def any_of(self) -> Resources:
        if self.has_star:
            return lambda resource, context: True
        is_fixed_one = matcher(self.expressions)

        def holds(resource: str, context: Context) -> bool:
            if resource == "*":
                return False  # An action without resources is allowed by `*` only.
            return is_fixed_one(resource) or any(arn.matches(resource, context) for arn in self.moving)

        return holds

    def all_but(self, *, fails_closed: bool) -> Resources:
        """`fails_closed`: all but something that cannot be told is nothing."""
        is_listed = self.any_of()

        def holds(resource: str, context: Context) -> bool:
            if fails_closed and any(arn.rest.pieces(context) is None for arn in self.moving):
                return False
            return not is_listed(resource, context)

        return holds


def compile_resources(resources: Sequence[str], *, has_variables: bool) -> Listed:
    expressions: list[str] = []
    moving: list[_Moving] = []
    for resource in resources:
        segments = resource.split(":", ARN_SEGMENTS - 1)
        segments += ["*"] * (ARN_SEGMENTS - len(segments))  # An ARN that ends early goes on with `*`.
        *head, tail = segments
        rest = Template.parse(tail) if has_variables else Template.verbatim(tail)
        pieces = rest.pieces({}) if rest.is_fixed else None
        if pieces is None:
            moving.append(
                _Moving(compiled(arn_head([(segment, True)] for segment in head)), _beginning(tail), rest)
            )
        elif expression := arn_glob([(":".join((*head, "")), True), *pieces]):
            expressions.append(expression)
    return Listed("*" in resources, tuple(expressions), tuple(moving))


def _beginning(tail: str) -> str:
    return _WILDCARD.split(tail.partition("${")[0], maxsplit=1)[0]
