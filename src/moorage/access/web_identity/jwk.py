"""Public keys as identity providers publish them (JWK, RFC 7517), and the signatures that they verify. Pure.

A key verifies the algorithms of its own kind only: RSA for RS…, the curve of its size for ES…. There are no shared
secrets here, so a public key can never serve as one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from moorage.access.web_identity.strict_json import NotStrict, loads

KEYS_MAX = 100
"""Of each document; more is not a key set but an attack."""
_RSA_BITS = range(2_048, 8_193)
_EXPONENT_MAX = 1 << 32  # a long one makes each verification slow
_ID_MAX = 512


@dataclass(frozen=True, slots=True)
class _Algorithm:
    hash: hashes.HashAlgorithm
    curve: str = ""
    """Empty for RSA."""


ALGORITHMS: Mapping[str, _Algorithm] = {
    "ES256": _Algorithm(hashes.SHA256(), "P-256"),
    "ES384": _Algorithm(hashes.SHA384(), "P-384"),
    "ES512": _Algorithm(hashes.SHA512(), "P-521"),
    "RS256": _Algorithm(hashes.SHA256()),
    "RS384": _Algorithm(hashes.SHA384()),
    "RS512": _Algorithm(hashes.SHA512()),
}
_CURVES: Mapping[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}


class NoKeySet(ValueError):
    """Not a JSON Web Key Set; the text says why."""


@dataclass(frozen=True, slots=True)
class Key:
    id: str | None
    curve: str
    """`P-256` and the like; empty for RSA."""
    algorithm: str | None
    """The only one it is for, if its owner says so."""
    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey = field(repr=False)

    def fits(self, algorithm: str) -> bool:
        known = ALGORITHMS.get(algorithm)
        return known is not None and known.curve == self.curve and self.algorithm in (None, algorithm)

    def has_signed(self, algorithm: str, content: bytes, signature: bytes) -> bool:
        if not self.fits(algorithm):
            return False
        hash_ = ALGORITHMS[algorithm].hash
        try:
            if isinstance(self.public, rsa.RSAPublicKey):
                self.public.verify(signature, content, padding.PKCS1v15(), hash_)
            else:
                self.public.verify(_der(signature, self.public), content, ec.ECDSA(hash_))
        except (InvalidSignature, ValueError):
            return False
        return True


def keys_in(document: bytes) -> tuple[Key, ...]:
    """The keys of a key set that can verify here; others are passed over. Raise `NoKeySet`."""
    try:
        listed = loads(document).get("keys")
    except NotStrict as error:
        raise NoKeySet(str(error)) from None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise NoKeySet(f"'keys' has to be a list of at most {KEYS_MAX}")
    read = [_key(entry) for entry in listed if isinstance(entry, dict)]
    return tuple(key for key in read if key is not None)


def _key(entry: Mapping[str, Any]) -> Key | None:
    id_, algorithm = entry.get("kid"), entry.get("alg")
    operations = entry.get("key_ops", ["verify"])
    is_for_us = (
        (id_ is None or (isinstance(id_, str) and len(id_) <= _ID_MAX))
        and (algorithm is None or (isinstance(algorithm, str) and algorithm in ALGORITHMS))
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )
    if not is_for_us:
        return None
    try:
        match entry.get("kty"):
            case "RSA":
                return Key(id_, "", algorithm, _rsa(entry))
            case "EC":
                return Key(id_, entry["crv"], algorithm, _elliptic(entry))
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
    return None


def _rsa(entry: Mapping[str, Any]) -> rsa.RSAPublicKey:
    exponent, modulus = _number(entry["e"]), _number(entry["n"])
    if modulus.bit_length() not in _RSA_BITS or not 3 <= exponent < _EXPONENT_MAX:
        raise ValueError("too weak, or too slow")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _elliptic(entry: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    numbers = ec.EllipticCurvePublicNumbers(_number(entry["x"]), _number(entry["y"]), _CURVES[entry["crv"]])
    return numbers.public_key()  # refuses a point that is not on the curve


def _number(text: Any) -> int:
    if not isinstance(text, str):
        raise TypeError("not base64url")
    return int.from_bytes(
        base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    )


def _der(signature: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    """A JWS has the two numbers side by side, each as long as the curve (RFC 7518, 3.4)."""
    length = (key.key_size + 7) // 8
    if len(signature) != 2 * length:
        raise ValueError("another length")
    return utils.encode_dss_signature(int.from_bytes(signature[:length]), int.from_bytes(signature[length:]))
