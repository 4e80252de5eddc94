"""What is stored: blobs of any size whose digests cost nothing to compute, images, and their manifests."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
TAIL_BYTES = 32
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Blob:
    """`base` repeated up to `size`, its last bytes replaced by `tail`."""

    base: Path
    size: int
    tail: str
    digest: str


class BlobMaker:
    """Makes unique blobs: all of one size share everything but the tail, and so the hash state before it."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._block = os.urandom(MIB)
        self._states: dict[int, hashlib._Hash] = {}
        base.write_bytes(self._block)

    def blobs(self, count: int, size: int) -> list[Blob]:
        """`size` is a multiple of 1 MiB."""
        state = self._state(size)
        return [self._blob(state, size) for _ in range(count)]

    def _blob(self, state: "hashlib._Hash", size: int) -> Blob:
        tail = os.urandom(TAIL_BYTES // 2).hex()
        hashed = state.copy()
        hashed.update(tail.encode())
        return Blob(self._base, size, tail, f"sha256:{hashed.hexdigest()}")

    def _state(self, size: int) -> "hashlib._Hash":
        if size not in self._states:
            state = hashlib.sha256()
            for _ in range(size // MIB - 1):
                state.update(self._block)
            state.update(self._block[:-TAIL_BYTES])
            self._states[size] = state
        return self._states[size]


@dataclass(frozen=True)
class Manifest:
    content: bytes
    digest: str


def manifest(config: Blob, layers: list[Blob], note: str = "") -> Manifest:
    """An OCI image manifest; ten layers make it about 1.8 KB."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer) for layer in layers],
        "annotations": {"bench": note},
    }
    content = json.dumps(document, indent=None, separators=(",", ":")).encode()
    return Manifest(content, f"sha256:{hashlib.sha256(content).hexdigest()}")


def _descriptor(media_type: str, blob: Blob) -> dict[str, str | int]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}
