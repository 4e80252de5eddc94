"""Signature version 4 as a stranger meets it: what is wrong, in AWS's words (JSON services: 400)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
UNKNOWN = "The security token included in the request is invalid."
BODY = b'{"maxResults":5}'


@pytest.fixture
def signing(api: Any) -> Any:
    return api.signing("DescribeRepositories", BODY)


def refused(answer: Any, code: str, text: str) -> None:
    assert (answer.status, answer.code, answer.text) == (400, code, text)


def with_header(signing: Any, name: str, value: str) -> list[tuple[str, str]]:
    """The signed headers with one of them changed afterwards."""
    return [(each, value if each == name else text) for each, text in signing.signed()]


def authorized(signing: Any, value: str) -> list[tuple[str, str]]:
    return with_header(signing, "authorization", value)


def authorization(signing: Any) -> str:
    return dict(signing.signed())["authorization"]


def post(api: Any, headers: list[tuple[str, str]], body: bytes = BODY, target: str = "/") -> Any:
    return api.exchange("POST", target, headers, body)


def test_a_good_signature_is_good(api: Any, signing: Any) -> None:
    assert api.send(signing).status == 200


# Nothing, or not all


@pytest.mark.parametrize("value", [None, "", "Basic QVdTOng=", "Bearer x", "nonsense"])
def test_no_signature_at_all(api: Any, signing: Any, value: str | None) -> None:
    headers = authorized(signing, value) if value is not None else signing.signed()[:-1]

    refused(
        post(api, headers), "MissingAuthenticationTokenException", "Request is missing Authentication Token"
    )


@pytest.mark.parametrize(
    ("lacking", "text"),
    [
        (("Credential",), "Authorization header requires 'Credential' parameter. "),
        (("Signature",), "Authorization header requires 'Signature' parameter. "),
        (("SignedHeaders",), "Authorization header requires 'SignedHeaders' parameter. "),
        (
            ("Credential", "Signature"),
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' "
            "parameter. ",
        ),
    ],
)
def test_a_missing_part_is_named(api: Any, signing: Any, lacking: tuple[str, ...], text: str) -> None:
    algorithm, _, rest = authorization(signing).partition(" ")
    kept = [part for part in rest.split(", ") if part.partition("=")[0] not in lacking]
    value = f"{algorithm} {', '.join(kept)}"

    answer = post(api, authorized(signing, value))

    shown = ", ".join("Signature=***" if part.startswith("Signature=") else part for part in kept)
    refused(answer, "IncompleteSignatureException", f"{text}Authorization={algorithm} {shown}")


def test_the_date_is_required(api: Any, signing: Any) -> None:
    headers = [header for header in signing.signed() if header[0] != "x-amz-date"]

    answer = post(api, headers)

    assert answer.code == "IncompleteSignatureException"
    assert answer.text.startswith(
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization="
    )


def test_a_pair_without_equal_sign(api: Any, signing: Any) -> None:
    answer = post(api, authorized(signing, "AWS4-HMAC-SHA256 Credential"))

    refused(
        answer,
        "IncompleteSignatureException",
        "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header: "
        "'AWS4-HMAC-SHA256 Credential'.",
    )


def test_no_answer_repeats_the_signature(api: Any, signing: Any) -> None:
    value = authorization(signing)
    signature = value.rpartition("=")[2]
    broken = [
        value.replace("Credential=", "Credential "),
        value.replace("SignedHeaders=", "Other="),
        value + ", x",
    ]

    for each in broken:
        assert signature.encode() not in post(api, authorized(signing, each)).body


# Dates


@pytest.mark.parametrize(
    "date", ["x", "20130609", "2013-06-09T10:00:00Z", "20131399T101010Z", "20130609T101010", ""]
)
def test_a_date_of_another_format(api: Any, signing: Any, date: str) -> None:
    answer = post(api, with_header(signing, "x-amz-date", date))

    assert answer.code == "IncompleteSignatureException"
    if date:
        assert answer.text == (
            f"Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601"
        )


@pytest.mark.parametrize("minutes", [-14, 14])
def test_within_a_quarter_of_an_hour_clocks_may_differ(api: Any, signing: Any, minutes: int) -> None:
    assert api.send(replace(signing, at=signing.at + timedelta(minutes=minutes))).status == 200


def test_a_clock_that_is_late(api: Any, signing: Any) -> None:
    at = signing.at - timedelta(minutes=20)

    answer = api.send(replace(signing, at=at))

    assert answer.code == "InvalidSignatureException"
    assert answer.text.startswith(f"Signature expired: {at:%Y%m%dT%H%M%SZ} is now earlier than ")
    assert answer.text.endswith(" - 15 min.)")
    assert answer.headers["date"]


def test_a_clock_that_is_early(api: Any, signing: Any) -> None:
    at = signing.at + timedelta(minutes=20)

    answer = api.send(replace(signing, at=at))

    assert answer.code == "InvalidSignatureException"
    assert answer.text.startswith(f"Signature not yet current: {at:%Y%m%dT%H%M%SZ} is still later than ")
    assert answer.text.endswith(" + 15 min.)")


# The scope


def test_another_service_in_the_scope(api: Any, signing: Any) -> None:
    for service in ("s3", "sts", "ecr-public", "ECR"):
        answer = api.send(replace(signing, service=service))
        refused(
            answer, "InvalidSignatureException", "Credential should be scoped to correct service: 'ecr'. "
        )


@pytest.mark.parametrize("region", ["US-EAST-1", "a", "x" * 26, "us_east_1", "é"])
def test_what_is_no_region_in_the_scope(api: Any, signing: Any, region: str) -> None:
    answer = api.send(replace(signing, region=region))

    refused(
        answer,
        "InvalidSignatureException",
        f"Credential should be scoped to a valid region, not '{region}'. ",
    )


def test_another_terminator_in_the_scope(api: Any, signing: Any) -> None:
    answer = api.send(replace(signing, terminator="aws5_request"))

    refused(
        answer,
        "InvalidSignatureException",
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. ",
    )


def test_another_day_in_the_scope(api: Any, signing: Any) -> None:
    answer = api.send(replace(signing, scope_date="20130609"))

    refused(
        answer,
        "InvalidSignatureException",
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        f"'20130609' != '{signing.date[:8]}', from '{signing.date}'.",
    )


def test_all_that_is_wrong_with_the_scope_is_told_at_once(api: Any, signing: Any) -> None:
    answer = api.send(replace(signing, region="R", service="s3", terminator="e", scope_date="b"))

    refused(
        answer,
        "InvalidSignatureException",
        "Credential should be scoped to a valid region, not 'R'. "
        "Credential should be scoped to correct service: 'ecr'. "
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. "
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        f"'b' != '{signing.date[:8]}', from '{signing.date}'.",
    )


def test_a_credential_of_another_shape(api: Any, signing: Any) -> None:
    value = authorization(signing).replace("/aws4_request", "")

    answer = post(api, authorized(signing, value))

    refused(
        answer,
        "IncompleteSignatureException",
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
        f"'{signing.key.id}/{signing.date[:8]}/{signing.region}/ecr'",
    )


def test_another_algorithm(api: Any, signing: Any) -> None:
    answer = api.send(replace(signing, algorithm="AWS4-HMAC-SHA512"))

    refused(
        answer,
        "IncompleteSignatureException",
        "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA512' (only AWS4-HMAC-SHA256 for now). ",
    )


# The key and the signature


def test_an_unknown_key(api: Any, signing: Any) -> None:
    for key_id in ("AKIAAAAAAAAAAAAAAAAA", "x", signing.key.id.lower()):
        answer = api.send(replace(signing, key=replace(signing.key, id=key_id)))
        refused(answer, "UnrecognizedClientException", UNKNOWN)


def test_another_secret(api: Any, signing: Any) -> None:
    answer = api.send(replace(signing, key=replace(signing.key, secret=signing.key.secret + "x")))

    refused(answer, "InvalidSignatureException", MISMATCH)


@pytest.mark.parametrize(
    "change", [str.upper, lambda s: s[:-1], lambda s: s + "0", lambda s: "0" * 64, lambda s: "x"]
)
def test_another_signature(api: Any, signing: Any, change: Any) -> None:
    start, _, signature = authorization(signing).rpartition("=")

    refused(
        post(api, authorized(signing, f"{start}={change(signature)}")), "InvalidSignatureException", MISMATCH
    )


def test_a_changed_body(api: Any, signing: Any) -> None:
    for body in (b'{"maxResults":6}', BODY + b" ", b""):
        refused(post(api, signing.signed(), body), "InvalidSignatureException", MISMATCH)


def test_a_changed_query(api: Any, signing: Any) -> None:
    refused(post(api, signing.signed(), target="/?a=b"), "InvalidSignatureException", MISMATCH)
    assert api.send(replace(signing, query="a=b&c=")).status == 200


def test_a_changed_path_is_not_the_api(api: Any, signing: Any) -> None:
    for path in ("//", "/.", "/x", "/index.html"):
        assert post(api, signing.signed(), target=path).status in (400, 401, 404)


def test_a_changed_method(api: Any, signing: Any) -> None:
    assert api.exchange("GET", "/", signing.signed(), BODY).code == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.DescribeRegistry"),
        ("content-type", "application/json"),
        ("host", "elsewhere.example"),
    ],
)
def test_a_changed_header(api: Any, signing: Any, name: str, value: str) -> None:
    refused(post(api, with_header(signing, name, value)), "InvalidSignatureException", MISMATCH)


def test_the_port_belongs_to_the_host(api: Any, signing: Any) -> None:
    name, _, port = signing.host.rpartition(":")
    for host in (name, f"{name}:{int(port) + 1}"):
        refused(post(api, with_header(signing, "host", host)), "InvalidSignatureException", MISMATCH)
    assert api.send(replace(signing, host="registry.example:8443")).status == 200


def test_spaces_in_headers_are_collapsed_and_their_order_is_free(api: Any, signing: Any) -> None:
    noted = replace(signing, headers=(*signing.headers, ("x-note", "a b c")))
    headers = [(n, "  a   b  c " if n == "x-note" else v) for n, v in noted.signed()]

    assert post(api, headers[::-1]).status == 200


@pytest.mark.parametrize("name", ["host", "x-amz-target", "x-amz-date"])
def test_what_is_acted_upon_is_signed(api: Any, signing: Any, name: str) -> None:
    answer = api.send(replace(signing, unsigned=frozenset({name})))

    title = "-".join(word.title() for word in name.split("-"))
    refused(
        answer, "InvalidSignatureException", f"'{title}' must be a 'SignedHeader' in the AWS Authorization."
    )


def test_a_target_that_is_added_later(api: Any) -> None:
    signing = api.signing(None, BODY)
    target = ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")

    answer = post(api, [*signing.signed(), target])

    assert answer.code == "InvalidSignatureException"
    assert answer.text == "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."


def test_a_signed_header_that_is_not_there(api: Any, signing: Any) -> None:
    headers = [header for header in signing.signed() if header[0] != "content-type"]

    refused(post(api, headers), "InvalidSignatureException", MISMATCH)


def test_a_session_token_that_is_not_signed(api: Any, signing: Any) -> None:
    answer = post(api, [*signing.signed(), ("x-amz-security-token", "token")])

    refused(
        answer,
        "InvalidSignatureException",
        "'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization.",
    )


def test_a_session_token_with_a_key_that_has_none(api: Any, signing: Any) -> None:
    answer = api.send(replace(signing, headers=(*signing.headers, ("x-amz-security-token", "token"))))

    refused(answer, "UnrecognizedClientException", "The security token included in the request is invalid")


def test_two_authorizations(api: Any, signing: Any) -> None:
    signed = signing.signed()

    refused(
        post(api, [*signed, signed[-1]]),
        "IncompleteSignatureException",
        "A request has exactly one Authorization header.",
    )


@pytest.mark.parametrize("name", ["host", "x-amz-target", "x-amz-date"])
def test_a_header_that_is_given_twice_has_two_readings(api: Any, signing: Any, name: str) -> None:
    signed = signing.signed()

    answer = post(api, [*signed, (name, dict(signed)[name])])

    assert answer.status == 400
    if name != "host":  # the HTTP parser may refuse two hosts before us
        assert answer.code == "IncompleteSignatureException"


def test_header_and_query_at_once(api: Any, signing: Any) -> None:
    answer = post(api, signing.signed(), target=f"/?{signing.presigned()}")

    refused(
        answer,
        "InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    )


# The payload


@pytest.mark.parametrize(
    "payload",
    [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "0" * 64,
    ],
)
def test_the_payload_is_always_signed(api: Any, signing: Any, payload: str) -> None:
    declared = replace(
        signing, payload=payload, headers=(*signing.headers, ("x-amz-content-sha256", payload))
    )

    refused(
        api.send(declared),
        "InvalidSignatureException",
        "The value of 'X-Amz-Content-Sha256' is not the SHA-256 of the body.",
    )
    refused(api.send(replace(signing, payload=payload)), "InvalidSignatureException", MISMATCH)


def test_a_declared_hash_of_the_body_may_be_sent(api: Any, signing: Any) -> None:
    digest = hashlib.sha256(BODY).hexdigest()

    assert (
        api.send(replace(signing, headers=(*signing.headers, ("x-amz-content-sha256", digest)))).status == 200
    )


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b"null", b"Action=%zz"])
def test_nothing_of_the_body_is_read_before_the_signature_holds(api: Any, signing: Any, body: bytes) -> None:
    refused(post(api, signing.signed(), body), "InvalidSignatureException", MISMATCH)
    unknown = replace(signing, body=body, key=replace(signing.key, id="AKIAAAAAAAAAAAAAAAAA"))
    refused(api.send(unknown), "UnrecognizedClientException", UNKNOWN)


def test_an_unknown_operation_is_not_told_to_strangers(api: Any) -> None:
    signing = api.signing("Nothing", b"{}")
    wrong = replace(signing, key=replace(signing.key, secret="x"))

    refused(api.send(wrong), "InvalidSignatureException", MISMATCH)
    assert api.send(signing).code == "UnknownOperationException"


# The presigned form


def presigned(api: Any, signing: Any, expires: int = 60, **others: str) -> Any:
    headers = [("host", signing.host), *signing.headers]
    return api.exchange("POST", f"/?{signing.presigned(expires, **others)}", headers, BODY)


def test_a_presigned_call_is_good(api: Any, signing: Any) -> None:
    assert presigned(api, signing).status == 200
    assert presigned(api, replace(signing, query="b=%2F&a=1")).status == 200


def test_a_presigned_call_that_was_changed(api: Any, signing: Any) -> None:
    query, headers = signing.presigned(), [("host", signing.host), *signing.headers]
    for changed in (
        query.replace("X-Amz-Expires=60", "X-Amz-Expires=600"),
        f"{query}&a=b",
        query[:-1] + ("0" if query[-1] != "0" else "1"),
    ):
        refused(api.exchange("POST", f"/?{changed}", headers, BODY), "InvalidSignatureException", MISMATCH)


def test_a_presigned_call_that_is_over(api: Any, signing: Any) -> None:
    answer = presigned(api, replace(signing, at=signing.at - timedelta(seconds=61)), 60)
    never = presigned(api, replace(signing, at=signing.at - timedelta(minutes=16)), 604_800)

    assert answer.code == never.code == "InvalidSignatureException"
    assert answer.text.startswith("Signature expired: ")
    assert answer.text.endswith(" - 60 s.)")
    assert never.text.endswith(" - 15 min.)")


@pytest.mark.parametrize("expires", [0, 604_801, -1])
def test_a_presigned_call_lives_a_second_to_a_week(api: Any, signing: Any, expires: int) -> None:
    refused(
        presigned(api, signing, expires),
        "IncompleteSignatureException",
        "X-Amz-Expires must be a number of seconds between 1 and 604800.",
    )


@pytest.mark.parametrize("name", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"])
def test_a_presigned_call_that_lacks_something(api: Any, signing: Any, name: str) -> None:
    kept = [part for part in signing.presigned().split("&") if not part.startswith(f"X-Amz-{name}=")]
    headers = [("host", signing.host), *signing.headers]

    answer = api.exchange("POST", f"/?{'&'.join(kept)}", headers, BODY)

    refused(
        answer,
        "IncompleteSignatureException",
        f"AWS query-string parameters must include 'X-Amz-{name}'. Re-examine the query-string parameters.",
    )


def test_a_presigned_call_signs_what_is_acted_upon(api: Any, signing: Any) -> None:
    answer = presigned(api, replace(signing, unsigned=frozenset({"x-amz-target"})))

    refused(
        answer,
        "InvalidSignatureException",
        "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.",
    )


def test_a_presigned_parameter_given_twice(api: Any, signing: Any) -> None:
    query = f"{signing.presigned()}&X-Amz-Expires=60"

    answer = api.exchange("POST", f"/?{query}", [("host", signing.host), *signing.headers], BODY)

    refused(answer, "IncompleteSignatureException", "An AWS query-string parameter is given twice.")


# The query protocol answers in XML, with 403


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("breaks", "code"),
    [
        ({"service": "ecr"}, "SignatureDoesNotMatch"),
        ({"region": "R"}, "SignatureDoesNotMatch"),
        ({"terminator": "x"}, "SignatureDoesNotMatch"),
        ({"at": datetime(2020, 1, 1, tzinfo=UTC)}, "SignatureDoesNotMatch"),
        ({"payload": "0" * 64}, "SignatureDoesNotMatch"),
        ({"algorithm": "AWS4-X"}, "IncompleteSignature"),
        ({"key": "unknown"}, "InvalidClientTokenId"),
        ({"unsigned": frozenset({"host"})}, "SignatureDoesNotMatch"),
        (None, "MissingAuthenticationToken"),
    ],
)
def test_the_query_protocol_says_the_same(api: Any, method: str, breaks: Any, code: str) -> None:
    form = "Action=GetCallerIdentity&Version=2011-06-15"
    inside = {"query": form} if method == "GET" else {"body": form.encode()}
    content_type = (("content-type", "application/x-www-form-urlencoded"),)
    signing = replace(api.signing(None), method=method, service="sts", headers=content_type, **inside)
    assert api.send(signing).status == 200
    if breaks == {"key": "unknown"}:
        breaks = {"key": replace(signing.key, id="AKIAAAAAAAAAAAAAAAAA")}

    broken = replace(signing, **(breaks or {}))
    target = f"/?{broken.query}" if broken.query else "/"
    headers = broken.signed() if breaks is not None else broken.signed()[:-1]
    answer = api.exchange(method, target, headers, broken.body)

    assert (answer.status, answer.headers["content-type"]) == (403, "text/xml")
    assert f"<Type>Sender</Type><Code>{code}</Code><Message>".encode() in answer.body
    assert b"<RequestId>" in answer.body
