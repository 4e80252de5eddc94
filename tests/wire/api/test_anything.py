"""Whatever is sent to the AWS door, signed well or badly: no internal error, and a body that clients can read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...conftest import knowing_all_services

MODELS = {
    name: knowing_all_services().get_service_model(name)
    for name in ("ecr", "ecr-public", "kms", "moorage", "sts", "iam")
}
JSON_SERVICES = ("ecr", "ecr", "ecr", "ecr-public", "kms", "moorage", "moorage", "moorage")
OPERATIONS = [(service, name) for service in JSON_SERVICES for name in MODELS[service].operation_names]
ACTIONS = [(service, name) for service in ("sts", "iam") for name in MODELS[service].operation_names]

ANY_TEXT = st.text(max_size=40) | st.sampled_from(
    [
        "",
        "a",
        "app",
        "team/app",
        "sha256:" + "a" * 64,
        "sha512:ab",
        "123456789012",
        "\x00",
        "\ud83d\ude00",
        "a" * 300,
    ]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
SAMPLES = {
    "registryId": "123456789012",
    "repositoryName": "fuzz/app",
    "uploadId": "01234567-89ab-cdef-0123-456789abcdef",
    "imageDigest": "sha256:" + "a" * 64,
    "imageTag": "latest",
    "consumer": "cluster-1",
    "layerDigest": "sha256:" + "b" * 64,
    "imageManifest": '{"schemaVersion":2}',
    "nextToken": "AQAAAAE",
}


def value_of(shape: Any, name: str = "", depth: int = 0) -> st.SearchStrategy[Any]:
    """Mostly what the model takes; now and then anything."""
    return st.integers(0, 11).flatmap(lambda n: ANY_JSON if n == 0 else _good(shape, name, depth))


def _good(shape: Any, name: str, depth: int) -> st.SearchStrategy[Any]:
    kind = shape.type_name
    if kind == "structure":
        if depth > 4:
            return st.just({})
        required = {each: value_of(shape.members[each], each, depth + 1) for each in shape.required_members}
        optional = {
            each: value_of(member, each, depth + 1)
            for each, member in shape.members.items()
            if each not in required
        }
        return st.fixed_dictionaries(required, optional=optional)
    if kind == "list":
        return st.lists(value_of(shape.member, name, depth + 1), max_size=3)
    if kind == "map":
        return st.dictionaries(ANY_TEXT, value_of(shape.value, name, depth + 1), max_size=2)
    if kind == "string":
        known = [SAMPLES[name]] if name in SAMPLES else []
        return st.sampled_from([*(getattr(shape, "enum", None) or []), *known, "ab"]) | ANY_TEXT
    if kind == "blob":
        return st.sampled_from(["", "AA==", "AAA", "!", "A" * 1000])
    if kind == "boolean":
        return st.booleans()
    if kind == "timestamp":
        return st.floats(allow_nan=False, allow_infinity=False)
    return st.integers(-1, 1001) | st.integers()


@st.composite
def json_calls(draw: Callable[..., Any]) -> tuple[str, str, bytes]:
    """A scope's service, a target and a body."""
    service, name = draw(st.sampled_from(OPERATIONS))
    model = MODELS[service]
    shape = model.operation_model(name).input_shape
    target = f"{model.metadata['targetPrefix']}.{name}"
    if draw(st.integers(0, 15)) == 0:
        target = draw(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)).strip()
    tree = draw(value_of(shape)) if shape is not None else {}
    body = json.dumps(tree).encode()
    if draw(st.integers(0, 7)) == 0:
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=8)) + body[at + draw(st.integers(0, 8)) :]
    return draw(st.sampled_from([service] * 9 + ["sts"])), target, body


