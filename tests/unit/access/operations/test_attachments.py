from __future__ import annotations

from typing import Any

import pytest

from moorage.access.call import Call
from moorage.access.identities import attachments as stored
from moorage.access.operations import attachments, groups
from moorage.aws.shapes import iam
from moorage.base.errors.identities import InvalidInput, NoSuchEntity, PolicyNotAttachable
from moorage.base.errors.images import LimitExceeded

from ...registry.memory import in_memory, with_limits
from ...registry.registry import ACCOUNT, MemoryRegistry
from .calling import OTHER, add_account, add_group, add_user, every_page
from .roles_and_policies import READ_ONLY, create_policy, create_role

KINDS = ("user", "group", "role")
OF_SERVICES = "arn:aws:iam::aws:policy/aws-service-role/ECRTemplateServiceRolePolicy"


async def add(call: Call, kind: str, name: str, **members: Any) -> None:
    await {"user": add_user, "group": add_group, "role": create_role}[kind](call, name, **members)


async def attach(call: Call, kind: str, name: str, arn: str) -> None:
    await _act(call, "attach", kind, name, arn)


async def detach(call: Call, kind: str, name: str, arn: str) -> None:
    await _act(call, "detach", kind, name, arn)


async def _act(call: Call, verb: str, kind: str, name: str, arn: str) -> None:
    operation = getattr(attachments, f"{verb}_{kind}_policy")
    shape = getattr(iam, f"{verb.capitalize()}{kind.capitalize()}PolicyRequest")
    await operation(call, shape(**{f"{kind}_name": name, "policy_arn": arn}))


async def attached(call: Call, kind: str, name: str, **members: Any) -> list[tuple[str, str]]:
    operation = getattr(attachments, f"list_attached_{kind}_policies")
    shape = getattr(iam, f"ListAttached{kind.capitalize()}PoliciesRequest")
    answer = await operation(call, shape(**{f"{kind}_name": name}, **members))
    assert answer.is_truncated is False
    return [(policy.policy_name, policy.policy_arn) for policy in answer.attached_policies]


async def entities_for(call: Call, arn: str, **members: Any) -> set[str]:
    request = iam.ListEntitiesForPolicyRequest(policy_arn=arn, **members)
    answer = await attachments.list_entities_for_policy(call, request)
    assert answer.is_truncated is False
    return {
        *(each.user_name or "" for each in answer.policy_users or []),
        *(each.group_name or "" for each in answer.policy_groups or []),
        *(each.role_name or "" for each in answer.policy_roles or []),
    }


@pytest.mark.parametrize("kind", KINDS)
@in_memory
async def test_policies_are_attached_once_listed_by_name_and_detached(
    registry: MemoryRegistry, kind: str
) -> None:
    call = await add_account(registry)
    await add(call, kind, "one")
    arn = (await create_policy(call, "push", path="/ci/")).arn or ""

    for _ in range(2):
        await attach(call, kind, "one", arn)
        await attach(call, kind, "ONE", READ_ONLY)
    both = await attached(call, kind, "one")
    await detach(call, kind, "one", READ_ONLY)

    assert both == [("AmazonEC2ContainerRegistryReadOnly", READ_ONLY), ("push", arn)]
    assert await attached(call, kind, "one") == [("push", arn)]
    with pytest.raises(NoSuchEntity, match=f"Policy {READ_ONLY} was not found"):
        await detach(call, kind, "one", READ_ONLY)


@pytest.mark.parametrize("kind", KINDS)
@in_memory
async def test_what_cannot_be_attached_is_refused(registry: MemoryRegistry, kind: str) -> None:
    call, stranger = await add_account(registry), await add_account(registry, OTHER)
    await add(call, kind, "one")
    theirs = (await create_policy(stranger, "theirs")).arn or ""

    for arn in (theirs, f"arn:aws:iam::{ACCOUNT}:policy/none", READ_ONLY.lower()):
        with pytest.raises(NoSuchEntity) as refused:
            await attach(call, kind, "one", arn)
        assert str(refused.value) == f"Policy {arn} does not exist or is not attachable."
    with pytest.raises(PolicyNotAttachable):
        await attach(call, kind, "one", OF_SERVICES)
    with pytest.raises(InvalidInput):
        await attach(call, kind, "one", "nothing-valid-in-here")
    with pytest.raises(InvalidInput):
        await detach(call, kind, "one", "nothing-valid-in-here")
    assert await attached(call, kind, "one") == []


@pytest.mark.parametrize("kind", KINDS)
@in_memory
async def test_a_holder_that_is_not_there_is_named(registry: MemoryRegistry, kind: str) -> None:
    call, stranger = await add_account(registry), await add_account(registry, OTHER)
    await add(stranger, kind, "theirs")

    for act in (
        attach(call, kind, "theirs", READ_ONLY),
        detach(call, kind, "theirs", READ_ONLY),
        attached(call, kind, "theirs"),
    ):
        with pytest.raises(NoSuchEntity, match=f"The {kind} with name theirs cannot be found"):
            await act


