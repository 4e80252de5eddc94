"""The command line."""

from moorage.cli.program import main

__all__ = ["main"]
