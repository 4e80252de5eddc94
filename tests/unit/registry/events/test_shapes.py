"""The shape of each event, as it stands in Amazon's user guide."""

from __future__ import annotations

import json

from moorage.base.addresses import Registry
from moorage.base.clock import SECOND
from moorage.registry.events import shapes
from moorage.registry.events.shapes import Event, ImageFacts

HERE = Registry("123456789012", "us-west-2")
ARN = "arn:aws:ecr:us-west-2:123456789012:repository/team/app"
DIGEST = "sha256:7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd1234abcd"
MANIFEST, ARTIFACT = "application/vnd.oci.image.manifest.v1+json", "application/vnd.example.sbom"
IMAGE = ImageFacts(DIGEST, MANIFEST)
NOON = 1_573_905_012 * SECOND


def told(event: Event) -> dict[str, object]:
    document: dict[str, object] = json.loads(json.dumps(shapes.envelope(event, "an-id", NOON)))
    return document


def test_a_push() -> None:
    assert told(shapes.image_pushed(HERE, "team/app", IMAGE, "latest")) == {
        "version": "0",
        "id": "an-id",
        "detail-type": "ECR Image Action",
        "source": "aws.ecr",
        "account": "123456789012",
        "time": "2019-11-16T11:50:12Z",
        "region": "us-west-2",
        "resources": [],
        "detail": {
            "result": "SUCCESS",
            "repository-name": "team/app",
            "image-digest": DIGEST,
            "action-type": "PUSH",
            "image-tag": "latest",
            "manifest-media-type": MANIFEST,
        },
    }


def test_a_push_without_tags_of_an_artifact() -> None:
    detail = shapes.image_pushed(HERE, "team/app", ImageFacts(DIGEST, MANIFEST, ARTIFACT), None).detail

    assert "image-tag" not in detail
    assert detail["artifact-media-type"] == ARTIFACT


def test_a_deletion() -> None:
    event = shapes.image_deleted(HERE, "team/app", IMAGE, "latest")

    assert (event.kind, event.resources) == ("ECR Image Action", ())
    assert (event.detail["action-type"], event.detail["image-tag"]) == ("DELETE", "latest")


def test_archiving_and_restoring() -> None:
    archived = shapes.storage_class_updated(HERE, "team/app", IMAGE, "ARCHIVE")
    restored = shapes.storage_class_updated(HERE, "team/app", IMAGE, "STANDARD", NOON)

    assert archived.kind == restored.kind == "ECR Image Action"
    assert archived.detail["action-type"] == "UPDATE_STORAGE_CLASS"
    assert archived.detail["target-storage-class"] == "ARCHIVE"
    assert "last-activated-at" not in archived.detail
    assert restored.detail["last-activated-at"] == "2019-11-16T11:50:12Z"


def test_what_refers_to_an_image_has_a_type_of_its_own() -> None:
    referrer = ImageFacts(DIGEST, MANIFEST, ARTIFACT, is_referrer=True)

    assert shapes.storage_class_updated(HERE, "team/app", referrer, "ARCHIVE").kind == "ECR Referrer Action"
    assert shapes.image_pushed(HERE, "team/app", referrer, None).kind == "ECR Image Action"


def test_a_pull_through_the_cache() -> None:
    upstream = "public.ecr.aws"
    event = shapes.pulled_through(HERE, "hub/app", "hub", upstream, "1", DIGEST)
    failed = shapes.pulled_through(HERE, "hub/app", "hub", upstream, "1", None, failure=("Code", "why"))

    assert event.kind == "ECR Pull Through Cache Action"
    assert event.resources == (ARN.replace("team/app", "hub/app"),)
    assert event.detail == {
        "rule-version": "1",
        "sync-status": "SUCCESS",
        "ecr-repository-prefix": "hub",
        "repository-name": "hub/app",
        "upstream-registry-url": "public.ecr.aws",
        "image-tag": "1",
        "image-digest": DIGEST,
    }
    assert (failed.detail["sync-status"], failed.detail["failure-code"]) == ("FAILED", "Code")


def test_a_basic_scan_counts_only_what_was_found() -> None:
    event = shapes.image_scanned(HERE, "team/app", DIGEST, ["1", "2"], {"CRITICAL": 7, "LOW": 0})

    assert (event.kind, event.resources) == ("ECR Image Scan", (ARN,))
    assert event.detail == {
        "scan-status": "COMPLETE",
        "repository-name": "team/app",
        "finding-severity-counts": {"CRITICAL": 7},
        "image-digest": DIGEST,
        "image-tags": ["1", "2"],
    }


def test_enhanced_scans_are_told_by_inspector() -> None:
    scanned = told(shapes.image_scanned_enhanced(HERE, "team/app", DIGEST, ["1"], {"HIGH": 2, "LOW": 1}))
    finding = told(shapes.finding_changed(HERE, "team/app", DIGEST, {"title": "CVE-2026-1"}))

    assert (scanned["source"], scanned["detail-type"]) == ("aws.inspector2", "Inspector2 Scan")
    assert scanned["detail"] == {
        "scan-status": "INITIAL_SCAN_COMPLETE",
        "repository-name": ARN,
        "finding-severity-counts": {"HIGH": 2, "LOW": 1, "TOTAL": 3},
        "image-digest": DIGEST,
        "image-tags": ["1"],
    }
    assert finding["resources"] == [f"{ARN}/{DIGEST}"]


def test_a_change_of_the_scan_frequency() -> None:
    event = shapes.scan_frequency_changed(HERE, "team/app", "CONTINUOUS_SCAN", "MANUAL")

    assert (event.kind, event.resources) == ("ECR Scan Resource Change", ())
    assert event.detail["repositories"] == [
        {
            "repository-name": "team/app",
            "repository-arn": ARN,
            "scan-frequency": "CONTINUOUS_SCAN",
            "previous-scan-frequency": "MANUAL",
        }
    ]


def test_a_replication_is_told_by_its_destination() -> None:
    there = Registry("210987654321", "eu-west-1")
    document = told(shapes.image_replicated(there, "team/app", DIGEST, "1", HERE))

    assert (document["account"], document["region"]) == ("210987654321", "eu-west-1")
    assert document["resources"] == ["arn:aws:ecr:eu-west-1:210987654321:repository/team/app"]
    assert document["detail"] == {
        "result": "SUCCESS",
        "repository-name": "team/app",
        "image-digest": DIGEST,
        "source-account": "123456789012",
        "action-type": "REPLICATE",
        "source-region": "us-west-2",
        "image-tag": "1",
    }


def test_a_repository_deleted_is_the_call_that_did_it() -> None:
    event = shapes.repository_deleted(HERE, "team/app", {"type": "Root"}, force=True)

    assert event.kind == "AWS API Call via CloudTrail"
    assert event.detail["eventName"] == "DeleteRepository"
    assert event.detail["requestParameters"]["force"] is True
