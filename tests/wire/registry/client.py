"""A registry client that hides nothing: raw sockets, exact headers, and a check that every answer is well formed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY_DIGEST = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SECONDS = 30  # for one answer, on a loaded machine
_HEAD_LINE = re.compile(rb"[a-z0-9-]+: [\t -~]*")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [ -~]*")

Header = tuple[str, str]


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass(frozen=True)
class Answer:
    """`headers` in the order of the wire, names as sent."""

    status: int
    headers: tuple[Header, ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The one header of that name; two of them fail."""
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, f"{name}: {found}"
        return found[0] if found else None

    @property
    def steady(self) -> tuple[Header, ...]:
        """Without what differs between two equal answers."""
        return tuple(pair for pair in self.headers if pair[0] not in ("date", "x-amzn-requestid"))

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, code and message."""
        assert self.header("content-type") == "application/json"
        [error] = self.json["errors"]
        return self.status, error["code"], error["message"]


class Gone(Exception):
    """The server closed the connection without (the rest of) an answer."""


class Connection:
    """One TCP connection; what is sent is sent as it is."""

    def __init__(self, host: str) -> None:
        name, _, port = host.rpartition(":")
        self.socket = socket.create_connection((name, int(port)), timeout=SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """A server that has answered may stop reading; what it said can still be read."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def end(self) -> None:
        """Send no more."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def answer(self, method: str = "GET") -> Answer:
        """The next final or interim answer. Raise `Gone` when there is none."""
        while b"\r\n\r\n" not in self._received:
            self._more()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        match = _STATUS_LINE.fullmatch(first)
        assert match, first
        for line in lines:
            assert _HEAD_LINE.fullmatch(line), line
        headers = tuple(
            (line.partition(b": ")[0].decode(), line.partition(b": ")[2].decode()) for line in lines
        )
        answer = Answer(int(match[1]), headers, b"")
        assert answer.header("transfer-encoding") is None
        has_body = method != "HEAD" and answer.status >= 200 and answer.status not in (204, 304)
        length = answer.header("content-length")
        if answer.status < 200 or answer.status in (204, 304):
            assert length is None, f"{answer.status} with a Content-Length"
        else:
            assert length is not None, f"{answer.status} without Content-Length"
        return Answer(answer.status, headers, self._body(int(length or 0)) if has_body else b"")

    def is_closed(self) -> bool:
        """Wait for the server's end; what it sends before fails the question."""
        try:
            while True:
                more = self.socket.recv(65_536)
                if not more:
                    return not self._received
                self._received += more
        except ConnectionResetError:
            return not self._received

    def _body(self, length: int) -> bytes:
        parts, missing = [self._received[:length]], length - len(self._received)
        self._received = self._received[length:]
        while missing > 0:
            part = self._receive(min(missing, 1 << 20))
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _more(self) -> None:
        self._received += self._receive(65_536)

    def _receive(self, size: int) -> bytes:
        try:
            part = self.socket.recv(size)
        except ConnectionResetError:
            raise Gone("connection reset") from None
        if not part:
            raise Gone(f"connection closed after {self._received[:200]!r}")
        return part


@dataclass
class Wire:
    """A registry as one caller sees it; requests share a connection as long as the server keeps it."""

    host: str
    authorization: str | None = None
    _connection: Connection | None = field(default=None, repr=False)

    def as_caller(self, authorization: str | None) -> Wire:
        return Wire(self.host, authorization)

    def connect(self) -> Connection:
        return Connection(self.host)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def head(
        self,
        method: str,
        target: str | bytes,
        headers: Sequence[Header] | Mapping[str, str] = (),
        length: int | None = None,
    ) -> bytes:
        """The bytes of a request's head, with the caller's credentials and a Host, unless `headers` has its own."""
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        names = {name.lower() for name, _ in pairs}
        if "host" not in names:
            pairs.insert(0, ("Host", self.host))
        if self.authorization is not None and "authorization" not in names:
            pairs.append(("Authorization", self.authorization))
        if length is not None:
            pairs.append(("Content-Length", str(length)))
        raw = target.encode("latin-1") if isinstance(target, str) else target
        lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in pairs)
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (method.encode(), raw, lines)

    def ask(
        self,
        method: str,
        target: str | bytes,
        headers: Sequence[Header] | Mapping[str, str] = (),
        body: bytes | None = None,
    ) -> Answer:
        if body is None and method in ("POST", "PUT", "PATCH"):
            body = b""
        request = self.head(method, target, headers, None if body is None else len(body)) + (body or b"")
        connection, self._connection = self._connection, None
        if connection is not None and _is_over(connection):
            connection.close()
            connection = None
        connection = connection or self.connect()
        connection.send(request)
        answer = connection.answer(method)
        if answer.header("connection") == "close":
            connection.close()
        else:
            self._connection = connection
        return answer

    # What pushes are made of

    def begin(self, name: str, query: str = "") -> str:
        """A session's location."""
        answer = self.ask("POST", f"/v2/{name}/blobs/uploads/{query}")
        assert answer.status == 202, answer
        location = answer.header("location")
        assert location is not None
        return location

    def push_blob(self, name: str, content: bytes, algorithm: str = "sha256") -> str:
        digest = digest_of(content, algorithm)
        answer = self.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", body=content)
        assert answer.status == 201, answer
        return digest

    def put_manifest(
        self, name: str, reference: str, content: bytes, media_type: str | None = OCI_MANIFEST
    ) -> Answer:
        headers = {"Content-Type": media_type} if media_type else {}
        return self.ask("PUT", f"/v2/{name}/manifests/{reference}", headers, content)

    def push_image(self, name: str, reference: str | None = None, **members: Any) -> str:
        """An image of one small config; returns its digest. `reference`: a tag, else pushed by digest."""
        content = self.image(name, **members)
        media_type = members.get("mediaType", OCI_MANIFEST)
        answer = self.put_manifest(name, reference or digest_of(content), content, media_type)
        assert answer.status == 201, answer
        return digest_of(content)

    def image(self, name: str, **members: Any) -> bytes:
        """A manifest whose config is in the repository."""
        self.push_blob(name, b"{}")
        return manifest(**members)


def manifest(**members: Any) -> bytes:
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(b"{}", CONFIG_TYPE),
        "layers": [],
    }
    return json.dumps(
        {key: value for key, value in (document | members).items() if value is not None}
    ).encode()


def index(children: Sequence[Mapping[str, Any]], **members: Any) -> bytes:
    return json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(children), **members}
    ).encode()


def descriptor(
    content: bytes, media_type: str = LAYER_TYPE, algorithm: str = "sha256", **more: Any
) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content, algorithm), "size": len(content), **more}


def _is_over(connection: Connection) -> bool:
    """The server closed a kept connection meanwhile."""
    with _unblocked(connection.socket):
        try:
            return connection.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True


@contextmanager
def _unblocked(sock: socket.socket) -> Any:
    sock.setblocking(False)
    try:
        yield
    finally:
        sock.settimeout(SECONDS)
