"""Running the registry, and what points a machine at it."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from moorage.cli.commands.command import OPENED, WHERE, Command, json_output
from moorage.cli.options import FIELDS, add_settings

CLIENTS = ("docker", "podman", "helm")
SHELLS = ("sh", "fish", "powershell")


def _shell(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shell", choices=SHELLS, default="sh", help="Whose syntax to print. Default: sh.")


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--install", action="store_true", help="Put it where the AWS CLI and boto3 find it.")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="Where models are installed. Default: ~/.aws/models."
    )


def _only(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only",
        action="append",
        choices=CLIENTS,
        help="Log in this client alone; may be given several times. Default: those found on PATH.",
    )


_ALL = partial(add_settings, names=tuple(FIELDS))
_STORED = partial(add_settings, names=("data", "listen", "account", "region", "hostname", "root_key_file"))

COMMANDS = (
    Command(
        "serve",
        "serve",
        "run the registry",
        "Run the registry until SIGTERM or Ctrl-C; running transfers are finished first.\n"
        "An empty data directory is initialised: the root credentials are written to DIR/credentials\n"
        "(mode 0600) and their path is printed.",
        "moorage serve\n"
        "moorage serve --data /var/lib/moorage --listen 0.0.0.0:5050 --hostname registry.example\n"
        "MOORAGE_REGION=eu-west-1 moorage serve --config /etc/moorage.toml",
        (_ALL,),
    ),
    Command(
        "init",
        "init",
        "initialise a data directory without serving",
        "Make the data directory, the root key, the default account and its root credentials.\n"
        "What is there already stays.",
        "moorage init --account 123456789012\n"
        "moorage init --data /var/lib/moorage --root-key-file /etc/moorage/root.key",
        (_STORED, json_output),
    ),
    Command(
        "env",
        "env",
        "print shell exports for the AWS CLI",
        "Print what makes the AWS CLI and every AWS SDK in this shell use this registry.\n"
        "Variables that would win over it are unset. The secret itself is not printed.",
        'eval "$(moorage env)"\n'
        "moorage env --shell fish | source\n"
        "moorage env --shell powershell | Out-String | Invoke-Expression",
        (WHERE, _shell, json_output),
    ),
    Command(
        "model",
        "model",
        "teach the AWS CLI and boto3 Moorage's own operations",
        "Print the description of what Moorage does and Amazon ECR does not, in the form in which the AWS CLI and\n"
        "boto3 have their services; --install puts it where they find it. Then `aws moorage help` lists the\n"
        "operations.",
        "moorage model --install\n"
        "moorage model --install --folder /usr/share/aws/models\n"
        "moorage model > service-2.json",
        (_model, json_output),
    ),
    Command(
        "login",
        "login",
        "log docker, podman and helm in",
        "Get a registry password with the root credentials and hand it to the clients found on PATH,\n"
        "over their standard input. It is good for 12 hours.",
        "moorage login\nmoorage login --only docker --only helm",
        (WHERE, _only, json_output),
    ),
    Command(
        "doctor",
        "doctor",
        "check this installation and the clients of this machine",
        "Check the data directory, the server and the clients. Exit 1 if something is broken (✗);\n"
        "warnings (!) do not count.",
        "moorage doctor\nmoorage doctor --json",
        (OPENED, json_output),
    ),
)
