"""Sealed tokens: claims that only this service can read or make. Opening one asks no database.

    base64url( version 1 | key id 4 | nonce 12 | AES-256-GCM-SIV(msgpack of the claims) )

Each purpose has its own keys, and is authenticated besides: a token made for one is refused for another.
Whether its claims still hold (time, principal, key) is for who opens it.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import struct
from collections.abc import Iterable
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from moorage.keys.keyring import TokenKey

_PREFIX = struct.Struct(">BI")  # version, key id
_VERSION = 1
_NONCE_BYTES, _TAG_BYTES = 12, 16
_LONGEST = 8_192  # characters: nothing longer is even decoded

Claims = TypeVar("Claims", bound=msgspec.Struct)


class TokenRefused(Exception):
    """Not a token of this purpose that this service made."""


class Tokens:
    """Seals with the newest key of a purpose, opens with any that is in use. Each takes microseconds."""

    def __init__(self, keys: Iterable[TokenKey]) -> None:
        """`keys` as from `Keyring.token_keys`."""
        self._ciphers: dict[tuple[str, int], AESGCMSIV] = {}
        self._newest: dict[str, int] = {}
        for key in keys:
            self._ciphers[key.purpose, key.id] = AESGCMSIV(key.secret)
            self._newest[key.purpose] = max(key.id, self._newest.get(key.purpose, 0))

    def seal(self, purpose: str, claims: msgspec.Struct) -> str:
        """URL-safe text of 44 characters and 4/3 of the claims' bytes."""
        prefix = _PREFIX.pack(_VERSION, self._newest[purpose])
        # Random nonces are safe here: GCM-SIV derives keys from each, and a repeated one only shows equality.
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = self._ciphers[purpose, self._newest[purpose]]
        sealed = cipher.encrypt(nonce, msgspec.msgpack.encode(claims), _bound(purpose, prefix))
        return base64.urlsafe_b64encode(prefix + nonce + sealed).rstrip(b"=").decode()

    def open(self, purpose: str, text: str, type_: type[Claims]) -> Claims:
        """The claims of a token sealed for this purpose. Raise `TokenRefused` for anything else."""
        content = _decode(text)
        prefix, nonce, sealed = content[:5], content[5:17], content[17:]
        version, key_id = _PREFIX.unpack(prefix)
        cipher = self._ciphers.get((purpose, key_id))
        if version != _VERSION or cipher is None:
            raise TokenRefused("the token is for another purpose or its key is no longer in use")
        try:
            return msgspec.msgpack.decode(cipher.decrypt(nonce, sealed, _bound(purpose, prefix)), type=type_)
        except InvalidTag:
            raise TokenRefused("the token was changed or is for another purpose") from None
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise TokenRefused("the claims of the token are of another version") from None


def _bound(purpose: str, prefix: bytes) -> bytes:
    return b"moorage/token/v1/" + purpose.encode() + b"\0" + prefix


def _decode(text: str) -> bytes:
    """Only the one spelling that `seal` produces is a token."""
    if len(text) > _LONGEST:
        raise TokenRefused("this is too long for a token")
    try:
        content = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error):
        content = b""
    is_canonical = base64.urlsafe_b64encode(content).rstrip(b"=").decode() == text
    if not is_canonical or len(content) < _PREFIX.size + _NONCE_BYTES + _TAG_BYTES:
        raise TokenRefused("this is not a token")
    return content
