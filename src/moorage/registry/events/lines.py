"""Delivery as lines of JSON: to a file that is rotated, or to standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from moorage.access.call import Services
from moorage.registry.events.outbox import Written
from moorage.registry.events.shapes import envelope
from moorage.registry.events.targets import Target


class File:
    """Appended to and on disk before an event counts as delivered. Rotated, `PATH.1` is the one before."""

    def __init__(self, target: Target) -> None:
        assert target.path is not None  # a file has one
        self._path = target.path
        self._rotate_bytes = target.rotate_bytes
        self._keep_files = target.keep_files

    async def deliver(self, services: Services, events: Sequence[Written]) -> int:
        """All of them; raise OSError."""
        await services.work(self._append, _lines(events))
        return len(events)

    async def close(self) -> None:
        pass

    def _append(self, lines: bytes) -> None:
        if self._path.exists() and self._path.stat().st_size + len(lines) > self._rotate_bytes:
            self._rotate()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _write(descriptor, lines)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _rotate(self) -> None:
        names = [self._path, *(_numbered(self._path, n) for n in range(1, self._keep_files + 1))]
        names[-1].unlink(missing_ok=True)
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            if newer.exists():
                newer.rename(older)


class StandardOutput:
    async def deliver(self, services: Services, events: Sequence[Written]) -> int:
        """All of them; raise OSError."""
        await services.work(_print, _lines(events))
        return len(events)

    async def close(self) -> None:
        pass


def _lines(events: Sequence[Written]) -> bytes:
    encoded = (msgspec.json.encode(envelope(each.event, each.id, each.occurred)) for each in events)
    return b"".join(line + b"\n" for line in encoded)


def _print(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.flush()


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
