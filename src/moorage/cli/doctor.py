"""`moorage doctor`: each check is a function from facts to findings; `run` gathers the facts and prints."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import stat
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from moorage.cli.ecr import Answer, Unreachable, call, get_password
from moorage.cli.env import winning
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, columns, say, styled
from moorage.cli.profile import Profile, stored_profile
from moorage.config.addresses import host_and_port
from moorage.config.settings import NONE, Settings
from moorage.server.tls import read_pairs

OK, WARNING, BROKEN = "ok", "warning", "broken"
_MARKS = {OK: ("✓", "green"), WARNING: ("!", "yellow"), BROKEN: ("✗", "red")}
_LOW_DISK = 1 << 30
_SKEW_ALLOWED = timedelta(minutes=15)  # SigV4 refuses beyond
_EXPIRES_SOON = timedelta(days=21)
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]+){3}|::1")
_INSECURE = {
    "buildah": "--tls-verify=false with each command, or insecure = true in registries.conf",
    "crane": "--insecure with each command",
    "ctr": "--plain-http with each command, or a hosts.toml",
    "docker": '"insecure-registries": ["{registry}"] in /etc/docker/daemon.json',
    "helm": "--plain-http with each command",
    "oras": "--plain-http with each command",
    "podman": "--tls-verify=false with each command, or insecure = true in registries.conf",
    "skopeo": "--tls-verify=false (or --src-… and --dest-…) with each command",
}
_PLAIN_ON_LOOPBACK = ("crane", "docker", "helm", "oras")


@dataclass(frozen=True, slots=True)
class Finding:
    level: str
    what: str
    says: str


def run(arguments: argparse.Namespace) -> int:
    findings = examine(settings_from(arguments))
    if arguments.json:
        say(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        say(*columns([_row(finding) for finding in findings]))
    return 1 if any(finding.level == BROKEN for finding in findings) else 0


def examine(settings: Settings) -> list[Finding]:
    """All findings, in the order in which to put them right."""
    if not settings.data.is_dir():
        return [Finding(BROKEN, "data", f"there is no {settings.data}: run `moorage serve`, or give --data")]
    findings = [
        *check_modes(settings),
        *check_secrets(settings),
        check_space(settings.data),
        *check_listening(settings),
        *check_certificates(settings, datetime.now(UTC)),
    ]
    try:
        profile = stored_profile(settings)
    except Failed as error:
        return [*findings, Finding(BROKEN, "credentials", str(error))]
    registry = urlsplit(profile.endpoint).netloc
    return [
        *findings,
        *_check_server(profile),
        *check_environment(winning(os.environ)),
        *_check_clients(profile, registry),
        check_names(registry, settings.data),
    ]


def check_modes(settings: Settings) -> list[Finding]:
    """Nobody but the owner may enter the data directory or read what is secret."""
    private = (
        settings.data,
        settings.credentials_file,
        settings.root_key,
        settings.database,
        settings.authority_folder / "ca.key",
        *sorted(settings.certificates_folder.glob("*.key")),
        *(peer.credentials for peer in (*settings.replication_peers, *settings.upstream_peers)),
    )
    findings = []
    for path in private:
        if path.exists():
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                wanted = 700 if path.is_dir() else 600
                findings.append(
                    Finding(BROKEN, "modes", f"{path} has mode {mode:04o}: run chmod {wanted} {path}")
                )
    return findings or [Finding(OK, "modes", f"{settings.data} is closed to other users")]


def check_secrets(settings: Settings) -> list[Finding]:
    """Whoever takes the directory with its key has everything: encryption at rest then protects nothing."""
    findings = []
    if (settings.data / "root.key").exists():
        findings.append(
            Finding(
                WARNING,
                "root key",
                "lies beside the data it opens: move it away and name it with --root-key-file",
            )
        )
    if settings.credentials_file.exists():
        findings.append(
            Finding(
                WARNING, "credentials", "of root lie beside the data: keep a copy elsewhere, delete them here"
            )
        )
    return findings


def check_space(data: Path) -> Finding:
    free = shutil.disk_usage(data).free
    if free < _LOW_DISK:
        return Finding(WARNING, "disk", f"{free >> 20} MiB free: pushes fail with 507 when it is full")
    return Finding(OK, "disk", f"{free >> 30} GiB free")


def check_listening(settings: Settings) -> list[Finding]:
    """Passwords that cross a network in the clear."""
    if settings.listen == NONE or settings.require_tls:
        return []
    host, _ = host_and_port(settings.listen)
    if _LOOPBACK.fullmatch(host):
        return []
    says = f"plain HTTP is open to other machines at {settings.listen}: use --listen-tls, and --require-tls"
    return [Finding(WARNING, "listening", says)]


def check_certificates(settings: Settings, now: datetime) -> list[Finding]:
    pairs, wrong = read_pairs(settings.certificates_folder)
    findings = [Finding(BROKEN, "certificates", f"not served: {line}") for line in wrong]
    for pair in pairs:
        until = f"{pair.chain} {{}} on {pair.expires:%Y-%m-%d}: `moorage certs issue` makes a new one"
        if pair.expires <= now:
            findings.append(Finding(BROKEN, "certificates", until.format("expired")))
        elif pair.expires <= now + _EXPIRES_SOON:
            findings.append(Finding(WARNING, "certificates", until.format("expires")))
    return findings


def check_answer(endpoint: str, answer: Answer, now: datetime) -> list[Finding]:
    """The server's ping: 401 with a challenge, as it knows us not yet."""
    if answer.status != 401:
        return [Finding(BROKEN, "server", f"{endpoint} answers {answer.status} to /v2/: is it Moorage?")]
    findings = [Finding(OK, "server", f"answers at {endpoint}")]
    if answer.date is not None:
        skew = abs(answer.date - now)
        if skew >= _SKEW_ALLOWED:
            findings.append(
                Finding(BROKEN, "clock", f"differs by {skew}: signatures are refused beyond {_SKEW_ALLOWED}")
            )
        else:
            findings.append(
                Finding(OK, "clock", f"within {_SKEW_ALLOWED.seconds // 60} minutes of the server's")
            )
    return findings


