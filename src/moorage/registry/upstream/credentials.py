"""The user and token for an upstream registry, read from the secret that a rule names."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from moorage.access.call import Call
from moorage.base.errors.upstream import ResourceNotFound, SecretNotFound, UnableToAccessSecret
from moorage.registry.upstream import secrets
from moorage.registry.upstream.rules import Rule
from moorage.registry.upstream.secrets import Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    username: str
    token: str = field(repr=False)


class _Content(msgspec.Struct, rename="camel"):
    username: str
    access_token: str = msgspec.field(name="accessToken")


async def credentials_of(call: Call, rule: Rule) -> Credentials | None:
    """None for a rule without a secret. Raise `SecretNotFound` or `UnableToAccessSecret`; both say what to do."""
    if not rule.credential_arn:
        return None
    secret = await secret_of(call, rule)
    try:
        version = await secrets.version_of(call, secret)
    except ResourceNotFound:
        raise UnableToAccessSecret(arn=rule.credential_arn, reason="it has no value") from None
    try:
        content = msgspec.json.decode(version.value.content, type=_Content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        reason = 'its value is not {"username": "...", "accessToken": "..."}'
        raise UnableToAccessSecret(arn=rule.credential_arn, reason=reason) from None
    return Credentials(content.username, content.access_token)


async def secret_of(call: Call, rule: Rule) -> Secret:
    """The secret, which must be of the registry's own account and region."""
    arn = rule.credential_arn
    _, _, _, region, account, _ = arn.split(":", 5)
    if (account, region) != (rule.registry.account, rule.registry.region):
        raise UnableToAccessSecret(arn=arn, reason="it must be of the account and Region of the registry")
    found = await secrets.find(call.db, rule.registry, arn, call.now)
    if found is None or not arn.startswith("arn:"):
        raise SecretNotFound(arn=arn)
    if found.deleted is not None:
        raise UnableToAccessSecret(arn=arn, reason="it is marked for deletion")
    return found
