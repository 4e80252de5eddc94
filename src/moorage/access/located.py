"""The whole ARN of a user, role or group that a request names without its path."""

from __future__ import annotations

from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Kind
from moorage.access.principals import Principal
from moorage.store.db.api import Reads

_KINDS: dict[str, Kind] = {"user": "user", "role": "role", "group": "group"}


async def located(reads: Reads, principal: Principal, arn: str) -> str:
    """`arn:aws:iam::ACCOUNT:user/NAME` with the path that the user has; any other ARN as it is.

    Without a name it is the calling user's own, as IAM reads a missing `UserName`.
    """
    if not arn.startswith("arn:aws:iam::"):
        return arn
    head, _, named = arn.rpartition(":")
    kind, _, name = named.partition("/")
    if kind not in _KINDS or "/" in name:
        return arn
    if not name:
        return principal.arn if principal.kind == "user" and kind == "user" else arn
    account = head.rpartition(":")[2]
    found = await entities.find(reads, account, _KINDS[kind], name)
    return found.arn if found is not None else arn
