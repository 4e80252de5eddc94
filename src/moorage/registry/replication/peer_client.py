"""A client of another installation that pushes.

API       CreateRepository, DescribeImages, BatchDeleteImage, and what sets settings of repositories
registry  HEAD, POST, PATCH, PUT and DELETE of the registry protocol, with the password of who signed in
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from moorage.base.clock import Clock
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.peers import PeerFailed
from moorage.registry.peers.peer import Peer
from moorage.registry.peers.sign_in import Answered, Role, SignIn, at
from moorage.remote.egress import Egress, Method
from moorage.remote.errors import RemoteRefused
from moorage.remote.urls import Url

_SESSION = "moorage-replication"


class PeerClient:
    def __init__(self, peer: Peer, clock: Clock, egress: Egress | None = None) -> None:
        self.peer = peer
        self._egress = egress or Egress(peer.rules)
        role = Role(peer.role_arn, _SESSION) if peer.role_arn else None
        self._signed = SignIn(peer, clock, self._egress, role)

    async def close(self) -> None:
        await self._egress.close()

    async def api(self, operation: str, **request: Any) -> dict[str, Any]:
        """Call ECR there. Raise `AccessDenied`, `PeerRefusal` or `PeerFailed`."""
        return await self._signed.ecr(operation, request)

    async def bring(self, operation: str, change: str, **request: Any) -> dict[str, Any]:
        """The same of a call that replicates a change: where it was made, and when."""
        return await self._signed.ecr(operation, request, {"x-moorage-replica": change})

    async def ask(self, method: Method, path: str, body: bytes | None = None, **headers: str) -> Answered:
        """Of the registry, signed in. Underscores in names of headers are hyphens. Raise `AccessDenied` for a 403."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        password = await self._signed.password()
        answered = await self._ask_once(password, method, path, body, sent)
        if answered.status == 401 or (answered.status == 403 and b"expired" in answered.body):
            self._signed.forget(password)
            answered = await self._ask_once(await self._signed.password(), method, path, body, sent)
        if answered.status in (401, 403):
            raise AccessDenied(f"{self.peer.name} refuses {method} {path}: {answered.says}")
        return answered

    def place_of(self, path: str, answered: Answered) -> str:
        """The path and query that a `Location` names; it is in the same place. Raise `PeerFailed`."""
        door = self.peer.door
        try:
            url = Url.parse(
                urljoin(at(door, path), answered.headers.get("location", "")), frozenset({door.scheme})
            )
        except RemoteRefused as error:
            raise self.failed(f"sends us to a place that is none: {error}") from None
        if url.origin != door.origin:
            raise self.failed(f"sends us to another place, {url.authority}")
        return url.path + (f"?{url.query}" if url.query else "")

    def failed(self, reason: str) -> PeerFailed:
        return self._signed.failed(reason)

    async def _ask_once(
        self, password: str, method: Method, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answered:
        signed = {**headers, "authorization": f"Basic {password}"}
        return await self._signed.send(method, at(self.peer.door, path), signed, body)
