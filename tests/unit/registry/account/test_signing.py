"""Which profiles are to sign what is pushed."""

from __future__ import annotations

from moorage.aws.shapes.ecr import SigningConfiguration, SigningRepositoryFilter, SigningRule
from moorage.base.addresses import Registry
from moorage.registry.account import signing
from moorage.registry.account.signing import Since, profiles_for

from ..memory import in_memory
from ..registry import ACCOUNT, REGION, MemoryRegistry

HERE = Registry(ACCOUNT, REGION)


def rule(name: str, *filters: str) -> SigningRule:
    arn = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/{name}"
    shapes = [SigningRepositoryFilter(filter=each, filter_type="WILDCARD_MATCH") for each in filters]
    return SigningRule(signing_profile_arn=arn, repository_filters=shapes or None)


def test_each_profile_whose_rule_matches_signs_once() -> None:
    rules = [
        Since(rule("all"), 10),
        Since(rule("prod", "prod/*", "x"), 10),
        Since(rule("all", "prod/app"), 10),
        Since(rule("test", "test"), 10),
        Since(rule("later"), 20),
    ]

    found = [arn.rpartition("/")[2] for arn in profiles_for(rules, "prod/app", 15)]

    assert found == ["all", "prod"]
    assert profiles_for(rules, "prod/app", 9) == []


@in_memory
async def test_a_rule_that_stays_keeps_the_time_since_when_it_holds(registry: MemoryRegistry) -> None:
    async def put(*rules: SigningRule) -> list[int]:
        registry.pass_time(1)
        async with registry.db.transaction() as tx:
            await signing.store(tx, HERE, SigningConfiguration(rules=list(rules)), registry.now)
        return [each.time for each in await signing.rules_of(registry.db, HERE) or ()]

    (first,) = await put(rule("one"))
    again, added = await put(rule("one"), rule("two", "prod/*"))
    (changed,) = await put(rule("two", "prod/*", "x"))

    assert again == first
    assert first < added < changed
