"""Signature Version 4, a client's side: for the calls that commands make to their own server.

Source: AWS General Reference, "Signature Version 4". Only what an AWS JSON call needs: POST of a body to `/`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from moorage.aws.sigv4 import ALGORITHM, Scope, SigningKeys
from moorage.cli.profile import Profile


def signed_headers(
    headers: Mapping[str, str], body: bytes, *, service: str, profile: Profile, now: datetime
) -> dict[str, str]:
    """`headers`, which have lower-case names and `host`, with what proves who sends them. `now` is UTC."""
    date = now.strftime("%Y%m%dT%H%M%SZ")
    scope = Scope(date[:8], profile.region, service)
    sent = {**headers, "x-amz-date": date}
    names = ";".join(sorted(sent))
    lines = "".join(f"{name}:{sent[name].strip()}\n" for name in sorted(sent))
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    text = f"{ALGORITHM}\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = SigningKeys().key(profile.access_key_id, scope, profile.secret)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"{profile.access_key_id}/{scope}"
    return {
        **sent,
        "authorization": f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}",
    }
