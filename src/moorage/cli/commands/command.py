"""What a command is, and the options that many have."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from moorage.cli.options import add_settings


@dataclass(frozen=True, slots=True)
class Command:
    """`module`, in this package, has `run(arguments) -> int`; without one it is only a group of commands."""

    name: str
    module: str | None
    summary: str
    description: str
    examples: str
    options: tuple[Callable[[argparse.ArgumentParser], None], ...] = ()


def json_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="Print one JSON document.")


def of_account(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", dest="id", metavar="ID", help="The account. Default: the default one.")


WHERE = partial(add_settings, names=("data",))
OPENED = partial(add_settings, names=("data", "root_key_file"))
DECIDED = partial(add_settings, names=("data", "region", "root_key_file"))
"""Opens the database, and knows the region of what is named without one."""
