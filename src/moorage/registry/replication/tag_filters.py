"""`[replication_tags]` of the configuration: which tags go to a destination. Amazon's rules cannot say that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from moorage.base.addresses import Registry
from moorage.base.names import is_account_id, is_region

TagFilters = Mapping[Registry, Sequence[str]]
"""A destination that is not in it takes every tag."""
MOST = 100
_PATTERN = re.compile(r"[A-Za-z0-9_.*-]{1,128}")


class TableMisconfigured(Exception):
    """Says what is wrong with a table whose keys are destinations."""


def filters_in(table: Any) -> TagFilters:
    """`"ACCOUNT/REGION" = ["v*"]`, where `*` is any characters. Raise `TableMisconfigured`."""
    if not isinstance(table, dict):
        raise TableMisconfigured("replication_tags has to be a table: [replication_tags]")
    filters = {}
    for place, patterns in table.items():
        destination = destination_in("replication_tags", place)
        if not isinstance(patterns, list) or not 0 < len(patterns) <= MOST:
            raise TableMisconfigured(f"replication_tags: {place} has to be a list of 1 to {MOST} texts")
        for pattern in patterns:
            if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
                raise TableMisconfigured(
                    f"replication_tags: {place} has {pattern!r}: a tag, in which * is any text"
                )
        filters[destination] = tuple(patterns)
    return filters


def destination_in(table: str, place: str) -> Registry:
    """Raise `TableMisconfigured`."""
    account, _, region = place.partition("/")
    if not (is_account_id(account) and is_region(region)):
        raise TableMisconfigured(
            f"{table}: '{place}' is no destination: ACCOUNT/REGION, for instance 123456789012/eu-west-1"
        )
    return Registry(account, region)