@st.composite
def forms(draw: Callable[..., Any]) -> tuple[str, bytes]:
    service, name = draw(st.sampled_from(ACTIONS))
    shape = MODELS[service].operation_model(name).input_shape
    pairs = [("Action", name), ("Version", MODELS[service].api_version)]
    members = list(shape.members) if shape is not None else []
    names = st.sampled_from([*members, "x"]) | ANY_TEXT
    suffix = st.sampled_from(
        ["", "", ".member.1", ".member.1.Key", ".entry.1.key", ".member.x", ".1", ".", ".member"]
    )
    pairs += [(draw(names) + draw(suffix), draw(ANY_TEXT)) for _ in range(draw(st.integers(0, 5)))]
    text = urlencode(draw(st.permutations(pairs)), errors="surrogatepass").encode()
    if draw(st.integers(0, 7)) == 0:
        text += draw(st.binary(max_size=8))
    return service, text


def well_formed(answer: Any) -> None:
    assert answer.status < 500, (answer.status, answer.body[:500])
    assert answer.headers["x-amzn-requestid"]
    if answer.headers["content-type"] == "text/xml":
        root = ElementTree.fromstring(answer.body)
        assert answer.status == 200 or root.find("{*}Error/{*}Code") is not None
    else:
        assert answer.headers["content-type"] == "application/x-amz-json-1.1"
        assert isinstance(answer.json, dict)
        if answer.status != 200:
            assert answer.code.isalnum()
            assert isinstance(answer.text, str)


BREAKS = [
    {"region": "ü"},
    {"algorithm": "x"},
    {"terminator": ""},
    {"scope_date": "/"},
    {"payload": "0" * 64},
    {"unsigned": frozenset({"host"})},
    {"unsigned": frozenset({"x-amz-target", "host", "x-amz-date", "content-type"})},
    {"query": "X-Amz-Signature=%zz&%"},
]
BOUNDED = settings(
    max_examples=800,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@BOUNDED
@given(call=json_calls())
def test_json_that_is_signed_well(root: Any, call: tuple[str, str, bytes]) -> None:
    service, target, body = call
    headers = (("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target))

    well_formed(root.send(root.signing(None, body, headers=headers, service=service, region="fuzz-1")))


@settings(BOUNDED, max_examples=100)
@given(call=json_calls(), breaks=st.sampled_from(BREAKS))
def test_json_that_is_signed_badly(root: Any, call: tuple[str, str, bytes], breaks: dict[str, Any]) -> None:
    service, target, body = call
    headers = (("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target))
    good = root.signing(None, body, headers=headers, service=service, region="fuzz-1")

    answer = root.send(replace(good, **breaks))

    well_formed(answer)
    assert answer.code in (
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
    )


@settings(BOUNDED, max_examples=150)
@given(form=forms(), method=st.sampled_from(["POST", "POST", "GET"]))
def test_forms_that_are_signed_well(root: Any, form: tuple[str, bytes], method: str) -> None:
    service, text = form
    content_type = (("content-type", "application/x-www-form-urlencoded"),)
    body, query = (text, "") if method == "POST" else (b"", _quoted(text))

    well_formed(
        root.send(root.signing(None, body, headers=content_type, service=service, method=method, query=query))
    )


def _quoted(text: bytes) -> str:
    """A form as a query string is signed: a space is %20 and every other byte is visible."""
    keep = b"&=%-_.~" + bytes(range(48, 58)) + bytes(range(65, 91)) + bytes(range(97, 123))
    return "".join(chr(c) if c in keep else f"%{c:02X}" for c in text.replace(b"+", b"%20"))


@settings(BOUNDED, max_examples=150)
@given(
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=120)
    | st.builds(
        "AWS4-HMAC-SHA256 {}".format, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=90)
    )
    | st.builds(
        "AWS4-HMAC-SHA256 Credential={}, SignedHeaders={}, Signature={}".format,
        *[st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=60)]
        * 3,
    ),
    body=st.binary(max_size=20),
)
def test_any_authorization_header(root: Any, value: str, body: bytes) -> None:
    headers = [
        ("host", root.host),
        ("x-amz-date", root.signing(None).date),
        ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.DescribeRegistry"),
        ("authorization", value.strip()),
    ]

    answer = root.exchange("POST", "/", headers, body)

    well_formed(answer)
    assert answer.status == 400
