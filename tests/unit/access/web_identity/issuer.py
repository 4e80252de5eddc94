"""An identity provider in memory: it signs tokens, well or badly."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

NOW_S = 1_800_000_000
ISSUER = "https://idp.example/realm"
AUDIENCE = "sts.amazonaws.com"

_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8))


def claims(**changes: Any) -> dict[str, Any]:
    """Good ones; a change to None takes a claim away."""
    good = {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": "system:serviceaccount:default:app",
        "iat": NOW_S - 10,
        "nbf": NOW_S - 10,
        "exp": NOW_S + 3_590,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def compact(header: object, payload: object, signature: bytes = b"") -> str:
    """Three parts, whatever they are; text and bytes stand as they are."""
    parts = [part if isinstance(part, str | bytes) else json.dumps(part) for part in (header, payload)]
    encoded = [base64url(part.encode() if isinstance(part, str) else part) for part in parts]
    return ".".join([*encoded, base64url(signature)])


@dataclass(frozen=True)
class Signer:
    """A key pair with its id."""

    id: str
    private: PrivateKey = field(repr=False)

    @classmethod
    def rsa(cls, id_: str = "one", bits: int = 2_048) -> Signer:
        return cls(id_, rsa.generate_private_key(65_537, bits))

    @classmethod
    def ec(cls, curve: str = "P-256", id_: str = "one") -> Signer:
        return cls(id_, ec.generate_private_key(_CURVES[curve]))

    @property
    def jwk(self) -> dict[str, Any]:
        public = self.private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            return {
                "kty": "RSA",
                "kid": self.id,
                "use": "sig",
                "n": number(numbers.n),
                "e": number(numbers.e),
            }
        point = public.public_numbers()
        curve = next(name for name, curve in _CURVES.items() if curve.name == public.curve.name)
        length = (public.key_size + 7) // 8
        return {
            "kty": "EC",
            "kid": self.id,
            "crv": curve,
            "x": base64url(point.x.to_bytes(length)),
            "y": base64url(point.y.to_bytes(length)),
        }

    def sign(self, algorithm: str, content: bytes) -> bytes:
        hash_ = _HASHES[algorithm[2:]]
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(content, padding.PKCS1v15(), hash_)
        length = (self.private.key_size + 7) // 8
        r, s = utils.decode_dss_signature(self.private.sign(content, ec.ECDSA(hash_)))
        return r.to_bytes(length) + s.to_bytes(length)

    def token(
        self, payload: object = None, algorithm: str = "RS256", header: dict[str, Any] | None = None
    ) -> str:
        """A token that is signed by this key, whatever its header says."""
        head = {"alg": algorithm, "kid": self.id, "typ": "JWT"} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        unsigned = compact(head, claims() if payload is None else payload).rpartition(".")[0]
        return f"{unsigned}.{base64url(self.sign(algorithm, unsigned.encode()))}"


def jwks(*signers: Signer) -> str:
    return json.dumps({"keys": [signer.jwk for signer in signers]})
