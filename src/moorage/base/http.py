"""What a door is asked and what it answers, whatever server carries it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote_plus

Headers = Sequence[tuple[bytes, bytes]]


class Body(Protocol):
    """The body of a request, read once. A client that leaves before the end raises ConnectionError."""

    @property
    def announced(self) -> int | None:
        """Content-Length, or None for a chunked body."""
        ...

    async def read(self, limit: int) -> bytes:
        """All of it; raise `RequestEntityTooLarge` when it has more than `limit` bytes."""
        ...

    def batches(self) -> AsyncIterator[memoryview]:
        """All of it in large pieces. A piece is the reader's until it asks for the next but one."""
        ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a connection reached us; what a private endpoint is recognised by. Nothing of it comes from a header."""

    listener: str = ""
    """"" is a public listener, else the name of a private one."""
    address: str = ""
    """Of the client, or what a trusted proxy says of it: no IPv4 in IPv6, no zone; "" on a Unix socket."""
    secure: bool = False
    """TLS ends here, or at the trusted proxy."""
    identity: str = ""
    """Of the client certificate: its URI (SPIFFE), else its DNS name, else its common name."""
    vpce: str = ""
    """Endpoint id that a trusted proxy attached."""


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is decoded, `raw_path` and `raw_query` as on the wire; header names are lower case."""

    method: str
    path: str
    raw_path: bytes
    raw_query: bytes
    headers: Headers
    body: Body
    arrival: Arrival = Arrival()

    @property
    def client(self) -> str:
        """Address, "" on a Unix socket."""
        return self.arrival.address

    def header(self, name: bytes) -> str | None:
        """The first header of that name; latin-1, as HTTP has it."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None

    def header_list(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for key, value in self.headers if key == name]

    @property
    def host(self) -> str:
        return (self.header(b"host") or "").lower()

    @property
    def raw_host(self) -> bytes:
        """As on the wire."""
        return next((value for key, value in self.headers if key == b"host"), b"")

    @property
    def target(self) -> bytes:
        """Path and query, as on the wire."""
        return b"%b?%b" % (self.raw_path, self.raw_query) if self.raw_query else self.raw_path

    def query(self) -> list[tuple[str, str]]:
        """Decoded pairs in order. Lenient on stray separators: `?&digest=` is sent by .NET."""
        pairs = []
        for part in self.raw_query.decode("latin-1").split("&"):
            if part:
                key, _, value = part.partition("=")
                pairs.append((unquote_plus(key), unquote_plus(value) if "%" in value else value))
        return pairs


class BlobSource(Protocol):
    """The plain bytes of an open blob, unsealed as they are read. Its methods block: worker threads call them."""

    @property
    def descriptor(self) -> int | None:
        """A file of the plain bytes in memory, when the blob is hot: the kernel sends from it."""
        ...

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset`; fewer bytes only at the end. Raise `Corrupted` for what fails authentication."""
        ...

    def close(self) -> None: ...


class Arriving(Protocol):
    """Says how far a source can be read that is still being written."""

    @property
    def reach(self) -> int:
        """Bytes, from the first, that are there."""
        ...

    async def passes(self, offset: int) -> None:
        """Wait until `reach` is beyond `offset`. Raise ConnectionError if it never will be."""
        ...


@dataclass(frozen=True, slots=True)
class BlobBody:
    """A body that a worker thread writes to the socket: literal bytes, and ranges of `source` (start, stop)."""

    source: BlobSource
    segments: tuple[bytes | tuple[int, int], ...]
    arriving: Arriving | None = None
    """Of a source that is not all there yet."""

    @property
    def length(self) -> int:
        return sum(len(part) if isinstance(part, bytes) else part[1] - part[0] for part in self.segments)


@dataclass(slots=True)
class Reply:
    """An answer; the server adds length, date, request id and connection headers, and closes a `BlobBody`'s source."""

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes | BlobBody = b""
    kept_while: tuple[int, int] | None = None
    """The answer is the same for every caller who may have it while this repository is at this epoch.

    (0, 0) is for ever. The epoch is taken before what the answer says is read.
    """
    pulled_image: int = 0
    """The row of the image whose manifest this is, for a GET: each time that it is sent is a pull."""
    kept_until: int = 0
    """Microseconds; 0 is without an end."""


def reply_json(status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> Reply:
    return Reply(status, [(b"content-type", b"application/json"), *headers], body)
