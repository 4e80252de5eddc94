"""The operations of STS for those who sign: who am I, and temporary credentials."""

from __future__ import annotations

from moorage.access.assuming import Refused, RoleArn, role_for
from moorage.access.call import Call
from moorage.access.identities import entity as entities
from moorage.access.operations import role_sessions
from moorage.access.session_tags import session_tags
from moorage.access.sessions import SessionRequest
from moorage.aws.operation import operation
from moorage.aws.shapes.sts import (
    AssumeRoleRequest,
    AssumeRoleResponse,
    GetAccessKeyInfoRequest,
    GetAccessKeyInfoResponse,
    GetCallerIdentityRequest,
    GetCallerIdentityResponse,
    GetSessionTokenRequest,
    GetSessionTokenResponse,
)
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.requests import Validation

_CHAINED_MAX_S = 3_600
_SESSION_TOKEN_S = 43_200
_ROOT_MAX_S = 3_600


@operation
async def get_caller_identity(call: Call, request: GetCallerIdentityRequest) -> GetCallerIdentityResponse:
    """Needs no permission: whoever signs may know whom the signature is of."""
    principal = call.principal
    return GetCallerIdentityResponse(user_id=principal.user_id, account=principal.account, arn=principal.arn)


@operation
async def assume_role(call: Call, request: AssumeRoleRequest) -> AssumeRoleResponse:
    """The trust policy is asked first: nothing else is said to who may not."""
    if call.principal.kind == "root":
        raise AccessDenied("Roles may not be assumed by root accounts.")
    _refuse_mfa(request.serial_number, request.token_code)
    if request.provided_contexts:
        raise Validation("ProvidedContexts are not supported.")
    arn = RoleArn.parse(request.role_arn)
    seconds = request.duration_seconds or role_sessions.DEFAULT_S
    is_chained = call.principal.kind == "role"
    if is_chained and seconds > _CHAINED_MAX_S:
        raise Validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    asked = [(tag.key, tag.value) for tag in request.tags or ()]
    tags = session_tags(asked, request.transitive_tag_keys or (), call.principal.session)
    source = _source_identity(call, arn, request.source_identity or "")
    context = role_sessions.context_of(request.role_session_name, asked, tags, source)
    if request.external_id is not None:
        context["sts:externalid"] = request.external_id
    role = await role_for(call, arn, role_sessions.actions("sts:AssumeRole", tags, source), context)
    if isinstance(role, Refused):
        raise _denied(call, role.action, arn)
    session = await role_sessions.begin(
        call,
        role,
        SessionRequest(
            entity=role,
            account=role.account,
            name=request.role_session_name,
            seconds=seconds,
            policy=request.policy or "",
            policy_arns=role_sessions.policy_arns(request.policy_arns),
            tags=tags.tags,
            transitive=tags.transitive,
            source_identity=source,
            is_chained=is_chained,
        ),
    )
    return AssumeRoleResponse(
        credentials=role_sessions.credentials_of(session),
        assumed_role_user=role_sessions.user_of(role, request.role_session_name),
        packed_policy_size=role_sessions.packed_size(session),
        source_identity=source or None,
    )


@operation
async def get_session_token(call: Call, request: GetSessionTokenRequest) -> GetSessionTokenResponse:
    """Needs no permission: it gives nothing that the caller has not."""
    principal = call.principal
    if principal.session is not None:
        raise AccessDenied("Cannot call GetSessionToken with session credentials")
    _refuse_mfa(request.serial_number, request.token_code)
    seconds = request.duration_seconds or _SESSION_TOKEN_S
    if principal.kind == "root":
        seconds = min(seconds, _ROOT_MAX_S)
    user = await entities.by_id(call.db, principal.id) if principal.kind == "user" else None
    session = await call.services.sessions.issue(
        SessionRequest(entity=user, account=principal.account, name="", seconds=seconds), call.now
    )
    return GetSessionTokenResponse(credentials=role_sessions.credentials_of(session))


@operation
async def get_access_key_info(call: Call, request: GetAccessKeyInfoRequest) -> GetAccessKeyInfoResponse:
    """The account of a long-term key, or of the caller's own: temporary ones are stored nowhere."""
    if request.access_key_id == call.principal.access_key_id:
        return GetAccessKeyInfoResponse(account=call.principal.account)
    row = await call.db.one("access.account_of_key", {"id": request.access_key_id})
    if row is None:
        raise Validation(f"Access key {request.access_key_id} is not known here.")
    return GetAccessKeyInfoResponse(account=row[0])


def _source_identity(call: Call, arn: RoleArn, asked: str) -> str:
    """Once set, it stays: a session cannot begin another in somebody else's name."""
    session = call.principal.session
    own = session.source_identity if session is not None else ""
    if own and asked and asked != own:
        raise _denied(call, "sts:SetSourceIdentity", arn)
    return own or asked


def _denied(call: Call, action: str, arn: RoleArn) -> AccessDenied:
    """Without a reason: it would tell whether the role is there."""
    return AccessDenied(
        f"User: {call.principal.arn} is not authorized to perform: {action} on resource: {arn.text}"
    )


def _refuse_mfa(serial_number: str | None, token_code: str | None) -> None:
    """There are no devices to check a code of: to pass it over would let `aws:MultiFactorAuthPresent` mislead."""
    if serial_number is not None or token_code is not None:
        raise AccessDenied(
            "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is "
            "valid and associated with this user."
        )
