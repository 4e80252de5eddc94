"""Two stores as one: the near one, where everything begins, and a cheaper one for what only archived images use.

A file is found wherever it is, so nothing has to say where. It is moved by a copy that is durable before the other is
removed: whenever the process dies, the file is whole in one of them, or in both. One file is moved or deleted at a
time, so that nobody removes the copy that another has just made.
"""

from __future__ import annotations

import threading

from moorage.store.blobs.api import BlobId, BlobStore, PartialBlob, StoredBlob

_CHUNK = 1 << 20


class TieredBlobs:
    """A `BlobStore` and a `Tiers`. Moving blocks as long as the file takes."""

    def __init__(self, near: BlobStore, far: BlobStore) -> None:
        self._near, self._far = near, far
        self._moving = threading.Lock()

    def create(self, blob: BlobId) -> PartialBlob:
        return self._near.create(blob)

    def open(self, blob: BlobId) -> StoredBlob:
        for store in (self._near, self._far):
            try:
                return store.open(blob)
            except FileNotFoundError:
                continue
        return self._near.open(blob)  # it came back between the two

    def delete(self, blob: BlobId) -> None:
        with self._moving:
            self._near.delete(blob)
            self._far.delete(blob)

    def move_away(self, blob: BlobId) -> bool:
        """To the cheaper store. False if it is not near."""
        return self._move(blob, self._near, self._far)

    def bring_near(self, blob: BlobId) -> bool:
        """False if it is not in the cheaper store."""
        return self._move(blob, self._far, self._near)

    def _move(self, blob: BlobId, source: BlobStore, target: BlobStore) -> bool:
        """1. Leftovers of a move that died go. 2. The copy is durable. 3. The original goes."""
        with self._moving:
            try:
                original = source.open(blob)
            except FileNotFoundError:
                return False
            try:
                # 1
                target.delete(blob)
                # 2
                copy = target.create(blob)
                try:
                    _copy(original, copy)
                    copy.commit()
                except BaseException:
                    copy.discard()
                    raise
            finally:
                original.close()
            # 3
            source.delete(blob)
        return True


def _copy(original: StoredBlob, copy: PartialBlob) -> None:
    buffer = memoryview(bytearray(_CHUNK))
    at = 0
    while count := original.read_into(buffer, at):
        copy.write(buffer[:count])
        at += count
    if at != original.size:
        raise OSError(f"{at} bytes read where {original.size} were stored")
