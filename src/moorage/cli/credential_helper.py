"""`docker-credential-moorage`: gives docker, podman, skopeo, crane and others a password whenever they want one.

The protocol is docker's (docker/docker-credential-helpers): the verb is the argument, the registry comes on standard
input, the answer or the one line of an error goes to standard output. Only the registries that a client's
`credHelpers` name are to come here.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from moorage import __version__
from moorage.cli.aws_credentials import Source, UnreadableCredentials, find_source
from moorage.cli.password_cache import Kept, PasswordCache, place

# Clients compare these two texts.
NOT_FOUND = "credentials not found in native keychain"
NO_SERVER = "no credentials server URL"
_NOTHING_TO_STORE = "there is nothing to store: passwords are made when they are asked for"
_FOREIGN = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_INPUT_MAX = 65_536


class Refused(Exception):
    """The line that the client prints."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    environment: Mapping[str, str]
    home: Path | None
    folder: Path
    now: float

    @classmethod
    def of_process(cls) -> Surroundings:
        home = os.environ.get("HOME")
        return cls(os.environ, Path(home) if home else None, Path(), time.time())

    @property
    def cache(self) -> PasswordCache:
        is_off = self.environment.get("MOORAGE_DISABLE_CACHE", "").lower() not in ("", "0", "false", "no")
        return PasswordCache(
            None if is_off or self.home is None else self.home / ".moorage" / "passwords.json"
        )


def main() -> int:
    verb = sys.argv[1] if len(sys.argv) == 2 else ""
    if verb not in _VERBS:
        _say(f"usage: docker-credential-moorage {'|'.join(_VERBS)}")
        return 1
    try:
        given = "" if verb in ("list", "version") else sys.stdin.read(_INPUT_MAX)
        _say(_VERBS[verb](given, Surroundings.of_process()))
    except (Refused, UnreadableCredentials) as error:
        _say(str(error))
        return 1
    return 0


def get(given: str, around: Surroundings) -> str:
    """Raise `Refused`, `UnreadableCredentials`."""
    url = given.strip()
    registry = _host_of(url)
    source = find_source(registry, around.environment, around.home, around.folder)
    if registry in _FOREIGN or source is None:
        raise Refused(NOT_FOUND)
    cache, where = around.cache, place(registry, source)
    kept = cache.find(where, around.now)
    if kept is None:
        kept = _fresh(registry, source, around.now)
        cache.keep(where, kept, around.now)
    return json.dumps({"ServerURL": url, "Username": kept.user, "Secret": kept.secret})


def store(given: str, around: Surroundings) -> str:
    raise Refused(_NOTHING_TO_STORE)


def erase(given: str, around: Surroundings) -> str:
    around.cache.forget(_host_of(given.strip()))
    return ""


def listing(given: str, around: Surroundings) -> str:
    """The registries whose password is kept."""
    return json.dumps({kept.registry: kept.user for kept in around.cache.all(around.now)})


def version(given: str, around: Surroundings) -> str:
    return f"docker-credential-moorage {__version__}"


_VERBS: Mapping[str, Callable[[str, Surroundings], str]] = {
    "get": get,
    "store": store,
    "erase": erase,
    "list": listing,
    "version": version,
}


def _host_of(url: str) -> str:
    """`https://HOST:PORT/v1/` is HOST:PORT. Raise `Refused`."""
    host = url.partition("://")[2] if "://" in url else url
    host = host.partition("/")[0]
    if not host:
        raise Refused(NO_SERVER)
    if not host.isascii() or not host.isprintable() or any(mark in host for mark in "@?# \\"):
        raise Refused(f"'{url}' is no registry")
    return host


def _fresh(registry: str, source: Source, now: float) -> Kept:
    # Loaded when it is needed: what is kept is answered in half of the time.
    from moorage.cli.fresh_password import fresh_password
    from moorage.cli.output import Failed

    try:
        password = fresh_password(source)
    except Failed as error:
        raise Refused(str(error)) from None
    return Kept(registry, password.user, password.secret, now + (password.expires.timestamp() - now) / 2)


def _say(text: str) -> None:
    """An empty answer is none."""
    if text:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