@pytest.mark.parametrize(("aws_quotas", "most"), [(False, stored.MOST), (True, 10)])
@in_memory
async def test_only_so_many_policies_are_attached(
    registry: MemoryRegistry, aws_quotas: bool, most: int
) -> None:
    call = await add_account(registry)
    with_limits(registry, aws_quotas=aws_quotas)
    call = registry.call
    await create_role(call, "deploy")
    arns = [(await create_policy(call, f"p{n}")).arn or "" for n in range(most + 1)]
    for arn in arns[:most]:
        await attach(call, "role", "deploy", arn)

    with pytest.raises(LimitExceeded, match=f"Cannot exceed quota for PoliciesPerRole: {most}"):
        await attach(call, "role", "deploy", arns[most])
    await attach(call, "role", "deploy", arns[0])
    await detach(call, "role", "deploy", arns[0])
    await attach(call, "role", "deploy", arns[most])


@in_memory
async def test_attached_policies_are_listed_by_page_also_two_of_one_name(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")
    own = (await create_policy(call, "amazonec2containerregistryreadonly")).arn or ""
    for arn in (
        own,
        READ_ONLY,
        (await create_policy(call, "b")).arn or "",
        (await create_policy(call, "A")).arn or "",
    ):
        await attach(call, "user", "alice", arn)

    pages = await every_page(
        call,
        attachments.list_attached_user_policies,
        iam.ListAttachedUserPoliciesRequest,
        "attached_policies",
        user_name="alice",
    )

    listed = [[policy.policy_arn for policy in page] for page in pages]
    assert listed == [
        [f"arn:aws:iam::{ACCOUNT}:policy/A", READ_ONLY],
        [own, f"arn:aws:iam::{ACCOUNT}:policy/b"],
    ]


@in_memory
async def test_attached_policies_are_listed_by_path(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")
    arn = (await create_policy(call, "push", path="/ci/x/")).arn or ""
    for each in (arn, READ_ONLY, "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"):
        await attach(call, "user", "alice", each)

    assert await attached(call, "user", "alice", path_prefix="/ci/") == [("push", arn)]
    assert len(await attached(call, "user", "alice", path_prefix="/service-role/")) == 1
    assert len(await attached(call, "user", "alice", path_prefix="/")) == 3


@in_memory
async def test_whom_a_policy_speaks_for_is_listed_by_kind_path_and_use(registry: MemoryRegistry) -> None:
    call, stranger = await add_account(registry), await add_account(registry, OTHER)
    await add_user(call, "alice", path="/people/")
    await add_group(call, "admins", "alice")
    await create_role(call, "deploy", path="/ci/")
    await create_role(call, "bounded", permissions_boundary=READ_ONLY)
    await add_user(stranger, "theirs")
    await attach(stranger, "user", "theirs", READ_ONLY)
    for kind, name in (("user", "alice"), ("group", "admins"), ("role", "deploy")):
        await attach(call, kind, name, READ_ONLY)

    assert await entities_for(call, READ_ONLY) == {"alice", "admins", "deploy", "bounded"}
    assert await entities_for(call, READ_ONLY, entity_filter="User") == {"alice"}
    assert await entities_for(call, READ_ONLY, entity_filter="Group") == {"admins"}
    assert await entities_for(call, READ_ONLY, entity_filter="Role") == {"deploy", "bounded"}
    assert await entities_for(call, READ_ONLY, entity_filter="LocalManagedPolicy") == set()
    assert await entities_for(call, READ_ONLY, path_prefix="/ci/") == {"deploy"}
    assert await entities_for(call, READ_ONLY, policy_usage_filter="PermissionsBoundary") == {"bounded"}
    assert "bounded" not in await entities_for(call, READ_ONLY, policy_usage_filter="PermissionsPolicy")
    with pytest.raises(NoSuchEntity):
        await entities_for(call, f"arn:aws:iam::{ACCOUNT}:policy/none")


@in_memory
async def test_whom_a_policy_speaks_for_is_listed_by_page(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    for kind in KINDS:
        for name in ("a", "B", "c"):
            await add(call, kind, name)
            await attach(call, kind, name, READ_ONLY)

    seen: list[tuple[str, str]] = []
    marker = None
    for _ in range(5):
        request = iam.ListEntitiesForPolicyRequest(policy_arn=READ_ONLY, max_items=2, marker=marker)
        answer = await attachments.list_entities_for_policy(call, request)
        seen += [("group", each.group_name or "") for each in answer.policy_groups or []]
        seen += [("role", each.role_name or "") for each in answer.policy_roles or []]
        seen += [("user", each.user_name or "") for each in answer.policy_users or []]
        marker = answer.marker

    assert marker is None
    assert seen == [(kind, name) for kind in sorted(KINDS) for name in ("a", "B", "c")]


@in_memory
async def test_a_group_that_holds_policies_is_not_deleted(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_group(call, "admins")
    await attach(call, "group", "admins", READ_ONLY)

    with pytest.raises(Exception, match="must detach all policies first"):
        await groups.delete_group(call, iam.DeleteGroupRequest(group_name="admins"))
    await detach(call, "group", "admins", READ_ONLY)
    await groups.delete_group(call, iam.DeleteGroupRequest(group_name="admins"))


@in_memory
async def test_what_is_attached_is_read_of_several_at_once(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    alice, bob = await add_user(call, "alice"), await add_user(call, "bob")
    await attach(call, "user", "alice", READ_ONLY)

    assert await stored.of_all(call.db, [alice.user_id or "", bob.user_id or ""]) == {
        alice.user_id: [READ_ONLY],
        bob.user_id: [],
    }
