"""The scanning configuration of a registry, and what it means for a repository (user guide, "Image scanning")."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.aws.shapes.ecr import RegistryScanningConfiguration, RegistryScanningRule, ScanFrequency
from moorage.base.addresses import Registry
from moorage.base.errors.requests import Validation
from moorage.registry.account import settings
from moorage.registry.account.filters import scanning_matches
from moorage.store.db.api import Reads, Transaction

_NAME = "scanning"
_FREQUENCIES: dict[str, tuple[ScanFrequency, ...]] = {
    "BASIC": ("SCAN_ON_PUSH", "MANUAL"),
    "ENHANCED": ("CONTINUOUS_SCAN", "SCAN_ON_PUSH"),
}
"""Which a scan type allows, the strongest first."""


@dataclass(frozen=True, slots=True)
class Effective:
    """What is done with the images of one repository."""

    frequency: ScanFrequency
    scan_on_push: bool
    filters: tuple[str, ...] = ()
    """Of the rule that decided, those that match."""


async def configuration_of(reads: Reads, registry: Registry) -> RegistryScanningConfiguration:
    """A registry that has put none scans by hand, with the basic scanner."""
    stored = await settings.document_of(reads, registry, _NAME, RegistryScanningConfiguration)
    return stored or RegistryScanningConfiguration(scan_type="BASIC", rules=[])


async def store(
    tx: Transaction, registry: Registry, configuration: RegistryScanningConfiguration, now: int
) -> None:
    """Replace the whole configuration. Raise `Validation`."""
    _check(configuration)
    await settings.store_document(tx, registry, _NAME, configuration, now)


def refuse_enhanced(configuration: RegistryScanningConfiguration) -> None:
    """Enhanced scanning knows no flags of repositories. Raise `Validation`."""
    if configuration.scan_type == "ENHANCED":
        raise Validation("This feature is disabled")


def effective(configuration: RegistryScanningConfiguration, name: str, scan_on_push: bool) -> Effective:
    """For the repository `name`; `scan_on_push` is its own flag, which basic scanning still honours."""
    scan_type = configuration.scan_type or "BASIC"
    rules = {rule.scan_frequency: rule for rule in configuration.rules or ()}
    for frequency in _FREQUENCIES[scan_type]:
        rule = rules.get(frequency)
        if rule is None or frequency == "MANUAL":
            continue
        filters = [each.filter for each in rule.repository_filters]
        matching = tuple(each for each in filters if scanning_matches(each, name))
        if matching or not filters:
            return Effective(frequency, True, matching)
    if scan_type == "BASIC" and scan_on_push:
        return Effective("SCAN_ON_PUSH", True)
    return Effective("MANUAL", False, _manual_filters(rules.get("MANUAL"), name))


def _manual_filters(rule: RegistryScanningRule | None, name: str) -> tuple[str, ...]:
    filters = [each.filter for each in rule.repository_filters] if rule is not None else []
    return tuple(each for each in filters if scanning_matches(each, name))


def _check(configuration: RegistryScanningConfiguration) -> None:
    scan_type = configuration.scan_type or "BASIC"
    frequencies = [rule.scan_frequency for rule in configuration.rules or ()]
    allowed = _FREQUENCIES[scan_type]
    for frequency in frequencies:
        if frequency not in allowed:
            raise Validation(
                f"The scan frequency {frequency} is not one of {scan_type} scanning, which has {' and '.join(allowed)}"
            )
    if len(set(frequencies)) < len(frequencies):
        raise Validation("A scan frequency can have one rule only; put all filters into that")