def check_environment(names: Sequence[str]) -> list[Finding]:
    if not names:
        return []
    says = f'{", ".join(names)} would win over the profile: eval "$(moorage env)" unsets them'
    return [Finding(WARNING, "environment", says)]


def check_clients(registry: str, clients: Iterable[str]) -> list[Finding]:
    """Plain HTTP is refused by clients that are not told of it, except by some for this very machine."""
    is_loopback = _LOOPBACK.fullmatch(registry.rpartition(":")[0].strip("[]")) is not None
    findings = []
    for client in clients:
        if is_loopback and client in _PLAIN_ON_LOOPBACK:
            findings.append(Finding(OK, client, f"talks plain HTTP to {registry} by itself"))
        else:
            advice = _INSECURE[client].replace("{registry}", registry)
            findings.append(Finding(WARNING, client, f"must be told that {registry} is plain HTTP: {advice}"))
    return findings or [Finding(WARNING, "clients", f"none of {', '.join(_INSECURE)} is on PATH")]


def check_names(registry: str, data: Path) -> Finding:
    """Other accounts and regions are reached under names of their own."""
    port = registry.rpartition(":")[2]
    name = "000000000000.dkr.ecr.us-east-1.localhost"
    others = sorted(path.name.removeprefix("credentials-") for path in data.glob("credentials-*"))
    if others:
        name = f"{others[0]}.dkr.ecr.us-east-1.localhost"
    shape = f"ACCOUNT.dkr.ecr.REGION.localhost:{port}"
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        says = (
            f"for another account or region than the default, let {shape} resolve to this server (/etc/hosts)"
        )
        return Finding(WARNING if others else OK, "names", says)
    return Finding(OK, "names", f"other accounts and regions are reached at {shape}")


def _check_clients(profile: Profile, registry: str) -> list[Finding]:
    if profile.endpoint.startswith("https:"):
        says = f"speak TLS to {registry}; `moorage certs trust` says where they need the authority"
        return [Finding(OK, "clients", says)]
    return check_clients(registry, [name for name in _INSECURE if shutil.which(name)])


def _check_server(profile: Profile) -> list[Finding]:
    try:
        answer = call(profile, "GET", "/v2/")
        findings = check_answer(profile.endpoint, answer, datetime.now(UTC))
        if all(finding.level == OK for finding in findings):
            get_password(profile)
            findings.append(Finding(OK, "credentials", "are accepted"))
    except Unreachable as error:
        return [Finding(BROKEN, "server", str(error))]
    except Failed as error:
        return [*findings, Finding(BROKEN, "credentials", str(error))]
    return findings


def _row(finding: Finding) -> list[str]:
    mark, colour = _MARKS[finding.level]
    return [styled(mark, colour), finding.what, finding.says]
