"""A repository that a push, a replication or the pull-through cache makes, as a creation template says."""

from __future__ import annotations

from moorage.access import resource_policy
from moorage.access.authorizer import Context
from moorage.access.call import Call
from moorage.access.service_roles import ECR, PULL_THROUGH_CACHE, why_unusable
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.errors.repositories import RepositoryAlreadyExists, RepositoryNotFound, TemplateUnusable
from moorage.registry.lifecycle import stored as lifecycle
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.mutability import Mutability
from moorage.registry.repositories.repository import Completion, Repository
from moorage.registry.templates.template import Content, Scenario, Template, matching
from moorage.store.db.api import Transaction


async def make_repository(
    call: Call, name: str, scenario: Scenario, then: Completion | None = None
) -> Repository:
    """The repository `name` of the registry called, made now, or meanwhile by somebody else.

    The caller's rights have been checked. Without a template, a push makes nothing (`RepositoryNotFound`); the others
    make a plain repository. `then` adds to what is made, in the same transaction. Raise `TemplateUnusable` for a
    template that cannot be followed.
    """
    registry = Registry(call.account, call.region)
    template = await matching(call.db, registry, name, scenario)
    if template is None and scenario == "CREATE_ON_PUSH":
        raise RepositoryNotFound(name=name, registry_id=registry.account)
    try:
        if template is None:
            return await repositories.create(call, name, Mutability(), complete=then)
        await _check_usable(call, name, template)
        return await _create(call, name, template.content, then)
    except RepositoryAlreadyExists:
        async with call.db.transaction() as tx:  # reads see it only when whoever makes it has committed
            return await repositories.find_in(tx, registry, name)


def context_of(template: Template) -> Context:
    """The condition keys of a creation by it: those of a CreateRepository with its tags."""
    tags = template.content.tags
    if not tags:
        return {}
    return {
        "aws:tagkeys": tuple(key for key, _ in tags),
        **{f"aws:requesttag/{key.lower()}": value for key, value in tags},
    }


async def _create(call: Call, name: str, content: Content, then: Completion | None) -> Repository:
    """Whole or not at all."""

    async def complete(tx: Transaction, created: Repository) -> None:
        if content.repository_policy:
            await resource_policy.store(tx, created.arn, content.repository_policy, call.now)
        if content.lifecycle_policy:
            await lifecycle.store(tx, call, created, content.lifecycle_policy)
        if then is not None:
            await then(tx, created)

    return await repositories.create(
        call, name, content.mutability, tags=dict(content.tags), complete=complete
    )


async def _check_usable(call: Call, name: str, template: Template) -> None:
    content = template.content
    if not content.needs_role:
        return
    reason = "has tags or a KMS key, and no role to use them with"
    if content.role_arn:
        actions = ["ecr:CreateRepository", *(["ecr:TagResource"] if content.tags else [])]
        arn = str(RepositoryArn(call.account, call.region, name))
        reason = await why_unusable(
            call, content.role_arn, (ECR, PULL_THROUGH_CACHE), actions, arn, context_of(template)
        )
    if not reason and content.encryption_type != "AES256":
        reason = (
            f"asks for {content.encryption_type} encryption, which needs the KMS API: that is not built yet"
        )
    if reason:
        raise TemplateUnusable(name=name, prefix=template.written, reason=reason)
