"""The operations of STS: who am I."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.aws.operation import operation
from moorage.aws.shapes.sts import GetCallerIdentityRequest, GetCallerIdentityResponse


@operation
async def get_caller_identity(call: Call, request: GetCallerIdentityRequest) -> GetCallerIdentityResponse:
    """Needs no permission: whoever signs may know whom the signature is of."""
    principal = call.principal
    return GetCallerIdentityResponse(user_id=principal.user_id, account=principal.account, arn=principal.arn)
