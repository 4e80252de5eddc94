"""What a registry path names."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.base.digest import Digest
from moorage.base.names import is_tag


@dataclass(frozen=True, slots=True)
class Target:
    """`name` is empty for paths that name no repository; `reference` is a digest, a tag or an upload id, unread."""

    name: str = ""
    reference: str = ""

    @property
    def is_digest(self) -> bool:
        """A reference with a colon is a digest, otherwise a tag (distribution-spec, "Pulling manifests")."""
        return ":" in self.reference

    def digest(self) -> Digest:
        return Digest.parse(self.reference)

    def tag(self) -> str | None:
        return self.reference if is_tag(self.reference) else None

    def blob_location(self, digest: Digest) -> bytes:
        return f"/v2/{self.name}/blobs/{digest}".encode()

    def manifest_location(self, digest: Digest) -> bytes:
        return f"/v2/{self.name}/manifests/{digest}".encode()

    def upload_location(self, upload_id: str) -> bytes:
        """Relative, so that a TLS proxy cannot break it, and stable: old locations of a session keep working."""
        return f"/v2/{self.name}/blobs/uploads/{upload_id}".encode()
