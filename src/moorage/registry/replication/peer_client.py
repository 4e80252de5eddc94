"""A client of another installation: it signs in with an access key, or a role assumed with it, and pushes.

API       AssumeRole, GetAuthorizationToken, CreateRepository, DescribeImages, BatchDeleteImage
registry  HEAD, POST, PATCH, PUT and DELETE of the registry protocol, with that password
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
from urllib.parse import urlencode, urljoin

from moorage.aws.signing import SigningKey, signed_headers
from moorage.base.clock import MINUTE, SECOND, Clock
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.replication import ReplicationPeerFailed
from moorage.registry.replication.peers import Peer
from moorage.remote.egress import Egress, Method
from moorage.remote.errors import RemoteError, RemoteRefused
from moorage.remote.urls import Url

SESSION_S = 3_600
RENEWED_US = 50 * MINUTE
"""After which role and password are asked for anew, before either ends."""
_ANSWER_MAX = 1 << 20
_TARGET = "AmazonEC2ContainerRegistry_V20150921"
_SESSION_NAME = "moorage-replication"


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def says(self) -> str:
        return self.body[:500].decode(errors="replace")


class PeerRefusal(ReplicationPeerFailed):
    """The API answers with an error; `error` is its code without `Exception`."""

    @property
    def error(self) -> str:
        return str(self.facts["error"])


class PeerClient:
    def __init__(self, peer: Peer, clock: Clock, egress: Egress | None = None) -> None:
        self.peer = peer
        self._clock = clock
        self._egress = egress or Egress(peer.rules)
        self._signing_in = asyncio.Lock()
        self._password = ""
        self._key: SigningKey | None = None
        self._renewed = 0

    async def close(self) -> None:
        await self._egress.close()

    async def api(self, operation: str, **request: Any) -> dict[str, Any]:
        """Call ECR there. Raise `AccessDenied`, `PeerRefusal` or `ReplicationPeerFailed`."""
        await self._sign_in()
        assert self._key is not None  # signed in
        return await self._ecr(self._key, operation, request)

    async def ask(self, method: Method, path: str, body: bytes | None = None, **headers: str) -> Answered:
        """Of the registry, signed in. Underscores in names of headers are hyphens. Raise `AccessDenied` for a 403."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answered = await self._ask_once(method, path, body, sent)
        if answered.status == 401 or (answered.status == 403 and b"expired" in answered.body):
            self._renewed = 0  # the password ended early: its key or role was changed there
            answered = await self._ask_once(method, path, body, sent)
        if answered.status in (401, 403):
            raise AccessDenied(f"{self._name} refuses {method} {path}: {answered.says}")
        return answered

    def place_of(self, path: str, answered: Answered) -> str:
        """The path and query that a `Location` names; it is in the same place. Raise `ReplicationPeerFailed`."""
        door = self.peer.door
        try:
            url = Url.parse(
                urljoin(_at(door, path), answered.headers.get("location", "")), frozenset({door.scheme})
            )
        except RemoteRefused as error:
            raise self.failed(f"sends us to a place that is none: {error}") from None
        if url.origin != door.origin:
            raise self.failed(f"sends us to another place, {url.authority}")
        return url.path + (f"?{url.query}" if url.query else "")

    def failed(self, reason: str) -> ReplicationPeerFailed:
        return ReplicationPeerFailed(peer=self._name, reason=reason)

    @property
    def _name(self) -> str:
        return f"{self.peer.account}/{self.peer.region} at {self.peer.api.authority}"

    async def _ask_once(
        self, method: Method, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answered:
        await self._sign_in()
        signed = {**headers, "authorization": f"Basic {self._password}"}
        return await self._send(method, _at(self.peer.door, path), signed, body)

    async def _sign_in(self) -> None:
        """Once for all that ask at the same time."""
        async with self._signing_in:
            now = self._clock()
            if self._renewed and now < self._renewed + RENEWED_US:
                return
            key = _read_key(self.peer.credentials)
            if key is None:
                raise self.failed(f"cannot be signed in at: {self.peer.credentials} has no access key")
            if self.peer.role_arn:
                key = await self._assume(key)
            said = await self._ecr(key, "GetAuthorizationToken", {})
            self._password = str(said["authorizationData"][0]["authorizationToken"])
            self._key, self._renewed = key, now

    async def _assume(self, key: SigningKey) -> SigningKey:
        form = {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": self.peer.role_arn,
            "RoleSessionName": _SESSION_NAME,
            "DurationSeconds": str(SESSION_S),
        }
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        answered = await self._post(key, "sts", headers, urlencode(form).encode())
        if answered.status != 200:
            raise AccessDenied(f"{self._name} does not let us assume {self.peer.role_arn}: {answered.says}")
        text = answered.body.decode(errors="replace")
        found = [re.search(f"<{name}>([^<]+)</{name}>", text) for name in _CREDENTIALS]
        if not all(found):
            raise self.failed("answers AssumeRole without credentials")
        return SigningKey(*(match[1] for match in found if match))

    async def _ecr(self, key: SigningKey, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"{_TARGET}.{operation}"}
        answered = await self._post(key, "ecr", headers, json.dumps(request).encode())
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
            raise AccessDenied(f"{self._name} refuses {operation}: {answered.says}")
        raise PeerRefusal(peer=self._name, reason=f"answers {operation}: {answered.says}", error=code)

    async def _post(self, key: SigningKey, service: str, headers: Mapping[str, str], body: bytes) -> Answered:
        url = self.peer.api
        now = datetime.fromtimestamp(self._clock() / SECOND, UTC)
        signed = signed_headers(
            {**headers, "host": url.authority},
            body,
            service=service,
            region=self.peer.region,
            key=key,
            now=now,
        )
        return await self._send("POST", _at(url, "/"), signed, body)

    async def _send(
        self, method: Method, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answered:
        try:
            async with self._egress.ask(method, url, headers=headers, body=body) as response:
                content = b"" if method == "HEAD" else await response.read(_ANSWER_MAX)
                return Answered(response.status, dict(response.headers), content)
        except RemoteError as error:
            raise self.failed(f"cannot be asked: {error}") from None


_CREDENTIALS = ("AccessKeyId", "SecretAccessKey", "SessionToken")


def _at(door: Url, path: str) -> str:
    return f"{door.scheme}://{door.authority}{path}"


def _read_key(file: Path) -> SigningKey | None:
    """Of the first profile; read at each sign-in, so that it can be rotated."""
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
