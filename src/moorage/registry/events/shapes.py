"""What is told of what happened, as Amazon EventBridge has it. Pure: one function for each case of ECR.

    envelope  version, id, detail-type, source, account, time, region, resources, detail
    detail    differs by `detail-type`; what does not apply is left out

`resources` is empty for what happens to an image, and the repository's ARN for a pull through the cache, a scan and a
replication (Amazon ECR User Guide, "Amazon ECR events and EventBridge").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.clock import SECOND

IMAGE = "ECR Image Action"
REFERRER = "ECR Referrer Action"
PULL_THROUGH = "ECR Pull Through Cache Action"
SCAN = "ECR Image Scan"
SCAN_CHANGE = "ECR Scan Resource Change"
REPLICATION = "ECR Replication Action"
ENHANCED_SCAN = "Inspector2 Scan"
ENHANCED_FINDING = "Inspector2 Finding"
API_CALL = "AWS API Call via CloudTrail"

KINDS = (
    IMAGE, REFERRER, PULL_THROUGH, SCAN, SCAN_CHANGE, REPLICATION, ENHANCED_SCAN, ENHANCED_FINDING, API_CALL,
)  # fmt: skip
_SOURCES = {ENHANCED_SCAN: "aws.inspector2", ENHANCED_FINDING: "aws.inspector2"}

StorageClass = Literal["ARCHIVE", "STANDARD"]
Outcome = Literal["SUCCESS", "FAILED"]


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, before it has an id and a time."""

    kind: str
    """Its `detail-type`."""
    registry: Registry
    repository: str
    """Events of one repository are delivered in their order."""
    detail: Mapping[str, Any]
    resources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the events on an image say of it."""

    digest: str
    media_type: str
    artifact_type: str | None = None
    is_referrer: bool = False


def envelope(event: Event, id_: str, occurred: int) -> dict[str, Any]:
    """As it is delivered. `id_` stays the same however often that is."""
    return {
        "version": "0",
        "id": id_,
        "detail-type": event.kind,
        "source": _SOURCES.get(event.kind, "aws.ecr"),
        "account": event.registry.account,
        "time": _moment(occurred),
        "region": event.registry.region,
        "resources": list(event.resources),
        "detail": dict(event.detail),
    }


def image_pushed(registry: Registry, repository: str, image: ImageFacts, tag: str | None) -> Event:
    """One for each tag of a push, one for a push without tags."""
    return Event(IMAGE, registry, repository, _image_action(repository, image, "PUSH", tag))


def image_deleted(registry: Registry, repository: str, image: ImageFacts, tag: str | None) -> Event:
    """One for each tag that goes, one for an image without tags."""
    return Event(IMAGE, registry, repository, _image_action(repository, image, "DELETE", tag))


def storage_class_updated(
    registry: Registry,
    repository: str,
    image: ImageFacts,
    target: StorageClass,
    activated: int | None = None,
    *,
    outcome: Outcome = "SUCCESS",
) -> Event:
    """Archived, or restored at `activated`. What refers to an image has a `detail-type` of its own."""
    detail = {
        **_image_action(repository, image, "UPDATE_STORAGE_CLASS", None, outcome),
        "target-storage-class": target,
    }
    if activated is not None:
        detail["last-activated-at"] = _moment(activated)
    return Event(REFERRER if image.is_referrer else IMAGE, registry, repository, detail)


def pulled_through(
    registry: Registry,
    repository: str,
    prefix: str,
    upstream: str,
    tag: str | None,
    digest: str | None,
    *,
    failure: tuple[str, str] | None = None,
) -> Event:
    """`failure` is a code and a reason."""
    detail: dict[str, Any] = {
        "rule-version": "1",
        "sync-status": "FAILED" if failure else "SUCCESS",
        "ecr-repository-prefix": prefix,
        "repository-name": repository,
        "upstream-registry-url": upstream,
    }
    detail |= _given({"image-tag": tag, "image-digest": digest})
    if failure is not None:
        detail |= {"failure-code": failure[0], "failure-reason": failure[1]}
    return Event(PULL_THROUGH, registry, repository, detail, (_arn(registry, repository),))


def image_scanned(
    registry: Registry,
    repository: str,
    digest: str,
    tags: Sequence[str],
    severities: Mapping[str, int],
    *,
    status: Literal["COMPLETE", "FAILED"] = "COMPLETE",
) -> Event:
    """A basic scan has ended; only severities that were found are counted."""
    detail = {
        "scan-status": status,
        "repository-name": repository,
        "finding-severity-counts": {name: count for name, count in severities.items() if count},
        "image-digest": digest,
        "image-tags": list(tags),
    }
    return Event(SCAN, registry, repository, detail, (_arn(registry, repository),))


def image_scanned_enhanced(
    registry: Registry, repository: str, digest: str, tags: Sequence[str], severities: Mapping[str, int]
) -> Event:
    """The first enhanced scan has ended. Here `repository-name` is the ARN."""
    arn = _arn(registry, repository)
    detail = {
        "scan-status": "INITIAL_SCAN_COMPLETE",
        "repository-name": arn,
        "finding-severity-counts": {**severities, "TOTAL": sum(severities.values())},
        "image-digest": digest,
        "image-tags": list(tags),
    }
    return Event(ENHANCED_SCAN, registry, repository, detail, (arn,))


def finding_changed(registry: Registry, repository: str, digest: str, finding: Mapping[str, Any]) -> Event:
    """An enhanced scan has found something, or found that it has gone; `finding` is told whole."""
    return Event(ENHANCED_FINDING, registry, repository, finding, (f"{_arn(registry, repository)}/{digest}",))


def scan_frequency_changed(registry: Registry, repository: str, frequency: str, previous: str) -> Event:
    changed = {
        "repository-name": repository,
        "repository-arn": _arn(registry, repository),
        "scan-frequency": frequency,
        "previous-scan-frequency": previous,
    }
    detail = {
        "action-type": "SCAN_FREQUENCY_CHANGE",
        "repositories": [changed],
        "resource-type": "REPOSITORY",
        "scan-type": "ENHANCED",
    }
    return Event(SCAN_CHANGE, registry, repository, detail)


def image_replicated(
    destination: Registry,
    repository: str,
    digest: str,
    tag: str | None,
    source: Registry,
    *,
    outcome: Outcome = "SUCCESS",
) -> Event:
    """Told by the destination."""
    detail = {
        "result": outcome,
        "repository-name": repository,
        "image-digest": digest,
        "source-account": source.account,
        "action-type": "REPLICATE",
        "source-region": source.region,
        **_given({"image-tag": tag}),
    }
    return Event(REPLICATION, destination, repository, detail, (_arn(destination, repository),))


def repository_deleted(registry: Registry, repository: str, caller: Mapping[str, Any], force: bool) -> Event:
    """ECR has no event of its own for it: EventBridge tells the call. `caller` is its `userIdentity`."""
    detail = {
        "userIdentity": dict(caller),
        "eventSource": "ecr.amazonaws.com",
        "eventName": "DeleteRepository",
        "awsRegion": registry.region,
        "requestParameters": {
            "registryId": registry.account,
            "repositoryName": repository,
            "force": force,
        },
        "eventType": "AwsApiCall",
    }
    return Event(API_CALL, registry, repository, detail)


def _image_action(
    repository: str, image: ImageFacts, action: str, tag: str | None, outcome: Outcome = "SUCCESS"
) -> dict[str, Any]:
    return {
        "result": outcome,
        "repository-name": repository,
        "image-digest": image.digest,
        "action-type": action,
        **_given(
            {
                "image-tag": tag,
                "manifest-media-type": image.media_type,
                "artifact-media-type": image.artifact_type,
            }
        ),
    }


def _given(members: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in members.items() if value}


def _arn(registry: Registry, repository: str) -> str:
    return str(RepositoryArn(registry.account, registry.region, repository))


def _moment(microseconds: int) -> str:
    """To the second."""
    return f"{datetime.fromtimestamp(microseconds // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"
