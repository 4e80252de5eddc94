"""Who guesses is slowed down by where they guess from; nobody can shut out a key, an account, or who has a password."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ..conftest import running
from .calling import Caller, door_of
from .places import Account, account_in, allow

FAILURES = 5


@pytest.fixture
def a(tmp_path: object) -> Iterator[Account]:
    with running(tmp_path, "--login-failures", str(FAILURES)) as server, door_of(server.host) as door:  # type: ignore[arg-type]
        yield account_in(server, door, server.data / "credentials")


def wrong(caller: Caller) -> Caller:
    assert caller.key is not None
    return replace(caller, key=replace(caller.key, secret="x" * 40))


def test_wrong_signatures_are_slowed_down(a: Account) -> None:
    codes = [wrong(a.root).call("ecr.DescribeRegistry").code for _ in range(2 * FAILURES)]

    assert codes[:FAILURES] == ["InvalidSignatureException"] * FAILURES
    assert set(codes[FAILURES:]) == {"ThrottlingException"} or len(set(codes)) == 2, codes


def test_wrong_passwords_are_slowed_down(a: Account) -> None:
    guesses = replace(a.root, password="bm90IG9uZQ==")

    statuses = [guesses.v2("GET", "/v2/").status for _ in range(2 * FAILURES)]

    assert statuses[:FAILURES] == [401] * FAILURES
    assert set(statuses[FAILURES:]) == {429}


def test_both_doors_have_one_measure(a: Account) -> None:
    for _ in range(FAILURES):
        wrong(a.root).call("ecr.DescribeRegistry")

    assert replace(a.root, password="bm90IG9uZQ==").v2("GET", "/v2/").status == 429


def test_asking_without_credentials_is_no_guess(a: Account) -> None:
    nobody = Caller(a.door, None)
    for _ in range(3 * FAILURES):
        assert nobody.v2("GET", "/v2/").status == 401

    assert a.root.call("ecr.DescribeRegistry").status == 200


def test_what_is_denied_is_no_guess(a: Account) -> None:
    """Who is known and may not: that is no guessing."""
    caller = a.user(allow("s3:*"), name="slow-denied")
    for _ in range(3 * FAILURES):
        assert caller.call("ecr.DescribeRegistry").is_denied


def test_unknown_keys_and_known_ones_count_alike(a: Account) -> None:
    """Otherwise the limit would tell which keys there are."""
    assert a.root.key is not None
    unknown = replace(a.root, key=replace(a.root.key, id="AKIA" + "A" * 16))
    codes = [unknown.call("ecr.DescribeRegistry").code for _ in range(2 * FAILURES)]

    assert codes[:FAILURES] == ["UnrecognizedClientException"] * FAILURES
    assert len(set(codes[FAILURES:])) == 1
