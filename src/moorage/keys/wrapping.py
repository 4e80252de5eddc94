"""Sealing small things: keys, manifests, stored secrets. docs/format.md is the contract.

A sealed record is

    version 1 | salt 32 | commitment 32 | ciphertext | tag 16

Each has a key of its own, derived from the sealing key, the purpose and a random salt: no number of records
wears out a key, and a fixed nonce is safe. The commitment comes from the same derivation: with AES-GCM alone
one record could be made to open under two keys (partitioning oracles).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from moorage.keys.frames import NotAuthentic

_VERSION = b"\x01"
_NONCE = bytes(12)
_SALT, _COMMITMENT, _SEALED = slice(1, 33), slice(33, 65), slice(65, None)
_OVERHEAD_BYTES = 1 + 32 + 32 + 16

Field = bytes | str | int


def seal_record(key: bytes, purpose: str, context: Iterable[Field], content: bytes) -> bytes:
    """Seal `content` so that only the same key, purpose and context open it."""
    salt = secrets.token_bytes(32)
    record_key, commitment = _derive(key, purpose, salt)
    sealed = AESGCM(record_key).encrypt(_NONCE, content, _encode(context))
    return b"".join((_VERSION, salt, commitment, sealed))


def open_record(key: bytes, purpose: str, context: Iterable[Field], record: bytes) -> bytes:
    """Raise `NotAuthentic` unless this is what was sealed, by this key, for this purpose, in this context."""
    if len(record) < _OVERHEAD_BYTES or record[:1] != _VERSION:
        raise NotAuthentic("not a sealed record")
    record_key, commitment = _derive(key, purpose, record[_SALT])
    if not hmac.compare_digest(commitment, record[_COMMITMENT]):
        raise NotAuthentic("sealed by another key or for another purpose")
    try:
        return AESGCM(record_key).decrypt(_NONCE, record[_SEALED], _encode(context))
    except InvalidTag:
        raise NotAuthentic("changed, or sealed in another context") from None


def _derive(key: bytes, purpose: str, salt: bytes) -> tuple[bytes, bytes]:
    derived = HKDF(SHA256(), 64, salt, b"moorage/record/v1/" + purpose.encode()).derive(key)
    return derived[:32], derived[32:]


def _encode(context: Iterable[Field]) -> bytes:
    """Each field with its length before it: two contexts never read the same."""
    encoded = []
    for field in context:
        content = field if isinstance(field, bytes) else str(field).encode()
        encoded += [len(content).to_bytes(4, "big"), content]
    return b"".join(encoded)
