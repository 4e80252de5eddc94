"""Sealed tokens: each is good for its own key, purpose and time, as it was made, and for nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from moorage.access import downloads, paging, passwords, sessions
from moorage.access.sessions import Claims

from ..wire.api.conftest import Key
from .calling import Answer, Caller
from .places import EMPTY, PURPOSES, Account, Beside, allow, assumed, beside

NO_SUCH_KEY = "InvalidClientTokenId"


@pytest.fixture(scope="module")
def session(a: Account) -> Caller:
    """Of a role that may do everything, through AssumeRole."""
    role = a.role("tokens-role", allow("*"))
    return assumed(a.user(allow("sts:AssumeRole"), name="tokens-user"), role)


def who(caller: Caller) -> Answer:
    return caller.call("sts.GetCallerIdentity")


def test_a_session_token_is_good_for_its_own_key(session: Caller) -> None:
    assert who(session).status == 200


def test_not_for_another_session(session: Caller, a: Account) -> None:
    other = a.session("role", "tokens-role")

    assert who(replace(session, key=other.key)).code == NO_SUCH_KEY
    assert who(replace(session, token=other.token)).code == NO_SUCH_KEY


def test_not_for_a_long_term_key(session: Caller, a: Account) -> None:
    assert who(replace(a.root, token=session.token)).code == NO_SUCH_KEY


def test_a_session_key_without_its_token_is_unknown(session: Caller) -> None:
    assert who(replace(session, token="")).code == NO_SUCH_KEY


@pytest.mark.parametrize("end", [-1, -2, -4, 40, 20, 1])
def test_a_part_of_a_token_is_none(session: Caller, end: int) -> None:
    assert who(replace(session, token=session.token[:end])).code == NO_SUCH_KEY


@pytest.mark.parametrize("change", ["{}=", "{}A", "{}\u00e9", "A{}", "{}.{}", "{}" * 9])
def test_more_than_a_token_is_none(session: Caller, change: str) -> None:
    assert who(replace(session, token=change.replace("{}", session.token))).code == NO_SUCH_KEY


def test_a_token_changed_in_any_byte_is_none(session: Caller) -> None:
    content = base64.urlsafe_b64decode(session.token + "=" * (-len(session.token) % 4))
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1
        token = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()

        assert who(replace(session, token=token)).code == NO_SUCH_KEY, position


def test_what_is_sealed_for_another_purpose_is_no_session(session: Caller, a: Account) -> None:
    """The claims of a session, sealed with each of the other keys."""
    assert session.key is not None

    async def sealed(opened: Beside) -> list[str]:
        claims = opened.tokens.open(sessions.PURPOSE, session.token, sessions._Token)
        return [opened.tokens.seal(purpose, claims) for purpose in PURPOSES if purpose != sessions.PURPOSE]

    for token in beside(a.server, sealed):
        assert who(replace(session, token=token)).code == NO_SUCH_KEY


def payload_of(password: str) -> str:
    return str(json.loads(base64.b64decode(password))["payload"])


def with_payload(password: str, payload: str) -> str:
    document = json.loads(base64.b64decode(password)) | {"payload": payload}
    return base64.b64encode(json.dumps(document).encode()).decode()


def others(a: Account) -> dict[str, str]:
    """Tokens of each purpose, as callers get them."""
    a.root.call("ecr.CreateRepository", repositoryName="tokens/one")
    a.root.call("ecr.CreateRepository", repositoryName="tokens/two")
    a.image("tokens/one")
    url = a.root.need("ecr.GetDownloadUrlForLayer", repositoryName="tokens/one", layerDigest=EMPTY)
    page = a.root.need("ecr.DescribeRepositories", maxResults=1)
    return {
        passwords.PURPOSE: payload_of(a.root.get_password()),
        downloads.PURPOSE: url.json["downloadUrl"].rpartition("/")[2],
        paging.PURPOSE: page.json["nextToken"],
        sessions.PURPOSE: a.session("role", "tokens-role").token,
    }


def test_no_token_passes_for_one_of_another_purpose(session: Caller, a: Account) -> None:
    tokens = others(a)
    doors: dict[str, Callable[[str], Any]] = {
        passwords.PURPOSE: lambda token: (
            replace(a.root, password=with_payload(a.root.get_password(), token)).v2("GET", "/v2/").status
        ),
        downloads.PURPOSE: lambda token: (
            a.door.ask("GET", f"/_layers/{token}", [("host", a.door.host)]).status
        ),
        paging.PURPOSE: lambda token: a.root.call("ecr.DescribeRepositories", nextToken=token).status,
        sessions.PURPOSE: lambda token: who(replace(session, token=token)).status,
    }

    for door, use in doors.items():
        for purpose, token in tokens.items():
            if purpose != door:
                assert use(token) in (400, 401, 403), (door, purpose)
    assert doors[passwords.PURPOSE](tokens[passwords.PURPOSE]) == 200
    assert doors[downloads.PURPOSE](tokens[downloads.PURPOSE]) == 200
    assert doors[paging.PURPOSE](tokens[paging.PURPOSE]) == 200


def test_a_token_under_a_key_that_is_not_in_use_is_none(session: Caller) -> None:
    content = bytearray(base64.urlsafe_b64decode(session.token + "=" * (-len(session.token) % 4)))
    for number in (0, 2, 3, 1 << 31):
        content[1:5] = number.to_bytes(4, "big")
        token = base64.urlsafe_b64encode(content).rstrip(b"=").decode()
        if token != session.token:
            assert who(replace(session, token=token)).code == NO_SUCH_KEY


@pytest.mark.parametrize(("ago", "code"), [(3_595, ""), (3_601, "ExpiredToken"), (1 << 25, "ExpiredToken")])
def test_a_session_ends_with_its_time(a: Account, session: Caller, ago: int, code: str) -> None:
    assert who(a.session("role", "tokens-role", ago=ago)).code == code


def test_a_password_ends_with_the_session_it_was_made_with(a: Account, session: Caller) -> None:
    brief = a.session("role", "tokens-role", ago=3_000, seconds=3_600)
    made = brief.need("ecr.GetAuthorizationToken").json["authorizationData"][0]
    document = json.loads(base64.b64decode(base64.b64decode(made["authorizationToken"]).decode()[4:]))
    whole = a.session("role", "tokens-role").need("ecr.GetAuthorizationToken").json["authorizationData"][0]

    assert whole["expiresAt"] - made["expiresAt"] == pytest.approx(3_000, abs=60)
    assert document["expiration"] <= made["expiresAt"] + 1


def test_what_a_password_says_of_its_end_is_not_believed(a: Account) -> None:
    """`expiration` stands there for tools; what counts is sealed."""
    password = _expired_password(a)
    document = json.loads(base64.b64decode(password)) | {"expiration": 1 << 40}
    later = base64.b64encode(json.dumps(document).encode()).decode()

    for tried in (password, later):
        assert replace(a.root, password=tried).v2("GET", "/v2/_catalog").status in (401, 403)


def _expired_password(a: Account) -> str:
    good = a.root.get_password()

    async def sealed(opened: Beside) -> str:
        claims = opened.tokens.open(passwords.PURPOSE, payload_of(good), passwords._Claims)
        claims.expires = 1_000_000
        return opened.tokens.seal(passwords.PURPOSE, claims)

    return with_payload(good, beside(a.server, sealed))


@pytest.mark.parametrize("position", range(0, 60, 7))
def test_a_password_changed_in_a_byte_is_none(a: Account, position: int) -> None:
    good = a.root.get_password()
    payload = payload_of(good)
    content = bytearray(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    content[position] ^= 0x40
    bad = with_payload(good, base64.urlsafe_b64encode(content).rstrip(b"=").decode())

    assert replace(a.root, password=bad).v2("GET", "/v2/").status == 401


def test_nothing_of_a_session_can_be_read_off_its_token(session: Caller) -> None:
    assert session.key is not None
    content = base64.urlsafe_b64decode(session.token + "=" * (-len(session.token) % 4))

    assert session.key.secret.encode() not in content
    assert session.key.id.encode() not in content


def test_claims_hold_no_more_than_who_it_is() -> None:
    """The secret is in the session token alone, not in the passwords made with it."""
    assert "secret" not in Claims.__struct_fields__


def test_two_sessions_share_no_key(a: Account, session: Caller) -> None:
    keys: list[Key | None] = [a.session("role", "tokens-role").key for _ in range(8)]

    assert len({key.id for key in keys if key}) == len({key.secret for key in keys if key}) == 8
