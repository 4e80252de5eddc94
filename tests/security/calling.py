"""Callers of a real server: requests of every service serialized by botocore, signed here, sent over one connection."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

from botocore.model import ServiceModel
from botocore.serialize import create_serializer

from ..conftest import knowing_all_services
from ..wire.api.conftest import Key, Signing

REGION = "us-east-1"
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "DENIED"})
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """`headers` by their names in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of a refusal, in whatever form; empty otherwise."""
        if self.status < 400:
            return ""
        if self.body.startswith(b"<"):
            return self.element("Code")
        document = self.json
        return str(document["__type"] if "__type" in document else document["errors"][0]["code"])

    @property
    def message(self) -> str:
        if self.body.startswith(b"<"):
            return self.element("Message")
        document = self.json
        return str(document["message"] if "message" in document else document["errors"][0]["message"])

    def element(self, name: str) -> str:
        """The text of the first XML element of that name."""
        found = re.search(f"<{name}>([^<]*)</{name}>", self.body.decode())
        assert found is not None, self.body
        return found[1].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")

    @property
    def is_denied(self) -> bool:
        return self.code in DENIED

    @property
    def steady(self) -> tuple[int, dict[str, str], bytes]:
        """Without what differs between two equal answers."""
        headers = {k: v for k, v in self.headers.items() if k not in ("date", "x-amzn-requestid")}
        return (
            self.status,
            headers,
            re.sub(rb"<RequestId>[^<]*</RequestId>|<RequestID>[^<]*</RequestID>", b"", self.body),
        )


@dataclass
class Door:
    """A server's address, and one connection that all callers share."""

    host: str
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def ask(self, method: str, target: str, headers: Headers, body: bytes | None = None) -> Answer:
        """Exactly those headers, with the body's length."""
        for _ in range(2):
            connection = self._connection or http.client.HTTPConnection(self.host, timeout=60)
            try:
                return self._ask(connection, method, target, headers, body)
            except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError):
                connection.close()
                if self._connection is None:
                    raise
                self._connection = None  # closed meanwhile: once more on a new one
        raise AssertionError

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | None,
    ) -> Answer:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value.encode("latin-1"))
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, received, response.read())
        self._connection = None if received.get("connection") == "close" else connection
        if self._connection is None:
            connection.close()
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


@dataclass(frozen=True)
class Caller:
    """Who asks: keys, of a session with its token. None is a stranger without any."""

    door: Door
    key: Key | None
    token: str = field(default="", repr=False)
    region: str = REGION
    password: str = field(default="", repr=False)
    """For `/v2/`; empty asks GetAuthorizationToken for one at each request."""

    def in_region(self, region: str) -> Caller:
        return replace(self, region=region, password="")

    # AWS

    def call(self, operation: str, **members: Any) -> Answer:
        """`ecr.PutImage` with its members."""
        service, _, name = operation.partition(".")
        body, headers = serialized(service, name, members)
        return self.send(service, body, headers)

    def need(self, operation: str, **members: Any) -> Answer:
        """The same, which must succeed."""
        answer = self.call(operation, **members)
        assert answer.status == 200, answer
        return answer

    def send(self, service: str, body: bytes, headers: Headers, **changes: Any) -> Answer:
        if self.key is None:
            return self.door.ask("POST", "/", [("host", self.door.host), *headers], body)
        signing = self.signing(service, body, headers, **changes)
        return self.door.ask("POST", "/", signing.signed(), body)

    def signing(self, service: str, body: bytes, headers: Headers = (), **changes: Any) -> Signing:
        assert self.key is not None
        if self.token:
            headers = [*headers, ("x-amz-security-token", self.token)]
        values = {"at": datetime.now(UTC), "headers": tuple(headers), "region": self.region, **changes}
        return Signing(self.key, self.door.host, service=service, body=body, **values)

    # The registry

    def v2(
        self, method: str, path: str, body: bytes | None = None, *, host: str = "", headers: Headers = ()
    ) -> Answer:
        sent = [("host", host or self.door.host), *headers]
        if self.key is not None or self.password:
            sent.append(("authorization", basic(self.password or self.get_password())))
        return self.door.ask(method, path, sent, body)

    def get_password(self) -> str:
        answer = self.need("ecr.GetAuthorizationToken")
        token = answer.json["authorizationData"][0]["authorizationToken"]
        return base64.b64decode(token).decode().removeprefix("AWS:")

    def logged_in(self) -> Caller:
        """With a password that is kept."""
        return replace(self, password=self.get_password())


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()


@contextmanager
def door_of(host: str) -> Iterator[Door]:
    door = Door(host)
    yield door
    door.close()


@cache
def model_of(service: str) -> ServiceModel:
    model: ServiceModel = knowing_all_services().get_service_model(service)
    return model


def serialized(service: str, name: str, members: Mapping[str, Any]) -> tuple[bytes, Headers]:
    """The body of a request and the headers that say what it is."""
    operation = model_of(service).operation_model(name)
    serializer = create_serializer(str(model_of(service).metadata["protocol"]), False)
    made = serializer.serialize_to_request(members, operation)
    body = made["body"]
    content = urlencode(body).encode() if isinstance(body, dict) else body
    headers = [(key.lower(), value) for key, value in made["headers"].items()]
    return content, headers
