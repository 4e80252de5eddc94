"""Blobs in memory, for tests. What is committed can be reached into and damaged."""

from __future__ import annotations

from moorage.store.blobs.api import BlobId


class MemoryBlobs:
    """A `BlobStore`. `committed` is what a disk would hold after a power cut."""

    def __init__(self) -> None:
        self.committed: dict[BlobId, bytes] = {}
        self.partial: dict[BlobId, bytearray] = {}

    def create(self, blob: BlobId) -> MemoryPartial:
        if blob in self.partial:
            raise FileExistsError(blob.hex())
        return MemoryPartial(self, blob)

    def open(self, blob: BlobId) -> MemoryStored:
        if blob not in self.committed:
            raise FileNotFoundError(blob.hex())
        return MemoryStored(self.committed[blob])

    def delete(self, blob: BlobId) -> None:
        self.committed.pop(blob, None)
        self.partial.pop(blob, None)


class MemoryPartial:
    """A `PartialBlob`."""

    def __init__(self, store: MemoryBlobs, blob: BlobId) -> None:
        self._store, self._blob = store, blob
        self._content = store.partial[blob] = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._content += data

    def flush(self) -> None:
        pass

    def read_into(self, buffer: memoryview, offset: int) -> int:
        return _read_into(self._content, buffer, offset)

    def follow(self) -> MemoryStored:
        return MemoryStored(self._content)

    def commit(self) -> None:
        self._store.committed[self._blob] = bytes(self._store.partial.pop(self._blob))

    def discard(self) -> None:
        self._store.partial.pop(self._blob, None)


class MemoryStored:
    """A `StoredBlob`."""

    def __init__(self, content: bytes | bytearray) -> None:
        self._content = content

    @property
    def size(self) -> int:
        return len(self._content)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        return _read_into(self._content, buffer, offset)

    def close(self) -> None:
        pass


def _read_into(content: bytes | bytearray, buffer: memoryview, offset: int) -> int:
    piece = content[offset : offset + len(buffer)]
    buffer[: len(piece)] = piece
    return len(piece)
