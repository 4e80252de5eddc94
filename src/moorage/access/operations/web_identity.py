"""AssumeRoleWithWebIdentity: temporary credentials for whom an identity provider vouches for. Nobody signs it."""

from __future__ import annotations

from moorage.access.assuming import Refused, RoleArn, role_for
from moorage.access.call import Call
from moorage.access.grants import Grants
from moorage.access.identities.providers import Provider
from moorage.access.operations import role_sessions
from moorage.access.policies.decide import Caller
from moorage.access.session_tags import session_tags
from moorage.access.sessions import SessionRequest
from moorage.access.web_identity.claims import carried, condition_keys
from moorage.access.web_identity.token import WebIdentity
from moorage.access.web_identity.verify import verify
from moorage.aws.explain import convert
from moorage.aws.operation import operation
from moorage.aws.shapes.sts import (
    AssumeRoleRequest,
    AssumeRoleWithWebIdentityRequest,
    AssumeRoleWithWebIdentityResponse,
)
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.identities import IDPRejectedClaim
from moorage.base.errors.requests import InvalidParameter, Serialization, Validation

_ACTION = "sts:AssumeRoleWithWebIdentity"


@operation
async def assume_role_with_web_identity(
    call: Call, request: AssumeRoleWithWebIdentityRequest
) -> AssumeRoleWithWebIdentityResponse:
    """First who it is, then whether the role trusts them: a role that is not there is refused as one that does not."""
    arn = RoleArn.parse(request.role_arn)
    provider, identity = await verify(
        call.db, call.services.provider_keys, arn.account, request.web_identity_token, call.now
    )
    brought = _brought(request, identity)
    source, asked = brought.source_identity or "", [(tag.key, tag.value) for tag in brought.tags or ()]
    try:
        tags = session_tags(asked, brought.transitive_tag_keys or (), None)
    except InvalidParameter as error:
        raise IDPRejectedClaim(str(error)) from None
    context = {
        **role_sessions.context_of(request.role_session_name, asked, tags, source),
        **condition_keys(provider.place, identity),
    }
    role = await role_for(
        call, arn, role_sessions.actions(_ACTION, tags, source), context, _vouched_for(provider)
    )
    if isinstance(role, Refused):
        raise AccessDenied(f"Not authorized to perform {role.action}")
    session = await role_sessions.begin(
        call,
        role,
        SessionRequest(
            entity=role,
            account=role.account,
            name=request.role_session_name,
            seconds=request.duration_seconds or role_sessions.DEFAULT_S,
            policy=request.policy or "",
            policy_arns=role_sessions.policy_arns(request.policy_arns),
            tags=tags.tags,
            transitive=tags.transitive,
            source_identity=source,
            provider=provider.arn,
        ),
    )
    return AssumeRoleWithWebIdentityResponse(
        credentials=role_sessions.credentials_of(session),
        subject_from_web_identity_token=identity.subject,
        assumed_role_user=role_sessions.user_of(role, request.role_session_name),
        packed_policy_size=role_sessions.packed_size(session),
        provider=provider.arn,
        audience=identity.audience,
        source_identity=source or None,
    )


def _brought(request: AssumeRoleWithWebIdentityRequest, identity: WebIdentity) -> AssumeRoleRequest:
    """What the token asks to go into the session passes the same door as what AssumeRole asks for."""
    claims = carried(identity)
    tree: dict[str, object] = {
        "RoleArn": request.role_arn,
        "RoleSessionName": request.role_session_name,
        "Tags": [{"Key": key, "Value": value} for key, value in claims.tags.items()],
        "TransitiveTagKeys": list(claims.transitive),
    }
    if claims.source_identity:
        tree["SourceIdentity"] = claims.source_identity
    try:
        return convert("sts", AssumeRoleRequest, tree)
    except (Serialization, Validation) as error:
        raise IDPRejectedClaim(str(error)) from None


def _vouched_for(provider: Provider) -> Grants:
    """Somebody of whom no account has policies: only the trust policy speaks for them."""
    return Grants(
        caller=Caller(kind="federated", account="", arn=provider.arn, provider=provider.arn),
        identity=(),
        boundary=None,
        session=None,
        scps=(),
        context={"aws:principalisawsservice": "false", "aws:viaawsservice": "false"},
    )
