from __future__ import annotations

import pytest

from moorage.access.call import Call
from moorage.access.identities import service_linked
from moorage.access.operations import attachments, inline_policies, roles
from moorage.access.operations import service_linked_roles as service_linked_operations
from moorage.aws.shapes import iam
from moorage.base.errors.identities import InvalidInput, NoSuchEntity, UnmodifiableEntity

from ...registry.memory import in_memory
from ...registry.registry import ACCOUNT, MemoryRegistry
from .calling import ALLOW, OTHER, add_account
from .roles_and_policies import READ_ONLY, create_role, role_named, trust_of, trusting

SERVICE = "replication.ecr.amazonaws.com"
ROLE = "AWSServiceRoleForECRReplication"


async def create(call: Call, service: str = SERVICE, **members: str) -> iam.Role:
    request = iam.CreateServiceLinkedRoleRequest(aws_service_name=service, **members)
    created = (await service_linked_operations.create_service_linked_role(call, request)).role
    assert created is not None
    return created


async def delete(call: Call, role: str = ROLE) -> str:
    request = iam.DeleteServiceLinkedRoleRequest(role_name=role)
    return (await service_linked_operations.delete_service_linked_role(call, request)).deletion_task_id


async def status(call: Call, task: str) -> str:
    request = iam.GetServiceLinkedRoleDeletionStatusRequest(deletion_task_id=task)
    return (await service_linked_operations.get_service_linked_role_deletion_status(call, request)).status


@pytest.mark.parametrize("service", sorted(service_linked.SERVICES))
@in_memory
async def test_a_service_has_its_role_its_policy_and_its_trust(
    registry: MemoryRegistry, service: str
) -> None:
    call = await add_account(registry)
    known = service_linked.SERVICES[service]

    created = await create(call, service)
    held = await attachments.list_attached_role_policies(
        call, iam.ListAttachedRolePoliciesRequest(role_name=known.role)
    )

    assert created == await role_named(call, known.role)
    assert created.arn == f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{service}/{known.role}"
    assert trust_of(created) == {"Service": service}
    assert [policy.policy_name for policy in held.attached_policies or []] == [known.policy]


@in_memory
async def test_one_that_exists_a_suffix_or_an_unknown_service_is_invalid(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create(call)

    with pytest.raises(InvalidInput, match=f"Service role name {ROLE} has been taken in this account"):
        await create(call)
    with pytest.raises(InvalidInput, match=f"^Custom suffix is not allowed for {SERVICE}$"):
        await create(call, custom_suffix="x")
    with pytest.raises(InvalidInput):
        await create(call, "lambda.amazonaws.com")


@in_memory
async def test_the_ordinary_verbs_leave_it_alone(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create(call)
    policy = "arn:aws:iam::aws:policy/aws-service-role/ECRReplicationServiceRolePolicy"

    for act in (
        roles.delete_role(call, iam.DeleteRoleRequest(role_name=ROLE)),
        roles.update_role(call, iam.UpdateRoleRequest(role_name=ROLE, max_session_duration=3_600)),
        roles.update_assume_role_policy(
            call, iam.UpdateAssumeRolePolicyRequest(role_name=ROLE, policy_document=trusting(OTHER))
        ),
        roles.put_role_permissions_boundary(
            call, iam.PutRolePermissionsBoundaryRequest(role_name=ROLE, permissions_boundary=READ_ONLY)
        ),
        roles.delete_role_permissions_boundary(
            call, iam.DeleteRolePermissionsBoundaryRequest(role_name=ROLE)
        ),
        attachments.attach_role_policy(
            call, iam.AttachRolePolicyRequest(role_name=ROLE, policy_arn=READ_ONLY)
        ),
        attachments.detach_role_policy(call, iam.DetachRolePolicyRequest(role_name=ROLE, policy_arn=policy)),
        inline_policies.put_role_policy(
            call, iam.PutRolePolicyRequest(role_name=ROLE, policy_name="p", policy_document=ALLOW)
        ),
        inline_policies.delete_role_policy(
            call, iam.DeleteRolePolicyRequest(role_name=ROLE, policy_name="p")
        ),
    ):
        with pytest.raises(UnmodifiableEntity, match=f"protected role '{ROLE}'"):
            await act
    await roles.update_role_description(
        call, iam.UpdateRoleDescriptionRequest(role_name=ROLE, description="ours")
    )
    assert (await role_named(call, ROLE)).description == "ours"


@in_memory
async def test_it_is_deleted_at_once_and_its_task_tells_so(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create(call)

    task = await delete(call)

    assert task.startswith(f"task/aws-service-role/{SERVICE}/{ROLE}/")
    assert await status(call, task) == "SUCCEEDED"
    assert registry.count("attachments") == registry.count("principals") == 0
    with pytest.raises(NoSuchEntity):
        await delete(call)
    await create(call)


@in_memory
async def test_the_task_of_another_account_or_an_invented_one_is_not_found(registry: MemoryRegistry) -> None:
    call, stranger = await add_account(registry), await add_account(registry, OTHER)
    await create(call)
    task = await delete(call)

    with pytest.raises(NoSuchEntity):
        await status(stranger, task)
    for invented in (task[:-4], task.replace(ROLE, "Other"), f"task/aws-service-role/{SERVICE}/{ROLE}/"):
        with pytest.raises(NoSuchEntity):
            await status(call, invented)
    for invalid in ("x", "task/other/" + "y" * 40, "/"):
        with pytest.raises(InvalidInput):
            await status(call, invalid)


@in_memory
async def test_a_role_of_the_account_is_not_deleted_as_a_service_linked_one(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create_role(call, "deploy")

    with pytest.raises(NoSuchEntity):
        await delete(call, "deploy")
    assert (await role_named(call, "deploy")).role_name == "deploy"
