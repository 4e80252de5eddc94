"""The sealed file: a header and frames of AES-256-GCM. Pure; docs/format.md is the contract.

    offset 0             header, 64 bytes
    offset 64 + i*65552  frame i: up to 65,536 bytes of ciphertext and a tag of 16

This is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015): the nonce carries the frame's index and whether it
is the last: frames cannot be reordered, dropped or appended. Every frame but the last is full; an empty
blob is one empty last frame. The frame key is derived from the blob's key and the header's random salt.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HEADER_BYTES = 64
FRAME_LOG2 = 16
FRAME_BYTES = 1 << FRAME_LOG2
TAG_BYTES = 16
STRIDE_BYTES = FRAME_BYTES + TAG_BYTES
MAX_FRAMES = 1 << 32  # the index has 32 bits: 256 TiB

# magic, version, algorithm, frame_log2, 0, blob id, domain id, salt
_HEADER = struct.Struct(">4sBBBx16sQ32s")
_MAGIC, _VERSION, _AES_256_GCM = b"MRGB", 1, 1
_NONCE = struct.Struct(">7xIB")  # 7 zeros, index, last flag
_KEY_INFO = b"moorage/blob/v1"


@dataclass(frozen=True, slots=True)
class BlobKey:
    """256 random bits, made for one blob and used for no other."""

    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> BlobKey:
        return cls(secrets.token_bytes(32))


class NotAuthentic(Exception):
    """These bytes are not what was sealed."""


def frame_count(size: int) -> int:
    """Frames of a blob of `size` plain bytes."""
    return max(1, -(-size // FRAME_BYTES))


def sealed_size(size: int) -> int:
    """Bytes of the file that holds `size` plain bytes."""
    return HEADER_BYTES + size + frame_count(size) * TAG_BYTES


def frame_offset(index: int) -> int:
    return HEADER_BYTES + index * STRIDE_BYTES


def frames_of(start: int, stop: int) -> range:
    """The frames that hold the plain bytes from `start` up to `stop`."""
    return range(start // FRAME_BYTES, -(-stop // FRAME_BYTES))


class FrameSealer:
    """Seals the frames of one new file, each index once: it is spent before it is used, whatever happens."""

    def __init__(self, blob: bytes, domain: int, key: BlobKey) -> None:
        self.blob, self.domain, self.key = blob, domain, key
        salt = secrets.token_bytes(32)
        self.header = _HEADER.pack(_MAGIC, _VERSION, _AES_256_GCM, FRAME_LOG2, blob, domain, salt)
        self._cipher = _cipher(key, salt)
        self._header_hash = hashlib.sha256(self.header).digest()
        self._next = 0
        self._is_done = False

    def seal_into(
        self, plain: bytes | bytearray | memoryview, sealed: memoryview, *, last: bool = False
    ) -> None:
        """Seal the next frame; `sealed` is 16 bytes longer than `plain`."""
        if self._is_done or (len(plain) != FRAME_BYTES and not last) or self._next >= MAX_FRAMES:
            raise ValueError("only the last frame may be short, and nothing follows it")
        index, self._next = self._next, self._next + 1
        self._is_done = last
        self._cipher.encrypt_into(_NONCE.pack(index, last), plain, self._header_hash, sealed)


class FrameOpener:
    """Opens the frames of one file, in any order and from several threads."""

    def __init__(self, header: bytes, blob: bytes, domain: int, key: BlobKey, last: int | None) -> None:
        """`last` is the index of the last frame, None for a file that has none yet.

        Raise `NotAuthentic` unless the header is of this blob, domain and format.
        """
        if len(header) != HEADER_BYTES:
            raise NotAuthentic("the header is cut short")
        salt = header[-32:]
        if header != _HEADER.pack(_MAGIC, _VERSION, _AES_256_GCM, FRAME_LOG2, blob, domain, salt):
            raise NotAuthentic("the header is of another blob, domain or format")
        self._cipher = _cipher(key, salt)
        self._header_hash = hashlib.sha256(header).digest()
        self._last = last

    def open_into(self, index: int, sealed: memoryview, plain: memoryview) -> None:
        """Open frame `index`; `plain` is 16 bytes shorter than `sealed`, and void if this raises."""
        nonce = _NONCE.pack(index, index == self._last)
        try:
            self._cipher.decrypt_into(nonce, sealed, self._header_hash, plain)
        except InvalidTag:
            raise NotAuthentic(f"frame {index}") from None


def _cipher(key: BlobKey, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt, _KEY_INFO).derive(key.secret))
