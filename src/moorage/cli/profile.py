"""The file of the root credentials, `<data>/credentials`: an AWS profile, mode 0600, written once.

Only its `endpoint_url` changes afterwards: it follows the address of the running server.
"""

from __future__ import annotations

import configparser
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from moorage.cli.output import Failed
from moorage.config.settings import Settings

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
    authority: Path | None = None
    """Certificate of our own authority, which programs do not know: for an endpoint with TLS."""
    session_token: str = field(default="", repr=False)
    """Of temporary credentials."""


def stored_profile(settings: Settings) -> Profile:
    """The root credentials of the data directory. Raise `Failed` with what to do."""
    path = settings.credentials_file
    try:
        profile = read_profile(path)
    except FileNotFoundError:
        raise Failed(
            f"there is no {path}: run `moorage serve` first, or say where it is with --data"
        ) from None
    except PermissionError:
        raise Failed(f"{path} belongs to another user: run this as the user of the server") from None
    except InvalidProfile as error:
        raise Failed(str(error)) from None
    authority = settings.authority_folder / "ca.pem"
    is_needed = profile.endpoint.startswith("https:") and authority.exists()
    return replace(profile, authority=authority.resolve()) if is_needed else profile


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
    replace_file(path, "\n".join(lines) + "\n")


def move_endpoint(path: Path, endpoint: str) -> None:
    """Say in the profile where the server is now. One that was moved away or rewritten is left alone."""
    with suppress(FileNotFoundError):
        text = path.read_text(encoding="utf-8")
        moved = _ENDPOINT_LINE.sub(lambda _: f"endpoint_url = {endpoint}", text, count=1)
        if moved != text:
            replace_file(path, moved)


def replace_file(path: Path, text: str, mode: int = 0o600) -> None:
    """Whole or not at all, durable when this returns."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
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
