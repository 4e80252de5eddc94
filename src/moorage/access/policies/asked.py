"""What is decided about: who asks, for which action, on which resource, in which circumstances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from moorage.access.policies.variables import Context

CallerKind = Literal["root", "user", "role", "federated", "service", "anonymous"]


@dataclass(frozen=True, slots=True)
class Caller:
    kind: CallerKind
    """`role` is a session of a role. `federated` is a session of GetFederationToken or, with `provider`, somebody whom
    an identity provider vouches for (AssumeRoleWithWebIdentity)."""
    account: str
    """Empty for services, the anonymous and those of a provider."""
    arn: str
    """Of a session `arn:aws:sts::…:assumed-role/ROLE/SESSION`, without the role's path."""
    role_arn: str = ""
    """Of the role that a session is of, with its path."""
    user_arn: str = ""
    """Of the user whom a federated session acts for."""
    unique_id: str = ""
    """AIDA… of the user, AROA… of the role: what a trust policy holds once it is stored."""
    service: str = ""
    """`lambda.amazonaws.com`"""
    provider: str = ""
    """The ARN of the identity provider, or its well-known host."""
    has_boundary: bool = False

    @property
    def is_service_linked(self) -> bool:
        return ":role/aws-service-role/" in self.role_arn

    @property
    def has_identity(self) -> bool:
        """Whether an account holds policies for it; others have what resource policies give them."""
        return self.kind not in ("service", "anonymous") and not self.provider


@dataclass(frozen=True, slots=True)
class Asked:
    caller: Caller
    action: str
    """`ecr:PutImage`"""
    resource: str
    """An ARN, or `*` where the action has no resource."""
    resource_account: str
    context: Context
