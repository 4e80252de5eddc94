"""Roles and managed policies to test with."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from moorage.access.call import Call
from moorage.access.operations import attachments, managed_policies, roles
from moorage.aws.shapes import iam

from .calling import ALLOW

READ_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"


def trusting(*principals: str, **kinds: str) -> str:
    """A trust policy, as somebody may write it."""
    named = kinds or {"AWS": principals[0] if len(principals) == 1 else list(principals)}
    statement = {"Effect": "Allow", "Principal": named, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=1)


async def create_role(call: Call, name: str, trust: str | None = None, **members: Any) -> iam.Role:
    request = iam.CreateRoleRequest(
        role_name=name, assume_role_policy_document=trust or trusting(call.account), **members
    )
    return (await roles.create_role(call, request)).role


async def role_named(call: Call, name: str) -> iam.Role:
    return (await roles.get_role(call, iam.GetRoleRequest(role_name=name))).role


async def create_policy(call: Call, name: str, document: str = ALLOW, **members: Any) -> iam.Policy:
    request = iam.CreatePolicyRequest(policy_name=name, policy_document=document, **members)
    created = (await managed_policies.create_policy(call, request)).policy
    assert created is not None
    return created


async def policy_of(call: Call, arn: str) -> iam.Policy:
    found = (await managed_policies.get_policy(call, iam.GetPolicyRequest(policy_arn=arn))).policy
    assert found is not None
    return found


async def attach_to_role(call: Call, role: str, arn: str) -> None:
    await attachments.attach_role_policy(call, iam.AttachRolePolicyRequest(role_name=role, policy_arn=arn))


async def attach_to_user(call: Call, user: str, arn: str) -> None:
    await attachments.attach_user_policy(call, iam.AttachUserPolicyRequest(user_name=user, policy_arn=arn))


def trust_of(role: iam.Role) -> Any:
    """The `Principal` of its only statement."""
    return json.loads(unquote(role.assume_role_policy_document or ""))["Statement"][0]["Principal"]
