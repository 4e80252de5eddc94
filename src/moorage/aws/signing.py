"""Signature Version 4, a client's side: for the calls that we make ourselves.

Source: AWS General Reference, "Signature Version 4". Only what calls of the JSON and Query protocols need: POST of a
body to `/`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from moorage.aws.sigv4 import ALGORITHM, Scope, SigningKeys


@dataclass(frozen=True, slots=True)
class SigningKey:
    id: str
    secret: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    """Of temporary credentials."""


def signed_headers(
    headers: Mapping[str, str], body: bytes, *, service: str, region: str, key: SigningKey, now: datetime
) -> dict[str, str]:
    """`headers`, which have lower-case names and `host`, with what proves who sends them. `now` is UTC."""
    date = now.strftime("%Y%m%dT%H%M%SZ")
    scope = Scope(date[:8], region, service)
    sent = {**headers, "x-amz-date": date}
    if key.session_token:
        sent["x-amz-security-token"] = key.session_token
    names = ";".join(sorted(sent))
    lines = "".join(f"{name}:{sent[name].strip()}\n" for name in sorted(sent))
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    text = f"{ALGORITHM}\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    derived = SigningKeys().key(key.id, scope, key.secret)
    signature = hmac.digest(derived, text.encode(), "sha256").hex()
    credential = f"{key.id}/{scope}"
    return {
        **sent,
        "authorization": f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}",
    }
