"""The vectors are AWS's own suite ("get-vanilla" and its neighbours); the rest is signed here, step by step."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.aws.sigv4 import (
    EMPTY_PAYLOAD,
    Scope,
    SignedParts,
    SigningKeys,
    check_service,
    parse_authorization,
    verify,
)
from moorage.base.clock import MINUTE, SECOND
from moorage.base.errors.access import (
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
    UnrecognizedClient,
)
from moorage.base.errors.error import MoorageError

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
DATE, NOW = "20150830T123600Z", 1_440_938_160 * SECOND
TARGET = "AmazonEC2ContainerRegistry_V20150921.DescribeRegistry"
BODY = b"{}"
MISMATCH = "The request signature we calculated does not match the signature you provided."


@dataclass(frozen=True)
class Draft:
    """A request to be signed. `signed` None: every header."""

    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = (
        ("host", "registry.test:5050"),
        ("x-amz-date", DATE),
        ("x-amz-target", TARGET),
    )
    body: bytes = BODY
    date: str = DATE
    scope: str = "20150830/home-1/ecr/aws4_request"
    key_id: str = "AKIDEXAMPLE"
    signed: str | None = None
    algorithm: str = "AWS4-HMAC-SHA256"
    query: str = ""
    extra: tuple[tuple[bytes, bytes], ...] = field(default=())

    @property
    def signed_headers(self) -> str:
        return ";".join(sorted({n for n, _ in self.headers})) if self.signed is None else self.signed


def signature(draft: Draft) -> str:
    names = draft.signed_headers.split(";")
    lines = "".join(f"{n}:{','.join(v for k, v in draft.headers if k == n)}\n" for n in names)
    digest = hashlib.sha256(draft.body).hexdigest()
    canonical = f"{draft.method}\n/\n{draft.query}\n{lines}\n{draft.signed_headers}\n{digest}"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{SECRET}".encode()
    for part in draft.scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    text = f"AWS4-HMAC-SHA256\n{draft.date}\n{draft.scope}\n{hashed}"
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def authorization(draft: Draft) -> str:
    return (
        f"{draft.algorithm} Credential={draft.key_id}/{draft.scope}, SignedHeaders={draft.signed_headers}, "
        f"Signature={signature(draft)}"
    )


def wire(draft: Draft, header: str | None = None) -> list[tuple[bytes, bytes]]:
    given = [(name.encode(), value.encode()) for name, value in draft.headers]
    header = authorization(draft) if header is None else header
    return [*given, (b"authorization", header.encode("latin-1")), *draft.extra]


def check(
    headers: list[tuple[bytes, bytes]],
    raw_query: bytes = b"",
    *,
    method: str = "POST",
    body: bytes = BODY,
    **how: Any,
) -> None:
    parts = SignedParts(method, raw_query, headers, hashlib.sha256(body).hexdigest())
    keys = how.pop("keys", SigningKeys())
    is_temporary = how.pop("is_temporary", False)
    arguments: dict[str, Any] = {"now": NOW, "service": "ecr"} | how
    claim = parse_authorization(headers, raw_query, **arguments)
    verify(claim, parts, SECRET, keys=keys, is_temporary=is_temporary)


def refused(headers: list[tuple[bytes, bytes]], raw_query: bytes = b"", **how: Any) -> MoorageError:
    with pytest.raises(MoorageError) as caught:
        check(headers, raw_query, **how)
    return caught.value


@pytest.mark.parametrize(
    ("method", "query", "expected"),
    [
        ("GET", b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "GET",
            b"Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        ("POST", b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
)
def test_vector_of_aws_when_verified_holds(method: str, query: bytes, expected: str) -> None:
    header = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={expected}"
    )
    headers = [(b"host", b"example.amazonaws.com"), (b"x-amz-date", DATE.encode())]

    check([*headers, (b"authorization", header.encode())], query, method=method, body=b"", service="service")


def test_signature_when_good_is_accepted_with_and_without_spaces() -> None:
    check(wire(Draft()))
    check(wire(Draft(), authorization(Draft()).replace(", ", ",")))


def test_header_values_when_spaced_or_repeated_are_canonical() -> None:
    draft = Draft(headers=(*Draft().headers, ("my-list", "a b"), ("my-list", "c")))
    headers = [(n, b"  a   b " if v == b"a b" else v) for n, v in wire(draft)]

    check(headers)


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=4))
@settings(deadline=None)
def test_query_when_signed_by_any_encoder_is_canonical(pairs: list[tuple[str, str]]) -> None:
    pairs = [(name, value) for name, value in pairs if name]
    encoded = sorted((quote(n, safe="-_.~"), quote(v, safe="-_.~")) for n, v in pairs)
    draft = Draft(query="&".join(f"{name}={value}" for name, value in encoded))

    check(wire(draft), "&".join(f"{n}={v}" for n, v in reversed(encoded)).encode())


def test_check_1_when_there_is_no_signature() -> None:
    headers = [h for h in wire(Draft()) if h[0] != b"authorization"]

    for refusal in (refused(headers), refused([*headers, (b"authorization", b"Basic QVdTOng=")])):
        assert isinstance(refusal, MissingAuthenticationToken)
        assert str(refusal) == "Request is missing Authentication Token"


def test_check_1_when_there_are_two_headers_or_two_forms() -> None:
    headers = wire(Draft())

    assert isinstance(refused([*headers, headers[-1]]), IncompleteSignature)
    assert "Found both 'X-Amz-Algorithm'" in str(refused(headers, b"X-Amz-Algorithm=AWS4-HMAC-SHA256"))
    assert "Found both" in str(refused(headers, b"X%2DAmz-Signature=0"))


def test_check_2_when_a_pair_has_no_equal_sign() -> None:
    error = refused(wire(Draft(), "AWS4-HMAC-SHA256 Credential=a, Signature=secret, b"))

    assert isinstance(error, IncompleteSignature)
    assert str(error) == (
        "'b' not a valid key=value pair (missing equal-sign) in Authorization header: "
        "'AWS4-HMAC-SHA256 Credential=a, Signature=***, b'."
    )


def test_check_3_when_parts_are_missing_names_each() -> None:
    headers = [(b"host", b"h"), (b"authorization", b"AWS4-HMAC-SHA256 ")]

    assert str(refused(headers)) == (
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. "
        "Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either "
        "a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-HMAC-SHA256 "
    )


@pytest.mark.parametrize(
    "date", ["x", "2015-08-30T12:36:00Z", "20151330T123600Z", "20150830T126000Z", "20150830T123600"]
)
def test_check_4_when_the_date_is_malformed(date: str) -> None:
    error = refused(wire(Draft(headers=(("host", "h"), ("x-amz-date", date)))))

    assert isinstance(error, IncompleteSignature)
    assert str(error) == (
        f"Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601"
    )


def test_check_5_when_the_clock_is_off() -> None:
    late = refused(wire(Draft()), now=NOW + 15 * MINUTE + SECOND)
    early = refused(wire(Draft()), now=NOW - 5 * MINUTE - SECOND, window=5 * MINUTE)

    assert isinstance(late, InvalidSignature)
    assert str(late) == (
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)"
    )
    assert str(early) == (
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z "
        "(20150830T123059Z + 5 min.)"
    )


@pytest.mark.parametrize("off", [15 * MINUTE, -15 * MINUTE])
def test_check_5_when_at_the_edge_of_the_window_holds(off: int) -> None:
    check(wire(Draft()), now=NOW + off)


@pytest.mark.parametrize(
    ("signed", "text"),
    [
        ("x-amz-date;x-amz-target", "'Host' must be a 'SignedHeader' in the AWS Authorization."),
        ("host;x-amz-target", "'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization."),
        ("host;x-amz-date", "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."),
    ],
)
def test_check_6_when_a_header_that_is_acted_upon_is_unsigned(signed: str, text: str) -> None:
    error = refused(wire(Draft(signed=signed)))

    assert isinstance(error, InvalidSignature)
    assert str(error) == text


def test_check_6_when_the_session_token_is_unsigned() -> None:
    headers = wire(Draft(extra=((b"x-amz-security-token", b"t"),)))

    assert "'X-Amz-Security-Token' must be" in str(refused(headers, is_temporary=True))


def test_check_6_when_the_origin_of_a_replica_is_unsigned() -> None:
    """Who carries a call must not be able to say that another installation made the change."""
    headers = wire(Draft(extra=((b"x-moorage-replica", b"123456789012/eu-west-1/7"),)))

    assert "'X-Moorage-Replica' must be" in str(refused(headers))


def test_check_6_when_a_header_is_given_twice() -> None:
    for name, value in ((b"host", b"evil.test"), (b"x-amz-target", b"Other.Operation")):
        assert isinstance(refused(wire(Draft(extra=((name, value),)))), IncompleteSignature)


@pytest.mark.parametrize(
    "signed", ["x-amz-date;host;x-amz-target", "host;host;x-amz-date;x-amz-target", "Host"]
)
def test_check_6_when_the_list_is_not_canonical(signed: str) -> None:
    assert isinstance(refused(wire(Draft(signed=signed))), IncompleteSignature)


def test_check_6_when_a_signed_header_is_absent() -> None:
    assert str(refused(wire(Draft(signed="host;x-amz-date;x-amz-target;x-other")))).startswith(MISMATCH)


def test_date_header_when_it_stands_for_the_other_must_be_signed() -> None:
    draft = Draft(headers=(("date", DATE), ("host", "h")))

    check(wire(draft))
    assert "'Date' must be a 'SignedHeader'" in str(refused(wire(replace(draft, signed="host"))))


def test_check_7_when_the_algorithm_is_another() -> None:
    error = refused(wire(Draft(algorithm="AWS4-ECDSA-P256-SHA256")))

    assert isinstance(error, IncompleteSignature)
    assert (
        str(error)
        == "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now). "
    )


def test_check_8_when_the_credential_has_other_elements() -> None:
    error = refused(wire(Draft(key_id="a/b")))

    assert isinstance(error, IncompleteSignature)
    assert str(error) == (
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
        "got 'a/b/20150830/home-1/ecr/aws4_request'"
    )


def test_check_9_when_the_whole_scope_is_wrong_names_each_part() -> None:
    error = refused(wire(Draft(scope="20150829/C/s3/e")))

    assert isinstance(error, InvalidSignature)
    assert str(error) == (
        "Credential should be scoped to a valid region, not 'C'. "
        "Credential should be scoped to correct service: 'ecr'. "
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. "
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        "'20150829' != '20150830', from '20150830T123600Z'."
    )


def test_check_9_when_the_service_is_known_later() -> None:
    claim = parse_authorization(wire(Draft(scope="20150830/home-1/sts/aws4_request")), b"", now=NOW)

    check_service(claim, "sts")
    with pytest.raises(InvalidSignature, match="correct service: 'iam'"):
        check_service(claim, "iam")


def test_check_11_when_a_token_is_where_it_does_not_belong() -> None:
    draft = Draft(headers=(*Draft().headers, ("x-amz-security-token", "t")))

    check(wire(draft), is_temporary=True)
    for error in (refused(wire(draft)), refused(wire(Draft()), is_temporary=True)):
        assert isinstance(error, UnrecognizedClient)
        assert str(error) == "The security token included in the request is invalid"


def test_check_12_when_anything_signed_changes() -> None:
    headers = wire(Draft())
    other_target = [(n, b"Other.X" if n == b"x-amz-target" else v) for n, v in headers]

    for error in (
        refused(headers, body=b"{ }"),
        refused(headers, method="PUT"),
        refused(headers, b"a=b"),
        refused(other_target),
    ):
        assert isinstance(error, InvalidSignature)
        assert str(error).startswith(MISMATCH)


@pytest.mark.parametrize(
    "change", [str.upper, lambda s: s[:-1], lambda s: s + "0", lambda s: "é" * 64, lambda s: ""]
)
def test_check_12_when_the_signature_is_not_64_lower_case_hex(change: Any) -> None:
    header = authorization(Draft())
    head, _, good = header.rpartition("=")

    assert isinstance(
        refused(wire(Draft(), f"{head}={change(good)}")), InvalidSignature | IncompleteSignature
    )


@pytest.mark.parametrize(
    "claimed", ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", EMPTY_PAYLOAD, ""]
)
def test_payload_hash_when_the_header_differs_from_the_body_is_refused(claimed: str) -> None:
    draft = Draft(headers=(*Draft().headers, ("x-amz-content-sha256", claimed)))

    assert isinstance(refused(wire(draft)), InvalidSignature)


def test_payload_hash_when_the_header_repeats_it_holds() -> None:
    check(wire(Draft(headers=(*Draft().headers, ("x-amz-content-sha256", hashlib.sha256(BODY).hexdigest())))))


def presigned(expires: str = "60", token: str | None = None, date: str = DATE) -> bytes:
    fields = {
        "Action": "GetCallerIdentity",
        "Version": "2011-06-15",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": "AKIDEXAMPLE/20150830/home-1/sts/aws4_request",
        "X-Amz-Date": date,
        "X-Amz-Expires": expires,
        "X-Amz-SignedHeaders": "host;x-k8s-aws-id",
    } | ({"X-Amz-Security-Token": token} if token else {})
    query = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in sorted(fields.items()))
    draft = Draft(
        "GET",
        (("host", "h"), ("x-k8s-aws-id", "cluster")),
        b"",
        scope="20150830/home-1/sts/aws4_request",
        query=query,
    )
    return f"{query}&X-Amz-Signature={signature(draft)}".encode()


PRESIGNED_HEADERS = [(b"host", b"h"), (b"x-k8s-aws-id", b"cluster")]
GET: dict[str, Any] = {"method": "GET", "body": b"", "service": "sts"}


def test_presigned_request_when_good_is_accepted() -> None:
    check(PRESIGNED_HEADERS, presigned(), **GET)
    check(PRESIGNED_HEADERS, presigned(token="a+/="), is_temporary=True, **GET)


def test_presigned_request_when_older_than_it_says_or_than_the_window_is_refused() -> None:
    old = refused(PRESIGNED_HEADERS, presigned(), now=NOW + 61 * SECOND, **GET)
    long = refused(PRESIGNED_HEADERS, presigned("3600"), now=NOW + 16 * MINUTE, **GET)

    assert str(old).startswith("Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z")
    assert str(long).startswith("Signature expired")
    check(PRESIGNED_HEADERS, presigned("3600"), now=NOW + 14 * MINUTE, **GET)


@pytest.mark.parametrize("expires", ["0", "604801", "x", "-1", "1.5"])
def test_presigned_request_when_its_life_is_no_number_is_refused(expires: str) -> None:
    assert isinstance(refused(PRESIGNED_HEADERS, presigned(expires), **GET), IncompleteSignature)


def test_presigned_request_when_changed_is_refused() -> None:
    good = presigned()

    for query in (good + b"&a=b", good.replace(b"GetCallerIdentity", b"GetSessionToken")):
        assert str(refused(PRESIGNED_HEADERS, query, **GET)).startswith(MISMATCH)
    assert isinstance(refused(PRESIGNED_HEADERS, good + b"&X-Amz-Expires=9", **GET), IncompleteSignature)
    assert str(refused(PRESIGNED_HEADERS, good, **GET | {"body": b"x"})).startswith(MISMATCH)


def test_presigned_request_when_parts_are_missing_names_each() -> None:
    error = refused(PRESIGNED_HEADERS, b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=x", **GET)

    assert isinstance(error, IncompleteSignature)
    assert "'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Signature'. " in str(error)


def test_signing_keys_when_full_forget_the_oldest_and_follow_a_new_secret() -> None:
    keys = SigningKeys(capacity=2)
    scopes = [Scope("20150830", f"home-{n}", "ecr") for n in range(3)]

    derived = [keys.key("a", scope, "s") for scope in scopes]

    assert len(keys) == 2
    assert len(set(derived)) == 3
    assert keys.key("a", scopes[2], "s") is derived[2]
    assert keys.key("a", scopes[2], "other") != derived[2]
    assert keys.key("b", scopes[2], "s") == derived[2]


def test_repr_when_printed_has_no_signature_and_no_token() -> None:
    draft = Draft(headers=(*Draft().headers, ("x-amz-security-token", "tok")))

    text = repr(parse_authorization(wire(draft), b"", now=NOW))

    assert "tok" not in text.replace("security-token", "")
    assert signature(draft) not in text


@given(st.binary(max_size=80), st.binary(max_size=80))
@settings(deadline=None)
def test_any_bytes_when_parsed_are_refused_with_an_aws_error(header: bytes, raw_query: bytes) -> None:
    headers = [(b"host", b"h"), (b"x-amz-date", DATE.encode()), (b"authorization", b"AWS4-" + header)]

    with pytest.raises((IncompleteSignature, InvalidSignature, MissingAuthenticationToken)):
        parse_authorization(headers, raw_query, now=NOW)
