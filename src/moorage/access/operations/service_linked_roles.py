"""The IAM operations on service-linked roles. One is gone when its deletion is answered: the task has succeeded."""

from __future__ import annotations

import msgspec

from moorage.access.call import Call
from moorage.access.identities import roles, service_linked, tags
from moorage.access.operations.roles import role_shape
from moorage.access.paging import next_token, position_in
from moorage.aws.operation import operation
from moorage.aws.shapes.iam import (
    CreateServiceLinkedRoleRequest,
    CreateServiceLinkedRoleResponse,
    DeleteServiceLinkedRoleRequest,
    DeleteServiceLinkedRoleResponse,
    GetServiceLinkedRoleDeletionStatusRequest,
    GetServiceLinkedRoleDeletionStatusResponse,
)
from moorage.base.errors.identities import InvalidInput, NoSuchEntity
from moorage.base.errors.requests import InvalidParameter

_TASK = "task"


class _Deleted(msgspec.Struct, array_like=True):
    role: str


@operation
async def create_service_linked_role(
    call: Call, request: CreateServiceLinkedRoleRequest
) -> CreateServiceLinkedRoleResponse:
    async with call.services.epochs.changing(call.account) as tx:
        role = await service_linked.create(
            tx,
            call.account,
            request.aws_service_name,
            call.now,
            description=request.description or "",
            suffix=request.custom_suffix or "",
        )
        tagged = await tags.of(tx, role.id)
        trust_policy = await roles.trust_policy_of(tx, role)
    return CreateServiceLinkedRoleResponse(role=role_shape(role, trust_policy, tagged))


@operation
async def delete_service_linked_role(
    call: Call, request: DeleteServiceLinkedRoleRequest
) -> DeleteServiceLinkedRoleResponse:
    async with call.services.epochs.changing(call.account) as tx:
        role = await service_linked.delete(tx, call.account, request.role_name)
    place = f"{role.path}{role.name}"
    sealed = next_token(call, (_TASK, place), _Deleted(role.id))
    return DeleteServiceLinkedRoleResponse(deletion_task_id=f"{_TASK}{place}/{sealed}")


@operation
async def get_service_linked_role_deletion_status(
    call: Call, request: GetServiceLinkedRoleDeletionStatusRequest
) -> GetServiceLinkedRoleDeletionStatusResponse:
    """Only for the tasks that this service has named, each to its account."""
    place, _, sealed = request.deletion_task_id.rpartition("/")
    if not place.startswith(f"{_TASK}{roles.SERVICE_LINKED}"):
        raise InvalidInput(f"Invalid deletion task id: {request.deletion_task_id[:128]}")
    try:
        position_in(call, (_TASK, place.removeprefix(_TASK)), sealed or "-", _Deleted)
    except InvalidParameter:
        raise NoSuchEntity(f"Deletion task id {request.deletion_task_id[:128]} cannot be found.") from None
    return GetServiceLinkedRoleDeletionStatusResponse(status="SUCCEEDED")
