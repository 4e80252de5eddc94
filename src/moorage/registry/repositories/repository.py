"""Repositories: create, find, list, change, delete."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import msgspec

from moorage.access import resource_policy
from moorage.access.call import Call
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.repositories import RepositoryAlreadyExists, RepositoryNotEmpty, RepositoryNotFound
from moorage.registry.account.setting_changes import changes, forget
from moorage.registry.audit.identity import user_identity
from moorage.registry.events.outbox import emit
from moorage.registry.events.shapes import repository_deleted
from moorage.registry.repositories import tags as resource_tags
from moorage.registry.repositories.mutability import Mutability
from moorage.store.db.api import Reads, Row, Transaction, UniqueViolation, Values


@dataclass(frozen=True, slots=True)
class Repository:
    id: int
    registry: Registry
    name: str
    created: int
    mutability: Mutability
    scan_on_push: bool
    encryption_type: str
    key_arn: str
    domain: int
    allow_missing_references: bool | None
    """None: as the registry has it."""

    @property
    def arn(self) -> str:
        return str(RepositoryArn(self.registry.account, self.registry.region, self.name))


Completion = Callable[[Transaction, Repository], Awaitable[None]]


async def find(call: Call, name: str, account: str | None = None) -> Repository:
    """The repository of that name in the registry called, or in `account`'s of the same region."""
    return await find_in(call.db, Registry(account or call.account, call.region), name)


async def find_in(reads: Reads, registry: Registry, name: str) -> Repository:
    row = await reads.one(
        "repositories.by_name", {"account": registry.account, "region": registry.region, "name": name}
    )
    if row is None:
        raise RepositoryNotFound(name=name, registry_id=registry.account)
    return _repository(row)


async def find_by_id(reads: Reads, id_: int) -> Repository | None:
    """None if it was deleted."""
    row = await reads.one("repositories.by_id", {"id": id_})
    return _repository(row) if row else None


async def confirm(tx: Transaction, repository: Repository) -> Repository:
    """It is still there, so that what is written now is not purged with what was deleted before. As it is now."""
    current = await find_by_id(tx, repository.id)
    if current is None:
        raise RepositoryNotFound(name=repository.name, registry_id=repository.registry.account)
    return current


async def find_all(call: Call, names: Sequence[str], account: str | None) -> list[Repository]:
    """Those named, in the order asked, each once; any that is missing fails the call (DescribeRepositories)."""
    registry = Registry(account or call.account, call.region)
    found = await find_some(call.db, registry, names)
    for name in names:
        if name not in found:
            raise RepositoryNotFound(name=name, registry_id=registry.account)
    return [found[name] for name in dict.fromkeys(names)]


async def find_some(reads: Reads, registry: Registry, names: Sequence[str]) -> dict[str, Repository]:
    """By their names, those of them that there are."""
    rows = await reads.all(
        "repositories.by_names",
        {"account": registry.account, "region": registry.region, "names": list(names)},
    )
    return {repository.name: repository for repository in map(_repository, rows)}


async def page(call: Call, account: str | None, after: str, limit: int) -> list[Repository]:
    rows = await call.db.all(
        "repositories.page",
        {"account": account or call.account, "region": call.region, "after": after, "limit": limit},
    )
    return [_repository(row) for row in rows]


async def create(
    call: Call,
    name: str,
    mutability: Mutability,
    *,
    scan_on_push: bool = False,
    tags: Mapping[str, str] | None = None,
    complete: Completion | None = None,
) -> Repository:
    """Create it with its tags, or not at all. Encrypted under the service's own key of the registry (AES256).

    `complete` adds, in the same transaction, what others keep of a repository.
    """
    registry = Registry(call.account, call.region)
    domain = await call.keys.domain(registry.account, registry.region, "AES256", "")
    arn = str(RepositoryArn(registry.account, registry.region, name))
    try:
        async with _changing(call, registry, changes_access=bool(tags or complete)) as tx:
            await tx.run(
                "repositories.insert",
                {
                    "account": registry.account,
                    "region": registry.region,
                    "name": name,
                    "created": call.now,
                    "mutability": mutability.mode,
                    "mutability_filters": _encode_filters(mutability.filters),
                    "scan_on_push": int(scan_on_push),
                    "encryption_type": "AES256",
                    "key_arn": "",
                    "domain": domain.id,
                    "allow_missing_references": None,
                },
            )
            await _check_quota(call, tx, registry)
            await resource_tags.set_all(tx, arn, tags or {})
            created = await find_in(tx, registry, name)
            if complete is not None:
                await complete(tx, created)
    except UniqueViolation:
        raise RepositoryAlreadyExists(name=name, registry_id=registry.account) from None
    return created


