"""The IAM operations on an account as a whole: its summary, its alias, and what Moorage has none of."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.access.identities import account as accounts
from moorage.access.identities import entity as entities
from moorage.access.identities import inline, keys
from moorage.access.identities.account import Counts
from moorage.access.operations.users import user_or_caller
from moorage.aws.operation import operation
from moorage.aws.shapes.iam import (
    CreateAccountAliasRequest,
    CreateAccountAliasResponse,
    DeleteAccountAliasRequest,
    DeleteAccountAliasResponse,
    DeleteLoginProfileRequest,
    DeleteLoginProfileResponse,
    GetAccountSummaryRequest,
    GetAccountSummaryResponse,
    GetLoginProfileRequest,
    GetLoginProfileResponse,
    ListAccountAliasesRequest,
    ListAccountAliasesResponse,
    ListInstanceProfilesForRoleRequest,
    ListInstanceProfilesForRoleResponse,
    ListMFADevicesRequest,
    ListMFADevicesResponse,
    ListServiceSpecificCredentialsRequest,
    ListServiceSpecificCredentialsResponse,
    ListSigningCertificatesRequest,
    ListSigningCertificatesResponse,
    ListSSHPublicKeysRequest,
    ListSSHPublicKeysResponse,
    ListVirtualMFADevicesRequest,
    ListVirtualMFADevicesResponse,
    summaryKeyType,
)
from moorage.base.errors.identities import EntityAlreadyExists, NoSuchEntity
from moorage.store.db.api import UniqueViolation

# IAM user guide, "IAM and AWS STS quotas"; the numbers of AWS's GetAccountSummary.
_QUOTAS: dict[summaryKeyType, int] = {
    "AccessKeysPerUserQuota": keys.MOST,
    "AssumeRolePolicySizeQuota": 2_048,
    "AttachedPoliciesPerGroupQuota": 10,
    "AttachedPoliciesPerRoleQuota": 10,
    "AttachedPoliciesPerUserQuota": 10,
    "GroupPolicySizeQuota": inline.MOST_CHARACTERS["group"],
    "GroupsPerUserQuota": 10,
    "GroupsQuota": 300,
    "InstanceProfilesQuota": 1_000,
    "PoliciesQuota": 1_500,
    "PolicySizeQuota": 6_144,
    "PolicyVersionsInUseQuota": 10_000,
    "RolePolicySizeQuota": inline.MOST_CHARACTERS["role"],
    "RolesQuota": 1_000,
    "ServerCertificatesQuota": 20,
    "SigningCertificatesPerUserQuota": 2,
    "UserPolicySizeQuota": inline.MOST_CHARACTERS["user"],
    "UsersQuota": 5_000,
    "VersionsPerPolicyQuota": 5,
}

# What the summary counts and Moorage has not; tokens are of the second version everywhere.
_CONSTANT: dict[summaryKeyType, int] = {
    "AccountMFAEnabled": 0,
    "AccountPasswordPresent": 0,
    "AccountSigningCertificatesPresent": 0,
    "GlobalEndpointTokenVersion": 2,
    "InstanceProfiles": 0,
    "MFADevices": 0,
    "MFADevicesInUse": 0,
    "ServerCertificates": 0,
}


@operation
async def get_account_summary(call: Call, request: GetAccountSummaryRequest) -> GetAccountSummaryResponse:
    counted = _counted(await accounts.counts(call.db, call.account))
    return GetAccountSummaryResponse(summary_map=dict(sorted((counted | _CONSTANT | _QUOTAS).items())))


@operation
async def list_account_aliases(call: Call, request: ListAccountAliasesRequest) -> ListAccountAliasesResponse:
    alias = await accounts.alias(call.db, call.account)
    return ListAccountAliasesResponse(account_aliases=[alias] if alias else [], is_truncated=False)


@operation
async def create_account_alias(call: Call, request: CreateAccountAliasRequest) -> CreateAccountAliasResponse:
    """An account has one: another takes its place."""
    try:
        async with call.services.epochs.changing(call.account) as tx:
            await accounts.set_alias(tx, call.account, request.account_alias)
    except UniqueViolation:
        raise EntityAlreadyExists(f"The account alias {request.account_alias} already exists.") from None
    return CreateAccountAliasResponse()


@operation
async def delete_account_alias(call: Call, request: DeleteAccountAliasRequest) -> DeleteAccountAliasResponse:
    async with call.services.epochs.changing(call.account) as tx:
        await accounts.delete_alias(tx, call.account, request.account_alias)
    return DeleteAccountAliasResponse()


# Terraform asks for these before it deletes a user or role.


@operation
async def list_mfa_devices(call: Call, request: ListMFADevicesRequest) -> ListMFADevicesResponse:
    await _check_user(call, request.user_name)
    return ListMFADevicesResponse(mfa_devices=[], is_truncated=False)


@operation
async def list_virtual_mfa_devices(
    call: Call, request: ListVirtualMFADevicesRequest
) -> ListVirtualMFADevicesResponse:
    return ListVirtualMFADevicesResponse(virtual_mfa_devices=[], is_truncated=False)


@operation
async def list_ssh_public_keys(call: Call, request: ListSSHPublicKeysRequest) -> ListSSHPublicKeysResponse:
    await _check_user(call, request.user_name)
    return ListSSHPublicKeysResponse(ssh_public_keys=[], is_truncated=False)


@operation
async def list_signing_certificates(
    call: Call, request: ListSigningCertificatesRequest
) -> ListSigningCertificatesResponse:
    await _check_user(call, request.user_name)
    return ListSigningCertificatesResponse(certificates=[], is_truncated=False)


@operation
async def list_service_specific_credentials(
    call: Call, request: ListServiceSpecificCredentialsRequest
) -> ListServiceSpecificCredentialsResponse:
    if not request.all_users:
        await _check_user(call, request.user_name)
    return ListServiceSpecificCredentialsResponse(service_specific_credentials=[], is_truncated=False)


@operation
async def list_instance_profiles_for_role(
    call: Call, request: ListInstanceProfilesForRoleRequest
) -> ListInstanceProfilesForRoleResponse:
    await entities.need(call.db, call.account, "role", request.role_name)
    return ListInstanceProfilesForRoleResponse(instance_profiles=[], is_truncated=False)


@operation
async def get_login_profile(call: Call, request: GetLoginProfileRequest) -> GetLoginProfileResponse:
    raise await _no_login_profile(call, request.user_name)


@operation
async def delete_login_profile(call: Call, request: DeleteLoginProfileRequest) -> DeleteLoginProfileResponse:
    raise await _no_login_profile(call, request.user_name)


async def _no_login_profile(call: Call, user_name: str | None) -> NoSuchEntity:
    """There is no console to log in to with a password."""
    user = await user_or_caller(call, user_name)
    return NoSuchEntity(f"Login Profile for User {user.name} cannot be found.")


async def _check_user(call: Call, user_name: str | None) -> None:
    """Without a name it is the caller, which may be a root: it has none of these either."""
    if user_name is not None or call.principal.kind != "root":
        await user_or_caller(call, user_name)


def _counted(counts: Counts) -> dict[summaryKeyType, int]:
    return {
        "AccountAccessKeysPresent": int(counts.active_root_keys > 0),
        "Groups": counts.groups,
        "Policies": counts.policies,
        "PolicyVersionsInUse": counts.policy_versions,
        "Providers": counts.providers,
        "Roles": counts.roles,
        "Users": counts.users,
    }
