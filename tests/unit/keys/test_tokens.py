from __future__ import annotations

import os
import string

import msgspec
import pytest

from moorage.keys.keyring import TokenKey
from moorage.keys.tokens import TokenRefused, Tokens


class Session(msgspec.Struct):
    principal: str
    expires: int


CLAIMS = Session("arn:aws:iam::123456789012:user/ann", 1_800_000_000)
PASSWORD, UPLOAD = TokenKey(1, "password", os.urandom(32)), TokenKey(2, "upload", os.urandom(32))


@pytest.fixture
def tokens() -> Tokens:
    return Tokens([PASSWORD, UPLOAD])


def test_a_token_opens_to_its_claims_and_is_safe_in_a_url(tokens: Tokens) -> None:
    text = tokens.seal("password", CLAIMS)

    assert tokens.open("password", text, Session) == CLAIMS
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")
    assert "ann" not in text


def test_a_token_of_one_purpose_is_refused_for_another(tokens: Tokens) -> None:
    with pytest.raises(TokenRefused):
        tokens.open("upload", tokens.seal("password", CLAIMS), Session)


def test_even_a_shared_key_does_not_carry_a_token_to_another_purpose() -> None:
    tokens = Tokens([PASSWORD, TokenKey(1, "upload", PASSWORD.secret)])

    with pytest.raises(TokenRefused):
        tokens.open("upload", tokens.seal("password", CLAIMS), Session)


def test_no_character_of_a_token_can_be_changed_added_or_cut(tokens: Tokens) -> None:
    text = tokens.seal("password", CLAIMS)

    for at in range(len(text)):
        for other in {"A", "B", "-", "/", "=", "\n", "é"} - {text[at]}:
            with pytest.raises(TokenRefused):
                tokens.open("password", text[:at] + other + text[at + 1 :], Session)
        with pytest.raises(TokenRefused):
            tokens.open("password", text[:at], Session)
    for more in ("A", "=", "====", " "):
        with pytest.raises(TokenRefused):
            tokens.open("password", text + more, Session)


@pytest.mark.parametrize("text", ["", "A", "A" * 44, "A" * 100_000, "é", "\0"])
def test_what_is_no_token_is_refused(tokens: Tokens, text: str) -> None:
    with pytest.raises(TokenRefused):
        tokens.open("password", text, Session)


def test_a_new_key_seals_and_the_old_one_still_opens(tokens: Tokens) -> None:
    text = tokens.seal("password", CLAIMS)
    newer = TokenKey(9, "password", os.urandom(32))

    both = Tokens([newer, PASSWORD])
    only_newer = Tokens([newer])

    assert both.open("password", text, Session) == CLAIMS
    assert only_newer.open("password", both.seal("password", CLAIMS), Session) == CLAIMS
    with pytest.raises(TokenRefused, match="no longer in use"):
        only_newer.open("password", text, Session)


def test_claims_of_another_shape_are_refused(tokens: Tokens) -> None:
    class Other(msgspec.Struct):
        repository: int

    with pytest.raises(TokenRefused, match="version"):
        tokens.open("password", tokens.seal("password", CLAIMS), Other)
