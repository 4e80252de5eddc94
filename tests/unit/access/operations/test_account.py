from __future__ import annotations

from typing import Any

import pytest

from moorage.access.operations import account
from moorage.aws.shapes import iam
from moorage.base.errors.identities import EntityAlreadyExists, NoSuchEntity
from moorage.base.errors.requests import Validation

from ...registry.memory import in_memory
from ...registry.registry import MemoryRegistry
from .calling import OTHER, add_account, add_group, add_key, add_role, add_user, by, by_role


@in_memory
async def test_summary_counts_what_is_there_and_nothing_of_others(registry: MemoryRegistry) -> None:
    call, other = await add_account(registry), await add_account(registry, OTHER)
    await add_user(call, "alice")
    await add_user(call, "bob")
    await add_group(call, "team")
    await add_role(call, "puller")
    await add_key(call)
    await add_key(call, "alice")

    own = (await account.get_account_summary(call, iam.GetAccountSummaryRequest())).summary_map or {}
    others = (await account.get_account_summary(other, iam.GetAccountSummaryRequest())).summary_map or {}

    counted = ("Users", "Groups", "Roles", "Policies", "AccountAccessKeysPresent", "AccountMFAEnabled")
    assert [own[key] for key in counted] == [2, 1, 1, 0, 1, 0]  # type: ignore[index]
    assert [others[key] for key in counted] == [0, 0, 0, 0, 0, 0]  # type: ignore[index]
    assert (own["AccessKeysPerUserQuota"], own["UserPolicySizeQuota"]) == (2, 2_048)
    assert own.keys() == others.keys()


@in_memory
async def test_an_account_has_one_alias_and_another_takes_its_place(registry: MemoryRegistry) -> None:
    call = await add_account(registry)

    async def aliases() -> list[str]:
        return (await account.list_account_aliases(call, iam.ListAccountAliasesRequest())).account_aliases

    before = await aliases()
    for alias in ("harbour", "marina"):
        await account.create_account_alias(call, iam.CreateAccountAliasRequest(account_alias=alias))
    assert (before, await aliases()) == ([], ["marina"])

    with pytest.raises(NoSuchEntity):
        await account.delete_account_alias(call, iam.DeleteAccountAliasRequest(account_alias="harbour"))
    await account.delete_account_alias(call, iam.DeleteAccountAliasRequest(account_alias="marina"))
    assert await aliases() == []


@in_memory
async def test_an_alias_of_another_account_is_taken(registry: MemoryRegistry) -> None:
    call, other = await add_account(registry), await add_account(registry, OTHER)
    request = iam.CreateAccountAliasRequest(account_alias="harbour")
    await account.create_account_alias(call, request)
    await account.create_account_alias(call, request)

    with pytest.raises(EntityAlreadyExists, match=r"^The account alias harbour already exists\.$"):
        await account.create_account_alias(other, request)
    with pytest.raises(NoSuchEntity):
        await account.delete_account_alias(other, iam.DeleteAccountAliasRequest(account_alias="harbour"))
    assert registry.count("account_aliases") == 1


OF_USERS: tuple[tuple[Any, Any, str], ...] = (
    (account.list_mfa_devices, iam.ListMFADevicesRequest, "mfa_devices"),
    (account.list_ssh_public_keys, iam.ListSSHPublicKeysRequest, "ssh_public_keys"),
    (account.list_signing_certificates, iam.ListSigningCertificatesRequest, "certificates"),
    (
        account.list_service_specific_credentials,
        iam.ListServiceSpecificCredentialsRequest,
        "service_specific_credentials",
    ),
)


@pytest.mark.parametrize(("operation", "request_type", "member"), OF_USERS)
@in_memory
async def test_what_users_have_elsewhere_is_an_empty_list(
    registry: MemoryRegistry, operation: Any, request_type: Any, member: str
) -> None:
    call = await add_account(registry)
    alice = await add_user(call, "alice")

    for caller, name in ((call, "alice"), (by(call, alice), None), (call, None)):
        answer = await operation(caller, request_type(user_name=name))
        assert (getattr(answer, member), answer.is_truncated) == ([], False)
    with pytest.raises(NoSuchEntity, match=r"^The user with name bob cannot be found\.$"):
        await operation(call, request_type(user_name="bob"))
    with pytest.raises(Validation):
        await operation(by_role(call), request_type())


@in_memory
async def test_what_accounts_and_roles_have_elsewhere_is_an_empty_list(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_role(call, "puller")
    of_role = iam.ListInstanceProfilesForRoleRequest(role_name="puller")

    devices = await account.list_virtual_mfa_devices(call, iam.ListVirtualMFADevicesRequest())
    profiles = await account.list_instance_profiles_for_role(call, of_role)
    everybody = await account.list_service_specific_credentials(
        by_role(call), iam.ListServiceSpecificCredentialsRequest(all_users=True)
    )

    assert devices.virtual_mfa_devices == profiles.instance_profiles == []
    assert everybody.service_specific_credentials == []
    with pytest.raises(NoSuchEntity):
        await account.list_instance_profiles_for_role(
            call, iam.ListInstanceProfilesForRoleRequest(role_name="other")
        )


@in_memory
async def test_nobody_has_a_login_profile(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "Alice")

    for operation, request in (
        (account.get_login_profile, iam.GetLoginProfileRequest(user_name="alice")),
        (account.delete_login_profile, iam.DeleteLoginProfileRequest(user_name="alice")),
    ):
        with pytest.raises(NoSuchEntity, match=r"^Login Profile for User Alice cannot be found\.$"):
            await operation(call, request)  # type: ignore[operator]
