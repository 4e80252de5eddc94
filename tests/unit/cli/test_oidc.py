from __future__ import annotations

import json
from pathlib import Path

import pytest

from moorage.store.db.lock import lock_data_directory

from .conftest import Command

ISSUER = "https://kubernetes.default.svc.cluster.local"
ARN = "arn:aws:iam::123456789012:oidc-provider/kubernetes.default.svc.cluster.local"
# The public key of RFC 7517, appendix A.1.
KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    "kid": "1",
}


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [KEY]}))
    return file


def test_a_provider_trusted_beside_a_server_is_listed(moorage: Command, data: Path, jwks: Path) -> None:
    unlock = lock_data_directory(data)

    trusted = moorage("oidc", "trust", "--issuer", ISSUER, "--jwks", str(jwks))
    listed = json.loads(moorage("oidc", "list", "--json").out)
    lines = moorage("oidc", "list").out.splitlines()

    unlock()
    assert trusted.out == (
        f"Account 123456789012 trusts tokens of {ISSUER}, signed with the keys of the file, for sts.amazonaws.com\n"
    )
    assert [(each["arn"], each["audiences"], each["keys"]) for each in listed] == [
        (ARN, ["sts.amazonaws.com"], "given")
    ]
    assert lines[1].split()[:4] == ["123456789012", ISSUER, "sts.amazonaws.com", "given"]


def test_trusting_again_replaces_audiences_and_keys(moorage: Command, data: Path, jwks: Path) -> None:
    moorage("oidc", "trust", "--issuer", ISSUER, "--audience", "a", "--jwks", str(jwks))

    again = moorage("oidc", "trust", "--issuer", ISSUER, "--audience", "b", "--audience", "c", "--json")
    (listed,) = json.loads(moorage("oidc", "list", "--json").out)

    assert json.loads(again.out) == {"arn": ARN, "issuer": ISSUER, "audiences": ["b", "c"]}
    assert (listed["audiences"], listed["keys"]) == (["b", "c"], "published")


def test_http_needs_the_keys(moorage: Command, data: Path, jwks: Path) -> None:
    issuer = "http://kubernetes.default.svc"
    refusal = (1, "moorage: The Open ID Connect Provider URL must begin with https://\n")

    assert moorage("oidc", "trust", "--issuer", issuer).failure == refusal
    assert moorage("oidc", "trust", "--issuer", issuer, "--jwks", str(jwks)).code == 0
    assert moorage("oidc", "trust", "--issuer", issuer).failure == refusal
    other_scheme = moorage("oidc", "trust", "--issuer", "https://kubernetes.default.svc")
    assert "already exists" in other_scheme.err
    assert other_scheme.code == 1


@pytest.mark.parametrize(
    ("content", "because"),
    [
        ("{}", "A key set is JSON"),
        (json.dumps({"keys": [KEY | {"d": "AQAB"}]}), "has a private key"),
        (json.dumps({"keys": [KEY | {"x": "AQAB"}]}), "no key in it verifies"),
        ('{"keys": [], "keys": [{"kty": "EC"}]}', "is not accepted"),
    ],
)
def test_a_file_that_is_no_set_of_public_keys_is_refused_in_one_line(
    moorage: Command, data: Path, tmp_path: Path, content: str, because: str
) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(content)

    done = moorage("oidc", "trust", "--issuer", ISSUER, "--jwks", str(file))

    assert done.code == 1
    assert because in done.err
    assert done.err.count("\n") == 1
    assert moorage("oidc", "list", "--json").out == "[]\n"


def test_a_file_that_cannot_be_read_is_told(moorage: Command, data: Path, tmp_path: Path) -> None:
    missing = moorage("oidc", "trust", "--issuer", ISSUER, "--jwks", str(tmp_path / "none.json"))

    assert missing.code == 1
    assert "cannot be read" in missing.err


def test_what_is_no_issuer_or_account_is_refused(moorage: Command, data: Path) -> None:
    assert (
        moorage("oidc", "trust", "--issuer", "nonsense").err
        == "moorage: Invalid Open ID Connect Provider URL\n"
    )
    assert moorage("oidc", "trust", "--issuer", ISSUER, "--account", "12").code == 2
    unknown = moorage("oidc", "trust", "--issuer", ISSUER, "--account", "999999999999")
    assert unknown.failure == (
        1,
        "moorage: there is no account 999999999999: `moorage account list` lists those there are\n",
    )


def test_each_account_trusts_for_itself(moorage: Command, data: Path) -> None:
    moorage("account", "create", "--account", "210987654321")

    moorage("oidc", "trust", "--issuer", ISSUER, "--account", "210987654321")
    moorage("oidc", "trust", "--issuer", ISSUER)

    listed = json.loads(moorage("oidc", "list", "--json").out)
    assert [each["account"] for each in listed] == ["123456789012", "210987654321"]
