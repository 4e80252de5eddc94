"""`moorage certs trust`: where each client wants the certificate of our authority."""

from __future__ import annotations

import argparse
import json
import shlex

from moorage.cli.authority import CERTIFICATE, read_authority
from moorage.cli.options import settings_from
from moorage.cli.output import say, styled
from moorage.config.addresses import host_and_port
from moorage.config.settings import Settings

_PLACES = (
    ("docker", "mkdir -p /etc/docker/certs.d/{host}", "cp {ca} /etc/docker/certs.d/{host}/ca.crt"),
    (
        "containerd",
        "mkdir -p /etc/containerd/certs.d/{host}",
        'printf \'server = "https://{host}"\\nca = "%s"\\n\' {ca} > /etc/containerd/certs.d/{host}/hosts.toml',
    ),
    (
        "podman, skopeo, buildah, CRI-O",
        "mkdir -p /etc/containers/certs.d/{host}",
        "cp {ca} /etc/containers/certs.d/{host}/ca.crt",
    ),
    ("AWS CLI and SDKs", "export AWS_CA_BUNDLE={ca}"),
    ("crane, helm, oras", "export SSL_CERT_FILE={ca}"),
    (
        "all programs (Debian, Ubuntu)",
        "cp {ca} /usr/local/share/ca-certificates/moorage.crt",
        "update-ca-certificates",
    ),
    (
        "all programs (Fedora, RHEL)",
        "cp {ca} /etc/pki/ca-trust/source/anchors/moorage.pem",
        "update-ca-trust",
    ),
    (
        "all programs (macOS)",
        "security add-trusted-cert -d -k /Library/Keychains/System.keychain {ca}",
    ),
)


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    read_authority(settings)
    file = str((settings.authority_folder / CERTIFICATE).resolve())
    host = arguments.host or _registry(settings)
    if arguments.json:
        say(
            json.dumps(
                {
                    "certificate": file,
                    "places": {title: list(steps(host, file, title)) for title, *_ in _PLACES},
                }
            )
        )
        return 0
    for title, *_ in _PLACES:
        say(styled(f"# {title}", "dim"), *steps(host, file, title))
    return 0


def steps(host: str, file: str, title: str) -> list[str]:
    """The commands of one place, for a registry that clients call `host`."""
    [commands] = [commands for name, *commands in _PLACES if name == title]
    return [
        command.replace("{host}", shlex.quote(host)).replace("{ca}", shlex.quote(file))
        for command in commands
    ]


def _registry(settings: Settings) -> str:
    """HOST:PORT of the default registry, as it stands in the names of images."""
    port = host_and_port(settings.listen_tls)[1] if settings.listen_tls else 443
    return settings.hostname if port in (0, 443) else f"{settings.hostname}:{port}"
