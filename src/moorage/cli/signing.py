"""Signature Version 4 for the calls that commands make to their own server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from moorage.aws import signing
from moorage.aws.signing import SigningKey
from moorage.cli.profile import Profile


def signed_headers(
    headers: Mapping[str, str], body: bytes, *, service: str, profile: Profile, now: datetime
) -> dict[str, str]:
    """`headers`, which have lower-case names and `host`, with what proves who sends them. `now` is UTC."""
    key = SigningKey(profile.access_key_id, profile.secret)
    return signing.signed_headers(headers, body, service=service, region=profile.region, key=key, now=now)
