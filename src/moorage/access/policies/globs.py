"""Wildcards of policies, `*` and `?`, as regular expressions whose work grows with the text only.

A run of characters between two stars is looked for once, from the left, and what is found is not given back
(`(?>…)`): whether the rest matches never depends on an earlier run having matched further to the right. Only the last
run is tied to the end of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

Piece = tuple[str, bool]
"""Text, and whether its wildcards are live; those of a substituted value are not."""

ARN_SEGMENTS = 6
_REMEMBERED = 1_024
_ANY = "."
_NOT_COLON = "[^:]"


def glob(text: str) -> str:
    """The regular expression of a pattern, for `matcher`."""
    return glob_of([(text, True)])


def glob_of(pieces: Iterable[Piece], any_character: str = _ANY) -> str:
    first, *others = _runs(pieces, any_character)
    if not others:
        return first
    *middle, last = others
    found = "".join(f"(?>{any_character}*?{run})" for run in middle if run)
    return f"{first}{found}{any_character}*{last}"


@lru_cache(maxsize=_REMEMBERED)
def glob_pattern(pieces: tuple[Piece, ...]) -> re.Pattern[str]:
    return compiled(glob_of(pieces))


@lru_cache(maxsize=_REMEMBERED)
def arn_pattern(pieces: tuple[Piece, ...]) -> re.Pattern[str] | None:
    """None for what is no ARN."""
    expression = arn_glob(pieces)
    return None if expression is None else compiled(expression)


def arn_glob(pieces: Iterable[Piece]) -> str | None:
    """Of an ARN: each of the first five segments by itself, then the rest, which may hold colons; None for no ARN."""
    segments: list[list[Piece]] = [[]]
    for text, is_live in pieces:
        first, *others = text.split(":", ARN_SEGMENTS - len(segments))
        segments[-1].append((first, is_live))
        segments.extend([(other, is_live)] for other in others)
    if len(segments) != ARN_SEGMENTS or "".join(text for text, _ in segments[0]) != "arn":
        return None
    *head, tail = segments
    return arn_head(head) + glob_of(tail)


def arn_head(segments: Iterable[Iterable[Piece]]) -> str:
    """Of segments, each with the colon that ends it."""
    return "".join(f"(?>{glob_of(segment, _NOT_COLON)}:)" for segment in segments)


def matcher(expressions: Sequence[str]) -> Callable[[str], bool]:
    """Whether a whole text matches one of the expressions."""
    if not expressions:
        return lambda text: False
    pattern = compiled("|".join(f"(?:{expression})" for expression in expressions))
    return lambda text: pattern.fullmatch(text) is not None


def compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL)


def _runs(pieces: Iterable[Piece], any_character: str) -> list[str]:
    """What stands between the stars, as regular expressions of fixed length."""
    runs = [""]
    for text, is_live in pieces:
        if not is_live:
            runs[-1] += re.escape(text)
            continue
        for number, run in enumerate(text.split("*")):
            fixed = any_character.join(map(re.escape, run.split("?")))
            if number:
                runs.append(fixed)
            else:
                runs[-1] += fixed
    return runs
