"""The ECR operations on a registry as a whole."""

from __future__ import annotations

import base64

from moorage.access.call import Call
from moorage.access.passwords import USER, password_for
from moorage.aws.operation import operation
from moorage.aws.shapes.ecr import (
    AuthorizationData,
    DescribeRegistryRequest,
    DescribeRegistryResponse,
    GetAuthorizationTokenRequest,
    GetAuthorizationTokenResponse,
    ReplicationConfiguration,
)
from moorage.base.addresses import Registry
from moorage.base.clock import wire_seconds


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
    return DescribeRegistryResponse(
        registry_id=call.account, replication_configuration=ReplicationConfiguration(rules=[])
    )
