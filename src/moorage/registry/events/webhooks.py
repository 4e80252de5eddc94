"""Delivery to a webhook: one POST for each event, signed as the Standard Webhooks specification has it.

    webhook-id: the id of the event, the same at each attempt
    webhook-timestamp: when it is sent, in seconds
    webhook-signature: v1,BASE64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`

Whoever receives it checks the signature and that the time is near, and forgets an id that it had before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from moorage.access.call import Services
from moorage.base.clock import SECOND
from moorage.registry.events.outbox import Written
from moorage.registry.events.shapes import envelope
from moorage.registry.events.targets import Target, TargetMisconfigured
from moorage.remote.addresses import Allowed
from moorage.remote.egress import Egress
from moorage.remote.errors import RemoteError, RemoteFailed
from moorage.remote.rules import Rules

_PREFIX = "whsec_"
_SECRET_BYTES = (16, 256)
_ANSWER_MAX = 64 << 10


class Webhook:
    """One that answers 2xx has the event; anything else is tried again."""

    def __init__(self, target: Target, secret: bytes, egress: Egress) -> None:
        self._url = target.url
        self._secret = secret
        self._egress = egress

    @classmethod
    def open(cls, target: Target, connect: Callable[[Rules], Egress] = Egress) -> Webhook:
        """Raise `TargetMisconfigured` for a secret that cannot be read."""
        assert target.secret is not None  # a webhook has one
        rules = Rules(
            allowed=Allowed.parse(target.networks),
            schemes=target.schemes,
            ca_file=target.ca_file,
            connect_s=min(5.0, target.timeout_seconds),
            idle_s=target.timeout_seconds,
            total_s=target.timeout_seconds,
        )
        return cls(target, read_secret(target.secret), connect(rules))

    async def deliver(self, services: Services, events: Sequence[Written]) -> int:
        """Return how many it has; raise `RemoteError` if it is none."""
        for n, written in enumerate(events):
            try:
                await self._post(written, services.clock() // SECOND)
            except RemoteError:
                if n == 0:
                    raise
                return n
        return len(events)

    async def close(self) -> None:
        await self._egress.close()

    async def _post(self, written: Written, now_s: int) -> None:
        body = msgspec.json.encode(envelope(written.event, written.id, written.occurred))
        headers = {
            "content-type": "application/json",
            "webhook-id": written.id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": signature(self._secret, written.id, now_s, body),
        }
        async with self._egress.ask("POST", self._url, headers=headers, body=body) as response:
            if not 200 <= response.status < 300:
                raise RemoteFailed(f"{response.url.authority} answers {response.status}")
            async for _ in response.pieces(_ANSWER_MAX):  # so that the connection can be kept
                pass


def signature(secret: bytes, id_: str, now_s: int, body: bytes) -> str:
    signed = hmac.new(secret, b"%b.%d.%b" % (id_.encode(), now_s, body), hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


def read_secret(file: Path) -> bytes:
    """`whsec_BASE64`, or any other text as it stands; 16 to 256 bytes. Raise `TargetMisconfigured`."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TargetMisconfigured(f"the secret {file} cannot be read: {error}") from None
    if text.startswith(_PREFIX):
        try:
            secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise TargetMisconfigured(f"the secret {file} is not base64 after {_PREFIX}") from None
    else:
        secret = text.encode()
    least, most = _SECRET_BYTES
    if not least <= len(secret) <= most:
        raise TargetMisconfigured(f"the secret {file} has {len(secret)} bytes: {least} to {most}")
    return secret
