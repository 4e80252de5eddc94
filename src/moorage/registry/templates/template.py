"""Repository creation templates: kept, found, and which of them a new repository is made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from moorage.aws.shapes.ecr import EncryptionType, RCTAppliedFor
from moorage.base.addresses import Registry
from moorage.base.errors.repositories import TemplateAlreadyExists, TemplateNotFound
from moorage.registry.repositories.mutability import Mutability
from moorage.store.db.api import Database, Reads, Row, UniqueViolation, Values

Scenario = RCTAppliedFor

ROOT = "ROOT"
"""The prefix of a template for all that no other is for. Repository names have no capitals."""


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What repositories get. Without anything it is what CreateRepository makes of a name alone."""

    applied_for: tuple[Scenario, ...] = ()
    description: str | None = None
    encryption_type: EncryptionType = "AES256"
    key_arn: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    mutability: Mutability = Mutability()
    repository_policy: str = ""
    """With ids for the principals of the account, as policies are stored."""
    lifecycle_policy: str = ""
    role_arn: str = ""

    @property
    def needs_role(self) -> bool:
        """Tags and keys are a role's to give, not the service's (user guide, "Repository creation templates")."""
        return bool(self.tags) or self.encryption_type != "AES256"


@dataclass(frozen=True, slots=True)
class Template:
    registry: Registry
    prefix: str
    """Without a slash at its end: `prod/` and `prod` are one."""
    written: str
    content: Content
    created: int
    updated: int


async def create(db: Database, registry: Registry, written: str, content: Content, now: int) -> Template:
    """Raise `TemplateAlreadyExists`."""
    values: Values = {"written": written, "content": _encode(content), "now": now}
    try:
        async with db.transaction() as tx:
            await tx.run("templates.insert", {**_key(registry, _prefix(written)), **values})
    except UniqueViolation:
        raise TemplateAlreadyExists(prefix=written, registry_id=registry.account) from None
    return Template(registry, _prefix(written), written, content, now, now)


async def find(reads: Reads, registry: Registry, written: str) -> Template:
    """Raise `TemplateNotFound`."""
    found = await find_all(reads, registry, [written])
    if not found:
        raise TemplateNotFound(prefix=written, registry_id=registry.account)
    return found[0]


async def find_all(reads: Reads, registry: Registry, written: Sequence[str]) -> list[Template]:
    """Those that there are, in the order of their prefixes."""
    values: Values = {"account": registry.account, "region": registry.region}
    rows = await reads.all(
        "templates.by_prefixes", {**values, "prefixes": [_prefix(each) for each in written]}
    )
    return [_template(registry, row) for row in rows]


async def page(reads: Reads, registry: Registry, after: str, limit: int) -> list[Template]:
    values: Values = {"account": registry.account, "region": registry.region, "after": after, "limit": limit}
    return [_template(registry, row) for row in await reads.all("templates.page", values)]


async def update(
    db: Database, registry: Registry, written: str, change: Callable[[Content], Content], now: int
) -> Template:
    """Raise `TemplateNotFound`, or what `change` raises."""
    async with db.transaction() as tx:
        found = await find(tx, registry, written)
        content = change(found.content)
        values: Values = {"content": _encode(content), "now": now}
        await tx.run("templates.update", {**_key(registry, found.prefix), **values})
    return Template(registry, found.prefix, found.written, content, found.created, now)


async def delete(db: Database, registry: Registry, written: str) -> Template:
    """What was there. Raise `TemplateNotFound`."""
    async with db.transaction() as tx:
        found = await find(tx, registry, written)
        await tx.run("templates.delete", _key(registry, found.prefix))
    return found


async def matching(reads: Reads, registry: Registry, name: str, scenario: Scenario) -> Template | None:
    """The template for a repository `name` that is made in `scenario`: of those for it, the one closest to the name.

    A slash is implied: `prod` is for `prod/app`, neither for `production` nor for `prod` itself.
    """
    candidates = [*_prefixes_of(name), ROOT]
    found = {each.prefix: each for each in await find_all(reads, registry, candidates)}
    for prefix in candidates:
        template = found.get(prefix)
        if template is not None and scenario in template.content.applied_for:
            return template
    return None


def _prefixes_of(name: str) -> list[str]:
    """Of `a/b/c`: `a/b`, `a`."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def _prefix(written: str) -> str:
    return written.rstrip("/")


def _key(registry: Registry, prefix: str) -> dict[str, str]:
    return {"account": registry.account, "region": registry.region, "prefix": prefix}


def _encode(content: Content) -> str:
    return msgspec.json.encode(content).decode()


def _template(registry: Registry, row: Row) -> Template:
    prefix, written, content, created, updated = row
    return Template(registry, prefix, written, msgspec.json.decode(content, type=Content), created, updated)
