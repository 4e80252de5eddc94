"""The replication configuration of a registry, as it was put (ECR API reference, ReplicationConfiguration)."""

from __future__ import annotations

from moorage.aws.shapes.ecr import ReplicationConfiguration
from moorage.base.addresses import Registry
from moorage.base.errors.requests import InvalidParameter, Validation
from moorage.registry.account import settings
from moorage.store.db.api import Reads, Transaction

_NAME = "replication"
DESTINATIONS_MAX = 25  # different ones, over all rules (user guide, "Amazon ECR service quotas")


async def configuration_of(reads: Reads, registry: Registry) -> ReplicationConfiguration:
    """A registry that has put none replicates nothing."""
    stored = await settings.document_of(reads, registry, _NAME, ReplicationConfiguration)
    return stored or ReplicationConfiguration(rules=[])


async def store(
    tx: Transaction, registry: Registry, configuration: ReplicationConfiguration, now: int
) -> None:
    """Replace the whole configuration. Raise `InvalidParameter` or `Validation`."""
    check(registry, configuration)
    await settings.store_document(tx, registry, _NAME, configuration, now)


def check(registry: Registry, configuration: ReplicationConfiguration) -> None:
    """Raise `InvalidParameter` or `Validation`."""
    destinations = {
        Registry(each.registry_id, each.region) for rule in configuration.rules for each in rule.destinations
    }
    if registry in destinations:
        raise InvalidParameter(
            at="replicationConfiguration",
            constraint="Replication destination cannot be the same as the source registry",
        )
    if len(destinations) > DESTINATIONS_MAX:
        raise Validation(
            f"The replication configuration names {len(destinations)} destinations; {DESTINATIONS_MAX} are possible"
        )
