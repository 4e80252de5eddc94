"""What a running server puts on record, and how it is found."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.exceptions import ClientError

from ..conftest import Run, Server, ecr_password, ended_inside, running, until

SECONDS = 10
Lookup = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One whose records are these tests' own: pages of fifty do not hold what a whole session does."""
    with running(tmp_path_factory.mktemp("audit")) as server:
        yield server


@pytest.fixture
def lookup(server: Server) -> Lookup:
    return lambda **attribute: looked_up(server, **attribute)


def looked_up(server: Server, **attribute: str) -> list[dict[str, Any]]:
    """The records with an attribute, once there are any."""
    attributes = [{"AttributeKey": key, "AttributeValue": value} for key, value in attribute.items()]
    client = server.client("cloudtrail")
    for _ in until(SECONDS, f"no record of {attribute}"):
        events: list[dict[str, Any]] = client.lookup_events(LookupAttributes=attributes)["Events"]
        if events:
            return events
    raise AssertionError


def document(event: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(event["CloudTrailEvent"])
    return told


def status(server: Server, method: str, path: str, password: str | None, body: bytes | None = None) -> int:
    headers = {"user-agent": "a-client/1", "content-type": "application/vnd.oci.image.manifest.v1+json"}
    if password is not None:
        headers["authorization"] = "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()
    request = Request(server.endpoint + path, body, headers, method=method)
    try:
        with urlopen(request) as response:
            return int(response.status)
    except OSError as error:
        return int(getattr(error, "code", 0))


def test_a_call_is_found_by_each_attribute(server: Server, lookup: Lookup) -> None:
    server.client("ecr").create_repository(repositoryName="audit/app", tags=[{"Key": "a", "Value": "b"}])

    (event,) = lookup(ResourceName="audit/app")

    assert (event["EventName"], event["EventSource"]) == ("CreateRepository", "ecr.amazonaws.com")
    assert (event["ReadOnly"], event["Username"]) == ("false", "root")
    assert event["Resources"] == [{"ResourceType": "AWS::ECR::Repository", "ResourceName": "audit/app"}]
    told = document(event)
    assert told["requestParameters"] == {
        "repositoryName": "audit/app",
        "tags": [{"key": "a", "value": "b"}],
    }
    assert told["sourceIPAddress"] == "127.0.0.1"
    assert "Boto3" in told["userAgent"]
    assert told["userIdentity"]["accessKeyId"] == event["AccessKeyId"]
    by_id = lookup(EventId=event["EventId"])
    assert [each["EventId"] for each in by_id] == [event["EventId"]]
    assert event["EventId"] in [each["EventId"] for each in lookup(AccessKeyId=event["AccessKeyId"])]


def test_reads_are_not_on_record_unless_they_are_refused(server: Server, lookup: Lookup) -> None:
    iam = server.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    stranger = boto3.client(
        "ecr",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    server.client("ecr").describe_repositories()

    with pytest.raises(ClientError, match="AccessDenied"):
        stranger.describe_repositories()

    (event,) = lookup(AccessKeyId=key["AccessKeyId"])
    told = document(event)
    assert (event["EventName"], told["errorCode"], told["readOnly"]) == (
        "DescribeRepositories",
        "AccessDenied",
        True,
    )
    assert "is not authorized to perform: ecr:DescribeRepositories" in told["errorMessage"]
    assert told["userIdentity"]["userName"] == "nobody"
    made = [each for each in lookup(ResourceName="nobody") if each["EventName"] == "CreateAccessKey"]
    assert document(made[0])["responseElements"] == {"accessKey": {"accessKeyId": key["AccessKeyId"]}}


def test_a_push_by_the_registrys_door_is_on_record_with_its_digest(server: Server, lookup: Lookup) -> None:
    server.client("ecr").create_repository(repositoryName="audit/door")
    password = ecr_password(server.client("ecr"))
    config = "sha256:" + hashlib.sha256(b"{}").hexdigest()
    assert status(server, "POST", f"/v2/audit/door/blobs/uploads/?digest={config}", password, b"{}") == 201
    media_type = "application/vnd.oci.image.manifest.v1+json"
    described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2}
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": described, "layers": []}
    content = json.dumps(manifest).encode()
    assert status(server, "PUT", "/v2/audit/door/manifests/1", password, content) == 201
    assert status(server, "GET", "/v2/audit/door/manifests/1", password) == 200

    for _ in until(SECONDS, "not all of the push is on record"):
        events = lookup(ResourceName="audit/door")
        if len(events) >= 3:
            break

    assert [each["EventName"] for each in events] == ["PutImage", "InitiateLayerUpload", "CreateRepository"]
    told = document(events[0])
    assert told["userAgent"] == "a-client/1"
    assert told["requestParameters"]["imageTag"] == "1"
    pushed = {"imageDigest": "sha256:" + hashlib.sha256(content).hexdigest(), "imageTag": "1"}
    assert told["responseElements"]["image"]["imageId"] == pushed


def test_a_wrong_password_is_on_record_and_the_first_question_is_not(server: Server, lookup: Lookup) -> None:
    begun = time.time()
    assert status(server, "GET", "/v2/", None) == 401
    assert status(server, "GET", "/v2/", "wrong") == 401

    events = [each for each in lookup(EventName="Login") if each["EventTime"].timestamp() > begun - 1]

    assert len(events) == 1
    told = document(events[0])
    assert (told["userIdentity"]["type"], told["errorCode"]) == ("Unknown", "UnauthorizedException")


def test_a_wrong_signature_is_on_record_with_the_key_it_named(server: Server, lookup: Lookup) -> None:
    forger = boto3.client(
        "ecr",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIAFORGEDFORGED",
        aws_secret_access_key="x",
    )
    with pytest.raises(ClientError):
        forger.delete_repository(repositoryName="audit/app")

    (event,) = lookup(AccessKeyId="AKIAFORGEDFORGED")

    assert (event["EventName"], document(event)["errorCode"]) == (
        "DeleteRepository",
        "UnrecognizedClientException",
    )


def test_pages_join_and_what_is_asked_for_wrongly_is_refused(server: Server) -> None:
    ecr, trail = server.client("ecr"), server.client("cloudtrail")
    for number in range(5):
        ecr.create_repository(repositoryName=f"audit/page-{number}")
    looked_up(server, ResourceName="audit/page-4")
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "CreateRepository"}]
    whole = trail.lookup_events(LookupAttributes=attributes)["Events"]

    pages = trail.get_paginator("lookup_events").paginate(
        LookupAttributes=attributes, PaginationConfig={"PageSize": 2}
    )
    joined = [each["EventId"] for page in pages for each in page["Events"]]

    assert joined == [each["EventId"] for each in whole]
    for wrong, code in (
        ({"LookupAttributes": attributes * 2}, "InvalidLookupAttributesException"),
        ({"StartTime": 2, "EndTime": 1}, "InvalidTimeRangeException"),
        ({"NextToken": "x"}, "InvalidNextTokenException"),
    ):
        with pytest.raises(ClientError, match=code):
            trail.lookup_events(**wrong)
    with pytest.raises(ClientError):
        trail.lookup_events(MaxResults=51)


