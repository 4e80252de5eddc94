"""Why not: the end of "User: … is not authorized to perform: …", in the words of Amazon's guide."""

from __future__ import annotations

from moorage.access.policies.decide import Decision, Layer

# With an article, for a statement that denies; without, for no policy that allows.
_NAMES: dict[Layer, tuple[str, str]] = {
    "boundary": ("a permissions boundary", "permissions boundary"),
    "endpoint": ("a VPC endpoint policy", "VPC endpoint policy"),
    "identity": ("an identity-based policy", "identity-based policy"),
    "rcp": ("a resource control policy", "resource control policy"),
    "resource": ("a resource-based policy", "resource-based policy"),
    "scp": ("a service control policy", "service control policy"),
    "session": ("a session policy", "session policy"),
    "trust": ("the role trust policy", "role trust policy"),
}


def because(decision: Decision, action: str, *, names_source: bool = False) -> str:
    """`because no identity-based policy allows the ecr:PutImage action`.

    `names_source` adds which policy denies it, for callers of the same account.
    """
    denying, allowing = _NAMES[decision.layer or "identity"]
    if not decision.explicit:
        return f"because no {allowing} allows the {action} action"
    source = f": {decision.source}" if names_source and decision.source else ""
    return f"with an explicit deny in {denying}{source}"
