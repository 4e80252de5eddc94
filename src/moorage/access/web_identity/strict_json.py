"""JSON that means one thing: no key twice, no NaN, no numbers that only some readers can hold. Pure."""

from __future__ import annotations

import json
from typing import Any, NoReturn

DIGITS_MAX = 17


class NotStrict(ValueError):
    """Not such JSON; the text says why."""


def loads(content: bytes) -> dict[str, Any]:
    """The object that `content` is; raise `NotStrict`."""
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse,
            parse_int=_integer,
            parse_float=float,
        )
    except NotStrict:
        raise
    except (ValueError, RecursionError):
        raise NotStrict("not JSON") from None
    if not isinstance(value, dict):
        raise NotStrict("not a JSON object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise NotStrict("a key stands there twice")
    return made


def _integer(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise NotStrict("a number is too long")
    return int(digits)


def _refuse(constant: str) -> NoReturn:
    raise NotStrict(f"{constant} is not JSON")
