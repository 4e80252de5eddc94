"""Signature Version 4, the server's side: is this request signed by who holds the secret of that key?

    authorization = parse_authorization(headers, raw_query, now=now, service="ecr")     # checks 1 to 9
    secret = ...                                                                         # 10: the caller's
    verify(authorization, request, secret, keys=keys)                                    # 11 and 12

Source: AWS General Reference, "Signature Version 4"; the order of checks and their texts are those that
DynamoDB was recorded to give (dynalite). Stricter than AWS in three things: what is acted upon must be
signed, the payload must be signed, and only the path `/` exists. No clock, no lookup, no I/O: `now` is in
microseconds.

 1  there is a signature, in one place      7  algorithm
 2  key=value syntax                        8  shape of the credential
 3  all parts are there                     9  scope: region, service, terminator, date
 4  format of the date                     10  the key is known: `UnrecognizedClient`, by the caller
 5  clock window                           11  session token where and only where it belongs
 6  what must be signed is                 12  the signature
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote_from_bytes, unquote_to_bytes

from moorage.base.clock import MINUTE, SECOND
from moorage.base.errors.access import (
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
    UnrecognizedClient,
)
from moorage.base.http import Headers

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
WINDOW = 15 * MINUTE
EMPTY_PAYLOAD = hashlib.sha256(b"").hexdigest()

_ACTED_UPON = (
    b"host",
    b"x-amz-content-sha256",
    b"x-amz-date",
    b"x-amz-security-token",
    b"x-amz-target",
    b"x-moorage-replica",
)
_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_EXPIRES = re.compile(r"[0-9]{1,6}")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{1,24}")
_SPACES = re.compile(r" {2,}")

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
    "Access Key and signing method. Consult the service documentation for details."
)
_PARTS = ("Credential", "Signature", "SignedHeaders")
_NO_PART = "Authorization header requires '{}' parameter. "
_NO_DATE = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
_NOT_VALID = "The security token included in the request is invalid"


@dataclass(frozen=True, slots=True)
class Scope:
    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the caller claims, with checks 1 to 9 passed; nothing of it is proven before `verify` returns."""

    key_id: str
    scope: Scope
    date: str
    """`20130609T094515Z`, as signed."""
    signed_headers: tuple[str, ...]
    signature: str = field(repr=False)
    session_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedParts:
    """What a signature covers. `payload_hash` is the SHA-256 of the body, in hex, as computed here."""

    method: str
    raw_query: bytes
    headers: Headers
    payload_hash: str


