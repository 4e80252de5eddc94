"""Is a rule of use? Its credentials can be read, and the upstream registry takes them."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.base.errors import SecretNotFound, UnableToAccessSecret
from moorage.registry.upstream.credentials import Credentials, credentials_of
from moorage.registry.upstream.rules import Rule


async def failure_of(call: Call, rule: Rule) -> str | None:
    """What is wrong with it; None for nothing."""
    try:
        credentials = await credentials_of(call, rule)
    except (SecretNotFound, UnableToAccessSecret) as error:
        return str(error)
    return await _refusal_of_upstream(rule, credentials)


async def _refusal_of_upstream(rule: Rule, credentials: Credentials | None) -> str | None:
    """Asking the upstream registry stands here once there is a client for it; until then its answer is not known."""
    return None
