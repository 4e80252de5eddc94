"""aiohttp, fitted in: requests to an address that was chosen before. Imported at the first request.

It resolves nothing, follows nothing and decompresses nothing; the environment gives it no proxy and no password.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from moorage.remote.addresses import Address
from moorage.remote.errors import RemoteFailed
from moorage.remote.rules import Rules
from moorage.remote.urls import Url

PIECE = 256 << 10


class Unreachable(RemoteFailed):
    """No connection: another address of the same name may do."""


class Answer:
    """Its head is here, its body still to come. Header names are lower case, a repeated one is joined by commas."""

    def __init__(self, received: aiohttp.ClientResponse, url: Url) -> None:
        self._received = received
        self._url = url
        self.status = received.status
        names = {name.lower() for name in received.headers}
        self.headers = {name: ", ".join(received.headers.getall(name)) for name in names}

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raise `RemoteFailed` when it breaks off."""
        with _failures_told(self._url):
            async for piece in self._received.content.iter_any():
                yield piece

    def close(self) -> None:
        """The connection is kept if all was read."""
        self._received.close()


class Connections:
    """Open ones, kept for the next request to the same address and name."""

    def __init__(self, rules: Rules) -> None:
        trust = _trust(rules.ca_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=rules.connections, resolver=_ResolvesNothing()),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=rules.connect_s, sock_read=rules.idle_s),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=PIECE,
            skip_auto_headers=("user-agent", "accept-encoding", "content-type"),
        )

    async def send(
        self, address: Address, method: str, url: Url, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """Raise `Unreachable` or `RemoteFailed`."""
        with _failures_told(url):
            received = await self._session.request(
                method,
                _at(address, url),
                headers={**headers, "host": url.authority},
                data=body,
                allow_redirects=False,
                server_hostname=url.host,
            )
        return Answer(received, url)

    async def close(self) -> None:
        await self._session.close()


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    trust = ssl.create_default_context()
    if ca_file is not None:
        try:
            trust.load_verify_locations(ca_file)
        except OSError as error:  # an SSLError is one
            raise RemoteFailed(f"the CA file {ca_file} cannot be read: {error}") from None
    return trust


class _ResolvesNothing(AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        raise OSError(f"{host} should have been resolved before")

    async def close(self) -> None:
        pass


def _at(address: Address, url: Url) -> URL:
    """The same with the address as its host. It is encoded already: as it was written, it is sent."""
    return URL.build(
        scheme=url.scheme,
        host=f"[{address}]" if address.version == 6 else str(address),
        port=url.port,
        path=url.path,
        query_string=url.query,
        encoded=True,
    )


@contextmanager
def _failures_told(url: Url) -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientSSLError as error:
        raise RemoteFailed(f"{url.authority} has no certificate that is trusted: {error}") from None
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise Unreachable(f"{url.authority} cannot be reached: {error}") from None
    except (aiohttp.ClientError, OSError) as error:  # a timeout is an OSError
        raise RemoteFailed(f"{url.authority} breaks off: {error or type(error).__name__}") from None
