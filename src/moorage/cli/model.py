"""`moorage model`: the description of our own operations, from which the AWS CLI and boto3 learn them."""

from __future__ import annotations

import argparse
import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from moorage.cli.output import Failed, say
from moorage.cli.profile import replace_file

MODEL = "service-2.json"
"""The operations and their shapes; the files beside it add pages, waiters and where the server is."""

_SERVICE = "moorage"


def run(arguments: argparse.Namespace) -> int:
    version = _version()
    if not arguments.install:
        say(version.joinpath(MODEL).read_text(encoding="utf-8").rstrip())
        return 0
    folder = _folder(arguments.folder) / _SERVICE / version.name
    try:
        written = _install(version, folder)
    except OSError as error:
        raise Failed(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error
    if arguments.json:
        say(json.dumps({"folder": str(folder), "files": written}))
    else:
        say(f"The AWS CLI and boto3 find the operations of moorage in {folder}: aws moorage help")
    return 0


def _version() -> Traversable:
    """The folder of the newest: they are named after days."""
    versions = files("moorage.aws").joinpath("models").joinpath(_SERVICE).iterdir()
    return max(versions, key=lambda version: version.name)


def _folder(given: Path | None) -> Path:
    """Where the AWS CLI and SDKs look for models that did not come with them."""
    if given is not None:
        return given
    try:
        return Path.home() / ".aws" / "models"
    except RuntimeError as error:
        raise Failed("there is no home directory: say where with --folder") from error


def _install(version: Traversable, folder: Path) -> list[str]:
    """Each file at once, whole; what is there already is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for file in sorted(version.iterdir(), key=lambda file: file.name):
        replace_file(folder / file.name, file.read_text(encoding="utf-8"), mode=0o644)
        written.append(file.name)
    return written
