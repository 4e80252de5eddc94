"""The calls that commands make to the running server: its ping, and a registry password."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from moorage.cli.output import Failed
from moorage.cli.profile import Profile
from moorage.cli.signing import signed_headers

_TARGET = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
_TIMEOUT_S = 10


class Unreachable(Failed):
    """Nothing answers at the endpoint."""


@dataclass(frozen=True, slots=True)
class Password:
    """What clients log in with."""

    registry: str
    """HOST:PORT, as `docker login` takes it."""
    user: str
    secret: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = field(repr=False)
    date: datetime | None
    """The clock of the server."""


def get_password(profile: Profile) -> Password:
    """GetAuthorizationToken. Raise `Unreachable`, or `Failed` with the server's words."""
    body = b"{}"
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": urlsplit(profile.endpoint).netloc,
        "x-amz-target": _TARGET,
    }
    if profile.session_token:
        headers["x-amz-security-token"] = profile.session_token
    signed = signed_headers(headers, body, service="ecr", profile=profile, now=datetime.now(UTC))
    answer = call(profile, "POST", "/", signed, body)
    if answer.status != 200:
        raise Failed(f"{profile.endpoint} refused: {_reason(answer)}")
    data = json.loads(answer.body)["authorizationData"][0]
    user, _, secret = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    expires = datetime.fromtimestamp(data["expiresAt"], UTC)
    return Password(urlsplit(data["proxyEndpoint"]).netloc, user, secret, expires)


def call(
    profile: Profile, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Answer:
    """One request on a connection of its own. Raise `Unreachable`."""
    connection = _connection(profile)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        date = response.headers.get("date")
        return Answer(response.status, response.read(), parsedate_to_datetime(date) if date else None)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(
            f"nothing answers at {profile.endpoint} ({error}): is `moorage serve` running?"
        ) from error
    finally:
        connection.close()


def _connection(profile: Profile) -> http.client.HTTPConnection:
    where = urlsplit(profile.endpoint)
    if where.scheme != "https":
        return http.client.HTTPConnection(where.hostname or "", where.port, timeout=_TIMEOUT_S)
    context = ssl.create_default_context()
    if profile.authority is not None:
        context.load_verify_locations(profile.authority)
    return http.client.HTTPSConnection(where.hostname or "", where.port, timeout=_TIMEOUT_S, context=context)


def _reason(answer: Answer) -> str:
    try:
        error = json.loads(answer.body)
        return f"{error['__type'].rpartition('#')[2]}: {error.get('message') or error.get('Message') or ''}"
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status}"
