"""What a manifest says, and that nothing a stranger sends makes its reader fail in another way than refusing it."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.base.digest import Digest
from moorage.base.errors.images import ManifestInvalid
from moorage.registry.images.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    parse,
)

CONFIG = Digest.of(b"config")
LAYER = Digest.of(b"layer")
SHA512 = Digest.of(b"layer", "sha512")
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"


def descriptor(
    digest: Digest = LAYER, media_type: str = LAYER_TYPE, size: int = 5, **more: Any
) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(digest), "size": size, **more}


def image(**members: Any) -> bytes:
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(CONFIG, CONFIG_TYPE, 6),
        "layers": [descriptor()],
    }
    return json.dumps(
        {name: value for name, value in (document | members).items() if value is not None}
    ).encode()


def refused(content: bytes, media_type: str | None = None) -> str:
    with pytest.raises(ManifestInvalid) as error:
        parse(content, media_type)
    return str(error.value.facts["reason"])


def test_parse_of_an_image_tells_what_it_refers_to() -> None:
    manifest = parse(image(annotations={"a": "b"}, subject=descriptor(SHA512, OCI_MANIFEST)), OCI_MANIFEST)

    assert [str(blob.digest) for blob in manifest.blobs] == [str(CONFIG), str(LAYER)]
    assert manifest.layers_size == 11
    assert manifest.config_media_type == manifest.artifact_type == CONFIG_TYPE
    assert manifest.subject == SHA512
    assert manifest.annotations == {"a": "b"}
    assert not manifest.is_index


def test_parse_of_an_index_tells_its_children_and_no_blobs() -> None:
    children = [
        descriptor(LAYER, OCI_MANIFEST),
        descriptor(SHA512, DOCKER_LIST),
        descriptor(CONFIG, LAYER_TYPE),
    ]

    manifest = parse(image(mediaType=OCI_INDEX, config=None, layers=None, manifests=children), None)

    assert manifest.is_index
    assert [child.digest for child in manifest.children] == [LAYER, SHA512]
    assert manifest.blobs == ()
    assert manifest.artifact_type is None


@pytest.mark.parametrize("layers", [[], None])
def test_parse_without_layers_is_accepted(layers: list[Any] | None) -> None:
    assert [blob.digest for blob in parse(image(layers=layers), None).blobs] == [CONFIG]


@pytest.mark.parametrize(
    "foreign",
    [
        descriptor(media_type="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        descriptor(media_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        descriptor(urls=["https://example.com/layer"]),
    ],
)
def test_parse_of_a_foreign_layer_does_not_require_it_but_counts_its_size(foreign: dict[str, Any]) -> None:
    manifest = parse(image(layers=[foreign]), None)

    assert [blob.digest for blob in manifest.blobs] == [CONFIG]
    assert manifest.layers_size == 11


def test_parse_without_own_media_type_takes_the_one_sent() -> None:
    assert parse(image(mediaType=None), DOCKER_MANIFEST).media_type == DOCKER_MANIFEST


def test_parse_with_an_artifact_type_prefers_it_to_the_config() -> None:
    assert parse(image(artifactType="application/x"), None).artifact_type == "application/x"


def test_parse_survives_unknown_members_and_types() -> None:
    manifest = parse(image(mediaType="application/vnd.example.new+json", future={"deep": [1, None]}), None)

    assert manifest.media_type == "application/vnd.example.new+json"


def test_parse_with_data_that_is_what_it_says_is_accepted() -> None:
    data = base64.b64encode(b"layer").decode()

    assert parse(image(layers=[descriptor(data=data)]), None).blobs[1].digest == LAYER


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "Invalid JSON syntax", id="empty"),
        pytest.param(b"[]", "Invalid JSON syntax: Expected `object`, got `array`", id="array"),
        pytest.param(b"null", "Invalid JSON syntax: Expected `object`, got `null`", id="null"),
        pytest.param(b"{", "Invalid JSON syntax", id="cut"),
        pytest.param(image() + b"x", "Invalid JSON syntax", id="trailing"),
        pytest.param(b"\xef\xbb\xbf" + image(), "Invalid JSON syntax", id="byte order mark"),
        pytest.param(image().decode().encode("utf-16"), "Invalid JSON syntax", id="utf-16"),
        pytest.param(image().replace(b"sha256:", b"sha256:\xff"), "Invalid JSON syntax", id="not utf-8"),
        pytest.param(image(x="?").replace(b"?", b"\xed\xa0\x80"), "Invalid JSON syntax", id="surrogate"),
        pytest.param(image(x="?").replace(b"?", b"\\ud800"), "Invalid JSON syntax", id="escaped surrogate"),
        pytest.param(image(schemaVersion=1), "schemaVersion 1 is not supported, send 2", id="schema 1"),
        pytest.param(
            image(schemaVersion=None),
            "Invalid JSON syntax: Object missing required field `schemaVersion`",
            id="no schema",
        ),
        pytest.param(
            image(mediaType=None), "mediaType is missing, in the manifest and in the request", id="no type"
        ),
        pytest.param(
            image(layers=[descriptor() | {"digest": "sha256:" + "A" * 64}]),
            f"'sha256:{'A' * 64}' is not a digest",
            id="upper case",
        ),
        pytest.param(
            image(layers=[descriptor() | {"digest": "md5:" + "a" * 32}]),
            f"'md5:{'a' * 32}' is not a digest",
            id="md5",
        ),
        pytest.param(
            image(layers=[descriptor(size=-1)]), f"the size of {LAYER} is negative", id="negative size"
        ),
        pytest.param(
            image(layers=[descriptor(data="!")]), f"the data of {LAYER} is not base64", id="data not base64"
        ),
        pytest.param(
            image(layers=[descriptor(data="AAAA")]),
            f"the data of {LAYER} is not what its digest and size say",
            id="false data",
        ),
    ],
)
def test_parse_of_what_is_no_manifest_refuses_it_with_the_reason(content: bytes, reason: str) -> None:
    assert refused(content) == reason


def test_parse_of_a_body_that_disagrees_with_the_request_refuses_it() -> None:
    assert (
        refused(image(), DOCKER_MANIFEST) == f"mediaType is {OCI_MANIFEST} but was sent as {DOCKER_MANIFEST}"
    )


@pytest.mark.parametrize("nested", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000])
def test_parse_of_deep_nesting_refuses_it(nested: bytes) -> None:
    assert refused(image(x="?").replace(b'"?"', nested)) == "Invalid JSON syntax"


@pytest.mark.parametrize("sizes", [(2**63,), (10**30,), (2**62, 2**62)])
def test_parse_of_sizes_beyond_64_bits_refuses_them(sizes: tuple[int, ...]) -> None:
    content = image(config=None, layers=[descriptor(size=size) for size in sizes])

    assert refused(content) == "the sizes of the layers are too large"


@pytest.mark.parametrize("text", ["a/b\r\nx: y", "a/b\0", "a/\u65e5\u672c", "a/" + "b" * 300])
@pytest.mark.parametrize("member", ["mediaType", "artifactType"])
def test_parse_of_a_type_that_no_header_can_carry_refuses_it(member: str, text: str) -> None:
    assert refused(image(**{member: text})) == f"{member} must be at most 255 printable ASCII characters"


def test_parse_of_a_sent_type_that_no_header_can_carry_refuses_it() -> None:
    assert (
        refused(image(mediaType=None), "a/\xe9") == "mediaType must be at most 255 printable ASCII characters"
    )


def test_parse_of_a_config_type_that_no_header_can_carry_refuses_it() -> None:
    content = image(config=descriptor(CONFIG, "a\0b"))

    assert refused(content) == "config.mediaType must be at most 255 printable ASCII characters"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
DESCRIPTORS = st.fixed_dictionaries(
    {},
    optional={
        "mediaType": st.sampled_from([LAYER_TYPE, OCI_MANIFEST, OCI_INDEX, ""]) | JSON_VALUES,
        "digest": st.sampled_from([str(LAYER), str(SHA512), "sha256:", ""]) | JSON_VALUES,
        "size": st.integers() | JSON_VALUES,
        "data": st.sampled_from(["", "bGF5ZXI=", "="]) | JSON_VALUES,
        "urls": st.lists(st.text(), max_size=2) | JSON_VALUES,
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "schemaVersion": st.just(2) | JSON_VALUES,
        "mediaType": st.sampled_from([OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST]) | JSON_VALUES,
        "artifactType": JSON_VALUES,
        "config": DESCRIPTORS | JSON_VALUES,
        "layers": st.lists(DESCRIPTORS, max_size=3) | JSON_VALUES,
        "manifests": st.lists(DESCRIPTORS, max_size=3) | JSON_VALUES,
        "subject": DESCRIPTORS | JSON_VALUES,
        "annotations": JSON_VALUES,
        "x": JSON_VALUES,
    },
)


@given(
    DOCUMENTS.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=200),
    st.none() | st.text(),
)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_parse_of_anything_returns_a_manifest_or_refuses_it(content: bytes, media_type: str | None) -> None:
    try:
        manifest = parse(content, media_type)
    except ManifestInvalid:
        return

    assert 0 <= manifest.layers_size < 2**63
    assert manifest.media_type.isascii()
    assert manifest.media_type.isprintable()


@given(st.integers(0, 400), st.integers(0, 255))
@settings(deadline=None, derandomize=True, max_examples=150)
def test_parse_of_a_manifest_with_one_byte_changed_returns_or_refuses(at: int, value: int) -> None:
    content = bytearray(image(artifactType="application/x", annotations={"a": "\u00e9"}))
    content[at % len(content)] = value

    with suppress(ManifestInvalid):
        parse(bytes(content), OCI_MANIFEST)
