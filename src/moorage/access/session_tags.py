"""The tags of a session: those asked for, and those that its caller's session hands on. Pure.

A transitive tag goes on into every session begun from this one, and nobody on the way can change it: who trusts it in
a policy trusts whoever set it first (STS user guide, "Passing session tags").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from moorage.access.principals import Session
from moorage.base.errors.requests import InvalidParameter

MOST = 50
RESERVED = "aws:"


@dataclass(frozen=True, slots=True)
class SessionTags:
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: tuple[str, ...] = ()


def session_tags(
    asked: Sequence[tuple[str, str]], transitive: Sequence[str], caller: Session | None
) -> SessionTags:
    """`caller` is the session that asks, if it is one. Keys are one without regard to case.

    Raise `InvalidParameter`.
    """
    folded = {key.lower() for key, _ in asked}
    if len(folded) < len(asked):
        raise InvalidParameter("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.startswith(RESERVED) for key in folded):
        raise InvalidParameter("Tag keys that begin with 'aws:' are reserved.")
    if not {key.lower() for key in transitive} <= folded:
        raise InvalidParameter("The specified transitive tag key must be included in the requested tags.")
    inherited = _inherited(caller)
    if folded & {key.lower() for key in inherited}:
        raise InvalidParameter(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
            "from the calling session."
        )
    if len(inherited) + len(asked) > MOST:
        raise InvalidParameter(f"A session has at most {MOST} tags, those of the calling session included.")
    return SessionTags({**inherited, **dict(asked)}, (*inherited, *transitive))


def _inherited(caller: Session | None) -> dict[str, str]:
    if caller is None:
        return {}
    keys = {key.lower() for key in caller.transitive}
    return {key: value for key, value in caller.tags if key.lower() in keys}
