"""Every command: its name, the module that runs it, its options and what `--help` says."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from moorage.cli.options import FIELDS, add_settings

CLIENTS = ("docker", "podman", "helm")
SHELLS = ("sh", "fish", "powershell")


@dataclass(frozen=True, slots=True)
class Command:
    """`module`, in this package, has `run(arguments) -> int`; without one it is a group of commands."""

    name: str
    module: str | None
    summary: str
    description: str
    examples: str
    options: tuple[Callable[[argparse.ArgumentParser], None], ...] = ()


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="Print one JSON document.")


def _shell(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shell", choices=SHELLS, default="sh", help="Whose syntax to print. Default: sh.")


def _new_account(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", dest="id", metavar="ID", help="Its 12-digit id; random without.")


def _only(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only",
        action="append",
        choices=CLIENTS,
        help="Log in this client alone; may be given several times. Default: those found on PATH.",
    )


_ALL = partial(add_settings, names=tuple(FIELDS))
_STORED = partial(add_settings, names=("data", "listen", "account", "region", "hostname", "root_key_file"))
_OPENED = partial(add_settings, names=("data", "root_key_file"))
_WHERE = partial(add_settings, names=("data",))

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
        (_STORED, _json),
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
        (_WHERE, _shell, _json),
    ),
    Command(
        "login",
        "login",
        "log docker, podman and helm in",
        "Get a registry password with the root credentials and hand it to the clients found on PATH,\n"
        "over their standard input. It is good for 12 hours.",
        "moorage login\nmoorage login --only docker --only helm",
        (_WHERE, _only, _json),
    ),
    Command(
        "doctor",
        "doctor",
        "check this installation and the clients of this machine",
        "Check the data directory, the server and the clients. Exit 1 if something is broken (✗);\n"
        "warnings (!) do not count.",
        "moorage doctor\nmoorage doctor --json",
        (_OPENED, _json),
    ),
    Command(
        "account", None, "create and list accounts", "Create and list the accounts.", "moorage account list"
    ),
    Command(
        "account create",
        "account_create",
        "create an account and its root credentials",
        "Create an account. Its root credentials are written to DIR/credentials-ID (mode 0600) and the\n"
        "path is printed. Works beside the running server.",
        "moorage account create\nmoorage account create --account 210987654321",
        (_new_account, _OPENED, _json),
    ),
    Command(
        "account list",
        "account_list",
        "list the accounts",
        "List the accounts, the default one marked. Works beside the running server.",
        "moorage account list\nmoorage account list --json",
        (_OPENED, _json),
    ),
)
