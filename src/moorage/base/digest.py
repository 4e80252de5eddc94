"""Content digests: `sha256:<64 hex>` and `sha512:<128 hex>` (OCI image-spec, descriptor.md)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from moorage.base.errors.layers import InvalidDigest

_ALGORITHMS = {"sha256": (1, 32), "sha512": (2, 64)}
_BY_NUMBER = {number: name for name, (number, _) in _ALGORITHMS.items()}
_TEXT = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")


@dataclass(frozen=True, slots=True)
class Digest:
    """One digest. `text` is the wire form; `packed` the database form: an algorithm byte and 32 or 64 bytes."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Accept a registered algorithm with lower-case hex of its length; raise `InvalidDigest` otherwise."""
        if not _TEXT.fullmatch(text):
            raise InvalidDigest(digest=text)
        return cls(text)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Digest:
        return cls(f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")

    @classmethod
    def unpack(cls, packed: bytes) -> Digest:
        return cls(f"{_BY_NUMBER[packed[0]]}:{packed[1:].hex()}")

    @property
    def algorithm(self) -> str:
        return self.text[:6]

    @property
    def hex(self) -> str:
        return self.text[7:]

    @property
    def packed(self) -> bytes:
        return bytes([_ALGORITHMS[self.algorithm][0]]) + bytes.fromhex(self.hex)

    def __str__(self) -> str:
        return self.text


ALGORITHMS = tuple(_ALGORITHMS)
