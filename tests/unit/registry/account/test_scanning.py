"""What the scanning configuration of a registry means for a repository."""

from __future__ import annotations

import pytest

from moorage.aws.shapes.ecr import (
    RegistryScanningConfiguration,
    RegistryScanningRule,
    ScanningRepositoryFilter,
)
from moorage.registry.account.scanning import Effective, effective


def configuration(scan_type: str, **rules: tuple[str, ...]) -> RegistryScanningConfiguration:
    return RegistryScanningConfiguration(
        scan_type=scan_type,  # type: ignore[arg-type]
        rules=[
            RegistryScanningRule(
                scan_frequency=frequency,  # type: ignore[arg-type]
                repository_filters=[
                    ScanningRepositoryFilter(filter=each, filter_type="WILDCARD") for each in filters
                ],
            )
            for frequency, filters in rules.items()
        ],
    )


@pytest.mark.parametrize(
    ("given", "flag", "expected"),
    [
        (configuration("BASIC", SCAN_ON_PUSH=("prod",)), False, Effective("SCAN_ON_PUSH", True, ("prod",))),
        (configuration("BASIC", SCAN_ON_PUSH=("test",)), False, Effective("MANUAL", False)),
        (configuration("BASIC", SCAN_ON_PUSH=("test",)), True, Effective("SCAN_ON_PUSH", True)),
        (configuration("BASIC", MANUAL=("prod",)), True, Effective("SCAN_ON_PUSH", True)),
        (configuration("BASIC", MANUAL=("prod", "test")), False, Effective("MANUAL", False, ("prod",))),
        (configuration("BASIC", SCAN_ON_PUSH=()), False, Effective("SCAN_ON_PUSH", True)),
        (configuration("BASIC"), False, Effective("MANUAL", False)),
        (
            configuration("ENHANCED", SCAN_ON_PUSH=("*",), CONTINUOUS_SCAN=("prod*", "test")),
            False,
            Effective("CONTINUOUS_SCAN", True, ("prod*",)),
        ),
        (
            configuration("ENHANCED", SCAN_ON_PUSH=("*",), CONTINUOUS_SCAN=("x*",)),
            False,
            Effective("SCAN_ON_PUSH", True, ("*",)),
        ),
        (configuration("ENHANCED", SCAN_ON_PUSH=("test",)), True, Effective("MANUAL", False)),
    ],
)
def test_the_rule_that_wins(given: RegistryScanningConfiguration, flag: bool, expected: Effective) -> None:
    assert effective(given, "prod-x", flag) == expected
