"""Limits above the accounts: service control policies for who calls, resource control policies for what is called.

They come from the configuration. An account has levels, as from the root of an organization down to the account; every
level must allow. An account that no level names is limited by nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from moorage.access.policies.compile import Policy, compile_policy
from moorage.access.policies.document import MalformedPolicy, parse
from moorage.base.names import is_account_id

EVERY_ACCOUNT = "*"
_ID = re.compile(r"o-[a-z0-9]{10,32}")
_KINDS: dict[str, Literal["scp", "rcp"]] = {"rcp": "rcp", "scp": "scp"}


class OrganizationMisconfigured(Exception):
    """Says which table or file is wrong, and why."""


@dataclass(frozen=True, slots=True)
class Level:
    kind: Literal["scp", "rcp"]
    accounts: tuple[str, ...]
    """`*` is every account."""
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Organization:
    id: str = ""
    """`o-…`, which every account here is in; empty for none."""
    levels: Sequence[Level] = ()

    def scps_of(self, account: str) -> tuple[tuple[Policy, ...], ...]:
        return self._of("scp", account)

    def rcps_of(self, account: str) -> tuple[tuple[Policy, ...], ...]:
        return self._of("rcp", account)

    def _of(self, kind: str, account: str) -> tuple[tuple[Policy, ...], ...]:
        return tuple(
            level.policies
            for level in self.levels
            if level.kind == kind and (account in level.accounts or EVERY_ACCOUNT in level.accounts)
        )


def organization_in(table: Any, controls: Any, folder: Path) -> Organization:
    """Of `[organization]` and `[[control_policies]]`; their files are in the folder of the configuration.

    Raise `OrganizationMisconfigured`.
    """
    if not isinstance(table, dict) or not set(table) <= {"id"}:
        raise OrganizationMisconfigured("organization has to be a table with an id: [organization]")
    id_ = table.get("id", "")
    if id_ != "" and not (isinstance(id_, str) and _ID.fullmatch(id_)):
        raise OrganizationMisconfigured(
            f"organization: id is {id_!r}: o- and 10 to 32 characters a-z and 0-9, in quotes"
        )
    if not isinstance(controls, list):
        raise OrganizationMisconfigured("control_policies has to be a list of tables: [[control_policies]]")
    return Organization(id_, tuple(_level(each, number, folder) for number, each in enumerate(controls, 1)))


def _level(table: Any, number: int, folder: Path) -> Level:
    where = f"control_policies[{number}]"
    if not isinstance(table, dict):
        raise OrganizationMisconfigured(f"{where} has to be a table: [[control_policies]]")
    unknown = sorted(table.keys() - {"kind", "accounts", "files"})
    if unknown:
        raise OrganizationMisconfigured(f"{where}: there is no setting called {', '.join(unknown)}")
    kind = _KINDS.get(str(table.get("kind")))
    if kind is None:
        raise OrganizationMisconfigured(f"{where}: kind is {table.get('kind')!r}: scp or rcp, in quotes")
    accounts = _texts(table.get("accounts"), "accounts", where)
    wrong = [account for account in accounts if account != EVERY_ACCOUNT and not is_account_id(account)]
    if wrong:
        raise OrganizationMisconfigured(
            f"{where}: accounts has '{wrong[0]}': an account id has 12 digits, * is every"
        )
    files = [folder / name for name in _texts(table.get("files"), "files", where)]
    policies = tuple(_read(file, kind, where) for file in files)
    if kind == "scp" and not any(_allows_something(policy) for policy in policies):
        # AWS attaches FullAWSAccess to each level; here it is easily forgotten.
        raise OrganizationMisconfigured(
            f"{where}: none of its files allows anything: add a policy that allows *"
        )
    return Level(kind, accounts, policies)


def _allows_something(policy: Policy) -> bool:
    return any(statement.effect == "Allow" for statement in policy.statements)


def _texts(value: Any, name: str, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise OrganizationMisconfigured(
            f"{where}: {name} is {value!r}: a list of at least one text, in quotes"
        )
    return tuple(value)


def _read(file: Path, kind: Literal["scp", "rcp"], where: str) -> Policy:
    try:
        text = file.read_text(encoding="utf-8")
        parse(text, kind)
        return compile_policy(text, kind, source=file.stem)
    except (OSError, UnicodeDecodeError, MalformedPolicy) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OrganizationMisconfigured(f"{where}: {file}: {reason}") from None
