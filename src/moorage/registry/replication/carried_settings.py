"""`[replication_settings]` of the configuration: which settings of repositories go to a destination, besides images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.base.addresses import Registry
from moorage.registry.account.setting_names import SETTINGS
from moorage.registry.replication.tag_filters import TableMisconfigured, destination_in

CarriedSettings = Mapping[Registry, frozenset[str]]
"""A destination that is not in it gets none: the template of there says."""


def settings_in(table: Any) -> CarriedSettings:
    """`"ACCOUNT/REGION" = ["policy"]`. Raise `TableMisconfigured`."""
    if not isinstance(table, dict):
        raise TableMisconfigured("replication_settings has to be a table: [replication_settings]")
    carried = {}
    for place, names in table.items():
        destination = destination_in("replication_settings", place)
        if not isinstance(names, list) or not names:
            raise TableMisconfigured(
                f"replication_settings: {place} has to be a list of {', '.join(SETTINGS)}"
            )
        for name in names:
            if name not in SETTINGS:
                raise TableMisconfigured(
                    f"replication_settings: {place} has {name!r}, which is none of {', '.join(SETTINGS)}"
                )
        carried[destination] = frozenset(names)
    return carried
