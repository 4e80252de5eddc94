"""Passwords that the credential helper keeps: in a file of the user's own, for half of their life.

Half, so that what a client begins with one ends before it does.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from moorage.cli.aws_credentials import Source

_MOST = 64
_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    registry: str
    user: str
    secret: str = field(repr=False)
    until: float
    """Seconds since 1970: no longer used from then on."""


def place(registry: str, source: Source) -> str:
    """Under which a password is kept; the key that it was made with is in it, hashed."""
    parts = (registry, source.region, source.endpoint, source.identity, source.session_token)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class PasswordCache:
    def __init__(self, file: Path | None) -> None:
        """None keeps nothing."""
        self._file = file

    def find(self, place: str, now: float) -> Kept | None:
        kept = self._read().get(place)
        return kept if kept is not None and now < kept.until else None

    def all(self, now: float) -> Iterator[Kept]:
        return (kept for kept in self._read().values() if now < kept.until)

    def keep(self, place: str, kept: Kept, now: float) -> None:
        """A cache that cannot be written is none."""
        others = {at: each for at, each in self._read().items() if now < each.until and at != place}
        newest = dict(list(others.items())[-_MOST + 1 :])
        self._write({**newest, place: kept})

    def forget(self, registry: str) -> None:
        known = self._read()
        left = {at: kept for at, kept in known.items() if kept.registry != registry}
        if len(left) < len(known):
            self._write(left)

    def _read(self) -> dict[str, Kept]:
        """Nothing of a file that others could have written or read, or that is damaged."""
        if self._file is None:
            return {}
        try:
            with open(os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as opened:
                status = os.fstat(opened.fileno())
                if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
                    return {}
                tree = json.loads(opened.read(_BYTES_MAX))
            return {at: _kept(entry) for at, entry in tree.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _write(self, entries: dict[str, Kept]) -> None:
        if self._file is None:
            return
        temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        with suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as opened:
                json.dump({at: asdict(kept) for at, kept in entries.items()}, opened)
            temporary.replace(self._file)


def _kept(entry: dict[str, str]) -> Kept:
    return Kept(str(entry["registry"]), str(entry["user"]), str(entry["secret"]), float(entry["until"]))
