"""Key sets as providers publish them, and as attackers would."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moorage.access.web_identity.jwk import KEYS_MAX, NoKeySet, keys_in

from .issuer import Signer, base64url, jwks, number

RSA = Signer.rsa()
EC = Signer.ec()


def read(**changes: Any) -> int:
    """How many keys there are in a set of one, changed; a change to None takes a member away."""
    entry = {name: value for name, value in (RSA.jwk | changes).items() if value is not None}
    return len(keys_in(json.dumps({"keys": [entry]}).encode()))


def test_keys_are_read_with_their_ids() -> None:
    keys = keys_in(jwks(RSA, Signer.ec("P-384", "two")).encode())

    assert [(key.id, key.curve) for key in keys] == [("one", ""), ("two", "P-384")]


@pytest.mark.parametrize(
    "changes", [{}, {"use": None}, {"kid": None}, {"alg": "RS256"}, {"key_ops": ["verify"]}, {"x5c": ["x"]}]
)
def test_a_key_for_verifying_is_taken(changes: dict[str, Any]) -> None:
    assert read(**changes) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"alg": "RSA-OAEP"},
        {"alg": "HS256"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "OKP"},
        {"kty": None},
        {"kid": 7},
        {"kid": "x" * 600},
        {"n": None},
        {"n": 7},
        {"n": "!"},
        {"n": number(3)},
        {"n": base64url(b"\xff" * 2_000)},
        {"e": number(1)},
        {"e": number(2)},
        {"e": base64url(b"\xff" * 256)},
    ],
)
def test_a_key_that_cannot_verify_is_passed_over(changes: dict[str, Any]) -> None:
    assert read(**changes) == 0


def test_a_weak_key_is_passed_over() -> None:
    assert keys_in(jwks(Signer.rsa(bits=1_024), RSA).encode())[0].id == RSA.id
    assert len(keys_in(jwks(Signer.rsa(bits=1_024), RSA).encode())) == 1


@pytest.mark.parametrize(
    "changes",
    [{"crv": "P-384"}, {"crv": "secp256k1"}, {"crv": ["P-256"]}, {"x": number(1)}, {"y": "AA"}, {"x": None}],
)
def test_a_point_that_is_not_on_its_curve_is_passed_over(changes: dict[str, Any]) -> None:
    entry = {name: value for name, value in (EC.jwk | changes).items() if value is not None}

    assert keys_in(json.dumps({"keys": [entry]}).encode()) == ()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [], "keys": []}',
        b"\xff",
        b"[" * 100_000,
        json.dumps({"keys": [{}] * (KEYS_MAX + 1)}).encode(),
    ],
)
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(NoKeySet):
        keys_in(document)


def test_a_key_verifies_the_algorithms_of_its_kind_only() -> None:
    rsa, ec = keys_in(jwks(RSA, EC).encode())

    assert [rsa.fits(name) for name in ("RS256", "RS512", "ES256", "HS256", "none")] == [True, True] + [
        False
    ] * 3
    assert [ec.fits(name) for name in ("ES256", "ES384", "RS256", "HS256", "none")] == [True] + [False] * 4
    assert not ec.has_signed("RS256", b"content", RSA.sign("RS256", b"content"))


def test_a_key_that_is_for_one_algorithm_verifies_no_other() -> None:
    (key,) = keys_in(json.dumps({"keys": [RSA.jwk | {"alg": "RS512"}]}).encode())

    assert key.fits("RS512")
    assert not key.has_signed("RS256", b"content", RSA.sign("RS256", b"content"))
