"""The ECR operations on how the images of a repository are scanned."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.aws.operation import operation
from moorage.aws.shapes.ecr import (
    BatchGetRepositoryScanningConfigurationRequest,
    BatchGetRepositoryScanningConfigurationResponse,
    ImageScanningConfiguration,
    PutImageScanningConfigurationRequest,
    PutImageScanningConfigurationResponse,
    RepositoryScanningConfiguration,
    RepositoryScanningConfigurationFailure,
    ScanningRepositoryFilter,
)
from moorage.base.addresses import Registry
from moorage.registry.account import scanning
from moorage.registry.account.scanning import Effective
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository


@operation
async def put_image_scanning_configuration(
    call: Call, request: PutImageScanningConfigurationRequest
) -> PutImageScanningConfigurationResponse:
    """The repository's own flag, which basic scanning honours beside the registry's rules."""
    found = await repositories.find(call, request.repository_name, request.registry_id)
    scanning.refuse_enhanced(await scanning.configuration_of(call.db, found.registry))
    scan_on_push = bool(request.image_scanning_configuration.scan_on_push)
    await repositories.set_scanning(call, found, scan_on_push=scan_on_push)
    return PutImageScanningConfigurationResponse(
        registry_id=found.registry.account,
        repository_name=found.name,
        image_scanning_configuration=ImageScanningConfiguration(scan_on_push=scan_on_push),
    )


@operation
async def batch_get_repository_scanning_configuration(
    call: Call, request: BatchGetRepositoryScanningConfigurationRequest
) -> BatchGetRepositoryScanningConfigurationResponse:
    """What the registry's rules and each repository's flag come to; a failure for each that is not there."""
    names = list(dict.fromkeys(request.repository_names))
    registry = Registry(call.account, call.region)
    configuration = await scanning.configuration_of(call.db, registry)
    found = await repositories.find_some(call.db, registry, names)
    return BatchGetRepositoryScanningConfigurationResponse(
        scanning_configurations=[
            _shape(found[name], scanning.effective(configuration, name, found[name].scan_on_push))
            for name in names
            if name in found
        ],
        failures=[
            RepositoryScanningConfigurationFailure(
                repository_name=name,
                failure_code="REPOSITORY_NOT_FOUND",
                failure_reason="REPOSITORY_NOT_FOUND",
            )
            for name in names
            if name not in found
        ],
    )


def _shape(repository: Repository, effective: Effective) -> RepositoryScanningConfiguration:
    return RepositoryScanningConfiguration(
        repository_arn=repository.arn,
        repository_name=repository.name,
        scan_on_push=effective.scan_on_push,
        scan_frequency=effective.frequency,
        applied_scan_filters=[
            ScanningRepositoryFilter(filter=text, filter_type="WILDCARD") for text in effective.filters
        ],
    )
