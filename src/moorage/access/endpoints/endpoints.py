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
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from moorage.access.endpoints import stored
from moorage.access.endpoints.endpoint import Endpoint
from moorage.access.epochs import Epochs
from moorage.access.policies.compile import compile_policy
from moorage.access.policies.document import MalformedPolicy
from moorage.base.errors import EndpointRefused
from moorage.base.http import Arrival
from moorage.store.db.api import Database

_log = logging.getLogger("moorage")
_Bound = dict[tuple[str, str], list[Endpoint]]


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
        self._bound: _Bound = {}
        self._bind(())

    def find(self, arrival: Arrival, *services: str) -> Endpoint | None:
        """The endpoint of a request for the first of `services` that one carries; None on a public listener.

        Raise `EndpointRefused` where none does. `services` are of `names.CARRIED`.
        """
        if not arrival.listener:  # 1
            return None
        for service in services:
            # 4: they are bound in that order
            matching = [
                endpoint
                for endpoint in self._bound.get((arrival.listener, service), ())
                if (not arrival.vpce or endpoint.id == arrival.vpce)  # 2
                and endpoint.identity in ("", arrival.identity)  # 3
            ]
            if matching:
                return next((endpoint for endpoint in matching if endpoint.identity), matching[0])  # 3
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
                self._bind([_compiled(each) for each in await stored.all_of(self._db, self._account)])
                self._seen = epoch

    def is_bound(self, endpoint: Endpoint) -> bool:
        """Whether requests can come in by it."""
        mine = endpoint.is_configured or endpoint.account == self._account
        return mine and not self._listeners.isdisjoint(endpoint.listeners)

    def listeners_of(self, account: str) -> frozenset[str]:
        """The private listeners that endpoints of the account can be bound to by a call."""
        return self._listeners if account == self._account else frozenset()

    def _bind(self, made: Iterable[Endpoint]) -> None:
        bound: _Bound = defaultdict(list)
        for endpoint in (*self.configured, *made):
            for listener in self._listeners.intersection(endpoint.listeners):
                bound[listener, endpoint.service].append(endpoint)
        self._bound = dict(bound)


def _compiled(endpoint: Endpoint) -> Endpoint:
    """A policy that cannot be read shuts its endpoint."""
    try:
        policies = (compile_policy(endpoint.document, "endpoint", source=endpoint.id),)
    except MalformedPolicy as error:
        _log.error("the policy of %s cannot be read, nothing is allowed through it: %s", endpoint.id, error)
        return replace(endpoint, policies=())
    return replace(endpoint, policies=policies)
