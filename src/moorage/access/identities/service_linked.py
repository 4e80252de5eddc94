"""Service-linked roles: the service makes trust policy, permissions and name, and only it may change them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from moorage.access.identities import entity as entities
from moorage.access.identities.aws_managed import ARN_PREFIX
from moorage.access.identities.entity import Entity
from moorage.access.identities.roles import SERVICE_LINKED, is_service_linked
from moorage.base.errors.identities import InvalidInput, NoSuchEntity
from moorage.store.db.api import Transaction


@dataclass(frozen=True, slots=True)
class Service:
    role: str
    policy: str
    description: str


SERVICES = {
    "ecr.amazonaws.com": Service(
        "AWSServiceRoleForECRTemplate",
        "ECRTemplateServiceRolePolicy",
        "Creates repositories from repository creation templates.",
    ),
    "pullthroughcache.ecr.amazonaws.com": Service(
        "AWSServiceRoleForECRPullThroughCache",
        "AWSECRPullThroughCache_ServiceRolePolicy",
        "Keeps images of upstream registries.",
    ),
    "replication.ecr.amazonaws.com": Service(
        "AWSServiceRoleForECRReplication",
        "ECRReplicationServiceRolePolicy",
        "Copies images to other regions and accounts.",
    ),
}


async def create(
    tx: Transaction, account: str, service: str, now: int, *, description: str = "", suffix: str = ""
) -> Entity:
    """Raise `InvalidInput` for an unknown service, a suffix, or a role that exists."""
    known = SERVICES.get(service)
    if known is None:
        raise InvalidInput(f"Service-linked roles are not supported for {service}")
    if suffix:
        raise InvalidInput(f"Custom suffix is not allowed for {service}")
    if await entities.find(tx, account, "role", known.role) is not None:
        raise InvalidInput(
            f"Service role name {known.role} has been taken in this account, please try a different suffix."
        )
    role = await entities.insert(
        tx,
        account,
        "role",
        known.role,
        now,
        path=f"{SERVICE_LINKED}{service}/",
        description=description or known.description,
        trust_policy=_trust_policy(service),
    )
    policy = f"{ARN_PREFIX}{SERVICE_LINKED}{known.policy}"
    await tx.run("identities.attach", {"principal": role.id, "policy": policy})
    return role


async def delete(tx: Transaction, account: str, name: str) -> Entity:
    """With its attachment. Raise `NoSuchEntity`, also for a role that is no service's."""
    role = await entities.need(tx, account, "role", name)
    if not is_service_linked(role):
        raise NoSuchEntity(f"The service-linked role with name {name} cannot be found.")
    await tx.run("identities.detach_all", {"principal": role.id})
    await entities.delete(tx, role)
    return role


def _trust_policy(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
