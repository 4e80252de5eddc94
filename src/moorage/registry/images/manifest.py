"""What a manifest says. Pure: bytes in, facts out (OCI image-spec v1.1: manifest.md, image-index.md; Docker schema 2).

A manifest is stored and served byte for byte; unknown members and media types survive, because nothing is written back.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from moorage.base.digest import Digest
from moorage.base.errors.images import ManifestInvalid
from moorage.base.errors.layers import InvalidDigest

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})
_EMPTY_CONFIG = "application/vnd.oci.empty.v1+json"
_MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_LIST})
_TYPE = re.compile(r"[ -~]{0,255}")  # a type is served as a header
_SIZE_MAX = (1 << 63) - 1


class _Descriptor(msgspec.Struct, rename="camel"):
    media_type: str
    digest: str
    size: int
    urls: list[str] | None = None
    data: str | None = None


class _Document(msgspec.Struct, rename="camel"):
    schema_version: int
    media_type: str | None = None
    artifact_type: str | None = None
    config: _Descriptor | None = None
    layers: list[_Descriptor] | None = None
    manifests: list[_Descriptor] | None = None
    subject: _Descriptor | None = None
    annotations: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Descriptor:
    media_type: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    media_type: str
    artifact_type: str | None
    """The manifest's own; else the config's media type for an image manifest ("Listing Referrers")."""
    config_media_type: str | None
    blobs: tuple[Descriptor, ...]
    """Config and layers that must be in the repository: foreign layers and blobs an index points at are not."""
    layers_size: int
    """Bytes of all layers and the config, as announced."""
    children: tuple[Descriptor, ...]
    subject: Digest | None
    annotations: dict[str, str]

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEX_TYPES


_DECODER = msgspec.json.Decoder(_Document)


def parse(content: bytes, media_type: str | None) -> Manifest:
    """Read a manifest sent as `media_type` (the request's, without parameters). Raise `ManifestInvalid` with why.

    1. JSON of the right shape, schemaVersion 2.
    2. The media type: the body's and the request's must agree; one of them must be there.
    3. Every descriptor has a good digest, a size, and data that is what it says; all sizes fit 64 bits.
    """
    # 1
    try:
        document = _DECODER.decode(content.decode())  # also of members unread: everything served is UTF-8
    except msgspec.ValidationError as error:
        raise ManifestInvalid(reason=f"Invalid JSON syntax: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ManifestInvalid(reason="Invalid JSON syntax") from None
    if document.schema_version != 2:
        raise ManifestInvalid(reason=f"schemaVersion {document.schema_version} is not supported, send 2")
    # 2
    own = document.media_type
    _check_type("mediaType", own)
    _check_type("artifactType", document.artifact_type)
    if own is not None and media_type is not None and own != media_type:
        raise ManifestInvalid(reason=f"mediaType is {own} but was sent as {media_type}")
    kind = own or media_type
    if kind is None:
        raise ManifestInvalid(reason="mediaType is missing, in the manifest and in the request")
    _check_type("mediaType", kind)
    # 3
    children = tuple(_descriptors(document.manifests))
    config = _descriptor(document.config) if document.config else None
    layers = list(_descriptors(document.layers))
    required = [_descriptor(layer) for layer in document.layers or () if not _is_foreign(layer)]
    subject = _descriptor(document.subject).digest if document.subject else None
    _check_type("config.mediaType", config.media_type if config else None)
    layers_size = sum(layer.size for layer in layers) + (config.size if config else 0)
    if layers_size > _SIZE_MAX:
        raise ManifestInvalid(reason="the sizes of the layers are too large")
    return Manifest(
        media_type=kind,
        artifact_type=document.artifact_type or (config.media_type if config and not children else None),
        config_media_type=config.media_type if config else None,
        blobs=tuple(([config] if config else []) + required),
        layers_size=layers_size,
        children=tuple(child for child in children if child.media_type in _MANIFEST_TYPES),
        subject=subject,
        annotations=document.annotations or {},
    )


def _check_type(member: str, text: str | None) -> None:
    if text is not None and not _TYPE.fullmatch(text):
        raise ManifestInvalid(reason=f"{member} must be at most 255 printable ASCII characters")


def _descriptors(sent: Iterable[_Descriptor] | None) -> Iterable[Descriptor]:
    return (_descriptor(descriptor) for descriptor in sent or ())


def _descriptor(sent: _Descriptor) -> Descriptor:
    try:
        digest = Digest.parse(sent.digest)
    except InvalidDigest:
        raise ManifestInvalid(reason=f"'{sent.digest[:200]}' is not a digest") from None
    if sent.size < 0:
        raise ManifestInvalid(reason=f"the size of {digest} is negative")
    if sent.data is not None:
        _check_data(sent.data, digest, sent.size)
    return Descriptor(sent.media_type, digest, sent.size)


def _check_data(text: str, digest: Digest, size: int) -> None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ManifestInvalid(reason=f"the data of {digest} is not base64") from None
    if len(data) != size or Digest.of(data, digest.algorithm) != digest:
        raise ManifestInvalid(reason=f"the data of {digest} is not what its digest and size say")


def _is_foreign(layer: _Descriptor) -> bool:
    return bool(layer.urls) or "nondistributable" in layer.media_type or ".foreign." in layer.media_type
