"""What is written of a call, and what never is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from moorage.access.principals import Principal, Session, root_of
from moorage.access.service_events import ServiceEvent
from moorage.aws.shapes.ecr import PutImageRequest, UploadLayerPartRequest
from moorage.aws.shapes.iam import CreateUserRequest
from moorage.aws.shapes.sts import AssumeRoleWithWebIdentityRequest
from moorage.base.addresses import Registry
from moorage.base.clock import SECOND
from moorage.registry.audit.record import (
    DOCUMENT_MAX,
    Called,
    dated,
    name_of,
    record_of,
    record_of_event,
    told,
    type_of,
)

ACCOUNT = "123456789012"
ARN = f"arn:aws:ecr:home-1:{ACCOUNT}:repository/team/app"
CALL = Called(
    id="an-id",
    occurred=1_573_905_012 * SECOND,
    account=ACCOUNT,
    region="home-1",
    principal=root_of(ACCOUNT, "AKIAEXAMPLE"),
    claimed_key="",
    source="ecr.amazonaws.com",
    name="PutImage",
    is_read_only=False,
    address="192.0.2.7",
    agent="docker/29",
    request_id="request",
    resources=(ARN,),
)


def written(called: Called) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(record_of(called).document)
    return document


def test_a_record_has_the_members_of_cloudtrail() -> None:
    assert written(CALL) == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "Root",
            "principalId": ACCOUNT,
            "arn": f"arn:aws:iam::{ACCOUNT}:root",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIAEXAMPLE",
        },
        "eventTime": "2019-11-16T11:50:12Z",
        "eventSource": "ecr.amazonaws.com",
        "eventName": "PutImage",
        "awsRegion": "home-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "docker/29",
        "requestParameters": None,
        "responseElements": None,
        "requestID": "request",
        "eventID": "an-id",
        "readOnly": False,
        "resources": [{"ARN": ARN, "accountId": ACCOUNT, "type": "AWS::ECR::Repository"}],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }


def test_a_session_of_a_role_names_its_role() -> None:
    session = Session("build-7", 1_573_905_012 * SECOND, 0, source_identity="ann")
    role = Principal(
        ACCOUNT,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/build-7",
        "AROAEXAMPLE:build-7",
        "ASIAEXAMPLE",
        "role",
        "AROAEXAMPLE",
        "ci",
        f"arn:aws:iam::{ACCOUNT}:role/team/ci",
        session,
    )
    record = record_of(replace(CALL, principal=role))
    identity = json.loads(record.document)["userIdentity"]

    assert (identity["type"], record.username) == ("AssumedRole", "build-7")
    assert identity["sessionContext"] == {
        "attributes": {"creationDate": "2019-11-16T11:50:12Z", "mfaAuthenticated": "false"},
        "sessionIssuer": {
            "type": "Role",
            "principalId": "AROAEXAMPLE",
            "arn": f"arn:aws:iam::{ACCOUNT}:role/team/ci",
            "accountId": ACCOUNT,
            "userName": "ci",
        },
        "sourceIdentity": "ann",
    }


def test_a_refusal_says_why_and_which_endpoint_it_came_by() -> None:
    document = written(
        replace(CALL, error_code="AccessDenied", error_message="m" * 2_000, endpoint="vpce-0123456789abcdef0")
    )

    assert (document["errorCode"], len(document["errorMessage"])) == ("AccessDenied", 1_024)
    assert document["vpcEndpointId"] == "vpce-0123456789abcdef0"


def test_of_an_unknown_caller_there_is_the_key_that_it_named() -> None:
    record = record_of(replace(CALL, principal=None, claimed_key="AKIASTRANGER"))

    assert (record.username, record.access_key) == ("", "AKIASTRANGER")
    assert json.loads(record.document)["userIdentity"]["type"] == "Unknown"


def test_members_of_every_service_are_written_alike() -> None:
    assert told(CreateUserRequest(user_name="ann", path="/team/")) == {"userName": "ann", "path": "/team/"}


def test_bytes_and_manifests_are_not_written() -> None:
    push = PutImageRequest(repository_name="team/app", image_manifest="{}", image_tag="1")
    part = UploadLayerPartRequest(
        repository_name="team/app", upload_id="u", part_first_byte=0, part_last_byte=1, layer_part_blob=b"{}"
    )

    assert told(push) == {"repositoryName": "team/app", "imageTag": "1"}
    assert told(part) == {
        "repositoryName": "team/app",
        "uploadId": "u",
        "partFirstByte": 0,
        "partLastByte": 1,
    }


def test_tokens_are_not_written() -> None:
    asked = AssumeRoleWithWebIdentityRequest(
        role_arn="arn:aws:iam::123456789012:role/ci", role_session_name="build", web_identity_token="e.y.J"
    )

    assert "webIdentityToken" not in (told(asked) or {})


@pytest.mark.parametrize(
    "name",
    [
        "SecretString", "secretBinary", "SecretAccessKey", "NewPassword", "authorizationToken", "SessionToken",
        "Plaintext", "privateKey", "CiphertextBlob", "imageManifest", "SAMLAssertion", "AuthenticationCode1",
        "KeyMaterial",
    ],
)  # fmt: skip
def test_what_is_called_like_a_secret_is_not_written(name: str) -> None:
    asked = msgspec.defstruct("Asked", [("member", str)], rename={"member": name}, kw_only=True)

    assert told(asked(member="hidden")) is None


@pytest.mark.parametrize("name", ["SecretId", "credentialArn", "KeyId", "imageManifestMediaType"])
def test_names_of_secrets_are_written(name: str) -> None:
    asked = msgspec.defstruct("Asked", [("member", str)], rename={"member": name}, kw_only=True)

    assert told(asked(member="shown")) == {name[:1].lower() + name[1:]: "shown"}


def test_what_a_stranger_sends_is_bounded() -> None:
    asked = msgspec.defstruct("Asked", [("texts", list[str]), ("nested", dict[str, str])])
    parameters = told(asked(["x" * 10_000] * 200, {str(n): "y" for n in range(200)}))
    assert parameters is not None
    assert (len(parameters["texts"]), len(parameters["nested"])) == (101, 100)

    record = record_of(replace(CALL, parameters=parameters, agent="a" * 10_000))

    assert len(record.document) < DOCUMENT_MAX
    assert "omitted" in json.loads(record.document)["requestParameters"]


def test_no_line_can_be_forged() -> None:
    record = record_of(replace(CALL, agent='docker"\r\n{"eventName":"Forged"}\x1b[2J'))

    assert "\n" not in record.document
    assert "\x1b" not in record.document


def test_resources_are_found_by_what_users_call_them() -> None:
    assert (name_of(ARN), type_of(ARN)) == ("team/app", "AWS::ECR::Repository")
    assert name_of(f"arn:aws:iam::{ACCOUNT}:user/team/ann") == "team/ann"
    assert (name_of("team/app"), type_of("*")) == ("team/app", "")
    assert record_of(CALL).resource == "team/app"


EVENT = ServiceEvent(
    name="ImageActivationEvent",
    registry=Registry(ACCOUNT, "home-1"),
    resource=ARN,
    details={"repositoryName": "team/app", "result": "SUCCESS"},
)


def test_what_the_service_did_has_the_members_of_cloudtrail_and_no_caller() -> None:
    record = record_of_event(EVENT, "an-id", 1_573_905_012 * SECOND)

    assert json.loads(record.document) == {
        "eventVersion": "1.11",
        "userIdentity": {"accountId": ACCOUNT, "invokedBy": "AWS Internal"},
        "eventTime": "2019-11-16T11:50:12Z",
        "eventSource": "ecr.amazonaws.com",
        "eventName": "ImageActivationEvent",
        "awsRegion": "home-1",
        "sourceIPAddress": "AWS Internal",
        "userAgent": "AWS Internal",
        "requestParameters": None,
        "responseElements": None,
        "eventID": "an-id",
        "readOnly": True,
        "resources": [{"ARN": ARN, "accountId": ACCOUNT, "type": "AWS::ECR::Repository"}],
        "eventType": "AwsServiceEvent",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "serviceEventDetails": {"repositoryName": "team/app", "result": "SUCCESS"},
        "eventCategory": "Management",
    }
    assert (record.username, record.access_key, record.is_read_only) == ("", "", True)
    assert (record.resource_type, record.resource) == ("AWS::ECR::Repository", "team/app")


def test_what_the_service_could_not_do_says_why() -> None:
    failed = replace(EVENT, error_code="AccessDenied", error_message="x" * 10_000)

    told = json.loads(record_of_event(failed, "an-id", 0).document)

    assert (told["errorCode"], len(told["errorMessage"])) == ("AccessDenied", 1_024)


def test_details_that_are_too_long_are_left_out() -> None:
    huge = replace(EVENT, details={"images": ["x" * 1_000] * 100})

    document = record_of_event(huge, "an-id", 0).document

    assert len(document) < 2_000
    assert json.loads(document)["serviceEventDetails"] == {"omitted": f"more than {DOCUMENT_MAX} bytes"}


def test_an_answer_that_is_too_long_goes_before_what_was_asked() -> None:
    told = written(replace(CALL, parameters={"asked": "x"}, elements={"answered": ["x" * 1_000] * 100}))

    assert told["requestParameters"] == {"asked": "x"}
    assert told["responseElements"] == {"omitted": f"more than {DOCUMENT_MAX} bytes"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1_531_347_464.0, "Jul 11, 2018 10:17:44 PM"),
        (1_531_267_200.999, "Jul 11, 2018 12:00:00 AM"),
        (1_530_446_700.5, "Jul 1, 2018 12:05:00 PM"),
    ],
)
def test_times_of_an_answer_are_dates_in_words(seconds: float, text: str) -> None:
    answer = {
        "repository": {"createdAt": seconds, "score": 1.5},
        "images": [{"lastRecordedPullTime": seconds}],
    }

    assert dated(answer) == {
        "repository": {"createdAt": text, "score": 1.5},
        "images": [{"lastRecordedPullTime": text}],
    }
