"""The configuration file: settings as lines, and what is a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from moorage.access.endpoints.table import EndpointMisconfigured, tables_in
from moorage.access.organization_table import OrganizationMisconfigured, organization_in
from moorage.access.rates import RatesMisconfigured, rates_in
from moorage.base.addresses import Registry
from moorage.base.names import is_account_id, is_region
from moorage.config.addresses import is_domain
from moorage.config.invalid import InvalidSettings
from moorage.config.private_listener import PrivateListener
from moorage.registry.events.targets import TargetMisconfigured, targets_in
from moorage.registry.peers.peer import PeerMisconfigured, peers_in
from moorage.registry.replication.carried_settings import settings_in
from moorage.registry.replication.tag_filters import TableMisconfigured, filters_in

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Table = TypeVar("Table", bound="DataclassInstance")


def read_file(file: Path, known: Collection[str]) -> dict[str, Any]:
    """Its values by setting, of which there are those `known`. Raise `InvalidSettings`."""
    import tomllib  # Only here: most starts and commands have no file.

    try:
        values = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidSettings(f"{file} cannot be read: {error}") from None
    try:
        organization = organization_in(
            values.pop("organization", {}), values.pop("control_policies", []), file.parent
        )
    except OrganizationMisconfigured as error:
        raise InvalidSettings(f"{file}: {error}") from None
    unknown = sorted(values.keys() - set(known))
    if unknown:
        raise InvalidSettings(f"{file}: there is no setting called {', '.join(unknown)}")
    if "aliases" in values:
        values["aliases"] = _aliases(values["aliases"])
    if "listeners" in values:
        if not isinstance(values["listeners"], list):
            raise InvalidSettings("listeners has to be a list of tables: [[listeners]]")
        tables = enumerate(values["listeners"], 1)
        values["listeners"] = tuple(
            _beside(file, PrivateListener.parse(table, number)) for number, table in tables
        )
    if "endpoints" in values:
        listeners = {listener.name for listener in values.get("listeners", ())}
        try:
            values["endpoints"] = _all_beside(file, tables_in(values["endpoints"], listeners))
        except EndpointMisconfigured as error:
            raise InvalidSettings(str(error)) from None
    if "event_targets" in values:
        try:
            values["event_targets"] = _all_beside(file, targets_in(values["event_targets"]))
        except TargetMisconfigured as error:
            raise InvalidSettings(str(error)) from None
    for setting in ("replication_peers", "upstream_peers"):
        if setting in values:
            try:
                values[setting] = peers_in(values[setting], setting, file.parent)
            except PeerMisconfigured as error:
                raise InvalidSettings(str(error)) from None
    try:
        if "replication_tags" in values:
            values["replication_tags"] = filters_in(values["replication_tags"])
        if "replication_settings" in values:
            values["replication_settings"] = settings_in(values["replication_settings"])
        if "rates" in values:
            values["rates"] = rates_in(values["rates"])
    except (RatesMisconfigured, TableMisconfigured) as error:
        raise InvalidSettings(str(error)) from None
    return {**values, "organization": organization}


def _beside(file: Path, table: Table) -> Table:
    """The paths of a table are relative to the file that it stands in."""
    paths = {item.name: getattr(table, item.name) for item in dataclasses.fields(table)}
    found = {name: file.parent / path for name, path in paths.items() if isinstance(path, Path)}
    return dataclasses.replace(table, **found)


def _all_beside(file: Path, tables: Iterable[Table]) -> tuple[Table, ...]:
    return tuple(_beside(file, table) for table in tables)


def _aliases(table: Any) -> dict[str, Registry]:
    if not isinstance(table, dict):
        raise InvalidSettings("aliases has to be a table: [aliases]")
    aliases = {}
    for name, target in table.items():
        account, slash, region = target.partition("/") if isinstance(target, str) else ("", "", "")
        if not (slash and is_account_id(account) and is_region(region)):
            raise InvalidSettings(
                f"aliases: {name} is '{target}': ACCOUNT/REGION, for instance 123456789012/eu-west-1"
            )
        if not is_domain(name):
            raise InvalidSettings(f"aliases: '{name}' is no host name in lower case, without port")
        aliases[name] = Registry(account, region)
    return aliases
