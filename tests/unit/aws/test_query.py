from __future__ import annotations

from contextlib import suppress
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.aws import query
from moorage.aws.operation import find_operation
from moorage.aws.shapes.iam import GetAccountSummaryResponse, ListUsersResponse, User
from moorage.aws.shapes.sts import AssumeRoleResponse, Credentials, GetCallerIdentityResponse
from moorage.base.errors.access import (
    AccessDenied,
    ExpiredToken,
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
    UnrecognizedClient,
)
from moorage.base.errors.error import MoorageError
from moorage.base.errors.requests import Serialization, UnknownOperation, Validation
from moorage.base.http import Reply


def content(reply: Reply) -> bytes:
    assert isinstance(reply.body, bytes)
    return reply.body


def decode(action: str, form: bytes, version: str = "2011-06-15") -> Any:
    return find_operation(None, action, version).decode(form)


def test_form_when_decoded_has_lists_in_their_order_and_numbers() -> None:
    request = decode(
        "AssumeRole",
        b"Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/a&RoleSessionName=ab"
        b"&Tags.member.10.Key=k10&Tags.member.10.Value=&Tags.member.2.Key=k2&Tags.member.2.Value=v%202"
        b"&DurationSeconds=900&Unknown.member.1=x",
    )

    assert [(tag.key, tag.value) for tag in request.tags] == [("k2", "v 2"), ("k10", "")]
    assert request.duration_seconds == 900


def test_form_when_a_list_is_empty_decodes_it_as_empty() -> None:
    request = decode("UntagUser", b"UserName=a&TagKeys=", "2010-05-08")

    assert request.tag_keys == []


@pytest.mark.parametrize(
    "form",
    [
        b"UserName=a&TagKeys.member.x=b",
        b"UserName=a&TagKeys=b",
        b"UserName.a=b&TagKeys.member.1=c",
        b"UserName=%ff&TagKeys.member.1=c",
        b"UserName=a&TagKeys.member.1.2=c",
        b"&".join(b"a=b" for _ in range(10_001)),
    ],
)
def test_form_when_its_shape_is_wrong_is_a_serialization_error(form: bytes) -> None:
    with pytest.raises(Serialization):
        decode("UntagUser", form, "2010-05-08")


@pytest.mark.parametrize("value", [b"x", b"5.5", b"", b"9" * 30])
def test_form_when_a_number_is_none_is_refused(value: bytes) -> None:
    with pytest.raises((Serialization, Validation)):
        decode("GetSessionToken", b"DurationSeconds=" + value)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_form_when_any_bytes_decodes_or_is_refused_with_an_aws_error(form: bytes) -> None:
    with suppress(Serialization, Validation):
        decode("AssumeRole", form)


def test_response_when_encoded_is_xml_as_aws_writes_it() -> None:
    response = GetCallerIdentityResponse(user_id="1", account="1", arn="arn:aws:iam::1:root")

    reply = query.encode("sts", "GetCallerIdentity", response, "r-1")

    assert reply.headers == [(b"content-type", b"text/xml")]
    assert reply.body == (
        b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        b"<UserId>1</UserId><Account>1</Account><Arn>arn:aws:iam::1:root</Arn></GetCallerIdentityResult>"
        b"<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )


def test_response_when_it_has_lists_maps_booleans_and_times_writes_them() -> None:
    user = User(path="/", user_name="a", user_id="AIDA", arn="arn", create_date=1563233313.0)
    users = query.encode("iam", "ListUsers", ListUsersResponse(users=[user], is_truncated=False), "r")
    none = query.encode("iam", "ListUsers", ListUsersResponse(users=[]), "r")
    summary = query.encode(
        "iam", "GetAccountSummary", GetAccountSummaryResponse(summary_map={"Users": 3}), "r"
    )

    assert b"<Users><member><Path>/</Path>" in content(users)
    assert b"<CreateDate>2019-07-15T23:28:33Z</CreateDate></member></Users>" in content(users)
    assert b"<IsTruncated>false</IsTruncated>" in content(users)
    assert b"<Users></Users>" in content(none)
    assert b"<SummaryMap><entry><key>Users</key><value>3</value></entry></SummaryMap>" in content(summary)


def test_time_when_it_has_milliseconds_keeps_them() -> None:
    credentials = Credentials(
        access_key_id="A" * 16, secret_access_key="s", session_token="t", expiration=0.25
    )

    reply = query.encode("sts", "AssumeRole", AssumeRoleResponse(credentials=credentials), "r")

    assert b"<Expiration>1970-01-01T00:00:00.250Z</Expiration>" in content(reply)


@settings(deadline=None)
@given(st.text())
def test_text_when_anything_stays_well_formed(text: str) -> None:
    reply = query.encode("sts", "GetCallerIdentity", GetCallerIdentityResponse(arn=text), "r")

    root = ElementTree.fromstring(content(reply))
    arn = root[0][0].text or ""

    assert arn == "".join(
        c if c in "\t\n\r" or 32 <= ord(c) < 0xFFFE or ord(c) > 0xFFFF else "\ufffd" for c in text
    )


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (MissingAuthenticationToken(), 403, "MissingAuthenticationToken"),
        (IncompleteSignature("x"), 403, "IncompleteSignature"),
        (InvalidSignature("x"), 403, "SignatureDoesNotMatch"),
        (UnrecognizedClient(), 403, "InvalidClientTokenId"),
        (ExpiredToken(), 403, "ExpiredToken"),
        (AccessDenied("x"), 403, "AccessDenied"),
        (Validation("x"), 400, "ValidationError"),
        (UnknownOperation(operation="X", service="sts"), 400, "InvalidAction"),
        (type("NoSuchEntity", (MoorageError,), {})("x"), 404, "NoSuchEntity"),
        (type("LimitExceeded", (MoorageError,), {})("x"), 409, "LimitExceeded"),
    ],
)
def test_error_when_encoded_has_the_code_and_status_of_the_query_services(
    error: MoorageError, status: int, code: str
) -> None:
    reply = query.encode_error("iam", error, "r-1")

    namespace = "{https://iam.amazonaws.com/doc/2010-05-08/}"
    root = ElementTree.fromstring(content(reply))
    assert reply.status == status
    assert root.findtext(f"{namespace}Error/{namespace}Code") == code
    assert root.findtext(f"{namespace}Error/{namespace}Type") == "Sender"
    assert root.findtext(f"{namespace}RequestId") == "r-1"
