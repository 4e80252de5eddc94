"""The policy of a repository: put, found, deleted. From an hour after it was put, it is applied every hour."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.access.call import Call
from moorage.base.addresses import Registry
from moorage.base.clock import HOUR
from moorage.base.errors.lifecycle import LifecyclePolicyNotFound
from moorage.registry.account.setting_changes import changes
from moorage.registry.lifecycle.policy import compact, parse
from moorage.registry.repositories.repository import Repository, confirm
from moorage.store.db.api import Reads, Transaction, Values
from moorage.store.jobs.queue import Jobs

APPLY = "lifecycle.apply"
"""Job by the id of a repository that has a policy."""
DEFAULT = "lifecycle.default"
"""Job by account and region of a registry that has a default policy."""
EVERY_US = HOUR


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    text: str
    put: int
    evaluated: int | None
    """When it was last applied."""
    is_default: bool = False
    """The registry's, for a repository without one of its own (an extension)."""


async def put(call: Call, repository: Repository, text: str) -> StoredPolicy:
    """Refuse what is no policy, and keep the one before; else store the text without insignificant whitespace."""
    parse(text, with_extensions=call.limits.lifecycle_extensions)
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        if not await changes(call, tx, repository, "lifecycle"):
            return StoredPolicy(compact(text), call.now, None)
        return await store(tx, call, repository, text)


async def store(tx: Transaction, call: Call, repository: Repository, text: str) -> StoredPolicy:
    """The same within a transaction, of a text that has passed `parse`."""
    shown = compact(text)
    await tx.run("lifecycle.put_policy", {"repository": repository.id, "policy": shown, "now": call.now})
    await ask(tx, call.services.jobs, repository.id, now=call.now, due=call.now + EVERY_US)
    return StoredPolicy(shown, call.now, None)


async def find(reads: Reads, repository: Repository) -> StoredPolicy:
    """Its own."""
    row = await reads.one("lifecycle.policy", {"repository": repository.id})
    if row is None:
        raise LifecyclePolicyNotFound(name=repository.name, registry_id=repository.registry.account)
    return StoredPolicy(*row)


async def effective(reads: Reads, repository: Repository) -> StoredPolicy | None:
    """Its own, else the default of its registry."""
    row = await reads.one("lifecycle.policy", {"repository": repository.id})
    return StoredPolicy(*row) if row else await default_of(reads, repository.registry)


async def default_of(reads: Reads, registry: Registry) -> StoredPolicy | None:
    row = await reads.one("lifecycle.default", {"account": registry.account, "region": registry.region})
    return StoredPolicy(row[0], row[1], None, is_default=True) if row else None


async def put_default(tx: Transaction, jobs: Jobs, registry: Registry, text: str, now: int) -> None:
    """For all repositories without a policy of their own, from an hour from now."""
    parse(text, with_extensions=True)
    await tx.run(
        "lifecycle.put_default",
        {"account": registry.account, "region": registry.region, "policy": compact(text), "now": now},
    )
    subject = f"{registry.account}/{registry.region}"
    await jobs.put(tx, DEFAULT, subject, now=now, due=now + EVERY_US)


async def delete_default(tx: Transaction, registry: Registry) -> bool:
    """False if there is none."""
    values = {"account": registry.account, "region": registry.region}
    return bool(await tx.run("lifecycle.delete_default", values))


async def without_policies(reads: Reads, registry: Registry, after: str, limit: int) -> list[tuple[int, str]]:
    """Ids and names of repositories without a policy of their own, in order."""
    values: Values = {"account": registry.account, "region": registry.region, "after": after, "limit": limit}
    return [(id_, name) for id_, name in await reads.all("lifecycle.without_policies", values)]


async def names_with_policies(reads: Reads, registry: Registry, after: str, limit: int) -> list[str]:
    """Of the repositories, in order."""
    values: Values = {"account": registry.account, "region": registry.region, "after": after, "limit": limit}
    return [name for (name,) in await reads.all("lifecycle.with_policies", values)]


async def delete(call: Call, repository: Repository) -> StoredPolicy:
    """What is being applied goes on to the end of its batch."""
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        found = await find(tx, repository)
        if await changes(call, tx, repository, "lifecycle"):
            await clear(tx, repository)
    return found


async def clear(tx: Transaction, repository: Repository) -> None:
    await tx.run("lifecycle.delete_policy", {"repository": repository.id})


async def ask(tx: Transaction, jobs: Jobs, repository: int, *, now: int, due: int) -> None:
    """Have the policy applied when `due`, if it is not to be before."""
    await jobs.put(tx, APPLY, str(repository), now=now, due=due)
