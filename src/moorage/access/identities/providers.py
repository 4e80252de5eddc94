"""OpenID Connect identity providers that an account trusts: whose tokens may begin sessions of its roles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from moorage.base.errors.identities import EntityAlreadyExists, InvalidInput, NoSuchEntity
from moorage.base.errors.images import LimitExceeded
from moorage.store.db.api import Reads, Row, Transaction

MOST_AUDIENCES = 100
MOST_THUMBPRINTS = 5
MOST_PROVIDERS = 100
"""Of an account (IAM user guide, "IAM and AWS STS quotas")."""
MOST_JWKS_CHARACTERS = 65_536

_LONGEST = 255
"""Of a URL and of an audience (iam model, `OpenIDConnectProviderUrlType`, `clientIDType`)."""
_SCHEMES = ("https://", "http://")
_PLACE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~@+:/-]{1,255})?")
_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}")
_SECRET_MEMBERS = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


@dataclass(frozen=True, slots=True)
class Provider:
    arn: str
    account: str
    issuer: str
    """The URL, as the `iss` of its tokens spells it."""
    audiences: tuple[str, ...]
    """The `aud` that tokens may have."""
    thumbprints: tuple[str, ...]
    """Of the certificates of its server: kept and shown, as AWS does; the system's authorities are what counts."""
    jwks: str
    """Its public keys, for a provider that cannot be reached; empty to ask it."""
    created: int

    @property
    def place(self) -> str:
        """The issuer without its scheme: in its ARN, in answers, and before the condition keys of its claims."""
        return self.arn.partition(":oidc-provider/")[2]


def arn_of(account: str, issuer: str) -> str:
    """Without the slash that some issuers end with. Raise `InvalidInput` for what is no URL of an issuer."""
    for scheme in _SCHEMES:
        place = issuer.removeprefix(scheme).removesuffix("/")
        if issuer.startswith(scheme) and len(issuer) <= _LONGEST and _PLACE.fullmatch(place):
            return f"arn:aws:iam::{account}:oidc-provider/{place}"
    raise InvalidInput("Invalid Open ID Connect Provider URL")


async def find(reads: Reads, account: str, issuer: str) -> Provider | None:
    """The account's provider whose tokens have this `iss`: to the letter, but for a slash at its end."""
    try:
        arn = arn_of(account, issuer)
    except InvalidInput:
        return None
    row = await reads.one("identities.provider", {"account": account, "arn": arn})
    found = None if row is None else _provider(row)
    if found is None or found.issuer.removesuffix("/") != issuer.removesuffix("/"):
        return None
    return found


async def need(reads: Reads, account: str, arn: str) -> Provider:
    """Raise `NoSuchEntity`, and `InvalidInput` for what is no ARN."""
    if not arn.startswith("arn:") or arn.count(":") < 5:
        raise InvalidInput("Invalid ARN:  Could not be parsed!")
    row = await reads.one("identities.provider", {"account": account, "arn": arn})
    if row is None:
        raise NoSuchEntity(f"OpenIDConnect Provider not found for arn {arn}")
    return _provider(row)


async def of_account(reads: Reads, account: str) -> list[Provider]:
    """By ARN."""
    return [_provider(row) for row in await reads.all("identities.providers", {"account": account})]


async def of_all(reads: Reads) -> list[Provider]:
    """Of all accounts, by ARN."""
    return [_provider(row) for row in await reads.all("identities.providers_of_all")]