def test_another_account_sees_nothing_of_it(server: Server, run: Run) -> None:
    program = Path(sys.executable).with_name("moorage")
    made = json.loads(run(program, "account", "create", "--data", server.data, "--json"))
    keys = dict(
        line.split(" = ", 1) for line in Path(made["credentials"]).read_text().splitlines() if " = " in line
    )
    other = boto3.client(
        "cloudtrail",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys["aws_access_key_id"],
        aws_secret_access_key=keys["aws_secret_access_key"],
    )

    assert other.lookup_events()["Events"] == []


def test_a_chain_and_a_file_of_records(tmp_path: Path, run: Run) -> None:
    program = Path(sys.executable).with_name("moorage")
    records = tmp_path / "records"
    with running(tmp_path, "--audit-chain", "--audit-file", str(records), "--audit", "all") as server:
        ecr = server.client("ecr")
        ecr.create_repository(repositoryName="one")
        ecr.describe_repositories()
        looked_up(server, EventName="DescribeRepositories")
        noted = json.loads(run(program, "audit", "verify", "--data", server.data, "--json"))
        ecr.create_repository(repositoryName="two")
        looked_up(server, ResourceName="two")
        again = json.loads(
            run(program, "audit", "verify", "--data", server.data, "--json", "--head", noted["head"])
        )
        listed = json.loads(
            run(program, "audit", "--data", server.data, "--json", "--event", "CreateRepository")
        )
        lines = [json.loads(line) for line in records.read_text().splitlines()]
        with closing(sqlite3.connect(server.data / "moorage.db")) as connection, connection:
            connection.execute("DELETE FROM audit WHERE name = 'CreateRepository' AND resource = 'one'")
        run(program, "audit", "verify", "--data", server.data, fails=True)

    assert noted["valid"]
    assert again["valid"]
    assert again["records"] > noted["records"]
    assert [each["requestParameters"]["repositoryName"] for each in listed] == ["two", "one"]
    assert [each["eventName"] for each in lines][:2] == ["CreateRepository", "DescribeRepositories"]


def test_without_a_record_there_is_none(tmp_path: Path) -> None:
    with ended_inside(tmp_path, "--audit", "none") as server:
        server.client("ecr").create_repository(repositoryName="one")
        assert server.client("cloudtrail").lookup_events()["Events"] == []
        server.process.terminate()  # what waits to be written is written now
        server.process.wait(30)
        with closing(sqlite3.connect(server.data / "moorage.db")) as connection:
            assert connection.execute("SELECT count(*) FROM audit").fetchone() == (0,)
