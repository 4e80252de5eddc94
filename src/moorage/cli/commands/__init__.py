"""Every command: its name, the module that runs it, its options and what `--help` says; a file for each group."""

from __future__ import annotations

from moorage.cli.commands import access, accounts, certificates, lifecycle, providers, records, server

COMMANDS = (
    *server.COMMANDS,
    *accounts.COMMANDS,
    *access.COMMANDS,
    *lifecycle.COMMANDS,
    *certificates.COMMANDS,
    *records.COMMANDS,
    *providers.COMMANDS,
)
"""In the order of `moorage --help`."""