async def create(
    tx: Transaction,
    account: str,
    issuer: str,
    now: int,
    *,
    audiences: Sequence[str] = (),
    thumbprints: Sequence[str] = (),
    jwks: str = "",
) -> Provider:
    """Raise `EntityAlreadyExists`, `InvalidInput`, `LimitExceeded`. Without `jwks` the issuer is asked, over TLS."""
    arn = arn_of(account, issuer)
    if await tx.one("identities.provider", {"account": account, "arn": arn}):
        raise EntityAlreadyExists(f"Provider with url {issuer} already exists.")
    if len(await of_account(tx, account)) >= MOST_PROVIDERS:
        raise LimitExceeded(f"Cannot exceed quota for OpenIdConnectProvidersPerAccount: {MOST_PROVIDERS}")
    made = Provider(arn, account, issuer, tuple(dict.fromkeys(audiences)), tuple(thumbprints), jwks, now)
    _check(made)
    await tx.run(
        "identities.insert_provider",
        {
            "arn": arn,
            "account": account,
            "url": issuer,
            "audiences": _encoded(made.audiences),
            "thumbprints": _encoded(made.thumbprints),
            "jwks": jwks,
            "created": now,
        },
    )
    return made


async def change(
    tx: Transaction,
    provider: Provider,
    *,
    audiences: Sequence[str] | None = None,
    thumbprints: Sequence[str] | None = None,
    jwks: str | None = None,
) -> Provider:
    """What is None stays. Raise `InvalidInput`, `LimitExceeded`."""
    changed = replace(
        provider,
        audiences=provider.audiences if audiences is None else tuple(dict.fromkeys(audiences)),
        thumbprints=provider.thumbprints if thumbprints is None else tuple(thumbprints),
        jwks=provider.jwks if jwks is None else jwks,
    )
    _check(changed)
    await tx.run(
        "identities.set_provider",
        {
            "arn": provider.arn,
            "audiences": _encoded(changed.audiences),
            "thumbprints": _encoded(changed.thumbprints),
            "jwks": changed.jwks,
        },
    )
    return changed


async def delete(tx: Transaction, account: str, arn: str) -> None:
    """Also what is not there: the outcome is the same."""
    row = await tx.one("identities.provider", {"account": account, "arn": arn})
    if row is not None:
        await tx.run("identities.clear_tags", {"owner": arn})
        await tx.run("identities.delete_provider", {"arn": arn})


def checked_jwks(text: str) -> str:
    """A set of public keys; raise `InvalidInput` for anything else, above all for private keys."""
    if len(text) > MOST_JWKS_CHARACTERS:
        raise InvalidInput(f"A key set has at most {MOST_JWKS_CHARACTERS} characters")
    try:
        keys = msgspec.json.decode(text, type=_KeySet).keys
    except (msgspec.DecodeError, RecursionError):
        raise InvalidInput('A key set is JSON like {"keys": [{"kty": "RSA", ...}]}') from None
    if not keys:
        raise InvalidInput("The key set has no keys")
    for key in keys:
        if key.get("kty") not in ("RSA", "EC"):
            raise InvalidInput("The keys of a key set are of type RSA or EC")
        if not _SECRET_MEMBERS.isdisjoint(key):
            raise InvalidInput("The key set has a private key: give the public keys only")
    return text


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


def _check(provider: Provider) -> None:
    if not provider.jwks and not provider.issuer.startswith("https://"):
        raise InvalidInput("The Open ID Connect Provider URL must begin with https://")
    if not all(1 <= len(audience) <= _LONGEST for audience in provider.audiences):
        raise InvalidInput(f"A client id has 1 to {_LONGEST} characters.")
    if len(provider.audiences) > MOST_AUDIENCES:
        raise LimitExceeded(f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_AUDIENCES}")
    if len(provider.thumbprints) > MOST_THUMBPRINTS:
        raise InvalidInput(f"Thumbprint list must contain at most {MOST_THUMBPRINTS} entries.")
    if not all(map(_THUMBPRINT.fullmatch, provider.thumbprints)):
        raise InvalidInput("A thumbprint has 40 hexadecimal digits.")


def _encoded(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()


def _provider(row: Row) -> Provider:
    arn, account, issuer, audiences, thumbprints, jwks, created = row
    return Provider(
        arn,
        account,
        issuer,
        msgspec.json.decode(audiences, type=tuple[str, ...]),
        msgspec.json.decode(thumbprints, type=tuple[str, ...]),
        jwks,
        created,
    )
