"""Limits above the accounts: service control policies for who calls, resource control policies for what is called.

They come from the configuration. An account has levels, as from the root of an organization down to the account; every
level must allow. An account that no level names is limited by nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moorage.access.organization_table import LevelTable, OrganizationMisconfigured, OrganizationTable
from moorage.access.policies.compile import Policy, compile_policy
from moorage.access.policies.document import MalformedPolicy, parse

EVERY_ACCOUNT = "*"


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


def organization_of(table: OrganizationTable) -> Organization:
    """Read and compile its files. Raise `OrganizationMisconfigured`."""
    return Organization(table.id, tuple(_level(level) for level in table.levels))


def _level(table: LevelTable) -> Level:
    policies = tuple(_read(file, table.kind) for file in table.files)
    if table.kind == "scp" and not any(_allows_something(policy) for policy in policies):
        # AWS attaches FullAWSAccess to each level; here it is easily forgotten.
        names = ", ".join(map(str, table.files))
        raise OrganizationMisconfigured(
            f"a level of scp allows nothing ({names}): add a policy that allows *"
        )
    return Level(table.kind, table.accounts, policies)


def _read(file: Path, kind: Literal["scp", "rcp"]) -> Policy:
    try:
        text = file.read_text(encoding="utf-8")
        parse(text, kind)
        return compile_policy(text, kind, source=file.stem)
    except (OSError, UnicodeDecodeError, MalformedPolicy) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OrganizationMisconfigured(f"{file}: {reason}") from None


def _allows_something(policy: Policy) -> bool:
    return any(statement.effect == "Allow" for statement in policy.statements)
