"""A client of the registry protocol, as far as pulling needs it: manifests and blobs of an upstream registry.

1 ask         through the guarded client (`remote.egress`), with what was a good credential before
2 challenge   answered once: Basic, or a token from a realm that belongs to the upstream
3 follow      a redirect goes to the blob's storage without any credential
4 answer      what is not there, not allowed, too much or not to be had are four errors; the bytes are the caller's to
              verify
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import urlencode, urljoin

import msgspec

from moorage.base.clock import MINUTE, SECOND, Clock
from moorage.base.digest import Digest
from moorage.base.errors.layers import InvalidDigest
from moorage.base.errors.upstream import (
    UpstreamAccessDenied,
    UpstreamImageUnknown,
    UpstreamTooManyRequests,
    UpstreamUnavailable,
)
from moorage.registry.images.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from moorage.remote.egress import Egress, Response
from moorage.remote.errors import RemoteError

ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))
TOKEN_MAX = 64 << 10
ANSWER_S = 30.0
REFERRERS_PAGES = 20
_CHALLENGE_MAX = 4_096
_REFUSAL_MAX = 64 << 10
_TOKENS_KEPT = 1_024
_TOKEN_LIFE_S = 60  # of one that does not say (distribution's token specification)
_TOKEN_LIFE_MAX_S = 3_600
_TOKEN_MARGIN_S = 10
_PAUSE_S, _PAUSE_MAX_S = 5, 900
_NEXT = re.compile(r'<([^<>]{1,2048})>; ?rel="?next"?')
_PARAMETER = re.compile(r'([a-z_]{1,32})="([^"\\]{0,2048})"', re.IGNORECASE)

BlobPieces = AbstractAsyncContextManager[AsyncIterator[bytes]]

_log = logging.getLogger("moorage")


@dataclass(frozen=True, slots=True)
class Login:
    """What the upstream asks for a user."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """A repository of an upstream registry; without a name, the registry as a whole."""

    origin: str
    """`https://quay.io`, without a path."""
    repository: str
    realms: frozenset[str] = frozenset()
    """Origins that may be given the login for a token, besides its own."""
    login: Login | None = None

    @property
    def host(self) -> str:
        return self.origin.partition("://")[2]


@dataclass(frozen=True, slots=True)
class Manifest:
    content: bytes
    media_type: str | None
    """As the answer has it, without parameters."""
    claimed: Digest | None
    """What the upstream says its digest is."""


@dataclass(frozen=True, slots=True)
class _Token:
    header: str = field(repr=False)
    expires: int


class SourceClient(Protocol):
    """What the cache asks of a source, wherever that is."""

    async def digest_of(self, source: Source, reference: str) -> Digest | None:
        """What a tag points at, without a pull that counts; None if the upstream does not say.

        Raises as `manifest` does.
        """
        ...

    async def manifest(self, source: Source, reference: str, limit: int) -> Manifest:
        """Raise `UpstreamImageUnknown`, `UpstreamAccessDenied`, `UpstreamTooManyRequests`, `UpstreamUnavailable`."""
        ...

    async def referrers(self, source: Source, subject: Digest, limit: int) -> list[bytes]:
        """The index of what refers to a digest, page by page, `limit` bytes in all.

        Raises as `manifest` does; a registry without that API is `UpstreamImageUnknown`.
        """
        ...

    async def check(self, source: Source) -> None:
        """It answers, and takes the login. Raises as `manifest` does."""
        ...

    def blob(self, source: Source, digest: Digest, size: int) -> BlobPieces:
        """Its `size` bytes as they come, not verified. Raises as `manifest` does, while they are read too."""
        ...


class UpstreamClient:
    """A `SourceClient` over the registry protocol.

    Remembers tokens, and which upstream wants to be left alone for a while.
    """

    def __init__(self, egress: Egress, clock: Clock) -> None:
        self._egress = egress
        self._clock = clock
        self._tokens: OrderedDict[Source, _Token] = OrderedDict()
        self._pauses: OrderedDict[tuple[str, Login | None], int] = OrderedDict()

    async def digest_of(self, source: Source, reference: str) -> Digest | None:
        path, headers = _manifest_path(source, reference), {"accept": ACCEPT}
        async with in_time(source), self._ask(source, "HEAD", path, headers) as response:
            return _claimed(response)

    async def manifest(self, source: Source, reference: str, limit: int) -> Manifest:
        path, headers = _manifest_path(source, reference), {"accept": ACCEPT}
        async with in_time(source), self._ask(source, "GET", path, headers) as response:
            content = await response.read(limit)
            return Manifest(content, _media_type(response), _claimed(response))

    async def referrers(self, source: Source, subject: Digest, limit: int) -> list[bytes]:
        pages: list[bytes] = []
        path = f"{source.repository}/referrers/{subject}"
        while path and limit > 0 and len(pages) < REFERRERS_PAGES:
            async with in_time(source), self._ask(source, "GET", path, {"accept": OCI_INDEX}) as response:
                if _media_type(response) != OCI_INDEX:  # a page for people, of one that answers 200 to all
                    raise UpstreamImageUnknown()
                pages.append(await response.read(limit))
                path = _next_path(source, response)
            limit -= len(pages[-1])
        return pages

    async def check(self, source: Source) -> None:
        async with in_time(source), self._ask(source, "GET", "", {}):
            pass

    @asynccontextmanager
    async def blob(self, source: Source, digest: Digest, size: int) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._ask(source, "GET", f"{source.repository}/blobs/{digest}", {}) as response:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise UpstreamUnavailable(upstream=source.host, reason="it compresses what should be plain")
            length = response.headers.get("content-length")
            if length is not None and length != str(size):
                raise UpstreamUnavailable(
                    upstream=source.host, reason=f"{digest} has {length[:20]} bytes there"
                )
            yield response.pieces(size)

    async def close(self) -> None:
        await self._egress.close()

    @asynccontextmanager
    async def _ask(
        self, source: Source, method: Literal["GET", "HEAD"], path: str, headers: Mapping[str, str]
    ) -> AsyncIterator[Response]:
        self._check_pause(source)
        url = f"{source.origin}/v2/{path}"
        authorization = self._remembered(source)
        challenge = ""
        try:
            for is_last in (False, True):
                sent = {**headers, "authorization": authorization} if authorization else headers
                async with self._egress.ask(method, url, headers=sent) as response:  # 1, 3
                    is_own = _origin_of(response) == source.origin
                    if response.status != 401 or not is_own or is_last:
                        await self._check(source, response)  # 4
                        yield response
                        return
                    challenge = response.headers.get("www-authenticate", "")[:_CHALLENGE_MAX]
                authorization = await self._answer(source, challenge)  # 2
        except RemoteError as error:
            _log.warning("upstream %s: %s", source.host, error)
            raise UpstreamUnavailable(upstream=source.host, reason=str(error)) from None

    async def _check(self, source: Source, response: Response) -> None:
        if response.status == 200:
            return
        if response.status == 404:
            raise UpstreamImageUnknown()
        if response.status in (401, 403):
            raise UpstreamAccessDenied(login_ended=await _says_ended(response))
        if response.status == 429:
            seconds = self._pause(source, response.headers.get("retry-after", ""))
            raise UpstreamTooManyRequests(upstream=source.host, retry_after=seconds)
        raise UpstreamUnavailable(upstream=source.host, reason=f"it answers {response.status}")

    def _pause(self, source: Source, retry_after: str) -> int:
        """Who said that it was too much is not asked again before it said to; return the seconds."""
        is_number = retry_after.isascii() and retry_after.isdecimal() and len(retry_after) < 9
        seconds = min(max(int(retry_after), 1), _PAUSE_MAX_S) if is_number else _PAUSE_S
        self._pauses[source.origin, source.login] = self._clock() + seconds * SECOND
        while len(self._pauses) > _TOKENS_KEPT:
            self._pauses.popitem(last=False)
        return seconds

    def _check_pause(self, source: Source) -> None:
        until = self._pauses.get((source.origin, source.login), 0)
        left = until - self._clock()
        if left > 0:
            raise UpstreamTooManyRequests(upstream=source.host, retry_after=-(-left // SECOND))
        if until:
            del self._pauses[source.origin, source.login]

    def _remembered(self, source: Source) -> str | None:
        token = self._tokens.get(source)
        if token is None or token.expires <= self._clock():
            return None
        self._tokens.move_to_end(source)
        return token.header

    def _remember(self, source: Source, header: str, seconds: int) -> None:
        self._tokens[source] = _Token(header, self._clock() + seconds * SECOND)
        while len(self._tokens) > _TOKENS_KEPT:
            self._tokens.popitem(last=False)

    async def _answer(self, source: Source, challenge: str) -> str:
        """2. The `Authorization` header that the challenge asks for. Raise `UpstreamAccessDenied`."""
        if "bearer " in challenge.lower():
            parameters = {name.lower(): value for name, value in _PARAMETER.findall(challenge)}
            return await self._fetch_token(source, parameters.get("realm", ""), parameters.get("service", ""))
        if "basic" not in challenge.lower() or source.login is None:
            raise UpstreamAccessDenied()
        header = _basic(source.login)
        self._remember(source, header, int(5 * MINUTE // SECOND))
        return header

    async def _fetch_token(self, source: Source, realm: str, service: str) -> str:
        """From the upstream itself or a realm that is known to be its: any other could collect credentials."""
        origin = "/".join(realm.split("/", 3)[:3])
        if origin != source.origin and origin not in source.realms:
            raise UpstreamUnavailable(
                upstream=source.host, reason=f"it sends us for a token to {origin[:200] or 'nowhere'}"
            )
        # What is asked for is ours to say, whatever scope the challenge has.
        query = {"scope": f"repository:{source.repository}:pull"} if source.repository else {}
        query |= {"service": service} if service else {}
        headers = {"authorization": _basic(source.login)} if source.login is not None else {}
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        async with in_time(source), self._egress.ask("GET", url, headers=headers) as response:
            await self._check(source, response)
            given = _token_in(source, await response.read(TOKEN_MAX))
        header = f"Bearer {given.token or given.access_token}"
        life = min(max(given.expires_in or _TOKEN_LIFE_S, _TOKEN_LIFE_S), _TOKEN_LIFE_MAX_S)
        self._remember(source, header, life - _TOKEN_MARGIN_S)
        return header


class _Given(msgspec.Struct):
    token: str = ""
    access_token: str = ""
    expires_in: int | None = None


_TOKEN = re.compile(r"[!-~]{1,16384}")


def _token_in(source: Source, body: bytes) -> _Given:
    try:
        given = msgspec.json.decode(body, type=_Given)
    except msgspec.DecodeError:
        raise UpstreamUnavailable(upstream=source.host, reason="its token is no JSON") from None
    if not _TOKEN.fullmatch(given.token or given.access_token):
        raise UpstreamUnavailable(upstream=source.host, reason="it gives a token that is none")
    return given


@asynccontextmanager
async def in_time(source: Source) -> AsyncIterator[None]:
    """What is short is there soon, or not at all."""
    try:
        async with asyncio.timeout(ANSWER_S) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        reason = f"it takes longer than {ANSWER_S:.0f} s"
        raise UpstreamUnavailable(upstream=source.host, reason=reason) from None


async def _says_ended(response: Response) -> bool:
    """The login itself is refused, not what it asks for; of an old token ECR says so with a 403."""
    return response.status == 401 or b"expired" in await response.read(_REFUSAL_MAX)


def _manifest_path(source: Source, reference: str) -> str:
    return f"{source.repository}/manifests/{reference}"


def _basic(login: Login) -> str:
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def _origin_of(response: Response) -> str:
    return f"{response.url.scheme}://{response.url.authority}"


def _media_type(response: Response) -> str | None:
    return response.headers.get("content-type", "").partition(";")[0].strip() or None


def _next_path(source: Source, response: Response) -> str:
    """Below `/v2/`; empty at the end, and for a link that leads away from the repository."""
    found = _NEXT.search(response.headers.get("link", "")[:_CHALLENGE_MAX])
    if found is None:
        return ""
    head, within = f"{source.origin}/v2/", f"{source.repository}/referrers/"
    try:
        path = urljoin(str(response.url), found[1]).removeprefix(head)
    except ValueError:  # no URL at all
        return ""
    return path if path.startswith(within) else ""


def _claimed(response: Response) -> Digest | None:
    text = response.headers.get("docker-content-digest", "")
    try:
        return Digest.parse(text)
    except InvalidDigest:
        return None
