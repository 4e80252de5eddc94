"""A signature is good for exactly the request that was signed (6, 7, 10): every single change of it is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

import pytest

from ..wire.api.conftest import Signing
from .calling import Answer, Caller, Headers, serialized
from .places import Account, allow

REFUSED = {
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


@pytest.fixture(scope="module")
def caller(a: Account) -> Caller:
    return a.user(allow("*"), name="signs")


@pytest.fixture(scope="module")
def signing(caller: Caller) -> Signing:
    body, headers = serialized("ecr", "ListImages", {"repositoryName": "absent/x"})
    return caller.signing("ecr", body, headers)


def send(caller: Caller, signing: Signing, headers: Headers, body: bytes | None = None) -> Answer:
    return caller.door.ask("POST", "/", headers, signing.body if body is None else body)


def other(character: str) -> str:
    """Another one of its kind."""
    if character.isdigit():
        return "1" if character != "1" else "2"
    return "b" if character != "b" else "c"


def test_the_request_as_it_was_signed_is_let_in(caller: Caller, signing: Signing) -> None:
    assert send(caller, signing, signing.signed()).code == "RepositoryNotFoundException"


def test_any_other_character_of_the_authorization_is_refused(caller: Caller, signing: Signing) -> None:
    """Each letter and digit by itself: label, key id, scope, names of headers, signature."""
    *headers, (_, value) = signing.signed()
    for position, character in enumerate(value):
        if not character.isalnum():
            continue
        changed = value[:position] + other(character) + value[position + 1 :]
        answer = send(caller, signing, [*headers, ("authorization", changed)])
        assert answer.code in REFUSED, changed


def test_any_character_less_is_refused(caller: Caller, signing: Signing) -> None:
    *headers, (_, value) = signing.signed()
    for position, character in enumerate(value):
        if character in " ,":  # one of them between the parts is enough
            continue
        changed = value[:position] + value[position + 1 :]
        answer = send(caller, signing, [*headers, ("authorization", changed)])
        assert answer.code in REFUSED, changed


def test_any_other_byte_of_the_body_is_refused(caller: Caller, signing: Signing) -> None:
    for position in range(len(signing.body)):
        changed = bytearray(signing.body)
        changed[position] ^= 1
        assert send(caller, signing, signing.signed(), bytes(changed)).code in REFUSED
    for changed_body in (b"", signing.body + b" ", b" " + signing.body, signing.body[:-1]):
        assert send(caller, signing, signing.signed(), changed_body).code in REFUSED


def test_any_other_character_of_a_signed_header_is_refused(caller: Caller, signing: Signing) -> None:
    headers = signing.signed()
    for number, (name, value) in enumerate(headers[:-1]):
        for position, character in enumerate(value):
            if not character.isalnum() or name == "host":
                continue
            changed = value[:position] + other(character) + value[position + 1 :]
            tried = [*headers[:number], (name, changed), *headers[number + 1 :]]
            answer = send(caller, signing, tried)
            assert answer.code in REFUSED | {"UnknownOperationException"}, (name, changed)


@pytest.mark.parametrize("name", ["content-type", "host", "x-amz-date", "x-amz-target"])
def test_a_signed_header_that_is_left_out_or_doubled_is_refused(
    caller: Caller, signing: Signing, name: str
) -> None:
    headers = signing.signed()
    without = [pair for pair in headers if pair[0] != name]
    doubled = [*[pair for pair in headers if pair[0] == name], *headers]

    assert send(caller, signing, without).status in (400, 403)
    assert send(caller, signing, doubled).status in (400, 403)


def test_a_signature_is_not_good_at_another_path_method_or_query(caller: Caller, signing: Signing) -> None:
    headers = signing.signed()
    for method, target in (("GET", "/"), ("POST", "/?"), ("POST", "/?a=b"), ("PUT", "/"), ("POST", "/v2/")):
        answer = caller.door.ask(method, target, headers, signing.body)
        is_same = target == "/?"  # an empty query is none
        assert answer.status >= 400
        assert (answer.code == "RepositoryNotFoundException") is is_same, (method, target)


@pytest.mark.parametrize(
    "payload",
    [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "",
    ],
)
def test_07_the_body_is_hashed_here_whatever_a_header_says(
    caller: Caller, signing: Signing, payload: str
) -> None:
    lying = replace(
        signing, headers=(*signing.headers, ("x-amz-content-sha256", payload)), payload=payload or "x"
    )

    assert send(caller, lying, lying.signed()).code in REFUSED


def test_07_a_chunked_body_is_hashed_like_any_other(caller: Caller, signing: Signing) -> None:
    """Its length is in no header; what is signed is its content."""
    for content, code in ((signing.body, 400), (signing.body + b" ", 400)):
        chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
        connection = caller.door._connection
        assert connection is not None
        connection.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
        for name, value in signing.signed():
            connection.putheader(name, value)
        connection.putheader("transfer-encoding", "chunked")
        connection.endheaders(chunk)
        response = connection.getresponse()
        said = response.read()
        assert response.status == code
        assert (b"RepositoryNotFoundException" in said) is (content == signing.body)


@pytest.mark.parametrize(
    ("seconds", "is_let_in"),
    [(-880, True), (880, True), (-920, False), (920, False), (-90_000, False), (10**9, False)],
)
def test_08_a_clock_may_be_a_quarter_of_an_hour_off(caller: Caller, seconds: int, is_let_in: bool) -> None:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    body, headers = serialized("sts", "GetCallerIdentity", {})

    assert (caller.send("sts", body, headers, at=at).status == 200) is is_let_in


@pytest.mark.parametrize(
    "date",
    [
        "00000101T000000Z",
        "99991231T235959Z",
        "20260230T000000Z",
        "2026-11-24T00:00:00Z",
        "20261124T000000",
        "20261124T000000+00",
        "20261124T246060Z",
        "\u0662\u0660261124T000000Z",
        "",
    ],
)
def test_08_what_is_no_date_is_refused(caller: Caller, signing: Signing, date: str) -> None:
    headers = [(name, value if name != "x-amz-date" else date) for name, value in signing.signed()]
    raw = [(name, value.encode().decode("latin-1")) for name, value in headers]

    assert send(caller, signing, raw).status in (400, 403)


def test_10_any_change_of_a_presigned_query_is_refused(caller: Caller) -> None:
    body = "Action=GetCallerIdentity&Version=2011-06-15"
    signing = replace(caller.signing("sts", b""), method="GET", query=body)
    query = signing.presigned()
    host = [("host", caller.door.host)]
    assert caller.door.ask("GET", f"/?{query}", host).status == 200

    pairs = parse_qsl(query, keep_blank_values=True)
    for number, (name, value) in enumerate(pairs):
        for changed in (
            [*pairs[:number], *pairs[number + 1 :]],
            [*pairs[:number], (name, value + "1"), *pairs[number + 1 :]],
            [*pairs[:number], (name, value[:-1]), *pairs[number + 1 :]],
            [*pairs, (name, value)],
            [*pairs, (name, value + "1")],
            [(name, value + "1"), *pairs],
            [*pairs[:number], (name.swapcase(), value), *pairs[number + 1 :]],
        ):
            answer = caller.door.ask("GET", f"/?{urlencode(changed)}", host)
            assert answer.status in (400, 403), changed
    assert caller.door.ask("GET", f"/?{query}&X-Amz-Expires=604800", host).status in (400, 403)
    assert caller.door.ask("POST", f"/?{query}", host, b"").status in (400, 403)
    assert caller.door.ask("GET", f"/v2/?{query}", host).status == 401


@pytest.mark.parametrize(
    ("ago", "expires", "is_let_in"), [(50, 60, True), (70, 60, False), (0, 1 << 40, False)]
)
def test_10_a_presigned_call_ends(caller: Caller, ago: int, expires: int, is_let_in: bool) -> None:
    at = datetime.now(UTC) - timedelta(seconds=ago)
    query = "Action=GetCallerIdentity&Version=2011-06-15"
    signing = replace(caller.signing("sts", b"", at=at), method="GET", query=query)

    answer = caller.door.ask("GET", f"/?{signing.presigned(expires)}", [("host", caller.door.host)])

    assert (answer.status == 200) is is_let_in


def test_a_signature_for_one_service_opens_no_other(caller: Caller) -> None:
    for service, operation in (
        ("ecr", "sts.GetCallerIdentity"),
        ("iam", "ecr.ListImages"),
        ("sts", "iam.ListUsers"),
    ):
        own, _, name = operation.partition(".")
        members = {"repositoryName": "x/y"} if name == "ListImages" else {}
        body, headers = serialized(own, name, members)
        assert caller.send(service, body, headers).code in REFUSED
