"""`moorage policy check`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from moorage.access.policies.review import Remark, kind_of, review
from moorage.access.policies.syntax import CHARACTERS_MAX
from moorage.cli.output import Failed, say, styled


def run(arguments: argparse.Namespace) -> int:
    text = _text(arguments.file)
    kind = arguments.kind or kind_of(text)
    remarks = review(text, kind)
    if arguments.json:
        say(json.dumps({"kind": kind, "remarks": [_document(remark) for remark in remarks]}))
    else:
        say(*(_line(arguments.file, remark) for remark in remarks))
        if not any(remark.is_problem for remark in remarks):
            say(f"{arguments.file}: {styled('can be stored', 'green')} as {kind} policy")
    return 1 if any(remark.is_problem for remark in remarks) else 0


def _text(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.read(CHARACTERS_MAX + 1)
        with Path(name).open(encoding="utf-8") as file:
            return file.read(CHARACTERS_MAX + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise Failed(f"{name}: {reason}") from error


def _line(file: str, remark: Remark) -> str:
    place = f"{file}:{remark.at.line}:{remark.at.column}" if remark.at else file
    word = styled("error", "red") if remark.is_problem else styled("warning", "yellow")
    return f"{place}: {word}: {remark.text}"


def _document(remark: Remark) -> dict[str, object]:
    return {
        "level": "error" if remark.is_problem else "warning",
        "text": remark.text,
        "line": remark.at.line if remark.at else None,
        "column": remark.at.column if remark.at else None,
    }
