"""Limits above the accounts: service control policies for who calls, resource control policies for what is called.

They come from the configuration. An account has levels, as from the root of an organization down to the account; every
level must allow. An account that no level names is limited by nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from moorage.access.policies.compile import Policy

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
