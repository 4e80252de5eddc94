from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from moorage.access.call import Call
from moorage.access.operations import attachments, groups, inline_policies, managed_policies
from moorage.access.operations.authorization_details import get_account_authorization_details
from moorage.aws.shapes import iam
from moorage.base.errors.requests import Validation

from ...registry.memory import in_memory
from ...registry.registry import ACCOUNT, MemoryRegistry
from .calling import ALLOW, OTHER, add_account, add_group, add_role, add_user, put_policy

PULL_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
LISTS = ("user_detail_list", "group_detail_list", "role_detail_list", "policies")


async def furnished(registry: MemoryRegistry) -> Call:
    """Two users, a group with one of them, a role, a policy of two versions."""
    call = await add_account(registry)
    await add_user(call, "alice", tags=[iam.Tag(key="team", value="one")], permissions_boundary=PULL_ONLY)
    await add_user(call, "bob")
    await add_group(call, "team", "alice")
    await add_role(call, "puller")
    await put_policy(call, "alice", "push")
    await inline_policies.put_role_policy(
        call, iam.PutRolePolicyRequest(role_name="puller", policy_name="own", policy_document=ALLOW)
    )
    created = await managed_policies.create_policy(
        call, iam.CreatePolicyRequest(policy_name="shared", policy_document=ALLOW)
    )
    assert created.policy is not None
    assert created.policy.arn is not None
    await managed_policies.create_policy_version(
        call, iam.CreatePolicyVersionRequest(policy_arn=created.policy.arn, policy_document=ALLOW)
    )
    await attachments.attach_group_policy(
        call, iam.AttachGroupPolicyRequest(group_name="team", policy_arn=created.policy.arn)
    )
    return call


async def ask(call: Call, **members: Any) -> iam.GetAccountAuthorizationDetailsResponse:
    return await get_account_authorization_details(call, iam.GetAccountAuthorizationDetailsRequest(**members))


def names(answer: iam.GetAccountAuthorizationDetailsResponse) -> list[str]:
    """Of all that is in it, in order."""
    attributes = ("user_name", "group_name", "role_name", "policy_name")
    return [
        getattr(each, attribute)
        for list_, attribute in zip(LISTS, attributes, strict=True)
        for each in getattr(answer, list_)
    ]


@in_memory
async def test_details_tell_all_of_users_groups_and_roles(registry: MemoryRegistry) -> None:
    call = await furnished(registry)

    answer = await ask(call)

    alice, bob = answer.user_detail_list or []
    assert [each.policy_name for each in alice.user_policy_list or []] == ["push"]
    assert unquote((alice.user_policy_list or [])[0].policy_document or "") == ALLOW
    assert alice.group_list == ["team"]
    assert [(tag.key, tag.value) for tag in alice.tags or []] == [("team", "one")]
    assert alice.permissions_boundary is not None
    assert (bob.user_policy_list, bob.group_list, bob.attached_managed_policies, bob.tags) == ([], [], [], [])
    (group,) = answer.group_detail_list or []
    assert [each.policy_arn for each in group.attached_managed_policies or []] == [
        f"arn:aws:iam::{ACCOUNT}:policy/shared"
    ]
    (role,) = answer.role_detail_list or []
    assert [each.policy_name for each in role.role_policy_list or []] == ["own"]
    assert unquote(role.assume_role_policy_document or "") == "{}"
    assert (answer.is_truncated, answer.marker) == (False, None)


@in_memory
async def test_details_tell_every_version_of_policies(registry: MemoryRegistry) -> None:
    call = await furnished(registry)

    own = (await ask(call, filter=["LocalManagedPolicy"])).policies or []
    of_aws = (await ask(call, filter=["AWSManagedPolicy"])).policies or []

    (shared,) = own
    versions = shared.policy_version_list or []
    assert [(each.version_id, each.is_default_version) for each in versions] == [("v2", False), ("v1", True)]
    assert {unquote(each.document or "") for each in versions} == {ALLOW}
    assert shared.attachment_count == 1
    pull_only = next(policy for policy in of_aws if policy.arn == PULL_ONLY)
    assert pull_only.permissions_boundary_usage_count == 1
    assert len(pull_only.policy_version_list or []) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@in_memory
async def test_pages_together_have_everything_once_in_order(registry: MemoryRegistry, size: int) -> None:
    call = await furnished(registry)
    everything: list[str] = []
    marker = None

    while True:
        answer = await ask(call, max_items=size, marker=marker)
        assert len(names(answer)) <= size
        everything += names(answer)
        marker = answer.marker
        if marker is None:
            break

    assert everything[:5] == ["alice", "bob", "team", "puller", "shared"]
    assert everything[5:] == sorted(everything[5:], key=str.lower)
    assert everything == names(await ask(call))
    assert PULL_ONLY.rpartition("/")[2] in everything


@pytest.mark.parametrize(
    ("types", "shown"),
    [
        (["Role"], ["puller"]),
        (["Group", "User"], ["alice", "bob", "team"]),
        (["LocalManagedPolicy", "LocalManagedPolicy"], ["shared"]),
    ],
)
@in_memory
async def test_a_filter_leaves_the_types_it_names(
    registry: MemoryRegistry, types: list[str], shown: list[str]
) -> None:
    call = await furnished(registry)

    assert names(await ask(call, filter=types)) == shown


@in_memory
async def test_another_account_sees_nothing_but_aws(registry: MemoryRegistry) -> None:
    call, other = await furnished(registry), await add_account(registry, OTHER)
    own = (await ask(call, max_items=1)).marker

    answer = await ask(other)

    assert [getattr(answer, list_) for list_ in LISTS[:3]] == [[], [], []]
    assert all((policy.arn or "").startswith("arn:aws:iam::aws:") for policy in answer.policies or [])
    assert {policy.permissions_boundary_usage_count for policy in answer.policies or []} == {0}
    with pytest.raises(Validation):
        await ask(other, marker=own)


@in_memory
async def test_what_comes_meanwhile_is_neither_shown_twice_nor_hides_others(registry: MemoryRegistry) -> None:
    call = await furnished(registry)
    first = await ask(call, max_items=2)
    await add_user(call, "aaron")
    await groups.create_group(call, iam.CreateGroupRequest(group_name="zone"))

    second = await ask(call, max_items=2, marker=first.marker)

    assert (names(first), names(second)) == (["alice", "bob"], ["team", "zone"])
