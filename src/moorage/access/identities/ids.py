"""The unique ids of principals, policies and keys: a prefix that says what, and 16 characters that say nothing.

Source: AWS, "IAM identifiers", unique ids. A principal that is deleted and made again has another id, so nothing that
was granted to the first is the second's.
"""

from __future__ import annotations

import secrets
from typing import Literal

Prefix = Literal["AGPA", "AIDA", "AKIA", "ANPA", "AROA", "ASIA"]

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_LENGTH = {"AKIA": 16, "ASIA": 16}
_LENGTH_OF_OTHERS = 17  # 21 characters in all; the id of an access key has 20


def new_id(prefix: Prefix) -> str:
    """85 bits at random, 80 in the id of a key."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH.get(prefix, _LENGTH_OF_OTHERS)))
