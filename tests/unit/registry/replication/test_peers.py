"""A peer that answers what it should not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest

from moorage.base.addresses import Registry
from moorage.base.clock import HOUR
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.error import MoorageError
from moorage.base.errors.ourselves import Server
from moorage.base.errors.peers import PeerFailed
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.base.errors.requests import Validation
from moorage.registry.account import setting_changes
from moorage.registry.images import find
from moorage.registry.peers.peer import Peer, peers_in
from moorage.registry.peers.sign_in import Answered, PeerRefusal
from moorage.registry.replication.calls import call_in
from moorage.registry.replication.carrying import is_refusal
from moorage.registry.replication.peer_client import PeerClient
from moorage.registry.replication.sending import SETTINGS_AT_LAST_US, Sender, Source
from moorage.remote.egress import Egress
from moorage.store.jobs import queue

from ..memory import in_memory
from ..registry import ACCOUNT, MemoryRegistry
from .replicating import HERE

TABLE = {
    "account": "210987654321",
    "region": "eu-west-1",
    "url": "https://registry.example",
    "credentials": "peer",
}


# A peer that answers what a test says


@dataclass
class Said:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    async def read(self, limit: int) -> bytes:
        assert len(self.body) <= limit
        return self.body


class Fake:
    """In the place of an `Egress`: answers in turn, and keeps what was asked."""

    def __init__(self, *answers: Said) -> None:
        self.answers = [*answers]
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    @asynccontextmanager
    async def ask(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> AsyncIterator[Said]:
        self.asked.append((method, url, dict(headers or {})))
        yield self.answers.pop(0)

    @property
    def egress(self) -> Egress:
        return cast(Egress, self)


TOKEN = Said(200, json.dumps({"authorizationData": [{"authorizationToken": "QVdTOnB3"}]}).encode())
ASSUMED = Said(
    200,
    b"<R><Credentials><AccessKeyId>ASIAX</AccessKeyId><SecretAccessKey>s/+=</SecretAccessKey>"
    b"<SessionToken>t/+=</SessionToken></Credentials></R>",
)


def peer_in(folder: Path, **changed: str) -> Peer:
    (folder / "peer").write_text("[any]\naws_access_key_id = AKIAX\naws_secret_access_key = secret\n")
    return peers_in([TABLE | changed], "replication_peers", folder)[0]


def client_of(folder: Path, fake: Fake, **changed: str) -> PeerClient:
    clock = [1_000 * HOUR]
    return PeerClient(peer_in(folder, **changed), lambda: clock[0], fake.egress)


def test_a_role_is_assumed_with_the_key_and_the_password_asked_for_with_the_role(tmp_path: Path) -> None:
    fake = Fake(ASSUMED, TOKEN, Said(200), Said(200))
    client = client_of(tmp_path, fake, role_arn="arn:aws:iam::210987654321:role/push")

    async def twice() -> None:
        for _ in range(2):
            await client.ask("HEAD", "/v2/app/blobs/sha256:0")

    asyncio.run(twice())

    assume, token, first, second = fake.asked
    assert "Credential=AKIAX/" in assume[2]["authorization"]
    assert "Credential=ASIAX/" in token[2]["authorization"]
    assert token[2]["x-amz-security-token"] == "t/+="
    assert first[:2] == ("HEAD", "https://registry.example/v2/app/blobs/sha256:0")
    assert first[2]["authorization"] == second[2]["authorization"] == "Basic QVdTOnB3"


def test_a_password_that_ended_early_is_asked_for_again_once(tmp_path: Path) -> None:
    fake = Fake(TOKEN, Said(401), TOKEN, Said(401, b"no"))

    with pytest.raises(AccessDenied, match="refuses HEAD /v2/"):
        asyncio.run(client_of(tmp_path, fake).ask("HEAD", "/v2/"))

    assert fake.answers == []


def test_a_refusal_is_not_asked_again(tmp_path: Path) -> None:
    fake = Fake(TOKEN, Said(403, b"not authorized"))

    with pytest.raises(AccessDenied, match="not authorized"):
        asyncio.run(client_of(tmp_path, fake).ask("PUT", "/v2/app/manifests/1", b"{}"))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"__type": "AccessDeniedException", "message": "no"}', AccessDenied),
        (b'{"__type": "com.amazonaws#RepositoryNotFoundException"}', PeerFailed),
        (b"<html>", PeerFailed),
        (b"[]", PeerFailed),
        (b"[" * 100_000, PeerFailed),
    ],
)
def test_errors_of_the_api_are_told(tmp_path: Path, body: bytes, kind: type[Exception]) -> None:
    fake = Fake(TOKEN, Said(400, body))

    with pytest.raises(kind):
        asyncio.run(client_of(tmp_path, fake).api("DescribeImages", repositoryName="app"))


def test_the_code_of_an_error_is_known(tmp_path: Path) -> None:
    fake = Fake(TOKEN, Said(400, b'{"__type": "ImageNotFoundException"}'))

    with pytest.raises(PeerRefusal) as raised:
        asyncio.run(client_of(tmp_path, fake).api("DescribeImages", repositoryName="app"))

    assert raised.value.error == "ImageNotFound"


@pytest.mark.parametrize(
    "place",
    [
        "https://elsewhere.example/upload",
        "//elsewhere.example/upload",
        "http://registry.example/u",
        "file:///etc",
    ],
)
def test_an_upload_is_not_sent_to_another_place(tmp_path: Path, place: str) -> None:
    client = client_of(tmp_path, Fake())

    with pytest.raises(PeerFailed):
        client.place_of("/v2/app/blobs/uploads/", Answered(202, {"location": place}, b""))


@pytest.mark.parametrize(
    "place", ["/v2/app/blobs/uploads/1?state=a", "https://registry.example/v2/app/blobs/uploads/1?state=a"]
)
def test_the_place_of_an_upload_may_be_written_with_its_host_or_without(tmp_path: Path, place: str) -> None:
    client = client_of(tmp_path, Fake())

    found = client.place_of("/v2/app/blobs/uploads/", Answered(202, {"location": place}, b""))

    assert found == "/v2/app/blobs/uploads/1?state=a"


@pytest.mark.parametrize("content", [None, "", "[a]\naws_access_key_id = x\n", "\x00"])
def test_without_a_key_nothing_is_asked(tmp_path: Path, content: str | None) -> None:
    fake = Fake()
    client = client_of(tmp_path, fake)
    (tmp_path / "peer").unlink()
    if content is not None:
        (tmp_path / "peer").write_text(content)

    with pytest.raises(PeerFailed, match="no access key"):
        asyncio.run(client.ask("GET", "/v2/"))

    assert fake.asked == []


def test_the_key_is_in_no_repr_and_no_error(tmp_path: Path) -> None:
    fake = Fake(Said(400, b'{"__type": "AccessDeniedException"}'))
    client = client_of(tmp_path, fake)

    with pytest.raises(AccessDenied) as raised:
        asyncio.run(client.ask("GET", "/v2/"))

    assert "secret" not in str(raised.value)
    assert "secret" not in repr(client.peer)


@in_memory
async def test_another_account_cannot_push_with_the_operators_key(registry: MemoryRegistry) -> None:
    folder = Path("/nowhere")
    fake = Fake()
    (peer,) = peers_in([TABLE | {"sources": "333333333333"}], "replication_peers", folder)
    sender = Sender(peer, registry.services.clock, fake.egress)
    app = await registry.repository("app")
    digest = await registry.push(app, [b"{}"], "v1")
    image = await find.by_digest(registry.db, app, digest)
    assert image is not None
    source = Source(call_in(registry.services, HERE, ACCOUNT), app)

    with pytest.raises(AccessDenied, match=ACCOUNT):
        await sender.send(source, image, "v1")
    with pytest.raises(AccessDenied, match=ACCOUNT):
        await sender.remove(source, digest, "v1")

    assert fake.asked == []


def refusal(code: str) -> Said:
    return Said(400, json.dumps({"__type": f"com.amazonaws.ecr#{code}", "message": "no"}).encode())


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException"])
def test_a_session_that_ended_early_is_begun_anew_for_the_api_as_well(tmp_path: Path, code: str) -> None:
    fake = Fake(ASSUMED, TOKEN, refusal(code), ASSUMED, TOKEN, Said(200, b"{}"))
    client = client_of(tmp_path, fake, role_arn="arn:aws:iam::210987654321:role/push")

    assert asyncio.run(client.api("CreateRepository", repositoryName="app")) == {}
    assert fake.answers == []


def test_a_key_that_is_no_key_any_more_is_refused_after_one_more_attempt(tmp_path: Path) -> None:
    gone = refusal("UnrecognizedClientException")
    fake = Fake(TOKEN, gone, gone)
    client = client_of(tmp_path, fake)

    with pytest.raises(AccessDenied):
        asyncio.run(client.api("CreateRepository", repositoryName="app"))
    assert fake.answers == []


def test_a_change_says_where_it_was_made_and_that_is_signed(tmp_path: Path) -> None:
    fake = Fake(TOKEN, Said(200, b"{}"))
    client = client_of(tmp_path, fake)

    asyncio.run(client.bring("DeleteRepositoryPolicy", "123456789012/eu-west-1/7", repositoryName="app"))

    headers = fake.asked[-1][2]
    assert headers["x-moorage-replica"] == "123456789012/eu-west-1/7"
    assert "x-moorage-replica" in headers["authorization"].partition("SignedHeaders=")[2]


# Settings


def refused(error: str) -> PeerRefusal:
    return PeerRefusal(peer="peer", reason="answers", error=error)


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (AccessDenied("no"), True),
        (Validation("This feature is disabled"), True),
        (refused("InvalidParameter"), True),
        (refused("TooManyTags"), True),
        (refused("Server"), False),
        (refused("Throttling"), False),
        (refused("ExpiredToken"), False),
        (PeerFailed(peer="peer", reason="cannot be asked"), False),
        (
            RepositoryNotFound(name="app", registry_id=ACCOUNT),
            False,
        ),  # another attempt finds that there is none
        (Server(), False),
    ],
)
def test_what_the_destination_will_say_again_is_a_refusal(error: MoorageError, is_so: bool) -> None:
    assert is_refusal(error) == is_so


@in_memory
async def test_the_settings_of_a_repository_whose_making_was_not_seen_to_its_end_go_there_later(
    registry: MemoryRegistry,
) -> None:
    registry.services = replace(
        registry.services, replicated_settings={Registry("210987654321", "eu-west-1"): {"tags"}}
    )
    app = await registry.repository("app")
    image = await find.by_digest(registry.db, app, await registry.push(app, [b"{}"]))
    assert image is not None
    with TemporaryDirectory() as folder:
        peer = peer_in(Path(folder))
        fake = Fake(TOKEN, Said(404), Said(500, b"{}"), Said(404), Said(200, b"{}"))
        sender = Sender(peer, registry.services.clock, fake.egress)
        source = Source(call_in(registry.services, HERE, ACCOUNT), app)

        with pytest.raises(PeerRefusal):
            await sender.send(source, image, "")
        assert await dues(registry) == [registry.now + SETTINGS_AT_LAST_US]

        with pytest.raises(IndexError):  # there are no more answers
            await sender.send(source, image, "")
        assert await dues(registry) == [registry.now]


async def dues(registry: MemoryRegistry) -> list[int]:
    return [each.due for each in await queue.page(registry.db, 0, 9) if each.kind == setting_changes.KIND]
