"""Pull through cache rules: which repositories are copies of an upstream registry's, and under which names there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from moorage.base.addresses import Registry
from moorage.base.errors.upstream import PullThroughCacheRuleAlreadyExists, PullThroughCacheRuleNotFound
from moorage.registry.upstream.known import Upstream, named
from moorage.store.db.api import Database, Reads, Row, UniqueViolation, Values

ROOT = "ROOT"
"""The prefix of every name; of the rules, the one for what no other is for."""


@dataclass(frozen=True, slots=True)
class Rule:
    registry: Registry
    prefix: str
    """Without a slash at its end, as the next."""
    upstream_prefix: str
    written: str
    """The prefix as it was given."""
    upstream: str
    """Its name for Amazon, `docker-hub`; empty for others."""
    url: str
    """A host, perhaps with scheme and port."""
    credential_arn: str
    role_arn: str
    created: int
    updated: int | None

    @property
    def kind(self) -> Upstream:
        return named(self.upstream)

    def name_upstream(self, repository: str) -> str | None:
        """What the repository is called there; None if the rule is not for it (user guide, "wildcards")."""
        rest = _below(self.prefix, repository)
        if rest is None:
            return None
        return rest if self.upstream_prefix == ROOT else f"{self.upstream_prefix}/{rest}"


async def create(db: Database, rule: Rule) -> None:
    """Raise `PullThroughCacheRuleAlreadyExists`."""
    values: Values = {
        "written": rule.written,
        "upstream": rule.upstream,
        "url": rule.url,
        "upstream_prefix": rule.upstream_prefix,
        "credential_arn": rule.credential_arn,
        "role_arn": rule.role_arn,
        "now": rule.created,
    }
    try:
        async with db.transaction() as tx:
            await tx.run("upstream.insert_rule", {**_key(rule.registry, rule.prefix), **values})
    except UniqueViolation:
        raise PullThroughCacheRuleAlreadyExists(
            prefix=rule.written, registry_id=rule.registry.account
        ) from None


async def find(reads: Reads, registry: Registry, written: str) -> Rule:
    """Raise `PullThroughCacheRuleNotFound`."""
    return (await find_all(reads, registry, [written]))[0]


async def find_all(reads: Reads, registry: Registry, written: Sequence[str]) -> list[Rule]:
    """In the order asked, each once; one that is missing fails all (DescribePullThroughCacheRules)."""
    found = await _some(reads, registry, [normal(each) for each in written])
    for each in written:
        if normal(each) not in found:
            raise PullThroughCacheRuleNotFound(prefix=each, registry_id=registry.account)
    return [found[prefix] for prefix in dict.fromkeys(map(normal, written))]


async def page(reads: Reads, registry: Registry, after: str, limit: int) -> list[Rule]:
    """By prefix, after one."""
    values: Values = {
        "account": registry.account,
        "region": registry.region,
        "after": after,
        "limit": limit,
    }
    return [_rule(registry, row) for row in await reads.all("upstream.rule_page", values)]


async def set_credentials(
    db: Database, found: Rule, credential_arn: str, role_arn: str, now: int
) -> Rule | None:
    """None if there is another rule in its place now, or it has changed: credentials are for one upstream registry.

    Raise `PullThroughCacheRuleNotFound`.
    """
    async with db.transaction() as tx:
        if await find(tx, found.registry, found.written) != found:
            return None
        values: Values = {"credential_arn": credential_arn, "role_arn": role_arn, "now": now}
        await tx.run("upstream.update_rule", {**_key(found.registry, found.prefix), **values})
    return replace(found, credential_arn=credential_arn, role_arn=role_arn, updated=now)


async def delete(db: Database, registry: Registry, written: str) -> Rule:
    """What was there. Raise `PullThroughCacheRuleNotFound`."""
    async with db.transaction() as tx:
        found = await find(tx, registry, written)
        await tx.run("upstream.delete_rule", _key(registry, found.prefix))
    return found


async def matching(reads: Reads, registry: Registry, repository: str) -> Rule | None:
    """The rule for a repository: the one whose prefix is closest to its name, else that of `ROOT`."""
    parts = repository.split("/")
    prefixes = ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)] + [ROOT]
    found = await _some(reads, registry, prefixes)
    return next((found[prefix] for prefix in prefixes if prefix in found), None)


def normal(written: str) -> str:
    """`team/` and `team` are one prefix: a slash is implied."""
    return written.rstrip("/")


def _below(prefix: str, repository: str) -> str | None:
    if prefix == ROOT:
        return repository
    head = prefix + "/"
    return repository.removeprefix(head) if repository.startswith(head) else None


async def _some(reads: Reads, registry: Registry, prefixes: Sequence[str]) -> dict[str, Rule]:
    values: Values = {
        "account": registry.account,
        "region": registry.region,
        "prefixes": list(prefixes),
    }
    rows = await reads.all("upstream.rules_by_prefixes", values)
    return {rule.prefix: rule for rule in (_rule(registry, row) for row in rows)}


def _key(registry: Registry, prefix: str) -> dict[str, str]:
    return {"account": registry.account, "region": registry.region, "prefix": prefix}


def _rule(registry: Registry, row: Row) -> Rule:
    prefix, written, upstream, url, upstream_prefix, credential_arn, role_arn, created, updated = row
    return Rule(
        registry, prefix, upstream_prefix, written, upstream, url, credential_arn, role_arn, created, updated
    )
