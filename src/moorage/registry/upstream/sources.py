"""Where a pull through cache rule leads: a repository upstream, the login it wants, the client that may go there."""

from __future__ import annotations

import logging
from collections.abc import Callable

from moorage.access.call import Call
from moorage.base.errors.upstream import SecretNotFound, UnableToAccessSecret, UpstreamAccessDenied
from moorage.registry.upstream.client import Login, Source, UpstreamClient
from moorage.registry.upstream.credentials import credentials_of
from moorage.registry.upstream.reach import REALMS, Reach
from moorage.registry.upstream.rules import Rule
from moorage.remote.rules import Rules

_log = logging.getLogger("moorage")


class Sources:
    """Of all rules, over two clients: registries that Amazon names, and those that the operator opted into."""

    def __init__(self, reach: Reach, connect: Callable[[Rules], UpstreamClient]) -> None:
        self._reach = reach
        self._named, self._others = connect(reach.named_rules), connect(reach.other_rules)

    async def of(self, call: Call, rule: Rule, name: str) -> tuple[UpstreamClient, Source]:
        """For a repository by its name here; "" is for the registry as a whole.

        Raise `UpstreamAccessDenied` or `UpstreamUnavailable`.
        """
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
