"""OCI layouts written byte by byte, without any container tool: the same input gives the same digests."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import subprocess
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ARTIFACT_TYPE = "application/vnd.example.report.v1"
CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"

CHUNK = 1 << 20
CREATED = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Descriptor:
    media_type: str
    digest: str
    size: int
    architecture: str | None = None
    variant: str | None = None

    def json(self) -> dict[str, Any]:
        described: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        if self.architecture:
            described["platform"] = {"architecture": self.architecture, "os": "linux"}
            if self.variant:
                described["platform"]["variant"] = self.variant
        return described


@dataclass(frozen=True)
class Layer:
    """A layer stored in a layout; `diff_id` is the digest of its bytes before compression."""

    blob: Descriptor
    diff_id: str


class Layout:
    """An OCI image layout in a folder; `skopeo copy oci:FOLDER:TAG`, `crane push FOLDER` and friends read it."""

    def __init__(self, folder: Path, blobs: Path | None = None) -> None:
        self.folder = folder
        self._tags: list[dict[str, Any]] = []
        self._blobs = folder / "blobs" / "sha256"
        if blobs:
            self._blobs.parent.mkdir(parents=True)
            self._blobs.symlink_to(blobs)
        self._blobs.mkdir(parents=True, exist_ok=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def tag(self, name: str, image: Descriptor) -> Descriptor:
        named = replace(image, architecture=None, variant=None).json()
        self._tags.append(named | {"annotations": {"org.opencontainers.image.ref.name": name}})
        (self.folder / "index.json").write_bytes(
            _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": self._tags})
        )
        return image

    def image(
        self,
        layers: Sequence[Layer],
        architecture: str = "amd64",
        variant: str | None = None,
        command: Sequence[str] = ("/bin/sh",),
    ) -> Descriptor:
        config: dict[str, Any] = {
            "architecture": architecture,
            "config": {"Cmd": list(command), "Env": ["PATH=/bin:/usr/bin"]},
            "created": CREATED,
            "history": [{"created": CREATED, "created_by": f"layer {n}"} for n in range(len(layers))],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        }
        if variant:
            config["variant"] = variant
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(_json(config), CONFIG).json(),
            "layers": [layer.blob.json() for layer in layers],
        }
        return replace(self.blob(_json(manifest), MANIFEST), architecture=architecture, variant=variant)

    def index(self, images: Iterable[Descriptor]) -> Descriptor:
        return self.blob(
            _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [image.json() for image in images]}),
            INDEX,
        )

    def artifact(self, content: bytes, subject: Descriptor | None = None) -> Descriptor:
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": self.blob(b"{}", EMPTY).json(),
            "layers": [self.blob(content, "text/plain").json()],
        }
        if subject:
            manifest["subject"] = replace(subject, architecture=None, variant=None).json()
        return self.blob(_json(manifest), MANIFEST)

    def layer(self, tar: bytes) -> Layer:
        return Layer(blob=self.blob(gzip.compress(tar, 6, mtime=0), LAYER), diff_id=_digest(tar))

    def compressed_layer(self, archive: Path) -> Layer:
        """The layer of a .tar.gz that lies there already."""
        diff_id = hashlib.sha256()
        with gzip.open(archive) as tar:
            while chunk := tar.read(CHUNK):
                diff_id.update(chunk)
        with archive.open("rb") as chunks:
            blob = self._stream(iter(lambda: chunks.read(CHUNK), b""), LAYER)
        return Layer(blob=blob, diff_id=f"sha256:{diff_id.hexdigest()}")

    def large_layer(self, size_bytes: int) -> Layer:
        """A tar of one file of `size_bytes`, every fourth MiB of it zeros, in gzip's stored blocks: a valid layer
        that is written at the speed of hashing."""
        diff_id = hashlib.sha256()
        blob = self._stream(_stored(_large_tar(size_bytes), diff_id), LAYER)
        return Layer(blob=blob, diff_id=f"sha256:{diff_id.hexdigest()}")

    def blob(self, content: bytes, media_type: str) -> Descriptor:
        digest = _digest(content)
        (self._blobs / digest.removeprefix("sha256:")).write_bytes(content)
        return Descriptor(media_type=media_type, digest=digest, size=len(content))

    def alone(self, folder: Path, image: Descriptor) -> Path:
        """A second layout of the same blobs that holds one image, or that is one index: as crane takes them."""
        second = Layout(folder, blobs=self._blobs)
        if image.media_type == INDEX:
            (folder / "index.json").write_bytes(self.read(image))
        else:
            second.tag("1", image)
        return folder

    def read(self, blob: Descriptor | str) -> bytes:
        digest = blob if isinstance(blob, str) else blob.digest
        return (self._blobs / digest.removeprefix("sha256:")).read_bytes()

    def _stream(self, chunks: Iterable[bytes], media_type: str) -> Descriptor:
        digest, size, part = hashlib.sha256(), 0, self.folder / "part"
        with part.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                size += file.write(chunk)
        part.rename(self._blobs / digest.hexdigest())
        return Descriptor(media_type=media_type, digest=f"sha256:{digest.hexdigest()}", size=size)


def digests(folder: Path) -> set[str]:
    """The digests of a layout's blobs, recomputed from their bytes."""
    found = set()
    for path in (folder / "blobs" / "sha256").iterdir():
        with path.open("rb") as file:
            found.add(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")
    return found


def busybox(program: str) -> bytes:
    """A root file system of a static busybox and its names, as a tar."""
    names = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for folder in ("bin", "etc", "proc", "root", "sys", "tmp"):
            _add(tar, folder, tarfile.DIRTYPE, mode=0o755)
        _add(tar, "bin/busybox", content=Path(program).read_bytes(), mode=0o755)
        for name in sorted(set(names) - {"busybox"}):
            _add(tar, f"bin/{name}", tarfile.SYMTYPE, link="busybox")
        _add(tar, "etc/passwd", content=b"root:x:0:0:root:/root:/bin/sh\n")
        _add(tar, "etc/group", content=b"root:x:0:\n")
    return made.getvalue()


def whiteouts() -> tuple[bytes, bytes]:
    """Two layers: files, links, a set-uid bit and a long name; then a deletion, an opaque folder, an addition."""
    below, above = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=below, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "a", tarfile.DIRTYPE, mode=0o755)
        _add(tar, "a/keep", content=b"keep")
        _add(tar, "a/gone", content=b"gone")
        _add(tar, "o", tarfile.DIRTYPE, mode=0o755)
        _add(tar, "o/one", content=b"1")
        _add(tar, "hard", tarfile.LNKTYPE, link="a/keep")
        _add(tar, "symbolic", tarfile.SYMTYPE, link="a/keep")
        _add(tar, "setuid", content=b"#!", mode=0o4755)
        _add(tar, "x" * 180, content=b"long")
    with tarfile.open(fileobj=above, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "a/.wh.gone")
        _add(tar, "o", tarfile.DIRTYPE, mode=0o755)
        _add(tar, "o/.wh..wh..opq")
        _add(tar, "o/three", content=b"3")
    return below.getvalue(), above.getvalue()


def _add(
    tar: tarfile.TarFile,
    name: str,
    kind: bytes = tarfile.REGTYPE,
    content: bytes = b"",
    link: str = "",
    mode: int = 0o644,
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.linkname, entry.mode = kind, len(content), link, mode
    tar.addfile(entry, io.BytesIO(content))


def _large_tar(size_bytes: int) -> Iterator[bytes]:
    entry = tarfile.TarInfo("large")
    entry.size = size_bytes
    yield entry.tobuf(tarfile.GNU_FORMAT)
    noise, zeros = random.Random(size_bytes).randbytes(64 * CHUNK), bytes(CHUNK)
    for number in range(size_bytes // CHUNK):
        start = number * 1_000_003 % (63 * CHUNK)  # no MiB repeats another
        yield zeros if number % 4 == 3 else noise[start : start + CHUNK]
    yield bytes(1024)


def _stored(chunks: Iterable[bytes], raw: Any) -> Iterator[bytes]:
    """gzip without compression; `raw` is fed what goes in."""
    deflate = zlib.compressobj(0, wbits=31)
    for chunk in chunks:
        raw.update(chunk)
        yield deflate.compress(chunk)
    yield deflate.flush()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
