"""The registry as a whole: its description, passwords, and who is asking."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest


def described(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_a_new_registry_replicates_nothing(api: Any) -> None:
    assert described(api.ecr.describe_registry()) == {
        "registryId": api.account,
        "replicationConfiguration": {"rules": []},
    }


def test_a_password_lives_twelve_hours_and_names_its_registry(api: Any) -> None:
    before = datetime.now(UTC)
    (data,) = api.ecr.get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(data["authorizationToken"], validate=True).decode().partition(":")
    envelope = json.loads(base64.b64decode(password, validate=True))

    assert data["proxyEndpoint"] == f"https://{api.registry_host}"
    assert timedelta(0) <= data["expiresAt"] - before - timedelta(hours=12) < timedelta(minutes=1)
    assert user == "AWS"
    assert len(data["authorizationToken"]) <= 2_048
    assert not set(password) & set(": \n\t")
    assert envelope["version"] == "2"
    assert envelope["type"] == "DATA_KEY"
    assert envelope["expiration"] == int(data["expiresAt"].timestamp())


def test_the_default_registry_is_where_the_client_reached_it(root: Any) -> None:
    port = root.host.rpartition(":")[2]
    (data,) = root.ecr.get_authorization_token()["authorizationData"]

    assert data["proxyEndpoint"] == f"http://localhost:{port}"
    assert root.v2("GET", "/v2/", host=f"localhost:{port}", password=root.password()).status == 200


def test_registries_that_are_named_have_an_element_each_in_their_order(api: Any) -> None:
    ids = ["123456789012", api.account, "210987654321"]

    data = api.ecr.get_authorization_token(registryIds=ids)["authorizationData"]

    assert [each["proxyEndpoint"] for each in data] == [
        f"https://{id_}.dkr.ecr.{api.region}.amazonaws.com" for id_ in ids
    ]


@pytest.mark.parametrize(
    "ids", [[], ["123456789012"] * 11, ["12345678901"], ["1234567890123"], ["a" * 12], [None]]
)
def test_what_is_no_registry_id_is_refused(api: Any, ids: Any) -> None:
    answer = api.call("GetAuthorizationToken", {"registryIds": ids})

    assert (answer.status, answer.code) == (400, "InvalidParameterException")
    assert answer.text.startswith("Invalid parameter at 'registryIds")


def test_every_password_is_another_and_all_are_good(api: Any) -> None:
    passwords = {api.password() for _ in range(3)}

    assert len(passwords) == 3
    assert [api.v2("GET", "/v2/", password=password).status for password in passwords] == [200] * 3


def test_a_request_id_is_on_every_answer_and_never_twice(api: Any) -> None:
    answers = [
        api.call("DescribeRegistry"),
        api.call("Nothing"),
        api.exchange("POST", "/", [("host", api.host)], b""),
    ]

    ids = {answer.headers["x-amzn-requestid"] for answer in answers}
    assert len(ids) == 3


# GetCallerIdentity


def test_the_caller_is_told_who_that_is(api: Any) -> None:
    assert described(api.client("sts").get_caller_identity()) == {
        "UserId": api.account,
        "Account": api.account,
        "Arn": f"arn:aws:iam::{api.account}:root",
    }


IDENTITY = "Action=GetCallerIdentity&Version=2011-06-15"


def identity_in(answer: Any) -> str:
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")
    _, _, rest = answer.body.decode().partition("<Account>")
    return str(rest.partition("</Account>")[0])


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded; charset=utf-8",
        "application/x-www-form-urlencoded",
        "APPLICATION/X-WWW-FORM-URLENCODED",
        "text/plain",
    ],
)
def test_identity_by_form(api: Any, content_type: str) -> None:
    headers = (("content-type", content_type),)

    answer = api.send(api.signing(None, IDENTITY.encode(), service="sts", headers=headers))

    assert identity_in(answer) == api.account


def test_identity_by_query_signed_in_the_header(api: Any) -> None:
    answer = api.send(api.signing(None, service="sts", method="GET", query=IDENTITY))

    assert identity_in(answer) == api.account


def test_identity_by_presigned_query_as_authenticators_send_it(api: Any) -> None:
    """aws-iam-authenticator signs a header of its own as well."""
    signing = api.signing(
        None, service="sts", method="GET", query=IDENTITY, headers=(("x-k8s-aws-id", "cluster"),)
    )
    query = signing.presigned()

    good = api.exchange("GET", f"/?{query}", [("host", api.host), ("x-k8s-aws-id", "cluster")])
    other = api.exchange("GET", f"/?{query}", [("host", api.host), ("x-k8s-aws-id", "another")])

    assert identity_in(good) == api.account
    assert other.status == 403
    assert b"<Code>SignatureDoesNotMatch</Code>" in other.body


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("Action=Nothing&Version=2011-06-15", "InvalidAction"),
        ("Action=GetCallerIdentity&Version=1999-01-01", "InvalidAction"),
        ("Action=GetCallerIdentity", "InvalidAction"),
        ("Version=2011-06-15", "InvalidAction"),
        ("", "InvalidAction"),
    ],
)
def test_an_unknown_action_is_invalid(api: Any, query: str, code: str) -> None:
    answer = api.send(api.signing(None, service="sts", method="GET", query=query))

    assert (answer.status, answer.headers["content-type"]) == (400, "text/xml")
    assert f"<Code>{code}</Code>".encode() in answer.body
    assert b"<Type>Sender</Type>" in answer.body
    assert b"<RequestId>" in answer.body
