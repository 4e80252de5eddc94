"""Accounts and their root credentials."""

from __future__ import annotations

import argparse

from moorage.cli.commands.command import OPENED, Command, json_output, of_account


def _new_account(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", dest="id", metavar="ID", help="Its 12-digit id; random without.")


COMMANDS = (
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
        (_new_account, OPENED, json_output),
    ),
    Command(
        "account key",
        "account_key",
        "make a new root access key, where the old one is lost or revoked",
        "Make a new root access key of an account and write it where the old one was: DIR/credentials, or\n"
        "DIR/credentials-ID of another than the default account. A file whose key is active is not\n"
        "replaced. Works beside the running server.",
        "moorage account key\nmoorage account key --account 210987654321",
        (of_account, OPENED, json_output),
    ),
    Command(
        "account list",
        "account_list",
        "list the accounts",
        "List the accounts, the default one marked. Works beside the running server.",
        "moorage account list\nmoorage account list --json",
        (OPENED, json_output),
    ),
)
