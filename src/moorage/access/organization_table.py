"""`[organization]` and `[[control_policies]]` of the configuration, before their files are read.

By itself because every command reads the configuration, and few need policies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from moorage.base.names import is_account_id

_ID = re.compile(r"o-[a-z0-9]{10,32}")
_KINDS: dict[str, Literal["scp", "rcp"]] = {"rcp": "rcp", "scp": "scp"}


class OrganizationMisconfigured(Exception):
    """Says which table or file is wrong, and why."""


@dataclass(frozen=True, slots=True)
class LevelTable:
    kind: Literal["scp", "rcp"]
    accounts: tuple[str, ...]
    """`*` is every account."""
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class OrganizationTable:
    id: str = ""
    levels: tuple[LevelTable, ...] = ()


def organization_in(table: Any, controls: Any, folder: Path) -> OrganizationTable:
    """Paths are relative to the folder of the configuration. Raise `OrganizationMisconfigured`."""
    if not isinstance(table, dict) or not set(table) <= {"id"}:
        raise OrganizationMisconfigured("organization has to be a table with an id: [organization]")
    id_ = table.get("id", "")
    if id_ != "" and not (isinstance(id_, str) and _ID.fullmatch(id_)):
        raise OrganizationMisconfigured(
            f"organization: id is {id_!r}: o- and 10 to 32 characters a-z and 0-9, in quotes"
        )
    if not isinstance(controls, list):
        raise OrganizationMisconfigured("control_policies has to be a list of tables: [[control_policies]]")
    levels = (_level(each, f"control_policies[{number}]", folder) for number, each in enumerate(controls, 1))
    return OrganizationTable(id_, tuple(levels))


def _level(table: Any, where: str, folder: Path) -> LevelTable:
    if not isinstance(table, dict):
        raise OrganizationMisconfigured(f"{where} has to be a table: [[control_policies]]")
    unknown = sorted(table.keys() - {"kind", "accounts", "files"})
    if unknown:
        raise OrganizationMisconfigured(f"{where}: there is no setting called {', '.join(unknown)}")
    kind = _KINDS.get(str(table.get("kind")))
    if kind is None:
        raise OrganizationMisconfigured(f"{where}: kind is {table.get('kind')!r}: scp or rcp, in quotes")
    accounts = _texts(table.get("accounts"), "accounts", where)
    wrong = [account for account in accounts if account != "*" and not is_account_id(account)]
    if wrong:
        raise OrganizationMisconfigured(
            f"{where}: accounts has '{wrong[0]}': an account id has 12 digits, * is every account"
        )
    return LevelTable(
        kind, accounts, tuple(folder / name for name in _texts(table.get("files"), "files", where))
    )


def _texts(value: Any, name: str, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise OrganizationMisconfigured(
            f"{where}: {name} is {value!r}: a list of at least one text, in quotes"
        )
    return tuple(value)
