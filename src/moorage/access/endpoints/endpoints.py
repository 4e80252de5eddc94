"""By which private endpoint did a request come? Answered from memory, of what the connection itself proves.

1. A public listener has no endpoints.
2. Of those that are bound to the listener and carry the service: where a trusted proxy said which, that one.
3. One that names a client certificate is for that certificate only, and then goes before those that name none.
4. Of several that are left the configuration's go first, then the oldest: a new endpoint takes no traffic away.

Private listeners are the installation's, so only endpoints of its default account and of the configuration are bound
to them. Those of other accounts wait for the keeper to write them into the configuration.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from moorage.access.endpoints import stored
from moorage.access.endpoints.endpoint import Endpoint
from moorage.access.epochs import Epochs
from moorage.access.policies.compile import compile_policy
from moorage.access.policies.document import MalformedPolicy
from moorage.base.errors.endpoints import EndpointRefused
from moorage.base.http import Arrival
from moorage.store.db.api import Database

_log = logging.getLogger("moorage")


class _Bound:
    """Endpoints by what a request may show of them; each look is one in a dictionary."""

    def __init__(self) -> None:
        self._by_id: dict[tuple[str, str, str], Endpoint] = {}
        self._by_identity: dict[tuple[str, str, str], Endpoint] = {}

    def add(self, listener: str, endpoint: Endpoint) -> None:
        """In the order in which they go before each other (4)."""
        self._by_id[listener, endpoint.service, endpoint.id] = endpoint
        self._by_identity.setdefault((listener, endpoint.service, endpoint.identity), endpoint)

    def find(self, arrival: Arrival, service: str) -> Endpoint | None:
        if arrival.vpce:  # 2
            named = self._by_id.get((arrival.listener, service, arrival.vpce))
            return named if named is not None and named.identity in ("", arrival.identity) else None
        for_it = self._by_identity.get((arrival.listener, service, arrival.identity))  # 3
        return for_it or self._by_identity.get((arrival.listener, service, ""))


class Endpoints:
    """`configured` are those of the configuration, `listeners` the names of the private listeners."""

    def __init__(
        self,
        db: Database,
        epochs: Epochs,
        account: str,
        configured: Sequence[Endpoint] = (),
        listeners: Collection[str] = (),
    ) -> None:
        self._db = db
        self._epochs = epochs
        self._account = account
        self._listeners = frozenset(listeners)
        self._refreshing = asyncio.Lock()
        self._seen = -1
        self.configured = tuple(_compiled(endpoint) for endpoint in configured)
        self._bound = self._bind(())

    def find(self, arrival: Arrival, *services: str) -> Endpoint | None:
        """The endpoint of a request for the first of `services` that one carries; None on a public listener.

        Raise `EndpointRefused` where none does. `services` are of `names.CARRIED`.
        """
        if not arrival.listener:  # 1
            return None
        for service in services:
            found = self._bound.find(arrival, service)
            if found is not None:
                return found
        raise EndpointRefused(service=" or ".join(services))

    @property
    def is_current(self) -> bool:
        """Whether what `find` knows is what the database has."""
        return self._seen == self._epochs.of(self._account)

    async def refresh(self) -> None:
        """Read the endpoints again if they may have changed. Called at the start, after `Epochs.look` and after a
        change, before it is answered; and by a request that finds them not current."""
        if self.is_current:
            return
        async with self._refreshing:
            epoch = self._epochs.of(self._account)  # before the facts
            if self._seen != epoch:
                made = await stored.all_of(self._db, self._account)
                self._bound = self._bind([_compiled(each) for each in made])
                self._seen = epoch

    def is_bound(self, endpoint: Endpoint) -> bool:
        """Whether requests can come in by it."""
        mine = endpoint.is_configured or endpoint.account == self._account
        return mine and not self._listeners.isdisjoint(endpoint.listeners)

    def _bind(self, made: Iterable[Endpoint]) -> _Bound:
        bound = _Bound()
        for endpoint in (*self.configured, *made):
            for listener in self._listeners.intersection(endpoint.listeners):
                bound.add(listener, endpoint)
        return bound


def _compiled(endpoint: Endpoint) -> Endpoint:
    """A policy that cannot be read shuts its endpoint."""
    try:
        policies = (compile_policy(endpoint.document, "endpoint", source=endpoint.id),)
    except MalformedPolicy as error:
        _log.error("the policy of %s cannot be read, nothing is allowed through it: %s", endpoint.id, error)
        return replace(endpoint, policies=())
    return replace(endpoint, policies=policies)
