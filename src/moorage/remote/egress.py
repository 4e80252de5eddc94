"""The one client for everything outbound.

1 parse      one spelling of a URL, https unless the client's rules say otherwise
2 resolve    the name, once
3 check      every address that it has: public, or allowed by the rules
4 connect    to an address that was checked; the name is for TLS, the certificate and the `Host` header
5 redirect   within the origin; to another one only if the rules say so, from step 1 on, without credentials
6 receive    within the caps of bytes and time, nothing decompressed
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin

from moorage.remote.addresses import Address, check_address
from moorage.remote.errors import RemoteFailed, RemoteRefused
from moorage.remote.rules import Rules
from moorage.remote.urls import Url

if TYPE_CHECKING:
    from moorage.remote.connections import Answer, Connections

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name, for a port."""
Method = Literal["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]

USER_AGENT = "moorage"
_ADDRESSES_TRIED = 4
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Only these go to another origin: every other header may be a credential.
_HARMLESS = frozenset({"accept", "accept-encoding", "range", "user-agent"})


class Response:
    """An answer whose body is still to come."""

    def __init__(self, answer: Answer, url: Url) -> None:
        self._answer = answer
        self.url = url
        """After redirects."""
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        """Names in lower case; a repeated one is joined by commas."""

    async def pieces(self, limit: int) -> AsyncIterator[bytes]:
        """The body as it comes; raise `RemoteFailed` when it has more than `limit` bytes, or breaks off."""
        received = 0
        async for piece in self._answer.pieces():
            received += len(piece)
            if received > limit:
                raise RemoteFailed(f"{self.url.authority} sends more than {limit} bytes")
            yield piece

    async def read(self, limit: int) -> bytes:
        """All of it."""
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise RemoteFailed(f"{self.url.authority} compresses what should be plain")
        return b"".join([piece async for piece in self.pieces(limit)])


async def addresses_of(host: str, port: int) -> Sequence[str]:
    """As the system resolves it; raise OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Egress:
    """A client with its rules and the connections it keeps."""

    def __init__(self, rules: Rules, resolve: Resolve = addresses_of) -> None:
        self._rules = rules
        self._resolve = resolve
        self._connections: Connections | None = None

    async def get(self, url: str, limit: int, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of a 200; raise `RemoteRefused` or `RemoteFailed`."""
        async with self.ask("GET", url, headers=headers) as response:
            if response.status != 200:
                raise RemoteFailed(f"{response.url} answers {response.status}")
            return await response.read(limit)

    @asynccontextmanager
    async def ask(
        self, method: Method, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> AsyncIterator[Response]:
        """Raise `RemoteRefused` or `RemoteFailed`, while the answer is read too.

        Redirects of GET and HEAD are followed; what writes gets them as its answer.
        """
        target = Url.parse(url, self._rules.schemes)  # 1
        sent = {"accept-encoding": "identity", "user-agent": USER_AGENT}
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        answer: Answer | None = None
        try:
            async with asyncio.timeout(self._rules.total_s) as limit:
                answer, at = await self._follow(method, target, sent, body)
                yield Response(answer, at)  # 6
        except TimeoutError:
            if not limit.expired():
                raise
            raise RemoteFailed(f"{target.authority} takes longer than {self._rules.total_s} s") from None
        finally:
            if answer is not None:
                answer.close()

    async def close(self) -> None:
        if self._connections is not None:
            await self._connections.close()

    async def _follow(
        self, method: Method, target: Url, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[Answer, Url]:
        follows = method in ("GET", "HEAD")
        for _ in range(self._rules.redirects + 1):
            answer = await self._send(method, target, headers, body)
            location = answer.headers.get("location")
            if not follows or answer.status not in _REDIRECTS or location is None:
                return answer, target
            answer.close()
            following = self._redirected(target, location)  # 5
            if following.origin != target.origin:
                headers = {name: value for name, value in headers.items() if name in _HARMLESS}
            target = following
        raise RemoteRefused(f"{target.authority} redirects more than {self._rules.redirects} times")

    def _redirected(self, target: Url, location: str) -> Url:
        following = Url.parse(urljoin(str(target), location), self._rules.schemes)
        if following.origin == target.origin:
            return following
        if not self._rules.across_origins:
            raise RemoteRefused(f"{target.authority} redirects to another origin, {following.authority}")
        if target.scheme == "https" and following.scheme != "https":
            raise RemoteRefused(f"{target.authority} redirects from https to http")
        return following

    async def _send(self, method: Method, url: Url, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """To the first address that can be reached."""
        # aiohttp takes 0.2 s to import: not at the start, and not where nothing is ever asked for.
        from moorage.remote.connections import Connections, Unreachable

        addresses = await self._addresses(url)
        if self._connections is None:
            self._connections = Connections(self._rules)
        failure = RemoteFailed(f"{url.host} has no address")
        for address in addresses[:_ADDRESSES_TRIED]:
            try:
                return await self._connections.send(address, method, url, headers, body)  # 4
            except Unreachable as error:
                failure = error
        raise failure

    async def _addresses(self, url: Url) -> list[Address]:
        """One that may not be reached condemns the name: who mixes them in means no good."""
        if url.is_literal:
            return [check_address(url.host, url.host, self._rules.allowed)]  # 3
        try:
            async with asyncio.timeout(self._rules.connect_s):
                found = await self._resolve(url.host, url.port)  # 2
        except OSError:  # a timeout is one, and so is every error of getaddrinfo
            raise RemoteFailed(f"{url.host} cannot be resolved") from None
        return [check_address(address, url.host, self._rules.allowed) for address in found]  # 3
