"""A push to a repository that is not there creates it, where a creation template says so (decisions, 24)."""

from __future__ import annotations

from moorage.access.authorize import authorize
from moorage.access.call import Call
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.registry.templates import creation, template


async def find_or_create(call: Call, name: str) -> Repository:
    """Raise `RepositoryNotFound` where no template is for pushes to `name`, `AccessDenied` before anything is made.

    Amazon made the repository first and asked afterwards, so that whoever could log in could fill a registry with
    empty repositories.
    """
    try:
        return await repositories.find(call, name)
    except RepositoryNotFound:
        registry = Registry(call.account, call.region)
        found = await template.matching(call.db, registry, name, "CREATE_ON_PUSH")
        if found is None:
            raise
    arn = str(RepositoryArn(registry.account, registry.region, name))
    await authorize(call, "ecr:InitiateLayerUpload", arn)
    await authorize(call, "ecr:CreateRepository", arn, creation.context_of(found))
    return await creation.make_repository(call, name, "CREATE_ON_PUSH")
