"""What happens in a registry, as events tell it and as the records have it: each case caused by a client's act.

The events on repositories, and what else targets are about, are in `test_events.py`; calls on record in
`test_audit.py`.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Run, Server, ecr_password, running, until
from .loopback import say, serving
from .people import Caller

ACCOUNT, HOME, FAR = "123456789012", "us-east-1", "eu-west-1"
CONFIG, MANIFEST = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.manifest.v1+json"
SECONDS = 20
PROGRAM = Path(sys.executable).with_name("moorage")
NAMES = count()
Event = dict[str, Any]


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def manifest_of(note: str, subject: str | None = None) -> bytes:
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of(b"{}"), "size": 2},
        "layers": [],
        "annotations": {"note": note},
    }
    if subject is not None:
        document["subject"] = {"mediaType": MANIFEST, "digest": subject, "size": 1}
    return json.dumps(document).encode()


@dataclass(frozen=True)
class Watched:
    """A server with its events in a file, and all of its records."""

    server: Server
    events_file: Path
    upstream: str

    @property
    def root(self) -> Caller:
        lines = (self.server.data / "credentials").read_text().splitlines()
        keys = dict(line.split(" = ", 1) for line in lines if " = " in line)
        return Caller(self.server, keys["aws_access_key_id"], keys["aws_secret_access_key"])

    def ecr(self, region: str = HOME) -> Any:
        return self.root.client("ecr", region)

    def repository(self) -> str:
        """One whose layer is there already."""
        name = f"team/app-{next(NAMES)}"
        self.ecr().create_repository(repositoryName=name)
        assert self.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest_of(b'{}')}", b"{}") == 201
        return name

    def push(self, name: str, note: str, *tags: str, subject: str | None = None) -> str:
        content = manifest_of(note, subject).decode()
        for tag in tags or (None,):
            tagged = {} if tag is None else {"imageTag": tag}
            self.ecr().put_image(repositoryName=name, imageManifest=content, **tagged)
        return digest_of(content.encode())

    def ask(self, method: str, path: str, body: bytes | None = None) -> int:
        """On `/v2/`."""
        password = base64.b64encode(f"AWS:{ecr_password(self.ecr())}".encode()).decode()
        connection = http.client.HTTPConnection(self.server.host, timeout=60)
        try:
            connection.request(
                method, path, body, {"Authorization": f"Basic {password}", "Content-Type": MANIFEST}
            )
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def told(self, name: str, number: int, kind: str = "ECR Image Action") -> list[Event]:
        """The events of a kind on a repository, once there are as many."""
        found: list[Event] = []
        for _ in until(SECONDS, f"{len(found)} of {number} events came"):
            lines = self.events_file.read_text().splitlines() if self.events_file.exists() else []
            events = [json.loads(line) for line in lines]
            found = [
                each
                for each in events
                if each["detail-type"] == kind and each["detail"]["repository-name"] == name
            ]
            if len(found) >= number:
                break
        assert len(found) == number, found
        return found

    def recorded(self, event: str, name: str, region: str = HOME, number: int = 1) -> list[Event]:
        """The records of an event on a repository, oldest first, once there are as many."""
        trail = self.root.client("cloudtrail", region)
        asked = [{"AttributeKey": "EventName", "AttributeValue": event}]
        found: list[Event] = []
        for _ in until(SECONDS, f"{len(found)} of {number} records of {event} came"):
            events = trail.lookup_events(LookupAttributes=asked)["Events"]
            found = [json.loads(each["CloudTrailEvent"]) for each in reversed(events)]
            found = [each for each in found if each["resources"][0]["ARN"].endswith(f"repository/{name}")]
            if len(found) >= number:
                break
        assert len(found) == number, found
        return found

    def apply(self, run: Run, name: str, **action: str) -> None:
        """Have a policy that keeps the newest image applied."""
        rule = {
            "rulePriority": 1,
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
            "action": {"type": "expire", **action},
        }
        policy = json.dumps({"rules": [rule]})
        self.ecr().put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=policy)
        run(PROGRAM, "lifecycle", "run", name, "--data", self.server.data)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """With a second region, and an upstream registry that has one image."""
    folder = tmp_path_factory.mktemp("watched")
    events = folder / "events.jsonl"
    configuration = folder / "moorage.toml"
    configuration.write_text(
        f'[aliases]\n"127.0.0.2" = "{ACCOUNT}/{FAR}"\n[[event_targets]]\ntype = "file"\npath = "{events}"\n'
    )
    with serving(upstream) as port:
        theirs = f"http://127.0.0.1:{port}"
        options = ["--account", ACCOUNT, "--region", HOME, "--config", str(configuration)]
        options += ["--audit", "all", "--audit-chain", "--restore-seconds", "0", "--upstream-hosts", theirs]
        with running(folder, *options) as server:
            yield Watched(server, events, theirs)


def upstream(request: BaseHTTPRequestHandler) -> None:
    if "/manifests/good" in request.path:
        return say(request, manifest_of("upstream"), headers={"Content-Type": MANIFEST})
    if "/blobs/" in request.path:
        return say(request, b"{}")
    return say(request, b"", 500)


def details(events: list[Event], *members: str) -> list[tuple[Any, ...]]:
    return [tuple(event["detail"].get(member) for member in members) for event in events]


# Images


def test_two_tags_are_two_pushes_and_a_push_without_a_tag_is_one(watched: Watched) -> None:
    name = watched.repository()
    untagged = watched.push(name, "untagged")
    tagged = manifest_of("tagged")
    path = f"/v2/{name}/manifests/{digest_of(tagged)}?tag=one&tag=two"

    assert watched.ask("PUT", path, tagged) == 201

    events = watched.told(name, 3)
    assert details(events, "action-type", "image-digest", "image-tag", "result") == [
        ("PUSH", untagged, None, "SUCCESS"),
        ("PUSH", digest_of(tagged), "one", "SUCCESS"),
        ("PUSH", digest_of(tagged), "two", "SUCCESS"),
    ]
    assert all(event["detail"]["manifest-media-type"] == MANIFEST for event in events)
    assert all(event["resources"] == [] for event in events)


def test_a_deletion_is_told_for_each_tag_and_for_an_untagged_image_once(watched: Watched) -> None:
    name = watched.repository()
    untagged, tagged = watched.push(name, "untagged"), watched.push(name, "tagged", "one", "two")

    ids = [{"imageDigest": tagged}, {"imageDigest": untagged}]
    watched.ecr().batch_delete_image(repositoryName=name, imageIds=ids)

    deleted = watched.told(name, 6)[3:]
    assert details(deleted, "action-type", "image-digest", "image-tag") == [
        ("DELETE", tagged, "one"),
        ("DELETE", tagged, "two"),
        ("DELETE", untagged, None),
    ]


def test_what_is_archived_and_restored_is_told_and_recorded_with_what_refers_to_it(watched: Watched) -> None:
    name = watched.repository()
    image = watched.push(name, "image", "v1")
    signature = watched.push(name, "signature", subject=image)
    asked = {"repositoryName": name, "imageId": {"imageDigest": image}}

    watched.ecr().update_image_storage_class(**asked, targetStorageClass="ARCHIVE")
    watched.ecr().update_image_storage_class(**asked, targetStorageClass="STANDARD")

    events = watched.told(name, 4)[2:]
    referring = watched.told(name, 2, "ECR Referrer Action")
    members = ("action-type", "image-digest", "target-storage-class", "result")
    assert details(events, *members) == [
        ("UPDATE_STORAGE_CLASS", image, "ARCHIVE", "SUCCESS"),
        ("UPDATE_STORAGE_CLASS", image, "STANDARD", "SUCCESS"),
    ]
    assert details(referring, *members) == [
        ("UPDATE_STORAGE_CLASS", signature, "ARCHIVE", "SUCCESS"),
        ("UPDATE_STORAGE_CLASS", signature, "STANDARD", "SUCCESS"),
    ]
    for archived, restored in (events, referring):
        assert "last-activated-at" not in archived["detail"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", restored["detail"]["last-activated-at"])

    calls = watched.recorded("UpdateImageStorageClass", name, number=2)
    assert [call["responseElements"]["image"]["imageStatus"] for call in calls] == ["ARCHIVED", "ACTIVATING"]
    assert [call["eventType"] for call in calls] == ["AwsApiCall", "AwsApiCall"]
    records = watched.recorded("ImageActivationEvent", name, number=2)
    assert {record["serviceEventDetails"]["imageDigest"] for record in records} == {image, signature}
    assert {record["serviceEventDetails"]["imageStatus"] for record in records} == {"ACTIVE"}


# Lifecycle policies


def test_an_image_that_expires_is_told_as_deleted_and_the_run_is_recorded(watched: Watched, run: Run) -> None:
    name = watched.repository()
    old = watched.push(name, "old", "v1", "v2")
    watched.push(name, "new", "v3")

    watched.apply(run, name)

    deleted = watched.told(name, 5)[3:]
    assert details(deleted, "action-type", "image-digest", "image-tag") == [
        ("DELETE", old, "v1"),
        ("DELETE", old, "v2"),
    ]
    (record,) = watched.recorded("PolicyExecutionEvent", name)
    assert record["userIdentity"] == {"accountId": ACCOUNT, "invokedBy": "AWS Internal"}
    assert (record["sourceIPAddress"], record["userAgent"]) == ("AWS Internal", "AWS Internal")
    assert (record["eventType"], record["readOnly"]) == ("AwsServiceEvent", True)
    assert (record["requestParameters"], record["responseElements"]) == (None, None)
    (action,) = record["serviceEventDetails"]["lifecycleEventImageActions"]
    assert action["lifecycleEventImage"]["digest"] == old
    assert action["lifecycleEventImage"]["tagList"] == ["v1", "v2"]


def test_an_image_that_a_policy_archives_is_told(watched: Watched, run: Run) -> None:
    name = watched.repository()
    old = watched.push(name, "old", "v1")
    watched.push(name, "new", "v2")

    watched.apply(run, name, type="transition", targetStorageClass="archive")

    archived = watched.told(name, 3)[2:]
    assert details(archived, "action-type", "image-digest", "target-storage-class") == [
        ("UPDATE_STORAGE_CLASS", old, "ARCHIVE")
    ]


def test_a_preview_is_recorded_as_a_dry_run_and_tells_nothing(watched: Watched) -> None:
    name = watched.repository()
    old = watched.push(name, "old", "v1")
    watched.push(name, "new", "v2")
    rule = {
        "rulePriority": 7,
        "description": "all but one",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
        "action": {"type": "expire"},
    }

    watched.ecr().start_lifecycle_policy_preview(
        repositoryName=name, lifecyclePolicyText=json.dumps({"rules": [rule]})
    )

    (record,) = watched.recorded("DryRunEvent", name)
    told = record["serviceEventDetails"]
    assert told["lifecycleEventPolicy"]["lifecycleEventRules"][0]["description"] == "all but one"
    assert [each["lifecycleEventImage"]["digest"] for each in told["lifecycleEventImageActions"]] == [old]
    assert len(watched.told(name, 2)) == 2


# Replication


def test_a_replication_is_told_and_recorded_where_it_arrives(watched: Watched) -> None:
    name = watched.repository()
    replicate(watched, {"region": FAR, "registryId": ACCOUNT})

    digest = watched.push(name, "replicated", "v1")

    (event,) = watched.told(name, 1, "ECR Replication Action")
    assert (event["region"], event["account"]) == (FAR, ACCOUNT)
    assert event["resources"] == [f"arn:aws:ecr:{FAR}:{ACCOUNT}:repository/{name}"]
    assert event["detail"] == {
        "result": "SUCCESS",
        "repository-name": name,
        "image-digest": digest,
        "source-account": ACCOUNT,
        "action-type": "REPLICATE",
        "source-region": HOME,
        "image-tag": "v1",
    }
    (record,) = watched.recorded("ReplicateImage", name, FAR)
    assert record["awsRegion"] == FAR
    assert record["serviceEventDetails"]["imageDigest"] == digest
    assert record["serviceEventDetails"]["sourceRegion"] == HOME


def test_a_replication_that_the_destination_refuses_is_told_there(watched: Watched, run: Run) -> None:
    made = json.loads(run(PROGRAM, "account", "create", "--data", watched.server.data, "--json"))
    other = re.search(r"\d{12}", json.dumps(made))
    assert other is not None
    name = watched.repository()
    replicate(watched, {"region": HOME, "registryId": other[0]})

    watched.push(name, "refused", "v1")

    (event,) = watched.told(name, 1, "ECR Replication Action")
    assert (event["account"], event["detail"]["result"]) == (other[0], "FAILED")
    asked = (PROGRAM, "audit", "--event", "ReplicateImage", "--denied", "--json")
    for _ in until(SECONDS, "the refusal is not on record"):
        records = json.loads(run(*asked, "--resource", name, "--data", watched.server.data))
        if records:
            break
    assert [(each["recipientAccountId"], each["errorCode"]) for each in records] == [
        (other[0], "AccessDenied")
    ]


def replicate(watched: Watched, destination: dict[str, str]) -> None:
    rules = [{"destinations": [destination]}]
    watched.ecr().put_replication_configuration(replicationConfiguration={"rules": rules})


# The pull-through cache


def test_a_pull_through_is_told_and_recorded_and_one_that_failed_is_told(watched: Watched) -> None:
    watched.ecr().create_pull_through_cache_rule(
        ecrRepositoryPrefix="up", upstreamRegistryUrl=watched.upstream
    )
    digest = digest_of(manifest_of("upstream"))

    assert watched.ask("GET", "/v2/up/app/manifests/good") == 200
    assert watched.ask("GET", "/v2/up/app/manifests/bad") >= 500

    good, bad = watched.told("up/app", 2, "ECR Pull Through Cache Action")
    assert good["resources"] == [f"arn:aws:ecr:{HOME}:{ACCOUNT}:repository/up/app"]
    assert good["detail"] == {
        "rule-version": "1",
        "sync-status": "SUCCESS",
        "ecr-repository-prefix": "up",
        "repository-name": "up/app",
        "upstream-registry-url": watched.upstream,
        "image-tag": "good",
        "image-digest": digest,
    }
    assert (bad["detail"]["sync-status"], bad["detail"]["image-tag"]) == ("FAILED", "bad")
    assert bad["detail"]["failure-code"] == "UpstreamUnavailable"
    (record,) = watched.recorded("BatchImportUpstreamImage", "up/app")
    told = record["serviceEventDetails"]
    assert (told["imageDigest"], told["upstreamRegistryUrl"]) == (digest, watched.upstream)
    assert told["requestedBy"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert not record["readOnly"]


# Calls whose records have something of their own


def test_a_mounted_layer_is_no_upload(watched: Watched) -> None:
    source = watched.repository()
    watched.push(source, "source", "v1")
    name = f"team/app-{next(NAMES)}"
    watched.ecr().create_repository(repositoryName=name)
    path = f"/v2/{name}/blobs/uploads/?mount={digest_of(b'{}')}&from={source}"

    assert watched.ask("POST", path) == 201

    (record,) = watched.recorded("MountLayer", name)
    assert record["requestParameters"] == {
        "registryId": ACCOUNT,
        "repositoryName": name,
        "layerDigest": digest_of(b"{}"),
        "sourceRepositoryName": source,
    }
    assert record["responseElements"]["layerDigest"] == digest_of(b"{}")


def test_dates_of_an_answer_are_written_as_cloudtrail_writes_them(watched: Watched) -> None:
    name = watched.repository()

    (record,) = watched.recorded("CreateRepository", name)

    made = record["responseElements"]["repository"]
    assert made["repositoryName"] == name
    assert re.fullmatch(r"[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:\d\d:\d\d [AP]M", made["createdAt"])


def test_who_asks_for_referrers_is_recorded_by_the_name_of_the_operation(watched: Watched) -> None:
    name = watched.repository()
    image = watched.push(name, "image", "v1")

    assert watched.ask("GET", f"/v2/{name}/referrers/{image}") == 200

    (record,) = watched.recorded("ListImageReferrers", name)
    assert record["requestParameters"]["subjectId"] == {"imageDigest": image}
    assert record["responseElements"] is None


def test_what_the_service_did_is_in_the_chain_and_shown(watched: Watched, run: Run) -> None:
    name = watched.repository()
    watched.push(name, "old", "v1")
    watched.push(name, "new", "v2")
    watched.apply(run, name)
    watched.recorded("PolicyExecutionEvent", name)

    verified = run(PROGRAM, "audit", "verify", "--data", watched.server.data, "--json")
    shown = run(PROGRAM, "audit", "--event", "PolicyExecutionEvent", "--data", watched.server.data)

    assert json.loads(verified)["valid"]
    assert re.search(rf"the service +PolicyExecutionEvent +{name} ", shown)