class SigningKeys:
    """Derived keys by (key id, scope), at most `capacity`: the oldest leave first.

    A changed secret is derived anew.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._keys: dict[tuple[str, str, str, str], tuple[str, bytes]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, key_id: str, scope: Scope, secret: str) -> bytes:
        place = (key_id, scope.date, scope.region, scope.service)
        kept = self._keys.get(place)
        if kept is not None and kept[0] == secret:
            return kept[1]
        if len(self._keys) >= self._capacity:
            del self._keys[next(iter(self._keys))]
        key = _derived(scope, secret)
        self._keys[place] = (secret, key)
        return key


def parse_authorization(
    headers: Headers, raw_query: bytes, *, now: int, service: str | None = None, window: int = WINDOW
) -> Authorization:
    """Checks 1 to 9, of the header form or the presigned form.

    `service` is whom the request addresses by `X-Amz-Target`; for a form, whose body is not yet to be read,
    leave it out and call `check_service` later. Raise `MissingAuthenticationToken`, `IncompleteSignature`,
    `InvalidSignature`.
    """
    claim = _claim(headers, raw_query)  # 1 to 3
    at = _moment(claim.date)  # 4
    _check_window(claim, at, now, window)  # 5
    _check_signed_headers(claim, headers)  # 6
    if claim.algorithm != ALGORITHM:  # 7
        raise IncompleteSignature(
            f"Unsupported AWS 'algorithm': '{claim.algorithm}' (only {ALGORITHM} for now). "
        )
    key_id, scope = _credential(claim, service)  # 8, 9
    return Authorization(
        key_id,
        scope,
        claim.date,
        tuple(claim.signed_headers.split(";")),
        claim.signature,
        claim.session_token,
    )


def check_service(authorization: Authorization, service: str) -> None:
    """Check 9 for a form: the service that its action belongs to is the one that was signed for."""
    if authorization.scope.service != service:
        raise InvalidSignature(_wrong_service(service))


def verify(
    authorization: Authorization,
    request: SignedParts,
    secret: str,
    *,
    keys: SigningKeys,
    is_temporary: bool = False,
) -> None:
    """Checks 11 and 12. `is_temporary`: the key belongs to a session, whose token the caller checks.

    Raise `UnrecognizedClient` for a session key without token or the other way round, `InvalidSignature`
    otherwise.
    """
    if (authorization.session_token is not None) != is_temporary:  # 11
        raise UnrecognizedClient(_NOT_VALID)
    _check_payload(request)
    canonical = _canonical_request(authorization, request)
    text = _string_to_sign(authorization, canonical)
    key = keys.key(authorization.key_id, authorization.scope, secret)
    expected = hmac.digest(key, text.encode(), "sha256").hex()
    is_hex = _SIGNATURE.fullmatch(authorization.signature) is not None
    if not is_hex or not hmac.compare_digest(expected, authorization.signature):  # 12
        raise InvalidSignature(_MISMATCH)


@dataclass(frozen=True, slots=True)
class _Claim:
    """The parts as text, from either form."""

    algorithm: str
    credential: str
    signed_headers: str
    signature: str
    date: str
    session_token: str | None
    expires_s: int | None = None
    """Of the presigned form."""


def _claim(headers: Headers, raw_query: bytes) -> _Claim:
    given = [value.decode("latin-1") for name, value in headers if name == b"authorization"]
    query = dict(_pairs(raw_query)) if raw_query else {}
    is_presigned = "X-Amz-Algorithm" in query or "X-Amz-Signature" in query
    if given and is_presigned:
        raise InvalidSignature(
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
        )
    if is_presigned:
        return _query_claim(query, raw_query)
    if len(given) > 1:
        raise IncompleteSignature("A request has exactly one Authorization header.")
    if not given or not given[0].startswith("AWS4-"):
        raise MissingAuthenticationToken
    return _header_claim(given[0], headers)


def _header_claim(text: str, headers: Headers) -> _Claim:
    algorithm, _, rest = text.partition(" ")
    parts: dict[str, str] = {}
    for pair in rest.replace(",", " ").split():
        name, equals, value = pair.partition("=")
        if not equals:
            raise IncompleteSignature(
                f"'{pair}' not a valid key=value pair (missing equal-sign) in Authorization header: "
                f"'{_shown(text)}'."
            )
        if name in parts:
            raise IncompleteSignature(
                f"Authorization header has '{name}' twice. Authorization={_shown(text)}"
            )
        parts[name] = value
    date = _header(headers, b"x-amz-date")
    date = _header(headers, b"date") if date is None else date
    lacking = "".join(_NO_PART.format(name) for name in _PARTS if not parts.get(name))
    if lacking or not date:
        raise IncompleteSignature(f"{lacking}{'' if date else _NO_DATE}Authorization={_shown(text)}")
    token = _header(headers, b"x-amz-security-token")
    return _Claim(algorithm, parts["Credential"], parts["SignedHeaders"], parts["Signature"], date, token)


def _shown(authorization: str) -> str:
    """For an error text: what is left out could be sent again by whoever reads a log."""
    return re.sub(r"Signature=[^,\s]*", "Signature=***", authorization)


def _query_claim(query: dict[str, str], raw_query: bytes) -> _Claim:
    names = ("Algorithm", "Credential", "Signature", "SignedHeaders", "Date", "Expires")
    lacking = [
        f"AWS query-string parameters must include 'X-Amz-{name}'. "
        for name in names
        if not query.get(f"X-Amz-{name}")
    ]
    if lacking:
        raise IncompleteSignature(f"{''.join(lacking)}Re-examine the query-string parameters.")
    given = [name for name, _ in _pairs(raw_query) if name.startswith("X-Amz-")]
    if len(given) != len(set(given)):
        raise IncompleteSignature("An AWS query-string parameter is given twice.")
    if not _EXPIRES.fullmatch(query["X-Amz-Expires"]) or not 1 <= int(query["X-Amz-Expires"]) <= 604_800:
        raise IncompleteSignature("X-Amz-Expires must be a number of seconds between 1 and 604800.")
    algorithm, credential, signature, signed, date, expires = (query[f"X-Amz-{name}"] for name in names)
    token = query.get("X-Amz-Security-Token")
    return _Claim(algorithm, credential, signed, signature, date, token, int(expires))


def _moment(date: str) -> int:
    """Microseconds of `20130609T094515Z`."""
    try:
        if not _DATE.fullmatch(date):
            raise ValueError
        day = (int(date[:4]), int(date[4:6]), int(date[6:8]))
        moment = datetime(*day, int(date[9:11]), int(date[11:13]), int(date[13:15]), tzinfo=UTC)
    except ValueError:
        raise IncompleteSignature(
            f"Date must be in ISO-8601 'basic format'. Got '{date}'. "
            "See http://en.wikipedia.org/wiki/ISO_8601"
        ) from None
    return int(moment.timestamp()) * SECOND


def _check_window(claim: _Claim, at: int, now: int, window: int) -> None:
    """A presigned request lives as long as it says, but never longer than the window."""
    lifetime = window if claim.expires_s is None else min(window, claim.expires_s * SECOND)
    minutes = window // MINUTE
    if at < now - lifetime:
        span = f"{minutes} min." if lifetime == window else f"{lifetime // SECOND} s."
        raise InvalidSignature(
            f"Signature expired: {claim.date} is now earlier than {_basic(now - lifetime)} "
            f"({_basic(now)} - {span})"
        )
    if at > now + window:
        raise InvalidSignature(
            f"Signature not yet current: {claim.date} is still later than {_basic(now + window)} "
            f"({_basic(now)} + {minutes} min.)"
        )


def _basic(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // SECOND, UTC).strftime("%Y%m%dT%H%M%SZ")


def _check_signed_headers(claim: _Claim, headers: Headers) -> None:
    """`host`, and each header that the server acts upon, is signed, and given once: two have two readings."""
    signed = claim.signed_headers.split(";")
    if signed != sorted(set(signed)) or claim.signed_headers != claim.signed_headers.lower():
        raise IncompleteSignature("SignedHeaders must be lower case, sorted and without repetition.")
    present = [name for name, _ in headers]
    for name in _ACTED_UPON:
        if name not in present and name != b"host":
            continue
        if name.decode() not in signed:
            raise InvalidSignature(f"'{_title(name)}' must be a 'SignedHeader' in the AWS Authorization.")
        if present.count(name) > 1:
            raise IncompleteSignature(f"A request has at most one '{_title(name)}' header.")
    if claim.expires_s is None and b"x-amz-date" not in present and "date" not in signed:
        raise InvalidSignature("'Date' must be a 'SignedHeader' in the AWS Authorization.")
    if not all(name.encode("latin-1") in present for name in signed):
        raise InvalidSignature(_MISMATCH)


def _title(name: bytes) -> str:
    return "-".join(word.title() for word in name.decode().split("-"))


def _credential(claim: _Claim, service: str | None) -> tuple[str, Scope]:
    parts = claim.credential.split("/")
    if len(parts) != 5:
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{claim.credential}'"
        )
    key_id, date, region, scoped, terminator = parts
    wrong = []
    if not _REGION.fullmatch(region):
        wrong.append(f"Credential should be scoped to a valid region, not '{region}'. ")
    if service is not None and scoped != service:
        wrong.append(_wrong_service(service))
    if terminator != TERMINATOR:
        wrong.append(
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'. "
        )
    if date != claim.date[:8]:
        wrong.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date}' != '{claim.date[:8]}', from '{claim.date}'."
        )
    if wrong:
        raise InvalidSignature("".join(wrong))
    return key_id, Scope(date, region, scoped)


def _wrong_service(service: str) -> str:
    return f"Credential should be scoped to correct service: '{service}'. "


def _check_payload(request: SignedParts) -> None:
    """The header may repeat the hash of the body; `UNSIGNED-PAYLOAD` and `STREAMING-…` are S3's."""
    given = _header(request.headers, b"x-amz-content-sha256")
    if given is not None and not hmac.compare_digest(given.encode("latin-1"), request.payload_hash.encode()):
        raise InvalidSignature("The value of 'X-Amz-Content-Sha256' is not the SHA-256 of the body.")


