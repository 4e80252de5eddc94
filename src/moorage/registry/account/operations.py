"""The ECR operations on a registry as a whole."""

from __future__ import annotations

import base64

from moorage.access import resource_policy
from moorage.access.call import Call
from moorage.access.grants import registry_arn
from moorage.access.passwords import USER, password_for
from moorage.access.service_roles import ensure_service_linked
from moorage.aws.operation import operation
from moorage.aws.shapes.ecr import (
    AuthorizationData,
    DeleteRegistryPolicyRequest,
    DeleteRegistryPolicyResponse,
    DescribeRegistryRequest,
    DescribeRegistryResponse,
    GetAuthorizationTokenRequest,
    GetAuthorizationTokenResponse,
    GetRegistryPolicyRequest,
    GetRegistryPolicyResponse,
    PutRegistryPolicyRequest,
    PutRegistryPolicyResponse,
    PutReplicationConfigurationRequest,
    PutReplicationConfigurationResponse,
)
from moorage.base.addresses import Registry
from moorage.base.clock import wire_seconds
from moorage.base.errors.repositories import RegistryPolicyNotFound
from moorage.registry.account import replication
from moorage.store.db.api import Reads

_REPLICATION = "replication.ecr.amazonaws.com"


@operation
async def get_authorization_token(
    call: Call, request: GetAuthorizationTokenRequest
) -> GetAuthorizationTokenResponse:
    """One element for the caller's registry, or for each named; the same password serves them all."""
    password, expires = password_for(call)
    token = base64.b64encode(f"{USER}:{password}".encode()).decode()
    data = [
        AuthorizationData(
            authorization_token=token,
            expires_at=wire_seconds(expires),
            proxy_endpoint=call.services.addresses.proxy_endpoint(
                Registry(account, call.region), call.host, call.arrival.secure
            ),
        )
        for account in request.registry_ids or [call.account]
    ]
    return GetAuthorizationTokenResponse(authorization_data=data)


@operation
async def describe_registry(call: Call, request: DescribeRegistryRequest) -> DescribeRegistryResponse:
    stored = await replication.configuration_of(call.db, Registry(call.account, call.region))
    return DescribeRegistryResponse(registry_id=call.account, replication_configuration=stored)


@operation
async def put_replication_configuration(
    call: Call, request: PutReplicationConfigurationRequest
) -> PutReplicationConfigurationResponse:
    """Replace it whole. The first one makes the service-linked role, which the caller must be allowed to."""
    registry, configuration = Registry(call.account, call.region), request.replication_configuration
    replication.check(registry, configuration)
    await ensure_service_linked(call, call.account, _REPLICATION, caller_needs_right=True)
    async with call.db.transaction() as tx:
        await replication.store(tx, registry, configuration, call.now)
    return PutReplicationConfigurationResponse(replication_configuration=configuration)


@operation
async def put_registry_policy(call: Call, request: PutRegistryPolicyRequest) -> PutRegistryPolicyResponse:
    arn = registry_arn(call.account, call.region)
    text = await resource_policy.checked(call, request.policy_text, "registry", call.account, arn)
    async with call.services.epochs.changing(call.account) as tx:
        await resource_policy.store(tx, arn, text, call.now)
    shown = await resource_policy.printed(call, text, call.account)
    return PutRegistryPolicyResponse(registry_id=call.account, policy_text=shown)


@operation
async def get_registry_policy(call: Call, request: GetRegistryPolicyRequest) -> GetRegistryPolicyResponse:
    shown = await resource_policy.printed(call, await _policy_of(call.db, call), call.account)
    return GetRegistryPolicyResponse(registry_id=call.account, policy_text=shown)


@operation
async def delete_registry_policy(
    call: Call, request: DeleteRegistryPolicyRequest
) -> DeleteRegistryPolicyResponse:
    async with call.services.epochs.changing(call.account) as tx:
        text = await _policy_of(tx, call)
        await resource_policy.clear(tx, registry_arn(call.account, call.region))
    shown = await resource_policy.printed(call, text, call.account)
    return DeleteRegistryPolicyResponse(registry_id=call.account, policy_text=shown)


async def _policy_of(reads: Reads, call: Call) -> str:
    text = await resource_policy.find(reads, registry_arn(call.account, call.region))
    if text is None:
        raise RegistryPolicyNotFound(registry_id=call.account)
    return text
