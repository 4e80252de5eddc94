"""Roles in the hands of the service: for whom it may use them, who may hand them over, and its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moorage.access.identities import entity as entities
from moorage.access.principals import Principal
from moorage.access.service_roles import (
    ECR,
    PULL_THROUGH_CACHE,
    Unusable,
    assumed_by_service,
    check_passing,
    ensure_service_linked,
    service_linked_arn,
    why_unusable,
)
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.requests import Validation

from ..registry.memory import in_memory
from ..registry.registry import ACCOUNT, REGION, MemoryRegistry
from .test_authorize import OTHER, allow, document, user

SOURCE = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/up/app"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pull"
CREATE_LINKED = "iam:CreateServiceLinkedRole"


async def account(registry: MemoryRegistry) -> None:
    async with registry.db.transaction() as tx:
        await tx.run("access.insert_account", {"id": ACCOUNT, "created": 0})


async def role(registry: MemoryRegistry, **condition: Any) -> None:
    await account(registry)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": PULL_THROUGH_CACHE},
        "Action": "sts:AssumeRole",
        **({"Condition": condition} if condition else {}),
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    async with registry.services.epochs.changing(ACCOUNT) as tx:
        await entities.insert(tx, ACCOUNT, "role", "pull", registry.now, trust_policy=trust)


@pytest.mark.parametrize(
    ("operator", "key", "value", "is_used"),
    [
        ("StringEquals", "aws:SourceAccount", ACCOUNT,                      True),
        ("StringEquals", "aws:SourceAccount", OTHER,                        False),
        ("ArnEquals",    "aws:SourceArn",     SOURCE,                       True),
        ("ArnLike",      "aws:SourceArn",     f"arn:aws:ecr:*:{ACCOUNT}:*", True),
        ("ArnLike",      "aws:SourceArn",     f"arn:aws:ecr:*:{OTHER}:*",   False),
    ],
)  # fmt: skip
@in_memory
async def test_the_service_uses_a_role_for_those_whom_its_trust_policy_says(
    registry: MemoryRegistry, operator: str, key: str, value: str, is_used: bool
) -> None:
    await role(registry, **{operator: {key: value}})

    found = await assumed_by_service(registry.call, ROLE, (PULL_THROUGH_CACHE,), SOURCE)

    assert isinstance(found, Principal) is is_used
    assert isinstance(found, Principal) or found == Unusable(
        "has a role that does not trust pullthroughcache.ecr.amazonaws.com"
    )


@in_memory
async def test_a_role_that_trusts_one_of_the_services_is_that_one_s(registry: MemoryRegistry) -> None:
    await role(registry)

    trusted = await assumed_by_service(registry.call, ROLE, (ECR, PULL_THROUGH_CACHE), SOURCE)
    other = await assumed_by_service(registry.call, ROLE, (ECR,), SOURCE)

    assert isinstance(trusted, Principal)
    assert trusted.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/pull/moorage"
    assert isinstance(other, Unusable)
    assert "may not do ecr:CreateRepository" in await why_unusable(
        registry.call, ROLE, (PULL_THROUGH_CACHE,), ["ecr:CreateRepository"], SOURCE, {}
    )


@in_memory
async def test_a_role_of_another_installation_is_passed_by_the_caller_s_own_policies(
    registry: MemoryRegistry,
) -> None:
    theirs = f"arn:aws:iam::{OTHER}:role/pull"
    may = await user(registry, document(allow("iam:PassRole", Resource=theirs)))
    may_not = await user(registry, document(allow("ecr:*")), document(allow("sts:*")))

    await check_passing(may, theirs, ACCOUNT, elsewhere=OTHER)
    await check_passing(registry.call, theirs, ACCOUNT, elsewhere=OTHER)
    with pytest.raises(AccessDenied, match="iam:PassRole"):
        await check_passing(may_not, theirs, ACCOUNT, elsewhere=OTHER)
    with pytest.raises(Validation, match="of the account of the registry"):
        await check_passing(may, theirs, ACCOUNT)


@in_memory
async def test_service_linked_roles_are_made_once(registry: MemoryRegistry) -> None:
    await account(registry)
    for _ in range(2):
        await ensure_service_linked(registry.call, ACCOUNT, PULL_THROUGH_CACHE, caller_needs_right=False)

    found = await entities.find(registry.db, ACCOUNT, "role", "AWSServiceRoleForECRPullThroughCache")
    assert found is not None
    assert found.arn == service_linked_arn(ACCOUNT, PULL_THROUGH_CACHE)


@in_memory
async def test_where_the_caller_needs_the_right_a_service_linked_role_is_not_made_without_it(
    registry: MemoryRegistry,
) -> None:
    may_not = await user(registry, document(allow("ecr:*")))
    of_this = {"StringEquals": {"iam:AWSServiceName": ECR}}
    may = await user(registry, document(allow(CREATE_LINKED, Condition=of_this)), document(allow("ecr:*")))

    with pytest.raises(AccessDenied, match=CREATE_LINKED):
        await ensure_service_linked(may_not, ACCOUNT, ECR, caller_needs_right=True)
    assert await entities.find(registry.db, ACCOUNT, "role", "AWSServiceRoleForECRTemplate") is None
    await ensure_service_linked(may, ACCOUNT, ECR, caller_needs_right=True)

    assert await entities.find(registry.db, ACCOUNT, "role", "AWSServiceRoleForECRTemplate") is not None
