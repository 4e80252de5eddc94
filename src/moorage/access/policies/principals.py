"""Whom a statement of a resource policy names, and how directly.

How directly decides what else must agree (`decide`): naming an account only lets its own policies speak.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from moorage.access.policies.asked import Caller

EVERYONE = "*"

_ACCOUNT = re.compile(r"(?:arn:aws[a-z-]*:iam::)?(?P<account>[0-9]{12})(?::root)?")
_ARN = re.compile(
    r"arn:aws[a-z-]*:(?:iam::[0-9]{12}:(?:root|(?:user|role)/[!-)+->@-~]{1,576})"
    r"|sts::[0-9]{12}:(?:assumed-role|federated-user)/[!-)+->@-~]{1,192})"
)
_UNIQUE_ID = re.compile(r"A[A-Z0-9]{15,127}")
_FEDERATED = re.compile(
    r"arn:aws[a-z-]*:iam::[0-9]{12}:(?:oidc|saml)-provider/[!-)+->@-~]{1,512}|[a-z0-9.-]{3,255}"
)
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")


class Grant(IntEnum):
    """How directly a caller is named; the most direct counts."""

    NONE = 0
    ACCOUNT = 1
    """Its account."""
    ROLE = 2
    """What its session comes from: the role, or the user of a federated session."""
    DIRECT = 3
    """Itself, or everyone."""


@dataclass(frozen=True, slots=True)
class Principals:
    everyone: bool = False
    aws: frozenset[str] = frozenset()
    """ARNs and unique ids."""
    accounts: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()

    def grant(self, caller: Caller) -> Grant:
        if self.everyone:
            return Grant.DIRECT
        if not caller.has_identity:
            is_named = caller.service in self.services or caller.provider in self.providers
            return Grant.DIRECT if is_named else Grant.NONE
        if caller.arn in self.aws or (caller.kind == "user" and caller.unique_id in self.aws):
            return Grant.DIRECT
        if caller.kind != "user" and not self.aws.isdisjoint(_origins(caller)):
            return Grant.ROLE
        return Grant.ACCOUNT if caller.account in self.accounts else Grant.NONE

    def spares(self, caller: Caller) -> bool:
        """As NotPrincipal: whether a denial leaves the caller alone.

        Each form of the caller must be listed (session, role and account; user and account), for whichever is not is
        denied. A caller with a permissions boundary is denied whatever is listed.
        """
        if self.everyone:
            return True
        if not caller.has_identity:
            return self.grant(caller) is Grant.DIRECT
        if caller.has_boundary or caller.account not in self.accounts:
            return False
        if caller.kind == "root":
            return True
        origins = _origins(caller)
        if caller.kind == "user":
            return caller.arn in self.aws or not self.aws.isdisjoint(origins)
        return caller.arn in self.aws and not self.aws.isdisjoint(origins)


def principals(types: Mapping[str, Sequence[str]]) -> Principals:
    """Of a Principal element, `{"AWS": ["123456789012"]}`; `{"AWS": ["*"]}` is everyone. Unknown values name nobody."""
    named = types.get("AWS", ())
    accounts = {found["account"] for value in named if (found := is_account(value))}
    return Principals(
        everyone=EVERYONE in named,
        aws=frozenset(value for value in named if value != EVERYONE and not is_account(value)),
        accounts=frozenset(accounts),
        services=frozenset(types.get("Service", ())) - {""},
        providers=frozenset(types.get("Federated", ())) - {""},
    )


def is_account(value: str) -> re.Match[str] | None:
    """`123456789012` and `arn:aws:iam::123456789012:root` mean the same."""
    found = _ACCOUNT.fullmatch(value)
    return found if found and value.startswith("arn:") == value.endswith(":root") else None


def is_principal(kind: str, value: str) -> bool:
    """Whether the value may be written: no wildcard but the bare `*`."""
    if kind == "AWS":
        is_arn_or_id = _ARN.fullmatch(value) or _UNIQUE_ID.fullmatch(value)
        return value == EVERYONE or is_arn_or_id is not None or is_account(value) is not None
    if kind == "Service":
        return _SERVICE.fullmatch(value) is not None
    if kind == "Federated":
        return _FEDERATED.fullmatch(value) is not None
    return kind == "CanonicalUser"


def _origins(caller: Caller) -> frozenset[str]:
    return frozenset({caller.role_arn, caller.user_arn, caller.unique_id}) - {""}
