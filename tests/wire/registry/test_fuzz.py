"""Whatever is sent: no answer is a 5xx, every answer is well formed with JSON errors, and the server lives on."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...conftest import Repository
from .client import OCI_INDEX, OCI_MANIFEST, Answer, Gone, Wire, digest_of, manifest

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
DIGESTS = [
    digest_of(b"{}"),
    digest_of(b"{}", "sha512"),
    digest_of(b"absent"),
    "sha256:",
    "sha256:ZZ",
    "md5:0",
    ":",
]
# The repository and an open upload of it; replaced when the request is made.
NAMES = [
    "{name}",
    "{name}",
    "absent/x",
    "UPPER",
    "..",
    "%2e%2e",
    "a//b",
    "",
    "%00",
    "%ff",
    "a" * 300,
    "_catalog",
]
LAST = ["latest", "{upload}", "list", "", "a" * 129, ".hidden", "%0d%0a", "%F0%9F%90%B3", "a%2fb", *DIGESTS]
KINDS = [
    "manifests",
    "blobs",
    "blobs/uploads",
    "tags",
    "referrers",
    "manifests/x/manifests",
    "_oci/ext",
    "nothing",
]
VALUES = [
    *DIGESTS,
    "{name}",
    "1",
    "-1",
    "0",
    "99999999999999999999",
    "\x7f",
    "%00",
    "%",
    "%zz",
    "+",
    "a" * 200,
    "latest",
    "",
]
KEYS = [
    "digest",
    "digest-algorithm",
    "mount",
    "from",
    "n",
    "last",
    "tag",
    "artifactType",
    "after",
    "ns",
    "",
    "%ff",
]
HEADERS = [
    ("Range", ["bytes=0-1", "bytes=5-0", "bytes=0-0,1-1", "bytes=" + "0-," * 2_000, "bytes=9" + "9" * 20, "x"]),
    ("Content-Range", ["0-1", "5-0", "0-4", "bytes 0-4/*", "-", "9" * 30, "0-\xff"]),
    ("Content-Type", [OCI_MANIFEST, OCI_INDEX, "text/plain; charset=x", "\xe9", ";", "a" * 400]),
    ("If-None-Match", ["*", f'"{DIGESTS[0]}"', "\xff"]),
    ("If-Range", [f'"{DIGESTS[0]}"', '"'] ),
    ("Accept", [OCI_MANIFEST, "*/*;q=\xff"]),
    ("Expect", ["100-continue", "200-ok"]),
    ("Connection", ["close", "keep-alive", "Upgrade", "Content-Length"]),
    ("Upgrade", ["h2c", "websocket"]),
    ("Host", ["r.example", "123456789012.dkr.ecr.us-east-1.amazonaws.com", "[::1]:5", ":", "\xff", "a" * 5_000]),
    ("Authorization", ["Basic", "Basic Og==", "Bearer x", "AWS4-HMAC-SHA256 x", "Basic \xff", "Basic " + "A" * 9_000]),
    ("X-Amz-Target", ["AmazonEC2ContainerRegistry_V20150921.DescribeRepositories", "x"]),
    ("Content-Encoding", ["gzip", "aws-chunked"]),
    ("Trailer", ["x"]),
]  # fmt: skip
BODIES = [
    b"",
    b"{}",
    b"\x00\xff",
    b"[" * 10_000,
    bytes(200_000),
    manifest(),
    manifest(config=None),
    manifest(subject={"mediaType": OCI_MANIFEST, "digest": DIGESTS[0], "size": 2}),
    manifest(mediaType="a\r\nb"),
    manifest(config=None, layers=[{"mediaType": "a", "digest": DIGESTS[2], "size": 10**30}]),
    manifest(annotations={"\ud83d\ude00": "\u0000"}, config=None),
    manifest(mediaType=OCI_INDEX, config=None, layers=None, manifests=[]),
]


@st.composite
def targets(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 9)) == 0:
        return "/" + draw(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
    path = f"/v2/{draw(st.sampled_from(NAMES))}/{draw(st.sampled_from(KINDS))}/{draw(st.sampled_from(LAST))}"
    pairs = draw(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), max_size=3))
    query = "&".join(f"{key}={value}" for key, value in pairs)
    return f"{path}?{query}" if query else path


@st.composite
def headers(draw: st.DrawFn) -> list[tuple[str, str]]:
    chosen = draw(st.lists(st.sampled_from(HEADERS), max_size=3, unique_by=lambda header: header[0]))
    return [(name, draw(st.sampled_from(values))) for name, values in chosen]


@pytest.fixture(scope="module")
def fuzzed(session_wire: Wire, repository: Repository) -> tuple[str, Wire]:
    """A repository with an image and layers, and connections of its own."""
    name = repository("wire/fuzz")
    session_wire.push_image(name, "latest")
    return name, session_wire.as_caller(session_wire.authorization)


@given(
    st.sampled_from(METHODS),
    targets(),
    headers(),
    st.none() | st.sampled_from(BODIES),
    st.booleans(),
    st.booleans(),
)
@settings(
    max_examples=900,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_any_request_gets_a_well_formed_answer_that_is_no_server_error(
    fuzzed: tuple[str, Wire],
    method: str,
    target: str,
    sent: list[tuple[str, str]],
    body: bytes | None,
    is_known: bool,
    is_chunked: bool,
) -> None:
    name, wire = fuzzed
    caller = wire if is_known else wire.as_caller(None)
    upload = wire.begin(name).rpartition("/")[2] if "{upload}" in target else ""
    path = target.replace("{name}", name).replace("{upload}", upload)

    answers = ask(caller, method, path, sent, body, is_chunked)

    assert answers, "no answer"
    for answer in answers:
        assert answer.status < 500, answer
        if answer.status >= 400 and method != "HEAD":
            is_aws = re.split("[?#]", path)[0] == "/"
            assert is_aws or [error["code"] for error in json.loads(answer.body)["errors"]]
        if not is_known and answer.status < 400:
            assert any(key == "Authorization" for key, _ in sent) or answer.status == 100
    assert wire.ask("GET", "/v2/").body == b"{}"


def ask(
    caller: Wire, method: str, path: str, sent: list[tuple[str, str]], body: bytes | None, is_chunked: bool
) -> list[Answer]:
    """All that the server says until it has answered for good."""
    framing = [("Transfer-Encoding", "chunked")] if body is not None and is_chunked else []
    length = None if body is None or is_chunked else len(body)
    content = body or b""
    if framing:
        content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if content else b"0\r\n\r\n"
    with caller.connect() as connection:
        connection.send(caller.head(method, path, [*sent, *framing], length) + content)
        answers = []
        while not answers or answers[-1].status < 200:
            try:
                answers.append(connection.answer(method))
            except Gone:
                break
    return answers


@given(
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from([b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n", b"0\r\n\r\n"]),
        max_size=5,
    )
)
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_any_bytes_get_well_formed_answers_or_an_end(fuzzed: tuple[str, Wire], pieces: list[bytes]) -> None:
    _, wire = fuzzed
    with wire.connect() as connection:
        for piece in pieces:
            connection.send(piece)
        connection.end()
        for _ in range(len(pieces) + 2):
            try:
                assert connection.answer().status in (400, 401, 404, 405)
            except Gone:
                break

    assert wire.ask("GET", "/v2/").body == b"{}"
