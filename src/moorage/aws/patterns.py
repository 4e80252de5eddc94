"""AWS's patterns, matched without surprises.

Some of AWS's patterns backtrack without bound, others are not Python's syntax. `matcher` therefore knows each
pattern by its text: those that somebody has read and found to offer one way through a string are compiled as
they stand, those in `_REWRITTEN` as an equal pattern that does, those in `_BY_HAND` are functions. Any other
is refused, so that a new model brings no unread pattern into the server (tests/unit/aws/test_patterns.py
names it).

Patterns are applied to the whole string, and `\\w`, `\\d` are ASCII, as in Java.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache

Matcher = Callable[[str], bool]


@cache
def matcher(pattern: str) -> Matcher:
    """Raise LookupError for a pattern that nobody has read."""
    if pattern in _BY_HAND:
        return _BY_HAND[pattern]
    if pattern not in _REWRITTEN and pattern not in _READ:
        raise LookupError(f"unread pattern {pattern!r}")
    compiled = re.compile(_REWRITTEN.get(pattern, pattern), re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _words(marks: str, least: int) -> Matcher:
    """Letters, separators and numbers of any script, and `marks`: `[\\p{L}\\p{Z}\\p{N}…]`."""
    allowed = frozenset(marks)

    def is_match(text: str) -> bool:
        return len(text) >= least and all(c in allowed or unicodedata.category(c)[0] in "LZN" for c in text)

    return is_match


_BY_HAND: dict[str, Matcher] = {
    r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*": _words("_.:/=+-@", 0),
    r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+": _words("_.:/=+-@", 1),
    r"[\p{L}\p{Z}\p{N}_.:/=+\-@{}]*": _words("_.:/=+-@{}", 0),
    r"[\p{L}\p{Z}\p{N}_.:/=+\-@{}]+": _words("_.:/=+-@{}", 1),
}

_REWRITTEN = {
    # `[…]?[…]+` under `*` splits a run of letters in 2ⁿ ways; a separator must be there to split.
    r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$": r"[a-z0-9*]+(?:[._\-/][a-z0-9*]+)*",
    # `\u10000` is four digits and a zero to Python.
    r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+": (
        r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]+"
    ),
}

_READ = frozenset(
    {
        r"((/[A-Za-z0-9\.,\+@=_-]+)*)/",
        r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*",
        r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)",
        r"/[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*/",
        r"[ -~]+",
        r"[0-9A-Za-z\(\)#\?\*\-\/, ]+",
        r"[0-9]+h",
        r"[0-9]{12}",
        r"[A-Za-z0-9][A-Za-z0-9._:/@-]*",
        r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
        r"[0-9a-z-]{2,25}",
        r"[:\w]+",
        r"[A-Z0-9]+",
        r"[\d]*",
        r"[\d]+",
        r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*",
        r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]+",
        r"[\u0009\u000A\u000D\u0020-\u00FF]+",
        r"[\u0020-\u00FF]*",
        r"[\u0020-\u00FF]+",
        r"[\w+=,.@-]*",
        r"[\w+=,.@-]+",
        r"[\w+=,.@:-]*",
        r"[\w+=,.@:\/-]*",
        r"[\w+=,.@\:-]*",
        r"[\w+=,.\-]+",
        r"[\w+=/:,.@-]*",
        r"[\w+=/:,.@-]+",
        r"[\w-]*",
        r"[\w-]+",
        r"[\w._-]+",
        r"[\w]*",
        r"[\w]+",
        r"[\x21\x23-\x2B\x2D-\x5B\x5D-\x7E]+( [\x21\x23-\x2B\x2D-\x5B\x5D-\x7E]+)*",
        r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
        r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+",
        r"[a-z][a-z0-9]+(?:[._-][a-z0-9]+)*",
        r"\d{12}",
        r"\u002F[\u0021-\u007F]*",
        r"^$|arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key\/[a-z0-9-]+",
        r"^(/[a-zA-Z0-9\/_-]+/kms/xks/v\d{1,2})$|^(/kms/xks/v\d{1,2})$",
        r"^(?:[a-z0-9*]+(?:[._-][a-z0-9*]+)*/)*[a-z0-9*]+(?:[._-][a-z0-9*]+)*$",
        r"^(?:[a-z0-9]+(?:[._-][a-z0-9]*)*/)*[a-z0-9]*(?:[._-][a-z0-9]*)*$",
        r"^([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+$",
        r"^([a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\/?|ROOT)$",
        r"^([a-z]+-)+\d+$",
        r"^([a-z]+-){2,3}\d+$",
        r"^(com|eu)\.amazonaws\.vpce\.([a-z]+-){2,3}\d+\.vpce-svc-[0-9a-z]+$",
        r"^[0-9a-zA-Z._*-]{1,128}$",
        r"^[A-Z2-7]+$",
        r"^[A-Za-z][A-Za-z0-9/_-]*$",
        r"^[\w+=,.@:/-]+$",
        r"^[a-zA-Z0-9\-]+$",
        r"^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$",
        r"^[a-f0-9]+$",
        r"^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$",
        r"^[a-zA-Z0-9-_.]+$",
        r"^[a-zA-Z0-9:/+=,.@_-]+$",
        r"^[a-zA-Z0-9:/_-]+$",
        r"^[a-zA-Z0-9:/_\s.-]+$",
        r"^[a-zA-Z0-9:_.-]+$",
        r"^[a-zA-Z0-9\/+=]+$",
        r"^\S+$",
        r"^arn:aws(-[a-z]+)*:iam::[0-9]{12}:(role|user)/[\w+=,.@-]+(/[\w+=,.@-]+)*$",
        r"^arn:aws(-[a-z]+)*:signer:[a-z0-9-]+:[0-9]{12}:\/signing-profiles\/[a-zA-Z0-9_]{2,}$",
        r"^arn:aws(-\w+)*:secretsmanager:[a-zA-Z0-9-:]+:secret:ecr\-pullthroughcache\/[a-zA-Z0-9\/_+=.@-]+$",
        r"^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$",
        r"^http(s?)://[a-zA-Z0-9._/-]*(\?[a-zA-Z0-9._=&-]*)?(#[a-zA-Z0-9._/-]*)?$",
        r"^https://[a-zA-Z0-9.-]+$",
        r"^o-[0-9a-z]{10,32}\/r-[0-9a-z]{4,32}[0-9a-z-\/]*",
        r"^o-[a-z0-9]{10,32}$",
        r"^p-[0-9a-zA-Z_]{8,128}$",
        r"cluster-[2-7a-zA-Z]{11,16}",
        r"v[1-9][0-9]*(\.[A-Za-z0-9-]*)?",
    }
)
