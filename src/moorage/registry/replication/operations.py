"""The ECR operations on what replication does: the status of an image, and backfills."""

from __future__ import annotations

import msgspec

from moorage.access.call import Call
from moorage.access.paging import DEFAULT_PAGE, next_token, position_in
from moorage.aws.operation import operation
from moorage.aws.shapes.ecr import (
    DescribeImageReplicationStatusRequest,
    DescribeImageReplicationStatusResponse,
    DescribeReplicationBackfillResultsRequest,
    DescribeReplicationBackfillResultsResponse,
    ImageIdentifier,
    ImageReplicationStatus,
    ListReplicationBackfillsRequest,
    ListReplicationBackfillsResponse,
    ReplicationBackfillProgress,
    ReplicationBackfillResult,
    ReplicationBackfillSummary,
    ReplicationDestination,
    StartReplicationBackfillRequest,
    StartReplicationBackfillResponse,
    StopReplicationBackfillRequest,
    StopReplicationBackfillResponse,
)
from moorage.base.addresses import Registry
from moorage.base.clock import wire_seconds
from moorage.base.errors.images import ImageNotFound
from moorage.base.errors.requests import InvalidParameter
from moorage.registry.images.identify import Failure, identify
from moorage.registry.replication import backfill as backfills
from moorage.registry.replication import statuses
from moorage.registry.replication.backfill import Backfill, Result
from moorage.registry.repositories import repository as repositories

BACKFILLS_PAGE = 25
_LATEST = 1 << 62


@operation
async def describe_image_replication_status(
    call: Call, request: DescribeImageReplicationStatusRequest
) -> DescribeImageReplicationStatusResponse:
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    asked = request.image_id
    image = await identify(call.db, repository, asked.image_digest, asked.image_tag)
    if isinstance(image, Failure):
        if image.code in ("ImageNotFound", "ImageTagDoesNotMatchDigest"):
            raise ImageNotFound(
                digest=asked.image_digest or "null",
                tag=asked.image_tag or "null",
                name=repository.name,
                registry_id=repository.registry.account,
            )
        raise InvalidParameter(at="imageId", constraint=image.reason)
    return DescribeImageReplicationStatusResponse(
        repository_name=repository.name,
        image_id=ImageIdentifier(image_digest=str(image.digest), image_tag=asked.image_tag),
        replication_statuses=[
            ImageReplicationStatus(
                region=each.destination.region,
                registry_id=each.destination.account,
                status=each.status,
                failure_code=each.failure or None,
            )
            for each in await statuses.of_image(call.db, repository, image)
        ],
    )


@operation
async def start_replication_backfill(
    call: Call, request: StartReplicationBackfillRequest
) -> StartReplicationBackfillResponse:
    _check_own(call, request.registry_id)
    to = request.destination
    begun = await backfills.start(call, Registry(to.registry_id, to.region))
    return StartReplicationBackfillResponse(
        replication_backfill_id=begun.id,
        registry_id=call.account,
        destination=_destination(begun),
        status=begun.status,
        started_at=wire_seconds(begun.started),
    )


@operation
async def stop_replication_backfill(
    call: Call, request: StopReplicationBackfillRequest
) -> StopReplicationBackfillResponse:
    _check_own(call, request.registry_id)
    stopped = await backfills.stop(call, request.replication_backfill_id)
    return StopReplicationBackfillResponse(
        registry_id=call.account,
        replication_backfill_id=stopped.id,
        destination=_destination(stopped),
        status=stopped.status,
        started_at=wire_seconds(stopped.started),
    )


@operation
async def list_replication_backfills(
    call: Call, request: ListReplicationBackfillsRequest
) -> ListReplicationBackfillsResponse:
    """The newest first."""
    _check_own(call, request.registry_id)
    listing = ("ListReplicationBackfills",)
    after = position_in(call, listing, request.next_token, _ByStart)
    limit = request.max_results or BACKFILLS_PAGE
    found = await backfills.page(call, (after.started, after.id) if after else (_LATEST, ""), limit + 1)
    shown, more = found[:limit], None
    if len(found) > limit:
        more = next_token(call, listing, _ByStart(shown[-1].started, shown[-1].id))
    return ListReplicationBackfillsResponse(
        registry_id=call.account,
        backfills=[await _summary(call, each) for each in shown],  # at most 50
        next_token=more,
    )


@operation
async def describe_replication_backfill_results(
    call: Call, request: DescribeReplicationBackfillResultsRequest
) -> DescribeReplicationBackfillResultsResponse:
    """How far it is; the results of its images when it is over."""
    _check_own(call, request.registry_id)
    found = await backfills.find(call, request.replication_backfill_id)
    kind = request.result_status_filter
    listing = ("DescribeReplicationBackfillResults", found.id, kind)
    after = position_in(call, listing, request.next_token, _ByImage)
    limit = request.max_results or DEFAULT_PAGE
    results: list[Result] = []
    if found.ended is not None:
        start = (after.name, after.digest, after.tag) if after else ("", b"", "")
        kinds = [kind] if kind else ["COMPLETE", "FAILED"]
        results = await backfills.results(call.db, found, kinds, start, limit + 1)
    shown, more = results[:limit], None
    if len(results) > limit:
        last = shown[-1]
        more = next_token(call, listing, _ByImage(last.name, last.digest.packed, last.tag))
    return DescribeReplicationBackfillResultsResponse(
        registry_id=call.account,
        replication_backfill_id=found.id,
        destination=_destination(found),
        status=found.status,
        failure_code=found.failure or None,
        progress=await _progress(call, found),
        results=[_result(each) for each in shown],
        started_at=wire_seconds(found.started),
        ended_at=_seconds(found.ended),
        next_token=more,
    )


class _ByStart(msgspec.Struct, array_like=True):
    started: int
    id: str


class _ByImage(msgspec.Struct, array_like=True):
    name: str
    digest: bytes
    tag: str


def _check_own(call: Call, registry_id: str | None) -> None:
    """These are authorized without saying of which registry: of the caller's."""
    if registry_id not in (None, call.account):
        raise InvalidParameter(at="registryId", constraint="must be the caller's own registry")


async def _summary(call: Call, found: Backfill) -> ReplicationBackfillSummary:
    return ReplicationBackfillSummary(
        replication_backfill_id=found.id,
        destination=_destination(found),
        status=found.status,
        failure_code=found.failure or None,
        progress=await _progress(call, found),
        started_at=wire_seconds(found.started),
        ended_at=_seconds(found.ended),
    )


async def _progress(call: Call, found: Backfill) -> ReplicationBackfillProgress | None:
    """None while it is not known how much there is to do."""
    if found.total is None:
        return None
    return ReplicationBackfillProgress(
        total_replication_count=found.total,
        completed_replication_count=found.completed,
        failed_replication_count=found.failed,
        failure_codes=await backfills.failure_codes(call.db, found) if found.failed else [],
    )


def _result(found: Result) -> ReplicationBackfillResult:
    """An index is brought with all below it, so what keeps one of those out keeps the index out."""
    below = [found.failure] if found.failure else []
    return ReplicationBackfillResult(
        repository_name=found.name,
        image_id=ImageIdentifier(image_digest=str(found.digest), image_tag=found.tag or None),
        status=found.status,
        failure_code=found.failure or None,
        sub_image_failure_codes=below if found.is_index else None,
    )


def _destination(found: Backfill) -> ReplicationDestination:
    return ReplicationDestination(region=found.destination.region, registry_id=found.destination.account)


def _seconds(time: int | None) -> float | None:
    return None if time is None else wire_seconds(time)
