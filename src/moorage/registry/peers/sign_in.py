"""Signing in at another installation: with an access key, or a role assumed with it, for a password of its registry.

1 key        from its file, read each time, so that it can be rotated
2 role       AssumeRole at its STS, if we act as one
3 password   GetAuthorizationToken, good until it or the role's session ends; asked for anew shortly before
"""

from __future__ import annotations

import asyncio
import configparser
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from moorage.aws.signing import SigningKey, signed_headers
from moorage.base.clock import MINUTE, SECOND, Clock
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.peers import PeerFailed
from moorage.registry.peers.peer import Peer
from moorage.remote.egress import Egress, Method
from moorage.remote.errors import RemoteError
from moorage.remote.urls import Url

SESSION_S = 3_600
MARGIN_US = 10 * MINUTE
"""Before its end nothing is begun with a password; of a short one, half of its time."""
LIFE_MAX_US = SESSION_S * SECOND
"""Of a password: access that was taken away there ends soon."""
_ANSWER_MAX = 1 << 20
_TARGET = "AmazonEC2ContainerRegistry_V20150921"
_NO_HEADERS: Mapping[str, str] = {}
_ENDED = ("ExpiredToken", "UnrecognizedClient")
"""What a session is told that ended early: its role was changed there."""
_CREDENTIALS = ("AccessKeyId", "SecretAccessKey", "SessionToken")


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def says(self) -> str:
        return self.body[:500].decode(errors="replace")


class PeerRefusal(PeerFailed):
    """The API answers with an error; `error` is its code without `Exception`."""

    @property
    def error(self) -> str:
        return str(self.facts["error"])


@dataclass(frozen=True, slots=True)
class Role:
    """To be assumed there."""

    arn: str
    session: str
    """Its name, which the records of there show."""
    external_id: str = ""
    """For whom it is assumed: its trust policy can ask for it (`sts:ExternalId`)."""


class SignIn:
    """At one peer, as one of its principals. Once for all that ask at the same time."""

    def __init__(self, peer: Peer, clock: Clock, egress: Egress, role: Role | None = None) -> None:
        self.peer = peer
        self._clock = clock
        self._egress = egress
        self._role = role
        self._signing_in = asyncio.Lock()
        self._key: SigningKey | None = None
        self._password = ""
        self._renewed_at = 0

    async def password(self) -> str:
        """As `Basic` has it. Raise `AccessDenied`, `PeerRefusal` or `PeerFailed`."""
        await self._sign_in()
        return self._password

    def forget(self, password: str) -> None:
        """It ended early: its key or role was changed there. Another that was asked for meanwhile stays."""
        if password == self._password:
            self._renewed_at = 0

    async def ecr(
        self, operation: str, request: Mapping[str, Any], headers: Mapping[str, str] = _NO_HEADERS
    ) -> dict[str, Any]:
        """Call its API. Raise `AccessDenied`, `PeerRefusal` or `PeerFailed`."""
        password = await self.password()
        assert self._key is not None  # signed in
        try:
            return await self._call(self._key, operation, request, headers)
        except (AccessDenied, PeerRefusal) as refusal:
            if refusal.facts.get("error") not in _ENDED:
                raise
        self.forget(password)
        await self._sign_in()
        return await self._call(self._key, operation, request, headers)

    async def send(
        self, method: Method, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answered:
        """Raise `PeerFailed`."""
        try:
            async with self._egress.ask(method, url, headers=headers, body=body) as response:
                content = b"" if method == "HEAD" else await response.read(_ANSWER_MAX)
                return Answered(response.status, dict(response.headers), content)
        except RemoteError as error:
            raise self.failed(f"cannot be asked: {error}") from None

    def failed(self, reason: str) -> PeerFailed:
        return PeerFailed(peer=self.peer.name, reason=reason)

    async def _sign_in(self) -> None:
        async with self._signing_in:
            now = self._clock()
            if now < self._renewed_at:
                return
            # 1
            key = _read_key(self.peer.credentials)
            if key is None:
                raise self.failed(f"cannot be signed in at: {self.peer.credentials} has no access key")
            # 2
            if self._role is not None:
                key = await self._assume(key, self._role)
            # 3
            said = await self._call(key, "GetAuthorizationToken", {})
            self._password, ends = self._password_in(said)
            life = min(ends - now, LIFE_MAX_US) if ends else LIFE_MAX_US
            self._key, self._renewed_at = key, now + max(life - MARGIN_US, life // 2)

    def _password_in(self, said: Mapping[str, Any]) -> tuple[str, int]:
        """With its end, 0 if that is not said. Of a role's session it is the end of that, if it is sooner."""
        try:
            given = said["authorizationData"][0]
            password, ends = str(given["authorizationToken"]), given.get("expiresAt")
            return password, int(ends * SECOND) if isinstance(ends, int | float) else 0
        except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError):
            raise self.failed("answers GetAuthorizationToken without a token") from None

    async def _assume(self, key: SigningKey, role: Role) -> SigningKey:
        form = {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": role.arn,
            "RoleSessionName": role.session,
            "DurationSeconds": str(SESSION_S),
        }
        if role.external_id:
            form["ExternalId"] = role.external_id
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        answered = await self._post(key, "sts", self.peer.sts, headers, urlencode(form).encode())
        if answered.status != 200:
            raise AccessDenied(f"{self.peer.name} does not let us assume {role.arn}: {answered.says}")
        text = answered.body.decode(errors="replace")
        found = [re.search(f"<{name}>([^<]+)</{name}>", text) for name in _CREDENTIALS]
        if not all(found):
            raise self.failed("answers AssumeRole without credentials")
        return SigningKey(*(match[1] for match in found if match))

    async def _call(
        self,
        key: SigningKey,
        operation: str,
        request: Mapping[str, Any],
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> dict[str, Any]:
        target = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"{_TARGET}.{operation}"}
        body = json.dumps(request).encode()
        answered = await self._post(key, "ecr", self.peer.api, {**headers, **target}, body)
        try:
            said = json.loads(answered.body)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise self.failed(f"answers {operation} with {answered.status} and no JSON")
        if answered.status == 200:
            return cast(dict[str, Any], said)
        code = str(said.get("__type", "")).rpartition("#")[2].removesuffix("Exception")
        if code in ("AccessDenied", "UnrecognizedClient", "InvalidSignature"):
            raise AccessDenied(f"{self.peer.name} refuses {operation}: {answered.says}", error=code)
        raise PeerRefusal(peer=self.peer.name, reason=f"answers {operation}: {answered.says}", error=code)

    async def _post(
        self, key: SigningKey, service: str, url: Url, headers: Mapping[str, str], body: bytes
    ) -> Answered:
        signed = signed_headers(
            {**headers, "host": url.authority},
            body,
            service=service,
            region=self.peer.region,
            key=key,
            now=datetime.fromtimestamp(self._clock() / SECOND, UTC),
        )
        return await self.send("POST", at(url, "/"), signed, body)


def at(door: Url, path: str) -> str:
    return f"{door.scheme}://{door.authority}{path}"


def _read_key(file: Path) -> SigningKey | None:
    """Of the first profile."""
    profiles = configparser.RawConfigParser()
    try:
        profiles.read_string(file.read_text())
    except (OSError, UnicodeDecodeError, configparser.Error):
        return None
    for section in profiles.sections():
        values = profiles[section]
        if "aws_access_key_id" in values and "aws_secret_access_key" in values:
            return SigningKey(values["aws_access_key_id"], values["aws_secret_access_key"])
    return None
