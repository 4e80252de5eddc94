"""Who calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. Until users and roles exist, the root of an account is the only kind."""

    account: str
    arn: str
    user_id: str
    access_key_id: str

    @property
    def owner_id(self) -> str:
        """Who an upload belongs to: the user or role, not the session (a renewed CI token can go on)."""
        return self.user_id


def root_of(account: str, access_key_id: str) -> Principal:
    return Principal(account, f"arn:aws:iam::{account}:root", account, access_key_id)
