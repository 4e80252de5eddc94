"""The port of the blob store: opaque bytes under a random blob id. What they mean is `keys`' affair."""

from __future__ import annotations

from typing import Protocol

BlobId = bytes
"""128 random bits. A name never comes from a stranger."""


class PartialBlob(Protocol):
    """A file being written, front to back. Its methods block: call them from a worker thread."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. Raise `StorageFull` when the disk is; how much was written before is then unknown."""
        ...

    def flush(self) -> None:
        """Move what was written so far to the disk, so that `commit` has little left to do.

        MAY run in another thread beside `write`, but not beside `commit` or `discard`.
        """
        ...

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` with what was written at `offset`; fewer bytes only at the end. Before `commit`."""
        ...

    def follow(self) -> StoredBlob:
        """Open the file beside its writer. What is open stays readable after `commit` and `discard`."""
        ...

    def commit(self) -> None:
        """Make the file durable under its name: file and directory MUST be synced when it returns."""
        ...

    def discard(self) -> None:
        """Remove the file. MUST NOT raise if it is gone. After `commit` it does nothing."""
        ...


class StoredBlob(Protocol):
    """An open file. It stays readable though it be deleted meanwhile. Several threads may read at once."""

    @property
    def size(self) -> int:
        """Bytes in the file."""
        ...

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset`; fewer bytes only at the end of the file. Blocks briefly."""
        ...

    def close(self) -> None: ...


class BlobStore(Protocol):
    def create(self, blob: BlobId) -> PartialBlob:
        """Begin a file. MUST NOT exist under its final name before `commit`."""
        ...

    def open(self, blob: BlobId) -> StoredBlob:
        """Raise FileNotFoundError if there is none."""
        ...

    def delete(self, blob: BlobId) -> None:
        """Remove a committed or a partial file of this id. MUST NOT raise if there is none."""
        ...


class Tiers(Protocol):
    """What a `BlobStore` of two stores can do besides. Whoever has a blob open can read on."""

    def move_away(self, blob: BlobId) -> bool:
        """To the cheaper store; False if it is not near. Blocks as long as the file takes."""
        ...

    def bring_near(self, blob: BlobId) -> bool:
        """Back; False if it is not away."""
        ...
