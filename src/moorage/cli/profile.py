"""The file of the root credentials, `<data>/credentials`: an AWS profile, mode 0600, written once.

Only its `endpoint_url` changes afterwards: it follows the address of the running server.
"""

from __future__ import annotations

import configparser
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from moorage.cli.output import Failed
from moorage.config import Settings

PROFILE = "default"
_ENDPOINT_LINE = re.compile(r"^endpoint_url\s*=.*$", re.MULTILINE)


class InvalidProfile(Exception):
    """The file is there, but is not what was written."""


@dataclass(frozen=True, slots=True)
class Profile:
    access_key_id: str
    secret: str = field(repr=False)
    region: str
    endpoint: str


def stored_profile(settings: Settings) -> Profile:
    """The root credentials of the data directory. Raise `Failed` with what to do."""
    path = settings.credentials_file
    try:
        return read_profile(path)
    except FileNotFoundError:
        raise Failed(
            f"there is no {path}: run `moorage serve` first, or say where it is with --data"
        ) from None
    except PermissionError:
        raise Failed(f"{path} belongs to another user: run this as the user of the server") from None
    except InvalidProfile as error:
        raise Failed(str(error)) from None


def read_profile(path: Path) -> Profile:
    """Raise `InvalidProfile`, FileNotFoundError, PermissionError."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        values = parser[PROFILE]
        return Profile(
            values["aws_access_key_id"],
            values["aws_secret_access_key"],
            values["region"],
            values["endpoint_url"],
        )
    except (configparser.Error, KeyError, UnicodeDecodeError):
        raise InvalidProfile(f"{path} is not the profile that Moorage wrote") from None


def write_profile(path: Path, profile: Profile) -> None:
    """Whole or not at all, durable when this returns."""
    lines = (
        f"[{PROFILE}]",
        f"aws_access_key_id = {profile.access_key_id}",
        f"aws_secret_access_key = {profile.secret}",
        f"region = {profile.region}",
        f"endpoint_url = {profile.endpoint}",
    )
    _replace(path, "\n".join(lines) + "\n")


def move_endpoint(path: Path, endpoint: str) -> None:
    """Say in the profile where the server is now. One that was moved away or rewritten is left alone."""
    with suppress(FileNotFoundError):
        text = path.read_text(encoding="utf-8")
        moved = _ENDPOINT_LINE.sub(lambda _: f"endpoint_url = {endpoint}", text, count=1)
        if moved != text:
            _replace(path, moved)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
