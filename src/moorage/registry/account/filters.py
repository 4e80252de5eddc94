"""Which repositories a rule is about. Pure; Amazon ECR has three ways to say it (user guide, "Filters").

scanning       WILDCARD        without `*` a part of the name, with it the whole name
signing        WILDCARD_MATCH  the whole name
replication    PREFIX_MATCH    how the name begins; no `/` is implied
"""

from __future__ import annotations


def scanning_matches(pattern: str, name: str) -> bool:
    return wildcard_matches(pattern, name) if "*" in pattern else pattern in name


def signing_matches(pattern: str, name: str) -> bool:
    return wildcard_matches(pattern, name)


def replication_matches(prefix: str, name: str) -> bool:
    return name.startswith(prefix)


def wildcard_matches(pattern: str, text: str) -> bool:
    """`*` stands for any characters or none. Each run between two stars is looked for once, from the left."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    *middle, last = rest
    if not text.startswith(first):
        return False
    at = len(first)
    for run in middle:
        found = text.find(run, at)
        if found < 0:
            return False
        at = found + len(run)
    return len(text) - len(last) >= at and text.endswith(last)
