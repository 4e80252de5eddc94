"""Which managed policies speak for which users, groups and roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.access.identities import managed
from moorage.access.identities.aws_managed import aws_managed
from moorage.access.identities.entity import Entity, Kind
from moorage.base.errors.identities import NoSuchEntity, PolicyNotAttachable
from moorage.base.errors.images import LimitExceeded
from moorage.store.db.api import Reads, Transaction

MOST = 20
"""Of one user, group or role: what AWS raises its quota to, on request."""
MOST_OF_AWS = 10
_QUOTAS: dict[Kind, str] = {
    "user": "PoliciesPerUser",
    "group": "PoliciesPerGroup",
    "role": "PoliciesPerRole",
}


@dataclass(frozen=True, slots=True)
class Holder:
    """A user, group or role that a policy is attached to or bounds."""

    kind: Kind
    name: str
    id: str


async def of(reads: Reads, entity: Entity) -> list[str]:
    """The ARNs of its managed policies, in order."""
    return [arn for (arn,) in await reads.all("identities.attached", {"principal": entity.id})]


async def of_all(reads: Reads, principals: list[str]) -> dict[str, list[str]]:
    """The ARNs, by the id of the principal."""
    found: dict[str, list[str]] = {id_: [] for id_ in principals}
    for principal, arn in await reads.all("identities.attached_to_all", {"principals": principals}):
        found[principal].append(arn)
    return found


async def attach(tx: Transaction, entity: Entity, arn: str, *, most: int = MOST) -> None:
    """Raise `NoSuchEntity`, `PolicyNotAttachable` and `LimitExceeded`; what is attached already stays so."""
    managed.refuse_malformed(arn)
    policy = await managed.find(tx, entity.account, arn)
    if policy is None:
        raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")
    if not policy.is_attachable:
        raise PolicyNotAttachable(
            f"Cannot attach a Service Role Policy to a Customer {entity.kind.capitalize()}."
        )
    attached = await of(tx, entity)
    if arn in attached:
        return
    if len(attached) >= most:
        raise LimitExceeded(f"Cannot exceed quota for {_QUOTAS[entity.kind]}: {most}")
    await tx.run("identities.attach", {"principal": entity.id, "policy": arn})


async def detach(tx: Transaction, entity: Entity, arn: str) -> None:
    """Raise `NoSuchEntity` for what is not attached."""
    managed.refuse_malformed(arn)
    if not await tx.run("identities.detach", {"principal": entity.id, "policy": arn}):
        raise NoSuchEntity(f"Policy {arn} was not found.")


async def holders(
    reads: Reads,
    account: str,
    arn: str,
    *,
    kinds: Sequence[Kind],
    path: str = "/",
    permissions: bool = True,
    bounding: bool = True,
    after: tuple[str, str] = ("", ""),
    limit: int = 100,
) -> list[Holder]:
    """Whom the policy is attached to (`permissions`) or bounds, by kind and name, after a kind and name."""
    rows = await reads.all(
        "identities.entities_of_policy",
        {
            "account": account,
            "arn": arn,
            "kinds": list(kinds),
            "path": path,
            "beyond": path + "\U0010ffff",
            "permissions": int(permissions),
            "bounding": int(bounding),
            "kind": after[0],
            "after": after[1].lower(),
            "limit": limit,
        },
    )
    return [Holder(kind, name, id_) for kind, name, id_ in rows]


def sort_key(arn: str) -> str:
    """Policies are listed by name; one of the account and one of AWS may have the same."""
    _, name = managed.path_and_name(arn)
    return f"{name.lower()}/{'aws' if aws_managed(arn) else 'own'}"
