"""May they? The one decision that every request passes. Pure but for the call it is asked about.

Until users, roles and policies exist there is one kind of principal: the root of an account, who may do everything in
the own account and nothing in another (cross-account access needs the other side's policy).
"""

from __future__ import annotations

from moorage.access.call import Call
from moorage.access.principals import Principal
from moorage.base.errors import AccessDenied


def authorize(call: Call, action: str, resource: str) -> None:
    """Raise `AccessDenied` unless the principal may do `action` (`ecr:PutImage`) on `resource` (an ARN, or `*`)."""
    if not decide(call.principal, action, resource):
        raise AccessDenied(
            principal=call.principal.arn,
            action=action,
            resource=resource,
            because=f"because no resource-based policy allows the {action} action",
        )


def allows(call: Call, action: str, resource: str) -> bool:
    """Whether `authorize` would let it pass, for a decision inside an operation (a mount's source)."""
    return decide(call.principal, action, resource)


def decide(principal: Principal, action: str, resource: str) -> bool:
    """`action` plays no part yet: root may do all or nothing."""
    return resource == "*" or _account_of(resource) == principal.account


def _account_of(arn: str) -> str:
    """arn:partition:service:region:ACCOUNT:resource"""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 else ""
