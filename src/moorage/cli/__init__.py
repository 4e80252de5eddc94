"""The command line."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module


def main(argv: Sequence[str] | None = None) -> int:
    """`moorage`. Loaded when it is called: the credential helper lives in this package too, and is to be fast."""
    return int(import_module("moorage.cli.program").main(argv))
