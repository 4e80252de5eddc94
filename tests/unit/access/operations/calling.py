"""Calls of IAM operations over a registry in memory, by the root of an account or one of its users."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from moorage.access.call import Call
from moorage.access.identities import entity as entities
from moorage.access.operations import access_keys, groups, inline_policies, users
from moorage.access.principals import Principal
from moorage.aws.shapes import iam

from ...registry.memory import call_of
from ...registry.registry import ACCOUNT, MemoryRegistry

OTHER = "210987654321"
ALLOW = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"}]}'

Response = TypeVar("Response")


async def add_account(registry: MemoryRegistry, account: str = ACCOUNT) -> Call:
    """An account without keys; a call of its root."""
    async with registry.services.epochs.changing(account) as tx:
        await tx.run("access.insert_account", {"id": account, "created": registry.now})
    return call_of(registry, account)


async def add_user(call: Call, name: str, **members: Any) -> iam.User:
    created = await users.create_user(call, iam.CreateUserRequest(user_name=name, **members))
    assert created.user is not None
    return created.user


async def add_group(call: Call, name: str, *members: str, **others: Any) -> iam.Group:
    created = await groups.create_group(call, iam.CreateGroupRequest(group_name=name, **others))
    for user in members:
        await groups.add_user_to_group(call, iam.AddUserToGroupRequest(group_name=name, user_name=user))
    return created.group


async def add_role(call: Call, name: str) -> entities.Entity:
    async with call.services.epochs.changing(call.account) as tx:
        return await entities.insert(tx, call.account, "role", name, call.now, trust_policy="{}")


async def add_key(call: Call, user: str | None = None) -> iam.AccessKey:
    request = iam.CreateAccessKeyRequest(user_name=user)
    return (await access_keys.create_access_key(call, request)).access_key


async def put_policy(call: Call, user: str, name: str, document: str = ALLOW) -> None:
    await inline_policies.put_user_policy(
        call, iam.PutUserPolicyRequest(user_name=user, policy_name=name, policy_document=document)
    )


def by(call: Call, user: iam.User) -> Call:
    """The same call, made by that user of the account."""
    principal = Principal(
        call.account, user.arn, user.user_id, "AKIAUSER", "user", id=user.user_id, name=user.user_name
    )
    return replace(call, principal=principal)


def by_role(call: Call) -> Call:
    principal = Principal(
        call.account, "arn:aws:sts::1:assumed-role/r/s", "AROA:s", "ASIA", "role", id="AROA"
    )
    return replace(call, principal=principal)


async def every_page(
    call: Call,
    operation: Callable[[Call, Any], Awaitable[Any]],
    request: Callable[..., Any],
    member: str,
    **members: Any,
) -> list[list[Any]]:
    """The pages of a listing, two items each."""
    pages, marker = [], None
    while True:
        answer = await operation(call, request(max_items=2, marker=marker, **members))
        pages.append(getattr(answer, member))
        assert answer.is_truncated is (answer.marker is not None)
        if answer.marker is None:
            return pages
        assert len(answer.marker) <= 320
        marker = answer.marker
