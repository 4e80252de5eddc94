"""Policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, and the characters `${*}` `${?}` `${$}`.

What is put in for a variable is text and nothing else: a `*` in a tag's value is a star, not a wildcard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moorage.access.policies.globs import Piece

Context = Mapping[str, str | tuple[str, ...]]
"""Condition keys in lower case, and what the request has for them; a tuple where a key has many values."""

_VARIABLE = re.compile(r"\$\{(?P<key>[^{}$,'*?]+)(?:, ?'(?P<default>[^'{}]*)')?\}|\$\{(?P<character>[*?$])\}")


def keys_in(text: str) -> list[str]:
    """The keys of the variables of a text, as they are written there."""
    return [found["key"] for found in _VARIABLE.finditer(text) if found["key"]]


@dataclass(frozen=True, slots=True)
class Variable:
    key: str
    """In lower case; empty for what is no variable although it begins like one, which is never resolved."""
    default: str | None = None

    def value(self, context: Context) -> str | None:
        """None if it cannot be told: no such key, no value, or more than one."""
        found = context.get(self.key)
        if found is None or found == "":
            return self.default
        return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True)
class Template:
    """A policy's text with its variables found."""

    parts: Sequence[Piece | Variable]

    @classmethod
    def parse(cls, text: str) -> Template:
        parts: list[Piece | Variable] = []
        end = 0
        while (start := text.find("${", end)) >= 0:
            if start > end:
                parts.append((text[end:start], True))
            found = _VARIABLE.match(text, start)
            if found is None:
                return cls((Variable(""),))
            if found["character"]:
                parts.append((found["character"], False))
            else:
                parts.append(Variable(found["key"].lower(), found["default"]))
            end = found.end()
        if end < len(text):
            parts.append((text[end:], True))
        return cls(tuple(parts))

    @classmethod
    def verbatim(cls, text: str) -> Template:
        """Of a policy of 2008, which has no variables."""
        return cls(((text, True),))

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(part.key for part in self.parts if isinstance(part, Variable) and part.key)

    @property
    def is_fixed(self) -> bool:
        return not any(isinstance(part, Variable) for part in self.parts)

    @property
    def is_malformed(self) -> bool:
        return Variable("") in self.parts

    def pieces(self, context: Context) -> list[Piece] | None:
        """For a glob; None if a variable is not resolved."""
        pieces: list[Piece] = []
        for part in self.parts:
            if isinstance(part, Variable):
                value = part.value(context)
                if value is None:
                    return None
                pieces.append((value, False))
            else:
                pieces.append(part)
        return pieces

    def text(self, context: Context) -> str | None:
        """For operators to which `*` is a star; None if a variable is not resolved."""
        pieces = self.pieces(context)
        return None if pieces is None else "".join(text for text, _ in pieces)