async def _check_quota(call: Call, tx: Transaction, registry: Registry) -> None:
    """Of Amazon, with the one that is being made."""
    most = call.limits.quotas.repositories
    values: Values = {"account": registry.account, "region": registry.region, "most": most}
    if call.limits.aws_quotas and await tx.one("repositories.is_beyond", values):
        raise LimitExceeded(
            f"The registry with id '{registry.account}' already has the maximum allowed number of repositories which "
            f"is '{most}'",
            quota="repositories",
        )


def _changing(
    call: Call, registry: Registry, *, changes_access: bool
) -> AbstractAsyncContextManager[Transaction]:
    """A new repository without tags or policy changes nothing about who may do what."""
    return call.services.epochs.changing(registry.account) if changes_access else call.db.transaction()


async def set_scanning(call: Call, repository: Repository, *, scan_on_push: bool) -> None:
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        if await changes(call, tx, repository, "scanning"):
            await write_scanning(tx, repository, scan_on_push=scan_on_push)


async def write_scanning(tx: Transaction, repository: Repository, *, scan_on_push: bool) -> None:
    await tx.run("repositories.set_scanning", {"id": repository.id, "scan_on_push": int(scan_on_push)})


async def set_mutability(call: Call, repository: Repository, mutability: Mutability) -> None:
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        if await changes(call, tx, repository, "mutability"):
            await write_mutability(tx, repository, mutability)


async def write_mutability(tx: Transaction, repository: Repository, mutability: Mutability) -> None:
    await tx.run(
        "repositories.set_mutability",
        {
            "id": repository.id,
            "mutability": mutability.mode,
            "mutability_filters": _encode_filters(mutability.filters),
        },
    )


async def delete(call: Call, name: str, account: str | None, *, force: bool) -> Repository:
    """Free the name at once; images, layers and uploads are purged in batches by `collect`."""
    async with call.services.epochs.changing(account or call.account) as tx:
        repository = await find_in(tx, Registry(account or call.account, call.region), name)
        if not force and await tx.one("repositories.has_images", {"id": repository.id}):
            raise RepositoryNotEmpty(name=name, registry_id=repository.registry.account)
        if not await tx.run("repositories.leave_name", {"id": repository.id, "name": name}):
            raise RepositoryNotFound(name=name, registry_id=repository.registry.account)
        await tx.run("repositories.request_purge", {"id": repository.id, "now": call.now})
        await tx.run("repositories.clear_tags", {"arn": repository.arn})
        await resource_policy.clear(tx, repository.arn)
        await forget(call.services, tx, repository)
        caller = user_identity(call.principal)
        await emit(call.services, tx, repository_deleted(repository.registry, name, caller, force))
        tx.changed(repository.id)
    return repository


def _repository(row: Row) -> Repository:
    (
        id_,
        account,
        region,
        name,
        created,
        mode,
        filters,
        scan_on_push,
        encryption_type,
        key_arn,
        domain,
        missing,
    ) = row
    return Repository(
        id=id_,
        registry=Registry(account, region),
        name=name,
        created=created,
        mutability=Mutability(mode, tuple(msgspec.json.decode(filters, type=list[str]))),
        scan_on_push=bool(scan_on_push),
        encryption_type=encryption_type,
        key_arn=key_arn,
        domain=domain,
        allow_missing_references=None if missing is None else bool(missing),
    )


def _encode_filters(filters: Sequence[str]) -> str:
    return msgspec.json.encode(list(filters)).decode()
