"""What the command line prints: short, aligned, coloured only on a terminal without NO_COLOR."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TextIO

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_STYLE = re.compile(r"\x1b\[[0-9]+m")


class Failed(Exception):
    """The command could not do it. The message is one line and says what to do."""


def say(*lines: str) -> None:
    """To standard output, at once: it may be a pipe that somebody waits on."""
    for line in lines:
        print(line)
    sys.stdout.flush()


def styled(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in a style, where the stream shows it."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns. Cells may be styled."""
    widths = [max(_width(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _width(cell: str) -> int:
    return len(_STYLE.sub("", cell))
