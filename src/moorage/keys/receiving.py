"""Uploads that this process is receiving. A session does not outlive its process (decisions, 2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from moorage.keys.sealed import SealedWriter


@dataclass(slots=True)
class OpenUpload:
    """One session, whichever door began it. `busy` while a request is at it: a second one is refused at once."""

    id: str
    repository: int
    owner: str
    blob: bytes
    writer: SealedWriter
    expires: int
    busy: bool = False
    parts: int = 0
    last_part_bytes: int = 0
    has_short_part: bool = False


@dataclass(slots=True)
class OpenUploads:
    by_id: dict[str, OpenUpload] = field(default_factory=dict)

    def add(self, upload: OpenUpload) -> None:
        self.by_id[upload.id] = upload

    def get(self, upload_id: str) -> OpenUpload | None:
        return self.by_id.get(upload_id)

    def remove(self, upload: OpenUpload) -> None:
        self.by_id.pop(upload.id, None)

    def expired(self, now: int) -> list[OpenUpload]:
        return [upload for upload in self.by_id.values() if upload.expires <= now and not upload.busy]

    def of_repository(self, repository: int) -> list[OpenUpload]:
        return [upload for upload in self.by_id.values() if upload.repository == repository]
