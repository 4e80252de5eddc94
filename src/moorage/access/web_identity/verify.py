"""From a token to whom it is of: the provider registered in an account, its keys, the checks."""

from __future__ import annotations

from moorage.access.identities import providers
from moorage.access.identities.providers import Provider
from moorage.access.web_identity import token as tokens
from moorage.access.web_identity.provider_keys import ProviderKeys
from moorage.access.web_identity.token import WebIdentity
from moorage.base.clock import SECOND
from moorage.base.errors.identities import InvalidIdentityToken
from moorage.store.db.api import Reads

_ECHO = 255


async def verify(
    reads: Reads, keys: ProviderKeys, account: str, text: str, now: int
) -> tuple[Provider, WebIdentity]:
    """Whom a token is of, and who says so in `account`.

    Raise `InvalidIdentityToken`, `IdentityTokenExpired`, `IDPRejectedClaim` or `IDPCommunicationError`.
    """
    token = tokens.parse(text)
    provider = await providers.find(reads, account, token.issuer)
    if provider is None:
        raise InvalidIdentityToken(
            f"No OpenIDConnect provider found in your account for {token.issuer[:_ECHO]}"
        )
    tokens.check_signature(token, await keys.candidates(token, token.issuer, provider.jwks))
    return provider, tokens.identity_in(token, provider.audiences, now // SECOND)
