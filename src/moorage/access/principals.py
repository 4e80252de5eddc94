"""Who calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from moorage.access.identities.entity import Entity


@dataclass(frozen=True, slots=True)
class Session:
    """What temporary credentials add to the user or role that they are of."""

    name: str
    issued: int
    expires: int
    """Microseconds, as all times."""
    policy: str = ""
    """Narrows what the user or role may do; empty for none."""
    policy_arns: tuple[str, ...] = ()
    """Managed policies that narrow it further."""
    tags: tuple[tuple[str, str], ...] = ()
    transitive: tuple[str, ...] = ()
    """Keys of the tags that go on into sessions begun from this one, and cannot be changed there."""
    source_identity: str = ""
    provider: str = ""
    """ARN of the identity provider that vouched for who began it."""
    is_chained: bool = False
    """Begun with the credentials of another role's session."""
    claims: bytes = field(default=b"", repr=False)
    """As in its token, to be sealed again into passwords and URLs (`sessions.claims_in`)."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: the root of an account, a user, or a session of a role."""

    account: str
    arn: str
    """As in messages: of a role's session `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`."""
    user_id: str
    """AIDA…, `AROA…:SESSION`, or the account of a root."""
    access_key_id: str
    kind: Literal["root", "user", "role", "anonymous"] = "root"
    id: str = ""
    """Of the user's or role's row; the account of a root."""
    name: str = ""
    """Of the user or role."""
    role_arn: str = ""
    """Of the role, with its path."""
    session: Session | None = None
    """None with long-term keys."""

    @property
    def owner_id(self) -> str:
        """Who an upload belongs to: the user or role, not the session (a renewed CI token can go on)."""
        return self.id


def root_of(account: str, access_key_id: str, session: Session | None = None) -> Principal:
    return Principal(
        account, f"arn:aws:iam::{account}:root", account, access_key_id, "root", id=account, session=session
    )


def principal_of(entity: Entity, key_id: str, session: Session | None) -> Principal:
    """A user with long-term keys or a session, or a session of a role."""
    if entity.kind == "role":
        name = session.name if session else ""
        arn = f"arn:aws:sts::{entity.account}:assumed-role/{entity.name}/{name}"
        return Principal(
            entity.account,
            arn,
            f"{entity.id}:{name}",
            key_id,
            "role",
            entity.id,
            entity.name,
            entity.arn,
            session,
        )
    return Principal(
        entity.account, entity.arn, entity.id, key_id, "user", entity.id, entity.name, "", session
    )


ANONYMOUS = Principal("", "anonymous", "anonymous", "", "anonymous")
"""Who calls what needs no signature: its credentials are in the request."""
