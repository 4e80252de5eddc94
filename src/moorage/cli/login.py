"""`moorage login`."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from moorage.cli.commands.server import CLIENTS
from moorage.cli.ecr import Password, get_password
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, columns, say, styled
from moorage.cli.profile import stored_profile

# Words before and after the registry. The password always comes on standard input: arguments are seen by `ps`.
_COMMANDS = {
    "docker": (("docker", "login"), ()),
    "helm": (("helm", "registry", "login"), ("--plain-http",)),
    "podman": (("podman", "login"), ("--tls-verify=false",)),
}
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    client: str
    error: str = ""


def run(arguments: argparse.Namespace) -> int:
    clients = found_clients(arguments.only)
    password = get_password(stored_profile(settings_from(arguments)))
    outcomes = [_log_in(client, password) for client in clients]
    if arguments.json:
        say(json.dumps(_document(password, outcomes)))
    else:
        say(*_lines(password, outcomes))
    return 1 if any(outcome.error for outcome in outcomes) else 0


def found_clients(only: Sequence[str] | None) -> list[str]:
    """Those asked for, else those on PATH. Raise `Failed` if there are none."""
    found = [client for client in CLIENTS if shutil.which(client)]
    missing = [client for client in only or () if client not in found]
    if missing:
        raise Failed(f"not on PATH: {', '.join(missing)}")
    if not found:
        raise Failed(f"none of {', '.join(CLIENTS)} is on PATH; others take `aws ecr get-login-password`")
    return list(dict.fromkeys(only)) if only else found


def command_of(client: str, password: Password) -> list[str]:
    before, after = _COMMANDS[client]
    return [*before, "--username", password.user, "--password-stdin", *after, password.registry]


def _log_in(client: str, password: Password) -> Outcome:
    try:
        done = subprocess.run(
            command_of(client, password),
            input=password.secret,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(client, f"gave no answer in {_TIMEOUT_S} s")
    except OSError as error:
        return Outcome(client, str(error))
    return Outcome(client, _last_line(done.stderr or done.stdout) if done.returncode else "")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "failed without a word"


def _document(password: Password, outcomes: Iterable[Outcome]) -> dict[str, object]:
    return {
        "registry": password.registry,
        "user": password.user,
        "expires": password.expires.isoformat(),
        "clients": {outcome.client: outcome.error or "logged in" for outcome in outcomes},
    }


def _lines(password: Password, outcomes: Iterable[Outcome]) -> list[str]:
    rows = [
        [
            styled("✗", "red") if outcome.error else styled("✓", "green"),
            outcome.client,
            outcome.error or f"logged in to {password.registry}",
        ]
        for outcome in outcomes
    ]
    return [*columns(rows), f"Good until {password.expires.astimezone():%Y-%m-%d %H:%M %Z}"]
