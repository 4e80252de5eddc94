"""The signing configuration of a registry: which profiles are to sign what is pushed (user guide, "Managed signing").

Nothing signs yet: an image that a rule is about waits for its signature (docs/settings.md).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from moorage.aws.shapes.ecr import SigningConfiguration, SigningRule
from moorage.base.addresses import Registry
from moorage.base.errors.repositories import SigningConfigurationNotFound
from moorage.base.errors.requests import Validation
from moorage.registry.account import settings
from moorage.registry.account.filters import signing_matches
from moorage.store.db.api import Reads, Transaction

_NAME = "signing"


class Since(msgspec.Struct, frozen=True):
    """A rule, and since when the registry has it: what was pushed before is not signed."""

    rule: SigningRule
    time: int


async def rules_of(reads: Reads, registry: Registry) -> list[Since] | None:
    """None where no configuration was put; one without rules is a configuration."""
    return await settings.document_of(reads, registry, _NAME, list[Since])


async def configuration_of(reads: Reads, registry: Registry) -> SigningConfiguration:
    """Raise `SigningConfigurationNotFound`."""
    rules = await rules_of(reads, registry)
    if rules is None:
        raise SigningConfigurationNotFound(registry_id=registry.account)
    return SigningConfiguration(rules=[each.rule for each in rules])


async def store(tx: Transaction, registry: Registry, configuration: SigningConfiguration, now: int) -> None:
    """Replace the whole configuration; a rule that was there already keeps its time. Raise `Validation`."""
    for rule in configuration.rules:
        if rule.signing_profile_arn.split(":")[3] != registry.region:
            raise Validation(
                f"The signing profile '{rule.signing_profile_arn}' must be in the Region of the registry, "
                f"{registry.region}"
            )
    before = {_text(each.rule): each.time for each in await rules_of(tx, registry) or ()}
    rules = [Since(rule, before.get(_text(rule), now)) for rule in configuration.rules]
    await settings.store_document(tx, registry, _NAME, rules, now)


async def remove(tx: Transaction, registry: Registry) -> SigningConfiguration:
    """What was there. Raise `SigningConfigurationNotFound`."""
    removed = await configuration_of(tx, registry)
    await settings.remove_document(tx, registry, _NAME)
    return removed


def profiles_for(rules: Iterable[Since], name: str, pushed: int) -> list[str]:
    """The profiles that are to sign an image of the repository `name`, each once."""
    return list(
        dict.fromkeys(
            each.rule.signing_profile_arn
            for each in rules
            if pushed >= each.time and _is_about(each.rule, name)
        )
    )


def _is_about(rule: SigningRule, name: str) -> bool:
    """A rule without filters is about every repository."""
    filters = rule.repository_filters
    return not filters or any(signing_matches(each.filter, name) for each in filters)


def _text(rule: SigningRule) -> bytes:
    return msgspec.json.encode(rule)
