"""A signed token of an identity provider (JWT, RFC 7519): read, and checked. Pure: keys and time are arguments.

    1  parse            size, three parts, base64url as an encoder writes it, strict JSON
    2  check_signature  with the provider's keys; the header chooses among them and brings none (RFC 8725)
    3  identity_in      audience, times, subject

Between 1 and 2 a token only says whose keys to ask: those of its issuer, if that is registered. So what they verify
is of that issuer.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from moorage.access.web_identity.jwk import ALGORITHMS, Key
from moorage.access.web_identity.strict_json import NotStrict, loads
from moorage.base.errors.identities import IdentityTokenExpired, IDPRejectedClaim, InvalidIdentityToken

CHARACTERS_MAX = 20_000
LEEWAY_S = 60
"""Between the provider's clock and ours."""
LIFETIME_MAX_S = 7 * 86_400
_SUBJECT_MAX = 255  # OpenID Connect Core 1.0, section 2
_TRIED_WITHOUT_ID = 4
"""Keys tried for a token that names none."""

NOT_A_JWT = "The ID Token provided is not a valid JWT."
WRONG_AUDIENCE = "Incorrect token audience"
NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  please reference "
    "AssumeRoleWithWebIdentity documentation for requirements"
)  # with two spaces: tools know the text
WRONG_SIGNATURE = "Couldn't verify the signature of the token with the keys of your identity provider"


@dataclass(frozen=True, slots=True)
class Unverified:
    """What somebody sent."""

    algorithm: str
    key_id: str | None
    issuer: str
    """As the token says: good for looking up its provider, and for nothing else."""
    claims: Mapping[str, Any] = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebIdentity:
    """Somebody whom a provider vouches for."""

    issuer: str
    subject: str
    audience: str
    """That of the provider's client ids which the token is for."""
    claims: Mapping[str, Any] = field(repr=False)


def parse(text: str) -> Unverified:
    """Raise `InvalidIdentityToken`."""
    parts = text.split(".")
    if len(text) > CHARACTERS_MAX or len(parts) != 3:
        raise InvalidIdentityToken(NOT_A_JWT)
    try:
        header, claims = loads(_decoded(parts[0])), loads(_decoded(parts[1]))
        signature = _decoded(parts[2])
    except (NotStrict, binascii.Error, UnicodeEncodeError):
        raise InvalidIdentityToken(NOT_A_JWT) from None
    algorithm, key_id, issuer = header.get("alg"), header.get("kid"), claims.get("iss")
    # `crit` names extensions that must be understood, and none is. A key in the header (`jwk`, `jku`, `x5u`, `x5c`)
    # is what an attacker would bring: it is not even read.
    is_readable = (
        isinstance(algorithm, str)
        and algorithm in ALGORITHMS
        and (key_id is None or isinstance(key_id, str))
        and "crit" not in header
        and header.get("b64", True) is True
        and isinstance(issuer, str)
    )
    if not is_readable:
        raise InvalidIdentityToken(NOT_A_JWT)
    return Unverified(
        str(algorithm), key_id, str(issuer), claims, f"{parts[0]}.{parts[1]}".encode(), signature
    )


def _decoded(part: str) -> bytes:
    """Only the spelling that an encoder gives is a part: another would be another token with the same signature."""
    content = base64.b64decode(part.encode("ascii") + b"=" * (-len(part) % 4), b"-_", validate=True)
    if base64.urlsafe_b64encode(content).rstrip(b"=").decode() != part:
        raise binascii.Error("not canonical")
    return content


def candidates(token: Unverified, keys: Collection[Key]) -> list[Key]:
    """The keys that may have signed it: by its key id, if it has one, and of the kind that its algorithm takes."""
    fitting = [key for key in keys if key.fits(token.algorithm)]
    if token.key_id is not None:
        return [key for key in fitting if key.id == token.key_id]
    return fitting[:_TRIED_WITHOUT_ID]


def check_signature(token: Unverified, keys: Collection[Key]) -> None:
    """`keys` are the `candidates`. Raise `InvalidIdentityToken`."""
    if not keys:
        raise InvalidIdentityToken(NO_KEY)
    if not any(key.has_signed(token.algorithm, token.signed, token.signature) for key in keys):
        raise InvalidIdentityToken(WRONG_SIGNATURE)


def identity_in(token: Unverified, audiences: Collection[str], now_s: int) -> WebIdentity:
    """Of a token whose signature was checked. Raise `InvalidIdentityToken`, `IdentityTokenExpired`, `IDPRejectedClaim`.

    `audiences` are the client ids registered with the provider of the issuer.
    """
    claims = token.claims
    audience = _audience(claims, audiences)
    _check_times(claims, now_s)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_MAX:
        raise IDPRejectedClaim("The token has no subject (sub)")
    return WebIdentity(token.issuer, subject, audience, claims)


def _audience(claims: Mapping[str, Any], registered: Collection[str]) -> str:
    """The first that is registered: of `aud`, else who the token was issued to (`azp`)."""
    said = claims.get("aud")
    listed = said if isinstance(said, list) else [said]
    if not all(isinstance(audience, str) for audience in listed):
        raise InvalidIdentityToken(WRONG_AUDIENCE)
    for audience in (*listed, claims.get("azp")):
        if isinstance(audience, str) and audience in registered:
            return audience
    raise InvalidIdentityToken(WRONG_AUDIENCE)


def _check_times(claims: Mapping[str, Any], now_s: int) -> None:
    issued, expires = _moment(claims, "iat"), _moment(claims, "exp")
    starts = _moment(claims, "nbf") if "nbf" in claims else issued
    if now_s - LEEWAY_S >= expires:
        raise IdentityTokenExpired(now=now_s, expires=int(expires))
    if max(issued, starts) > now_s + LEEWAY_S:
        raise InvalidIdentityToken("The token is not valid yet: its time lies in the future")
    if not 0 < expires - issued <= LIFETIME_MAX_S:
        raise InvalidIdentityToken(
            f"The token is valid for {int(expires - issued)} seconds; at most {LIFETIME_MAX_S} are accepted"
        )


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 40:
        raise InvalidIdentityToken(f"The token has no time in '{name}'")
    return value
