"""From a token to who it is of: the provider registered in an account, its keys, the checks."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from moorage.access.web_identity import token as tokens
from moorage.access.web_identity.provider_keys import ProviderKeys
from moorage.access.web_identity.token import WebIdentity
from moorage.base.clock import SECOND
from moorage.base.errors import InvalidIdentityToken
from moorage.store.db.api import Reads

_SCHEME = "https://"
_ISSUER_MAX = 255  # of CreateOpenIDConnectProvider


@dataclass(frozen=True, slots=True)
class Provider:
    arn: str
    audiences: tuple[str, ...]
    """The client ids that tokens may be for."""
    jwks: str = field(repr=False)
    """Its keys, where they are not to be fetched; else empty."""

    @property
    def name(self) -> str:
        """Host and path, as in its ARN and in condition keys."""
        return self.arn.partition(":oidc-provider/")[2]


async def verify(
    reads: Reads, keys: ProviderKeys, account: str, text: str, now: int
) -> tuple[Provider, WebIdentity]:
    """Whom a token is of, and who says so in `account`.

    Raise `InvalidIdentityToken`, `IdentityTokenExpired`, `IDPRejectedClaim` or `IDPCommunicationError`.
    """
    token = tokens.parse(text)
    provider = await _provider(reads, account, token.issuer)
    tokens.check_signature(token, await keys.candidates(token, token.issuer, provider.jwks))
    return provider, tokens.identity_in(token, provider.audiences, now // SECOND)


async def _provider(reads: Reads, account: str, issuer: str) -> Provider:
    """An ARN has no slash at its end; some issuers do. Nothing else may differ."""
    name = issuer.removeprefix(_SCHEME).removesuffix("/")
    row = None
    if issuer.startswith(_SCHEME) and name and len(issuer) <= _ISSUER_MAX:
        arn = f"arn:aws:iam::{account}:oidc-provider/{name}"
        row = await reads.one("web_identity.provider", {"arn": arn})
    if row is None:
        raise InvalidIdentityToken(
            f"No OpenIDConnect provider found in your account for {issuer[:_ISSUER_MAX]}"
        )
    return Provider(row[0], tuple(msgspec.json.decode(row[1], type=list[str])), row[2])
