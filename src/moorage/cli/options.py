"""Options that set `Settings`: made from its fields, so that neither has one the other lacks."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from moorage.config.settings import OPTIONS, Settings

FIELDS = OPTIONS
CONFIG_VARIABLE = "MOORAGE_CONFIG"
_METAVARS = {
    "account": "ID",
    "archive_data": "DIR",
    "certificates": "DIR",
    "data": "DIR",
    "domain": "DOMAIN",
    "hostname": "NAME",
    "listen": "HOST:PORT",
    "listen_tls": "HOST:PORT",
    "memory_cache": "BYTES",
    "otlp_endpoint": "URL",
    "quotas": "none|aws",
    "region": "LABEL",
    "restore_seconds": "SECONDS",
    "root_key_file": "FILE",
}
_METAVARS_BY_TYPE = {"float": "HOURS", "int": "NUMBER"}


def add_settings(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """An option for each field, and `--config`. What is not given stays None: it may come from elsewhere."""
    group = parser.add_argument_group("settings", "Each is also a MOORAGE_… variable and a line of the file.")
    group.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"TOML file of settings; options and variables win over it. Variable: {CONFIG_VARIABLE}.",
    )
    for name in names:
        _add(group, name)


def settings_from(arguments: argparse.Namespace) -> Settings:
    """Raise `InvalidSettings`."""
    file = arguments.config or os.environ.get(CONFIG_VARIABLE) or None
    options = {name: value for name, value in vars(arguments).items() if name in FIELDS}
    return Settings.load(options, os.environ, Path(file) if file else None)


def option(name: str) -> str:
    """`root_key_file` is `--root-key-file`."""
    return "--" + name.replace("_", "-")


def _add(group: argparse._ArgumentGroup, name: str) -> None:
    item = FIELDS[name]
    words = f"{item.metadata['help']}{_default(item.default)}".replace("%", "%%")
    if item.type == "bool":
        group.add_argument(option(name), action=argparse.BooleanOptionalAction, default=None, help=words)
    else:
        metavar = _METAVARS.get(name) or _METAVARS_BY_TYPE.get(str(item.type), "TEXT")
        group.add_argument(option(name), metavar=metavar, help=words)


def _default(value: object) -> str:
    return "" if value is None or value == "" or isinstance(value, bool) else f" Default: {value}."
