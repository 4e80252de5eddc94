"""Our own operations on the lifecycle policy of repositories that have none of their own."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.aws.operation import operation
from moorage.aws.shapes.moorage import (
    DeleteDefaultLifecyclePolicyRequest,
    DeleteDefaultLifecyclePolicyResponse,
    GetDefaultLifecyclePolicyRequest,
    GetDefaultLifecyclePolicyResponse,
    PutDefaultLifecyclePolicyRequest,
    PutDefaultLifecyclePolicyResponse,
)
from moorage.base.addresses import Registry
from moorage.base.clock import wire_seconds
from moorage.base.errors.lifecycle import DefaultLifecyclePolicyNotFound
from moorage.registry.lifecycle import stored
from moorage.registry.lifecycle.policy import compact
from moorage.registry.lifecycle.stored import StoredPolicy
from moorage.store.db.api import Reads


@operation
async def put_default_lifecycle_policy(
    call: Call, request: PutDefaultLifecyclePolicyRequest
) -> PutDefaultLifecyclePolicyResponse:
    """It may have extensions whether or not policies of repositories may: it is an extension itself."""
    registry = _registry(call, request.registry_id)
    text = request.lifecycle_policy_text
    async with call.db.transaction() as tx:
        await stored.put_default(tx, call.services.jobs, registry, text, call.now)
    return PutDefaultLifecyclePolicyResponse(
        registry_id=registry.account, lifecycle_policy_text=compact(text)
    )


@operation
async def get_default_lifecycle_policy(
    call: Call, request: GetDefaultLifecyclePolicyRequest
) -> GetDefaultLifecyclePolicyResponse:
    registry = _registry(call, request.registry_id)
    found = await _need(call.db, registry)
    return GetDefaultLifecyclePolicyResponse(
        registry_id=registry.account, lifecycle_policy_text=found.text, updated_at=wire_seconds(found.put)
    )


@operation
async def delete_default_lifecycle_policy(
    call: Call, request: DeleteDefaultLifecyclePolicyRequest
) -> DeleteDefaultLifecyclePolicyResponse:
    """What is being applied goes on to the end of its batch."""
    registry = _registry(call, request.registry_id)
    async with call.db.transaction() as tx:
        found = await _need(tx, registry)
        await stored.delete_default(tx, registry)
    return DeleteDefaultLifecyclePolicyResponse(
        registry_id=registry.account, lifecycle_policy_text=found.text, updated_at=wire_seconds(found.put)
    )


def _registry(call: Call, account: str | None) -> Registry:
    return Registry(account or call.account, call.region)


async def _need(reads: Reads, registry: Registry) -> StoredPolicy:
    found = await stored.default_of(reads, registry)
    if found is None:
        raise DefaultLifecyclePolicyNotFound(registry_id=registry.account)
    return found