def _canonical_request(authorization: Authorization, request: SignedParts) -> str:
    values: dict[str, list[str]] = {name: [] for name in authorization.signed_headers}
    for raw_name, raw_value in request.headers:
        name = raw_name.decode("latin-1")
        if name in values:
            values[name].append(_SPACES.sub(" ", raw_value.decode("latin-1").strip()))
    headers = "".join(f"{name}:{','.join(values[name])}\n" for name in authorization.signed_headers)
    query = _canonical_query(request.raw_query) if request.raw_query else ""
    signed = ";".join(authorization.signed_headers)
    return f"{request.method}\n/\n{query}\n{headers}\n{signed}\n{request.payload_hash}"


def _canonical_query(raw_query: bytes) -> str:
    """Decoded and encoded again, sorted; duplicates stay, a plus is a plus."""
    pairs = []
    for part in raw_query.split(b"&"):
        name, _, value = part.partition(b"=")
        if part and name != b"X-Amz-Signature":
            pairs.append((_encoded(name), _encoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: bytes) -> str:
    return quote_from_bytes(unquote_to_bytes(text), safe="-_.~")


def _string_to_sign(authorization: Authorization, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    return f"{ALGORITHM}\n{authorization.date}\n{authorization.scope}\n{digest}"


def _derived(scope: Scope, secret: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (scope.date, scope.region, scope.service, TERMINATOR):
        key = hmac.digest(key, part.encode("latin-1"), "sha256")
    return key


def _header(headers: Headers, name: bytes) -> str | None:
    for key, value in headers:
        if key == name:
            return value.decode("latin-1").strip()
    return None


def _pairs(raw_query: bytes) -> Sequence[tuple[str, str]]:
    pairs = (part.partition(b"=") for part in raw_query.split(b"&"))
    return [(_decoded(name), _decoded(value)) for name, _, value in pairs]


def _decoded(text: bytes) -> str:
    return unquote_to_bytes(text).decode("latin-1")
