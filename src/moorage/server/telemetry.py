"""What is recorded of every request: an id always, a line or a trace each if asked for."""

from __future__ import annotations

import logging
import secrets
from contextlib import AbstractContextManager
from typing import Protocol
from urllib.parse import unquote

from moorage.access.downloads import PREFIX
from moorage.base.errors.error import MoorageError
from moorage.base.http import Reply, Request
from moorage.server.audit import Seen

_access_log = logging.getLogger("moorage.access")


class Traces(Protocol):
    """Spans of requests (`tracing/requests.py`), where they are wanted."""

    def request(self, request: Request, request_id: str) -> AbstractContextManager[None]:
        """The block answers it, to the last byte."""
        ...

    def note(self, request: Request, seen: Seen, reply: Reply, refused: MoorageError | None) -> None:
        """It is known what is answered."""
        ...


class Recorder:
    def __init__(self, *, writes_lines: bool) -> None:
        self.writes_lines = writes_lines
        prefix = secrets.token_hex(10)
        self._prefix = f"{prefix[:8]}-{prefix[8:12]}-4{prefix[12:15]}-a{prefix[15:18]}-".encode()
        self._requests = 0

    def next_request_id(self) -> bytes:
        """In the shape of a UUID, unique to the process and the request; random ones cost 3.5 µs each."""
        self._requests += 1
        return b"%b%012x" % (self._prefix, self._requests)

    def record(self, request: Request, status: int, request_id: str) -> None:
        """Neither query nor credentials are written: a query may carry a signature. The path is as it came, without
        the token of a download: decoded it could hold a line break, and forge a line.
        """
        if self.writes_lines:
            agent = request.header(b"user-agent") or "-"
            _access_log.info(
                "%s %s %s %s %d %r",
                request_id,
                request.client,
                request.method,
                without_token(request.raw_path.decode("latin-1")),
                status,
                agent[:120],
            )


def without_token(path: str) -> str:
    """For a log: a download URL is good for whoever reads it, however it is spelled."""
    return f"{PREFIX}..." if unquote(path).startswith(PREFIX) else path
