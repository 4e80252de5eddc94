"""Where an image is replicated to. Pure (Amazon ECR: PutReplicationConfiguration)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from moorage.aws.shapes.ecr import ReplicationConfiguration
from moorage.base.addresses import Registry


@dataclass(frozen=True, slots=True)
class Rule:
    destinations: tuple[Registry, ...]
    prefixes: tuple[str, ...] = ()
    """Of repository names, as they stand: `prod` also begins `production`. None at all means every repository."""
    replicates_deletions: bool = False

    def applies_to(self, repository: str) -> bool:
        return not self.prefixes or repository.startswith(self.prefixes)


def rules_in(configuration: ReplicationConfiguration) -> list[Rule]:
    return [
        Rule(
            destinations=tuple(Registry(to.registry_id, to.region) for to in rule.destinations),
            prefixes=tuple(each.filter for each in rule.repository_filters or ()),
            replicates_deletions=bool(rule.delete_replication and rule.delete_replication.enabled),
        )
        for rule in configuration.rules
    ]


def destinations_of(rules: Iterable[Rule], repository: str) -> list[Registry]:
    """The union of what the rules say, each destination once, in their order."""
    named = [to for rule in rules if rule.applies_to(repository) for to in rule.destinations]
    return list(dict.fromkeys(named))


def deleting_destinations_of(rules: Iterable[Rule], repository: str) -> list[Registry]:
    """Those of them where what is deleted here goes as well: one rule that says so is enough."""
    return destinations_of([rule for rule in rules if rule.replicates_deletions], repository)
