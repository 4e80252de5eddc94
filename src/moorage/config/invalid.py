"""What is wrong with the settings."""

from __future__ import annotations


class InvalidSettings(Exception):
    """Says which setting is wrong, and what it should be."""
