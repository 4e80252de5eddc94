"""Where a pull through cache rule leads: a repository upstream, and the client that may read it.

a private registry of ECR   another installation, if the operator has a peer for it, else one of our own accounts
any other                   over the registry protocol, with the login that the rule's secret has
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from moorage.access.call import Call
from moorage.base.errors.upstream import (
    SecretNotFound,
    UnableToAccessSecret,
    UpstreamAccessDenied,
    UpstreamUnavailable,
)
from moorage.registry.upstream.client import Login, Source, SourceClient, UpstreamClient
from moorage.registry.upstream.credentials import credentials_of
from moorage.registry.upstream.inside import is_ours, open_inside
from moorage.registry.upstream.known import ECR, private_registry
from moorage.registry.upstream.peers import UpstreamPeers
from moorage.registry.upstream.reach import REALMS, Reach
from moorage.registry.upstream.rules import Rule
from moorage.remote.rules import Rules

_log = logging.getLogger("moorage")


class Sources:
    """Of all rules, over two clients: registries that Amazon names, and those that the operator opted into."""

    def __init__(
        self, reach: Reach, connect: Callable[[Rules], UpstreamClient], peers: UpstreamPeers | None = None
    ) -> None:
        self._reach = reach
        self._named, self._others = connect(reach.named_rules), connect(reach.other_rules)
        self._peers = peers

    async def of(self, call: Call, rule: Rule, name: str) -> tuple[SourceClient, Source]:
        """For a repository by its name here; "" is for the registry as a whole.

        Raise `UpstreamAccessDenied` or `UpstreamUnavailable`.
        """
        if rule.upstream == ECR:
            return await self._private(call, rule, name)
        origin = self._reach.origin(rule.url, is_named=bool(rule.upstream))
        try:
            credentials = await credentials_of(call, rule)
        except (SecretNotFound, UnableToAccessSecret) as error:
            _log.warning("pull through cache rule '%s': %s", rule.written, error)
            raise UpstreamAccessDenied() from None
        login = Login(credentials.username, credentials.token) if credentials is not None else None
        source = Source(origin, rule.name_upstream(name) or "", REALMS.get(origin, frozenset()), login)
        return (self._others if self._reach.is_opted(origin) else self._named), source

    async def close(self) -> None:
        for client in (self._named, self._others):
            await client.close()
        if self._peers is not None:
            await self._peers.close()

    async def _private(self, call: Call, rule: Rule, name: str) -> tuple[SourceClient, Source]:
        registry = private_registry(rule.url, call.services.addresses)
        if registry is not None and self._peers is not None and self._peers.has(registry):
            return self._peers.open(call, rule, registry, name)
        if registry is not None and await is_ours(call.db, registry):
            return await open_inside(call, rule, registry, name)
        reason = "it is none of this installation, and whoever runs that has no peer for it (upstream_peers)"
        raise UpstreamUnavailable(upstream=rule.url, reason=reason)
