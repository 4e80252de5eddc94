"""The command line."""

from __future__ import annotations

import importlib
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """`moorage`. Loaded when it is called: the credential helper lives in this package too, and is to be fast."""
    return int(importlib.import_module("moorage.cli.program").main(argv))
