"""Private registries of other installations, or Amazon's own, as upstream ones.

The operator says in `[[upstream_peers]]` where they are, and with which key we come. With that key the role of a rule
is assumed there. Who writes rules has the operator's key work for him: therefore the role is told for which account it
is assumed (`sts:ExternalId`), and a peer works for the accounts only that the operator named.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from moorage.access.call import Call
from moorage.base.addresses import Registry
from moorage.base.clock import SECOND, Clock
from moorage.base.digest import Digest
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.error import MoorageError
from moorage.base.errors.peers import PeerFailed
from moorage.base.errors.upstream import UpstreamAccessDenied, UpstreamUnavailable
from moorage.registry.peers.peer import Peer
from moorage.registry.peers.sign_in import Role, SignIn
from moorage.registry.upstream.client import Login, Manifest, Source, UpstreamClient, in_time
from moorage.registry.upstream.reach import origin_of, rules_for
from moorage.registry.upstream.rules import Rule
from moorage.remote.addresses import Allowed
from moorage.remote.egress import Egress
from moorage.remote.rules import Rules

RETRY_US = 5 * SECOND
"""After which a peer that did not let us in is asked again."""
_SIGNED_IN_MAX = 256  # roles of one peer
_Result = TypeVar("_Result")

_log = logging.getLogger("moorage")


@dataclass(slots=True)
class _Door:
    """Where one role signs in. Callers are not told what is the operator's: his key, his files."""

    sign_in: SignIn
    clock: Clock
    role: str
    refused: MoorageError | None = None
    refused_until: int = 0
    entering: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def password(self) -> str:
        """One after the other: a refusal is one for all. Raise `UpstreamAccessDenied` or `UpstreamUnavailable`."""
        async with self.entering:
            if self.refused is not None and self.clock() < self.refused_until:
                raise type(self.refused)(str(self.refused))
            try:
                return await self.sign_in.password()
            except (AccessDenied, PeerFailed) as error:
                _log.warning("%s", error)
                self.refused, self.refused_until = self._told(error), self.clock() + RETRY_US
                raise self.refused from None

    @property
    def who(self) -> str:
        return f"the role {self.role}" if self.role else "who pulls for this installation"

    def _told(self, error: MoorageError) -> MoorageError:
        if isinstance(error, AccessDenied):
            return UpstreamAccessDenied(
                f"The upstream registry does not let this installation act as {self.who}"
            )
        reason = "it cannot be signed in at; the log of this registry says why"
        return UpstreamUnavailable(upstream=self.sign_in.peer.door.authority, reason=reason)


@dataclass(frozen=True, slots=True)
class _Reached:
    """A peer with what one process has open to it."""

    peer: Peer
    client: UpstreamClient
    egress: Egress
    doors: OrderedDict[Role | None, _Door] = field(default_factory=OrderedDict)


class UpstreamPeers:
    """Those of the configuration."""

    def __init__(
        self, peers: Sequence[Peer], clock: Clock, egress: Callable[[Rules], Egress] = Egress
    ) -> None:
        self._clock = clock
        self._reached = {}
        for peer in peers:
            pulls = rules_for(Allowed.parse(peer.networks), peer.schemes, peer.ca_file)
            client = UpstreamClient(egress(pulls), clock)
            self._reached[peer.registry] = _Reached(peer, client, egress(peer.rules))

    def has(self, registry: Registry) -> bool:
        return registry in self._reached

    def open(self, call: Call, rule: Rule, registry: Registry, name: str) -> tuple[SignedIn, Source]:
        """What the rule for `name` here leads to. Raise `UpstreamAccessDenied` for an account that it is not for."""
        reached, account = self._reached[registry], rule.registry.account
        peer = reached.peer
        if not peer.serves(account, call.services.addresses.default.account):
            raise UpstreamAccessDenied(
                f"The account {account} is none of those that may pull from {registry.account}/{registry.region}"
            )
        arn = rule.role_arn or peer.role_arn
        role = Role(arn, f"moorage-pull-through-{account}", external_id=account) if arn else None
        source = Source(origin_of(peer.door), rule.name_upstream(name) or "")
        return SignedIn(reached.client, self._door(reached, role)), source

    async def close(self) -> None:
        for reached in self._reached.values():
            await reached.client.close()
            await reached.egress.close()

    def _door(self, reached: _Reached, role: Role | None) -> _Door:
        doors = reached.doors
        if role not in doors:
            sign_in = SignIn(reached.peer, self._clock, reached.egress, role)
            doors[role] = _Door(sign_in, self._clock, role.arn if role is not None else "")
            if len(doors) > _SIGNED_IN_MAX:
                doors.popitem(last=False)
        doors.move_to_end(role)
        return doors[role]


class SignedIn:
    """A `client.SourceClient` that has a password for a while. One that ended early is asked for again, once."""

    def __init__(self, client: UpstreamClient, door: _Door) -> None:
        self._client = client
        self._door = door

    async def digest_of(self, source: Source, reference: str) -> Digest | None:
        return await self._with_login(source, lambda signed: self._client.digest_of(signed, reference))

    async def manifest(self, source: Source, reference: str, limit: int) -> Manifest:
        return await self._with_login(source, lambda signed: self._client.manifest(signed, reference, limit))

    async def referrers(self, source: Source, subject: Digest, limit: int) -> list[bytes]:
        return await self._with_login(source, lambda signed: self._client.referrers(signed, subject, limit))

    async def check(self, source: Source) -> None:
        await self._with_login(source, self._client.check)

    @asynccontextmanager
    async def blob(self, source: Source, digest: Digest, size: int) -> AsyncIterator[AsyncIterator[bytes]]:
        async with AsyncExitStack() as stack:
            yield await self._with_login(
                source, lambda signed: stack.enter_async_context(self._client.blob(signed, digest, size))
            )

    async def close(self) -> None:
        """The client is its peer's."""

    async def _with_login(self, source: Source, ask: Callable[[Source], Awaitable[_Result]]) -> _Result:
        denied = UpstreamAccessDenied(f"The upstream registry does not let {self._door.who} pull the image")
        password = await self._password(source)
        try:
            return await ask(replace(source, login=_login_of(password)))
        except UpstreamAccessDenied as error:
            if not error.facts.get("login_ended"):
                raise denied from None
        self._door.sign_in.forget(password)
        renewed = await self._password(source)
        try:
            return await ask(replace(source, login=_login_of(renewed)))
        except UpstreamAccessDenied:
            raise denied from None

    async def _password(self, source: Source) -> str:
        async with in_time(source):
            return await self._door.password()


def _login_of(password: str) -> Login:
    """Of the token that GetAuthorizationToken gives: base64 of `AWS:PASSWORD`."""
    try:
        username, _, secret = base64.b64decode(password).decode().partition(":")
    except ValueError:
        username, secret = "", ""
    return Login(username, secret)
