"""Registries of other installations: who may use the operator's key, and passwords that end before their time."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from moorage.base.addresses import Registry
from moorage.base.digest import Digest
from moorage.base.errors.upstream import UpstreamAccessDenied, UpstreamUnavailable
from moorage.registry.peers.peer import peers_in
from moorage.registry.upstream.peers import RETRY_US, SignedIn, UpstreamPeers
from moorage.registry.upstream.rules import ROOT, Rule
from moorage.remote.egress import Egress
from moorage.remote.rules import Rules

from ..memory import in_memory
from ..registry import ACCOUNT, REGION, MemoryRegistry

THEIRS = Registry("210987654321", "eu-west-1")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pull"
BASIC = {"www-authenticate": 'Basic realm="registry"'}


@dataclass
class Said:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    url: Any = field(
        default_factory=lambda: type("Url", (), {"scheme": "https", "authority": "peer.example"})
    )

    async def read(self, limit: int) -> bytes:
        return self.body

    async def pieces(self, limit: int) -> AsyncIterator[bytes]:
        yield self.body


class Peer:
    """In the place of an `Egress`: signs in who asks, and takes the passwords that the test says."""

    def __init__(self) -> None:
        self.now = 10**15
        self.passwords = 0
        self.takes = {"1"}
        self.refusal = Said(401, b"", BASIC)
        self.lets_in = True
        self.asked: list[str] = []

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> AsyncIterator[Said]:
        if body is not None:
            yield self._sign_in(body.decode())
            return
        self.asked.append(f"{method} {url}")
        login = (headers or {}).get("authorization", "").removeprefix("Basic ")
        password = base64.b64decode(login).decode().removeprefix("AWS:")
        if not password:
            yield Said(401, b"", BASIC)
        elif password in self.takes:
            yield Said(200, b"{}", {"docker-content-digest": str(Digest.of(b"{}"))})
        else:
            yield self.refusal

    def _sign_in(self, body: str) -> Said:
        if "AssumeRole" in body:
            self.asked.append("AssumeRole")
            keys = "<AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
            return Said(200 if self.lets_in else 403, f"{keys}<SessionToken>t</SessionToken>".encode())
        self.passwords += 1
        token = base64.b64encode(f"AWS:{self.passwords}".encode()).decode()
        return Said(200, json.dumps({"authorizationData": [{"authorizationToken": token}]}).encode())

    def peers(self, folder: Path, **table: str) -> UpstreamPeers:
        (folder / "key").write_text("[any]\naws_access_key_id = AKIAX\naws_secret_access_key = secret\n")
        named = {"account": THEIRS.account, "region": THEIRS.region, "url": "https://peer.example"}
        peers = peers_in([{**named, "credentials": "key", **table}], "upstream_peers", folder)

        def egress(_: Rules) -> Egress:
            return cast(Egress, self)

        return UpstreamPeers(peers, lambda: self.now, egress)

    async def close(self) -> None:
        pass


RULE = Rule(
    registry=Registry(ACCOUNT, REGION),
    prefix="up",
    upstream_prefix=ROOT,
    written="up",
    upstream="ecr",
    url="210987654321.dkr.ecr.eu-west-1.amazonaws.com",
    credential_arn="",
    role_arn=ROLE,
    created=0,
    updated=None,
)


async def digest_of(registry: MemoryRegistry, peers: UpstreamPeers, rule: Rule = RULE) -> Digest | None:
    client, source = peers.open(registry.call, rule, THEIRS, "up/team/app")
    assert isinstance(client, SignedIn)
    return await client.digest_of(source, "1")


@in_memory
async def test_one_sign_in_serves_many_pulls(registry: MemoryRegistry, tmp_path: Path) -> None:
    peer = Peer()
    peers = peer.peers(tmp_path)

    await asyncio.gather(*(digest_of(registry, peers) for _ in range(20)))

    assert peer.asked.count("AssumeRole") == 1
    assert "HEAD https://peer.example/v2/team/app/manifests/1" in peer.asked


@in_memory
async def test_a_password_that_is_refused_is_asked_for_again_once(
    registry: MemoryRegistry, tmp_path: Path
) -> None:
    peer = Peer()
    peers = peer.peers(tmp_path)
    await digest_of(registry, peers)
    peer.takes = {"2"}
    assert await digest_of(registry, peers) is not None
    peer.takes = set()

    with pytest.raises(UpstreamAccessDenied):
        await digest_of(registry, peers)

    assert peer.passwords == 3


@pytest.mark.parametrize(
    ("body", "passwords"),
    [(b"denied: Your authorization token has expired. Reauthenticate", 2), (b"denied: not authorized", 1)],
)
@in_memory
async def test_a_403_is_final_unless_it_says_that_the_password_has_expired(
    registry: MemoryRegistry, tmp_path: Path, body: bytes, passwords: int
) -> None:
    peer = Peer()
    peer.takes, peer.refusal = set(), Said(403, body)

    with pytest.raises(UpstreamAccessDenied):
        await digest_of(registry, peer.peers(tmp_path))

    assert peer.passwords == passwords


@in_memory
async def test_a_role_is_assumed_for_each_account_by_itself(registry: MemoryRegistry, tmp_path: Path) -> None:
    peer = Peer()
    peer.takes = {"1", "2"}
    peers = peer.peers(tmp_path, sources=f"{ACCOUNT}, 333333333333")

    await digest_of(registry, peers)
    await digest_of(registry, peers, replace(RULE, registry=Registry("333333333333", REGION)))

    assert peer.asked.count("AssumeRole") == 2


@in_memory
async def test_an_account_that_the_operator_did_not_name_has_nothing_asked(
    registry: MemoryRegistry, tmp_path: Path
) -> None:
    peer = Peer()

    with pytest.raises(UpstreamAccessDenied, match="none of those that may pull"):
        await digest_of(
            registry, peer.peers(tmp_path), replace(RULE, registry=Registry("333333333333", REGION))
        )

    assert not peer.asked


@in_memory
async def test_who_is_not_let_in_is_not_tried_at_every_pull(registry: MemoryRegistry, tmp_path: Path) -> None:
    peer = Peer()
    peer.lets_in = False
    peers = peer.peers(tmp_path)

    outcomes = await asyncio.gather(*(digest_of(registry, peers) for _ in range(9)), return_exceptions=True)
    with pytest.raises(UpstreamAccessDenied, match="act as the role"):
        await digest_of(registry, peers)
    assert {type(outcome) for outcome in outcomes} == {UpstreamAccessDenied}
    assert peer.asked == ["AssumeRole"]
    peer.lets_in = True
    peer.now += RETRY_US

    assert await digest_of(registry, peers) is not None


@in_memory
async def test_the_operator_s_files_are_not_told(registry: MemoryRegistry, tmp_path: Path) -> None:
    peers = Peer().peers(tmp_path)
    (tmp_path / "key").unlink()

    with pytest.raises(UpstreamUnavailable) as raised:
        await digest_of(registry, peers)

    assert str(tmp_path) not in str(raised.value)
