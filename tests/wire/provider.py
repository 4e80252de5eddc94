"""An identity provider on loopback: it publishes its keys over TLS and signs tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from ..unit.access.web_identity.issuer import AUDIENCE, Signer, claims, jwks
from .loopback import Certificates, say, serving


@dataclass
class IdentityProvider:
    port: int = 0
    signers: list[Signer] = field(default_factory=lambda: [Signer.rsa("one")])
    asked: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}/realms/ci"

    @property
    def url(self) -> str:
        return f"https://{self.place}"

    def token(self, signer: Signer | None = None, algorithm: str = "RS256", **changes: Any) -> str:
        now = int(time.time())
        own = {"iss": self.url, "iat": now, "nbf": now, "exp": now + 600, "sub": "repo:team/app"}
        payload = claims(**{**own, **changes})
        return (signer or self.signers[0]).token(payload, algorithm)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        if request.path == "/realms/ci/.well-known/openid-configuration":
            say(request, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode())
        elif request.path == "/realms/ci/keys":
            say(request, jwks(*self.signers).encode())
        else:
            say(request, b"", 404)


@contextmanager
def identity_provider(tls: Certificates) -> Iterator[IdentityProvider]:
    provider = IdentityProvider()
    with serving(provider.answer, tls) as port:
        provider.port = port
        yield provider


__all__ = ["AUDIENCE", "IdentityProvider", "identity_provider"]
