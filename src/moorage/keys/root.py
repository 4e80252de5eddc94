"""The root key: 32 random bytes that open everything else, in a file of their own or from the environment."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_BYTES = 32


class RootKeyRefused(Exception):
    """The message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class RootKey:
    secret: bytes = field(repr=False)

    @classmethod
    def decode(cls, text: str) -> RootKey:
        """The value of an environment variable: 32 bytes as 64 hex digits or as base64."""
        try:
            is_hex = len(text) == 2 * _BYTES
            secret = bytes.fromhex(text) if is_hex else base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            secret = b""
        return cls(_checked(secret, "the value given", "give 32 random bytes as 64 hex digits or as base64"))


def read_root_key(path: Path) -> RootKey:
    """Raise `RootKeyRefused` if others can use the file or it is no key; FileNotFoundError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # a link is followed: secrets are mounted as links
    try:
        mode = stat.S_IMODE(os.fstat(file).st_mode)
        if mode & 0o077:
            raise RootKeyRefused(f"{path} has mode {mode:04o}, which lets others in; run: chmod 600 {path}")
        secret = os.read(file, _BYTES + 1)
    finally:
        os.close(file)
    return RootKey(_checked(secret, str(path), "restore it from a backup: it opens all that is stored"))


def create_root_key(path: Path) -> RootKey:
    """Make a new key file, durable when this returns. Raise FileExistsError rather than replace one."""
    key = RootKey(secrets.token_bytes(_BYTES))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write_durably(temporary, key.secret)
        os.link(temporary, path)  # whole or absent, and never over another
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    _sync(path.parent)
    return key


def _checked(secret: bytes, source: str, remedy: str) -> bytes:
    if len(secret) != _BYTES:
        raise RootKeyRefused(f"{source} is not a root key of 32 bytes; {remedy}")
    return secret


def _write_durably(path: Path, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, content)
        os.fsync(file)
    finally:
        os.close(file)


def _sync(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
