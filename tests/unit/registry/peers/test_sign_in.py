"""Signing in: who is asked for what with which key, and for how long a password is used."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs

import pytest

from moorage.base.clock import HOUR, MINUTE, SECOND
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.peers import PeerFailed
from moorage.registry.peers.peer import peers_in
from moorage.registry.peers.sign_in import Role, SignIn
from moorage.remote.egress import Egress

START = 1_000 * HOUR
ROLE = Role("arn:aws:iam::210987654321:role/pull", "session", external_id="123456789012")
ASSUMED = b"<R><AccessKeyId>ASIAX</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken></R>"


@dataclass
class Said:
    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    async def read(self, limit: int) -> bytes:
        return self.body


class Peer:
    """In the place of an `Egress`. Passwords are numbered, and live as long as the test says."""

    def __init__(self, life_us: int | None) -> None:
        self.now = START
        self.life_us = life_us
        self.assumes = Said(ASSUMED)
        self.asked: list[tuple[str, str, dict[str, list[str]]]] = []

    @asynccontextmanager
    async def ask(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Said]:
        if b"AssumeRole" in body:
            self.asked.append(("AssumeRole", url, parse_qs(body.decode())))
            yield self.assumes
            return
        self.asked.append((headers["x-amz-target"].rpartition(".")[2], url, {}))
        data: dict[str, object] = {"authorizationToken": f"password-{len(self.asked)}"}
        if self.life_us is not None:
            data["expiresAt"] = (self.now + self.life_us) / SECOND
        yield Said(json.dumps({"authorizationData": [data]}).encode())

    def sign_in(self, folder: Path, role: Role | None = None, **table: str) -> SignIn:
        (folder / "key").write_text("[any]\naws_access_key_id = AKIAX\naws_secret_access_key = secret\n")
        named = {"account": "210987654321", "region": "eu-west-1", "credentials": "key", **table}
        (peer,) = peers_in([named], "upstream_peers", folder)
        return SignIn(peer, lambda: self.now, cast(Egress, self), role)


def test_a_role_is_assumed_at_the_sts_for_the_account_that_it_is_for(tmp_path: Path) -> None:
    peer = Peer(12 * HOUR)

    asyncio.run(peer.sign_in(tmp_path, ROLE).password())

    (assume, sts, form), (token, api, _) = peer.asked
    assert (assume, sts) == ("AssumeRole", "https://sts.eu-west-1.amazonaws.com/")
    assert (token, api) == ("GetAuthorizationToken", "https://api.ecr.eu-west-1.amazonaws.com/")
    assert form["RoleArn"] == [ROLE.arn]
    assert form["ExternalId"] == ["123456789012"]


def test_without_a_name_of_its_own_the_sts_is_where_the_api_is(tmp_path: Path) -> None:
    peer = Peer(12 * HOUR)

    asyncio.run(peer.sign_in(tmp_path, ROLE, url="https://registry.example").password())

    assert {url for _, url, _ in peer.asked} == {"https://registry.example/"}


@pytest.mark.parametrize(
    ("life_us", "used_us"),
    [
        (12 * HOUR, 50 * MINUTE),
        (None, 50 * MINUTE),
        (30 * MINUTE, 20 * MINUTE),
        (4 * MINUTE, 2 * MINUTE),
    ],
)
def test_a_password_is_used_until_shortly_before_it_ends(
    tmp_path: Path, life_us: int | None, used_us: int
) -> None:
    peer = Peer(life_us)

    async def passwords() -> tuple[str, str, str]:
        sign_in = peer.sign_in(tmp_path)
        first = await sign_in.password()
        peer.now = START + used_us - 1
        second = await sign_in.password()
        peer.now += 1
        return first, second, await sign_in.password()

    assert asyncio.run(passwords()) == ("password-1", "password-1", "password-2")


def test_many_who_need_a_password_ask_once(tmp_path: Path) -> None:
    peer = Peer(HOUR)

    async def passwords() -> set[str]:
        sign_in = peer.sign_in(tmp_path, ROLE)
        return set(await asyncio.gather(*(sign_in.password() for _ in range(50))))

    assert asyncio.run(passwords()) == {"password-2"}


def test_a_password_that_others_have_renewed_is_not_forgotten(tmp_path: Path) -> None:
    peer = Peer(HOUR)

    async def passwords() -> list[str]:
        sign_in = peer.sign_in(tmp_path)
        first = await sign_in.password()
        sign_in.forget(first)
        second = await sign_in.password()
        sign_in.forget(first)
        return [second, await sign_in.password()]

    assert asyncio.run(passwords()) == ["password-2", "password-2"]


def test_who_may_not_assume_the_role_gets_no_password(tmp_path: Path) -> None:
    peer = Peer(HOUR)
    peer.assumes = Said(b"<Error><Code>AccessDenied</Code></Error>", 403)

    with pytest.raises(AccessDenied, match="does not let us assume"):
        asyncio.run(peer.sign_in(tmp_path, ROLE).password())

    assert [name for name, *_ in peer.asked] == ["AssumeRole"]


@pytest.mark.parametrize("data", [[], [{}], ["x"], None])
def test_an_answer_without_a_token_is_the_failure_of_the_peer(tmp_path: Path, data: object) -> None:
    class Empty(Peer):
        @asynccontextmanager
        async def ask(
            self, method: str, url: str, *, headers: Mapping[str, str], body: bytes
        ) -> AsyncIterator[Said]:
            yield Said(json.dumps({"authorizationData": data}).encode())

    with pytest.raises(PeerFailed, match="without a token"):
        asyncio.run(Empty(None).sign_in(tmp_path).password())
