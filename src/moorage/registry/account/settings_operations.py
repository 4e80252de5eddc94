"""The ECR operations on what a registry has set: account settings, scanning, signing, whose pulls do not count."""

from __future__ import annotations

import msgspec

from moorage.access.call import Call
from moorage.access.paging import DEFAULT_PAGE, next_token, position_in
from moorage.aws.operation import operation
from moorage.aws.shapes.ecr import (
    DeleteSigningConfigurationRequest,
    DeleteSigningConfigurationResponse,
    DeregisterPullTimeUpdateExclusionRequest,
    DeregisterPullTimeUpdateExclusionResponse,
    GetAccountSettingRequest,
    GetAccountSettingResponse,
    GetRegistryScanningConfigurationRequest,
    GetRegistryScanningConfigurationResponse,
    GetSigningConfigurationRequest,
    GetSigningConfigurationResponse,
    ListPullTimeUpdateExclusionsRequest,
    ListPullTimeUpdateExclusionsResponse,
    PutAccountSettingRequest,
    PutAccountSettingResponse,
    PutRegistryScanningConfigurationRequest,
    PutRegistryScanningConfigurationResponse,
    PutSigningConfigurationRequest,
    PutSigningConfigurationResponse,
    RegisterPullTimeUpdateExclusionRequest,
    RegisterPullTimeUpdateExclusionResponse,
    RegistryScanningConfiguration,
)
from moorage.base.addresses import Registry
from moorage.base.clock import wire_seconds
from moorage.registry.account import exclusions, scanning, settings, signing


@operation
async def get_account_setting(call: Call, request: GetAccountSettingRequest) -> GetAccountSettingResponse:
    value = await settings.setting_of(call.db, _registry(call), request.name)
    return GetAccountSettingResponse(name=request.name, value=value)


@operation
async def put_account_setting(call: Call, request: PutAccountSettingRequest) -> PutAccountSettingResponse:
    async with call.db.transaction() as tx:
        await settings.set_to(tx, _registry(call), request.name, request.value, call.now)
    return PutAccountSettingResponse(name=request.name, value=request.value)


# Scanning


@operation
async def put_registry_scanning_configuration(
    call: Call, request: PutRegistryScanningConfigurationRequest
) -> PutRegistryScanningConfigurationResponse:
    """Replace all of it: what is omitted is as in a new registry."""
    configuration = RegistryScanningConfiguration(
        scan_type=request.scan_type or "BASIC", rules=request.rules or []
    )
    async with call.db.transaction() as tx:
        await scanning.store(tx, _registry(call), configuration, call.now)
    return PutRegistryScanningConfigurationResponse(registry_scanning_configuration=configuration)


@operation
async def get_registry_scanning_configuration(
    call: Call, request: GetRegistryScanningConfigurationRequest
) -> GetRegistryScanningConfigurationResponse:
    return GetRegistryScanningConfigurationResponse(
        registry_id=call.account,
        scanning_configuration=await scanning.configuration_of(call.db, _registry(call)),
    )


# Signing


@operation
async def put_signing_configuration(
    call: Call, request: PutSigningConfigurationRequest
) -> PutSigningConfigurationResponse:
    async with call.db.transaction() as tx:
        await signing.store(tx, _registry(call), request.signing_configuration, call.now)
    return PutSigningConfigurationResponse(signing_configuration=request.signing_configuration)


@operation
async def get_signing_configuration(
    call: Call, request: GetSigningConfigurationRequest
) -> GetSigningConfigurationResponse:
    return GetSigningConfigurationResponse(
        registry_id=call.account,
        signing_configuration=await signing.configuration_of(call.db, _registry(call)),
    )


@operation
async def delete_signing_configuration(
    call: Call, request: DeleteSigningConfigurationRequest
) -> DeleteSigningConfigurationResponse:
    async with call.db.transaction() as tx:
        removed = await signing.remove(tx, _registry(call))
    return DeleteSigningConfigurationResponse(registry_id=call.account, signing_configuration=removed)


# Whose pulls do not count


@operation
async def register_pull_time_update_exclusion(
    call: Call, request: RegisterPullTimeUpdateExclusionRequest
) -> RegisterPullTimeUpdateExclusionResponse:
    await exclusions.register(call.db, _registry(call), request.principal_arn, call.now)
    call.services.pull_times.excluded = await exclusions.of_all(call.db)
    return RegisterPullTimeUpdateExclusionResponse(
        principal_arn=request.principal_arn, created_at=wire_seconds(call.now)
    )


@operation
async def deregister_pull_time_update_exclusion(
    call: Call, request: DeregisterPullTimeUpdateExclusionRequest
) -> DeregisterPullTimeUpdateExclusionResponse:
    await exclusions.deregister(call.db, _registry(call), request.principal_arn)
    call.services.pull_times.excluded = await exclusions.of_all(call.db)
    return DeregisterPullTimeUpdateExclusionResponse(principal_arn=request.principal_arn)


@operation
async def list_pull_time_update_exclusions(
    call: Call, request: ListPullTimeUpdateExclusionsRequest
) -> ListPullTimeUpdateExclusionsResponse:
    listing = ("ListPullTimeUpdateExclusions",)
    after = position_in(call, listing, request.next_token, _Principal)
    limit = request.max_results or DEFAULT_PAGE
    found = await exclusions.page(call.db, _registry(call), after.arn if after else "", limit + 1)
    shown = found[:limit]
    more = next_token(call, listing, _Principal(shown[-1])) if len(found) > limit else None
    return ListPullTimeUpdateExclusionsResponse(pull_time_update_exclusions=shown, next_token=more)


class _Principal(msgspec.Struct, array_like=True):
    arn: str


def _registry(call: Call) -> Registry:
    return Registry(call.account, call.region)
