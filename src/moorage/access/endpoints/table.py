"""`[[endpoints]]` of the configuration: endpoints that are there from the start, and changed in the file only."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moorage.access.endpoints.names import CARRIED, id_of_name, is_endpoint_id, is_network
from moorage.base.names import is_account_id

NAME_MAX = 64


class EndpointMisconfigured(Exception):
    """Says which endpoint is wrong, and what it should be."""


@dataclass(frozen=True, slots=True)
class EndpointTable:
    name: str
    listener: str
    """The name of a private listener."""
    services: tuple[str, ...]
    """Of `CARRIED`."""
    network: str
    """`vpc-…`: a label that policies ask for."""
    id: str
    account: str = ""
    """Empty for the default account."""
    policy: Path | None = None
    """Without one, everything is allowed through it that is allowed otherwise."""
    identity: str = ""
    """Of the client certificate that it is for; empty for all."""

    @classmethod
    def parse(cls, table: Any, number: int) -> EndpointTable:
        """Raise `EndpointMisconfigured`."""
        where = f"endpoints[{number}]"
        if not isinstance(table, dict):
            raise EndpointMisconfigured(f"{where} has to be a table: [[endpoints]]")
        unknown = sorted(table.keys() - {item.name for item in dataclasses.fields(cls)})
        if unknown:
            raise EndpointMisconfigured(f"{where}: there is no setting called {', '.join(unknown)}")
        name = _text(table, "name", where)
        if not 1 <= len(name) <= NAME_MAX:
            raise EndpointMisconfigured(f"{where}: name is '{name}': 1 to {NAME_MAX} characters")
        where = f"endpoint {name}"
        policy = _text(table, "policy", where)
        parsed = cls(
            name=name,
            listener=_text(table, "listener", where),
            services=_services(table, where),
            network=_text(table, "network", where),
            id=_text(table, "id", where) or id_of_name(name),
            account=_text(table, "account", where),
            policy=Path(policy) if policy else None,
            identity=_text(table, "identity", where),
        )
        parsed._check(where)
        return parsed

    def _check(self, where: str) -> None:
        wrong = (
            (not self.listener, "listener is missing: the name of a [[listeners]] table"),
            (
                not is_network(self.network),
                f"network is '{self.network}': vpc- and characters a-z, 0-9 and -",
            ),
            (not is_endpoint_id(self.id), f"id is '{self.id}': vpce- and 17 characters 0-9, a-f"),
            (
                bool(self.account) and not is_account_id(self.account),
                f"account is '{self.account}': an account id has 12 digits",
            ),
        )
        for is_wrong, says in wrong:
            if is_wrong:
                raise EndpointMisconfigured(f"{where}: {says}")


def tables_in(value: Any, listeners: Collection[str]) -> tuple[EndpointTable, ...]:
    """Of the file; raise `EndpointMisconfigured`, also where they contradict each other or name no listener."""
    if not isinstance(value, list):
        raise EndpointMisconfigured("endpoints has to be a list of tables: [[endpoints]]")
    tables = tuple(EndpointTable.parse(table, number) for number, table in enumerate(value, 1))
    for what, given in (("name", [table.name for table in tables]), ("id", [table.id for table in tables])):
        if len(set(given)) < len(given):
            raise EndpointMisconfigured(f"two endpoints have one {what}: {', '.join(sorted(given))}")
    for table in tables:
        if table.listener not in listeners:
            raise EndpointMisconfigured(
                f"endpoint {table.name}: there is no listener called '{table.listener}'"
            )
    return tables


def _text(table: Mapping[str, Any], name: str, where: str) -> str:
    value = table.get(name, "")
    if not isinstance(value, str):
        raise EndpointMisconfigured(f"{where}: {name} is {value!r}: it has to be text")
    return value


def _services(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    services = table.get("services")
    if not isinstance(services, list) or not services or any(each not in CARRIED for each in services):
        raise EndpointMisconfigured(
            f"{where}: services is {services!r}: a list of some of {', '.join(CARRIED)}"
        )
    return tuple(dict.fromkeys(services))
