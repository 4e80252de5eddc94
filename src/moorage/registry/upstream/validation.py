"""Is a rule of use? Its credentials can be read, and the upstream registry takes them."""

from __future__ import annotations

from dataclasses import replace

from moorage.access.call import Call
from moorage.base.errors.upstream import SecretNotFound, UnableToAccessSecret
from moorage.registry.upstream.credentials import credentials_of
from moorage.registry.upstream.rules import Rule


async def failure_of(call: Call, rule: Rule) -> str | None:
    """What is wrong with it; None for nothing."""
    try:
        await credentials_of(call, rule)
    except (SecretNotFound, UnableToAccessSecret) as error:
        return str(error)
    of_registry = replace(call, account=rule.registry.account)
    return await call.services.upstreams.refusal(of_registry, rule.prefix)
