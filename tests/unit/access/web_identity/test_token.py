"""Tokens that are good, and every known way of passing off a bad one."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.access.web_identity import token as tokens
from moorage.access.web_identity.jwk import keys_in
from moorage.access.web_identity.token import WebIdentity
from moorage.base.errors.identities import IdentityTokenExpired, IDPRejectedClaim, InvalidIdentityToken

from .issuer import AUDIENCE, ISSUER, NOW_S, Signer, base64url, claims, compact, jwks

RSA = Signer.rsa()
EC = Signer.ec()
KEYS = keys_in(jwks(RSA, Signer.ec(id_="other")).encode())


def accept(text: str, keys: Any = KEYS, audiences: tuple[str, ...] = (AUDIENCE,)) -> WebIdentity:
    token = tokens.parse(text)
    tokens.check_signature(token, tokens.candidates(token, keys))
    return tokens.identity_in(token, audiences, NOW_S)


def test_a_good_token_says_who() -> None:
    identity = accept(RSA.token())

    assert identity.issuer == ISSUER
    assert identity.subject == "system:serviceaccount:default:app"
    assert identity.audience == AUDIENCE


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_a_token_of_an_rsa_key_is_verified(algorithm: str) -> None:
    assert accept(RSA.token(algorithm=algorithm)).issuer == ISSUER


@pytest.mark.parametrize(("algorithm", "curve"), [("ES256", "P-256"), ("ES384", "P-384"), ("ES512", "P-521")])
def test_a_token_of_an_elliptic_key_is_verified(algorithm: str, curve: str) -> None:
    signer = Signer.ec(curve)

    assert accept(signer.token(algorithm=algorithm), keys_in(jwks(signer).encode())).issuer == ISSUER


def test_a_token_without_key_id_is_verified_by_the_key_that_fits() -> None:
    assert accept(RSA.token(header={"kid": None})).issuer == ISSUER


# The signature


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", "HS256", "HS384", "HS512", "PS256", "EdDSA", 1, None, ["RS256"]]
)
def test_no_other_algorithm_is_taken(algorithm: object) -> None:
    with pytest.raises(InvalidIdentityToken, match="not a valid JWT"):
        accept(compact({"alg": algorithm, "kid": "one"}, claims(), b"" if algorithm == "none" else b"x" * 32))


@pytest.mark.parametrize("encoding", ["pem", "der", "jwk"])
def test_the_public_key_is_no_shared_secret(encoding: str) -> None:
    public = RSA.private.public_key()
    secrets = {
        "pem": public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "der": public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "jwk": json.dumps(RSA.jwk).encode(),
    }
    for algorithm in ("HS256", "RS256"):
        unsigned = compact({"alg": algorithm, "kid": "one"}, claims()).rpartition(".")[0]
        signature = hmac.new(secrets[encoding], unsigned.encode(), hashlib.sha256).digest()
        with pytest.raises(InvalidIdentityToken):
            accept(f"{unsigned}.{base64url(signature)}")


def test_an_algorithm_of_another_kind_of_key_finds_none() -> None:
    signature = RSA.token().rpartition(".")[2]
    unsigned = compact({"alg": "ES256", "kid": "one"}, claims()).rpartition(".")[0]

    with pytest.raises(InvalidIdentityToken, match="verification key"):
        accept(f"{unsigned}.{signature}")


@pytest.mark.parametrize("kid", ["one", "attacker", None])
@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
def test_a_key_that_the_token_brings_is_never_used(member: str, kid: str | None) -> None:
    attacker = Signer.rsa("attacker")
    brought = {
        "jwk": attacker.jwk | {"kid": "one"},
        "jku": "https://attacker.example/jwks",
        "x5u": "https://attacker.example/chain",
        "x5c": ["MIIB"],
    }

    with pytest.raises(InvalidIdentityToken):
        accept(attacker.token(header={"kid": kid, member: brought[member]}))


def test_critical_extensions_are_refused_since_none_is_understood() -> None:
    with pytest.raises(InvalidIdentityToken):
        accept(RSA.token(header={"crit": ["exp"]}))
    with pytest.raises(InvalidIdentityToken):
        accept(RSA.token(header={"b64": False, "crit": ["b64"]}))


def test_another_key_with_the_same_id_does_not_do() -> None:
    with pytest.raises(InvalidIdentityToken, match="signature"):
        accept(Signer.rsa("one").token())


def test_an_unknown_key_id_finds_no_key() -> None:
    with pytest.raises(InvalidIdentityToken, match="verification key from your identity provider,  please"):
        accept(RSA.token(header={"kid": "unknown"}))


def test_what_was_signed_cannot_be_changed() -> None:
    head, _, signature = RSA.token().split(".")
    other = base64url(json.dumps(claims(sub="admin")).encode())

    with pytest.raises(InvalidIdentityToken, match="signature"):
        accept(f"{head}.{other}.{signature}")


def test_no_byte_of_the_signature_may_differ() -> None:
    unsigned, _, signature = RSA.token().rpartition(".")

    for position in range(0, len(signature), 7):
        changed = "A" if signature[position] != "A" else "B"
        with pytest.raises(InvalidIdentityToken):
            accept(f"{unsigned}.{signature[:position]}{changed}{signature[position + 1 :]}")


@pytest.mark.parametrize(
    "change", [lambda s: s + b"\0", lambda s: s[:-1], lambda s: b"", lambda s: b"\0" * 64]
)
def test_a_signature_of_an_elliptic_key_has_its_length(change: Any) -> None:
    unsigned, _, _ = EC.token(algorithm="ES256").rpartition(".")
    signature = change(EC.sign("ES256", unsigned.encode()))

    with pytest.raises(InvalidIdentityToken, match="signature"):
        accept(f"{unsigned}.{base64url(signature)}", keys_in(jwks(EC).encode()))


# The form


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        "a.b.c.d.e",
        "\ud800.a.b",
        "{}.{}.{}",
        compact("{}", "{}"),
        compact("[]", claims()),
        compact("not json", claims()),
        compact({"alg": "RS256", "kid": 7}, claims()),
        compact({"alg": "RS256"}, "[" * 9_000),
        compact({"alg": "RS256"}, b'{"iss": "\xff"}'),
        compact({"alg": "RS256"}, '{"iss": NaN}'),
        compact({"alg": "RS256"}, '{"iss": "x", "exp": %s}' % ("9" * 5_000)),
        compact({"alg": "RS256"}, claims(iss=None)),
        compact({"alg": "RS256"}, claims(iss=["https://idp.example"])),
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdentityToken, match="not a valid JWT"):
        tokens.parse(text)


def test_a_huge_token_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidIdentityToken):
        accept(RSA.token(claims(padding="x" * 20_000)))


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize(
    "change", [lambda p: p + "=", lambda p: p + "\n", lambda p: " " + p, lambda p: p[:4] + "+" + p[5:]]
)
def test_a_part_has_one_spelling(part: int, change: Any) -> None:
    parts = RSA.token().split(".")
    parts[part] = change(parts[part])

    with pytest.raises(InvalidIdentityToken):
        accept(".".join(parts))


def test_bits_beyond_the_last_byte_are_refused() -> None:
    """The last character of 342 carries two bits too many: four spellings would be one signature."""
    text = RSA.token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(text[-1])

    with pytest.raises(InvalidIdentityToken, match="not a valid JWT"):
        tokens.parse(text[:-1] + alphabet[last ^ 1])


@pytest.mark.parametrize("twice", ["iss", "sub", "aud", "exp"])
def test_a_claim_that_stands_there_twice_is_refused(twice: str) -> None:
    good = json.dumps(claims())
    doubled = good[:-1] + f', "{twice}": {json.dumps(claims()[twice])}}}'

    with pytest.raises(InvalidIdentityToken, match="not a valid JWT"):
        accept(RSA.token(doubled))


def test_a_key_of_the_header_that_stands_there_twice_is_refused() -> None:
    with pytest.raises(InvalidIdentityToken, match="not a valid JWT"):
        tokens.parse(compact('{"alg":"RS256","alg":"none","kid":"one"}', claims()))


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(InvalidIdentityToken):
        accept(text)


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=10,
    ),
    st.sampled_from(["iss", "aud", "sub", "azp", "exp", "iat", "nbf"]),
)
def test_any_value_of_a_claim_is_taken_or_refused(value: object, name: str) -> None:
    payload = claims() | {name: value}
    try:
        identity = accept(RSA.token(payload))
    except (InvalidIdentityToken, IdentityTokenExpired, IDPRejectedClaim):
        return
    assert identity.audience == AUDIENCE


# The claims


@pytest.mark.parametrize(
    "audience", ["another", ["another"], [], None, 7, {"a": "b"}, [AUDIENCE, 7], AUDIENCE.upper()]
)
def test_a_token_for_others_is_refused(audience: object) -> None:
    with pytest.raises(InvalidIdentityToken, match=r"^Incorrect token audience$"):
        accept(RSA.token(claims(aud=audience)))


def test_the_audience_is_the_first_that_is_registered() -> None:
    assert accept(RSA.token(claims(aud=["x", "b", "a"])), audiences=("a", "b")).audience == "b"
    assert accept(RSA.token(claims(aud="a")), audiences=("a", "b")).audience == "a"
    assert accept(RSA.token(claims(aud="x", azp="b")), audiences=("a", "b")).audience == "b"


def test_without_registered_audiences_no_token_is_for_us() -> None:
    with pytest.raises(InvalidIdentityToken, match="audience"):
        accept(RSA.token(), audiences=())


@pytest.mark.parametrize("subject", [None, "", 7, ["a"], "x" * 256])
def test_a_token_of_nobody_is_refused(subject: object) -> None:
    with pytest.raises(IDPRejectedClaim):
        accept(RSA.token(claims(sub=subject)))


def test_an_expired_token_says_when() -> None:
    with pytest.raises(IdentityTokenExpired) as refused:
        accept(RSA.token(claims(exp=NOW_S - 60)))

    assert str(refused.value) == (
        f"Token expired: current date/time {NOW_S} must be before the expiration date/time {NOW_S - 60}"
    )


@pytest.mark.parametrize(
    "times",
    [
        {"iat": NOW_S - 3_600, "exp": NOW_S - 59},
        {"iat": NOW_S + 60, "nbf": NOW_S + 60},
        {"nbf": None},
        {"iat": NOW_S - 3_600.5, "exp": NOW_S + 0.5},
        {"iat": NOW_S, "exp": NOW_S + 7 * 86_400},
    ],
)
def test_clocks_may_differ_by_a_minute(times: dict[str, Any]) -> None:
    assert accept(RSA.token(claims(**times))).issuer == ISSUER


@pytest.mark.parametrize(
    "times",
    [
        {"iat": NOW_S + 61},
        {"nbf": NOW_S + 61},
        {"iat": None},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"exp": -1},
        {"exp": 1 << 50},
        {"exp": NOW_S + 7 * 86_400},
        {"iat": 0},
        {"nbf": "now"},
        {"iat": NOW_S + 30, "exp": NOW_S + 20},
    ],
)
def test_times_that_make_no_sense_are_refused(times: dict[str, Any]) -> None:
    with pytest.raises(InvalidIdentityToken):
        accept(RSA.token(claims(**times)))


def test_nothing_of_a_token_shows_in_a_log() -> None:
    token = tokens.parse(RSA.token())

    assert "serviceaccount" not in repr(token)
    assert "serviceaccount" not in repr(KEYS)
