"""Events leave a running server: signed, in order, to whoever the configuration names, and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Server, running, until
from .loopback import say, serving

SECRET = base64.b64encode(b"a secret of thirty-two bytes ...").decode()
SECONDS = 15
EMPTY = b"{}"


@dataclass
class Hook:
    """A webhook on loopback: answers with the next of `statuses`, then 204."""

    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hangs: threading.Event | None = None

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["content-length"]))
        self.requests.append(({name.lower(): value for name, value in request.headers.items()}, body))
        if self.hangs is not None:
            self.hangs.wait(SECONDS)
        say(request, b"", self.statuses.pop(0) if self.statuses else 204)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]


@contextmanager
def told(folder: Path, *tables: str) -> Iterator[Server]:
    """A server with those event targets."""
    (folder / "secret").write_text(f"whsec_{SECRET}")
    configuration = folder / "moorage.toml"
    configuration.write_text("".join(f"[[event_targets]]\n{table}\n" for table in tables))
    with running(folder, "--config", str(configuration)) as server:
        yield server


def webhook(
    folder: Path, port: int, name: str = "hook", networks: str = "127.0.0.0/8", more: str = ""
) -> str:
    lines = (
        'type = "webhook"',
        f'name = "{name}"',
        f'url = "http://127.0.0.1:{port}/hook"' if networks else f'url = "https://127.0.0.1:{port}/hook"',
        f'secret = "{folder / "secret"}"',
        f'networks = "{networks}"',
        more,
    )
    return "\n".join(lines)


def push(server: Server, name: str, *tags: str) -> str:
    ecr = server.client("ecr")
    ecr.create_repository(repositoryName=name)
    digest = f"sha256:{hashlib.sha256(EMPTY).hexdigest()}"
    upload = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    ecr.upload_layer_part(
        repositoryName=name, uploadId=upload, partFirstByte=0, partLastByte=1, layerPartBlob=EMPTY
    )
    ecr.complete_layer_upload(repositoryName=name, uploadId=upload, layerDigests=[digest])
    described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 2}
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": described, "layers": []})
    for tag in tags:
        ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag=tag)
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


def wait_for(hook: Hook, count: int) -> None:
    for _ in until(SECONDS, f"{len(hook.requests)} of {count} deliveries came"):
        if len(hook.requests) >= count:
            return


def signature(headers: dict[str, str], body: bytes) -> str:
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return base64.b64encode(hmac.new(base64.b64decode(SECRET), signed, hashlib.sha256).digest()).decode()


def test_pushes_and_deletions_come_signed_and_in_order(tmp_path: Path) -> None:
    hook = Hook()
    with serving(hook.answer) as port, told(tmp_path, webhook(tmp_path, port)) as server:
        digest = push(server, "team/app", "1", "latest")
        server.client("ecr").batch_delete_image(repositoryName="team/app", imageIds=[{"imageTag": "1"}])
        server.client("ecr").delete_repository(repositoryName="team/app", force=True)
        wait_for(hook, 4)

    for headers, body in hook.requests:
        assert headers["webhook-signature"] == f"v1,{signature(headers, body)}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
        assert headers["webhook-id"] == json.loads(body)["id"]
    details = [event["detail"] for event in hook.events]
    assert [(each.get("action-type", each.get("eventName")), each.get("image-tag")) for each in details] == [
        ("PUSH", "1"),
        ("PUSH", "latest"),
        ("DELETE", "1"),
        ("DeleteRepository", None),
    ]
    assert details[0]["image-digest"] == digest
    assert [event["source"] for event in hook.events] == ["aws.ecr"] * 4


def test_what_is_not_taken_comes_again_with_the_same_id(tmp_path: Path) -> None:
    hook = Hook(statuses=[503, 500])
    with serving(hook.answer) as port, told(tmp_path, webhook(tmp_path, port)) as server:
        push(server, "team/app", "1")
        wait_for(hook, 3)

    assert len({event["id"] for event in hook.events}) == 1


def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path: Path) -> None:
    hook = Hook(statuses=[503] * 100)
    (tmp_path / "secret").write_text(f"whsec_{SECRET}")
    with serving(hook.answer) as port:
        configuration = tmp_path / "moorage.toml"
        configuration.write_text(f"[[event_targets]]\n{webhook(tmp_path, port)}\n")
        kept = tmp_path / "kept"
        with running(tmp_path, "--config", str(configuration)) as server:
            push(server, "team/app", "1")
            wait_for(hook, 1)
            kept.mkdir()
            for name in ("root.key", "credentials"):
                shutil.copy(server.data / name, kept / name)
            with (
                sqlite3.connect(server.data / "moorage.db") as source,
                sqlite3.connect(kept / "moorage.db") as copy,
            ):
                source.backup(copy)
        hook.statuses.clear()
        before = hook.events[0]["id"]
        hook.requests.clear()
        (tmp_path / "again").mkdir()
        kept.rename(tmp_path / "again" / "data")
        with running(tmp_path / "again", "--config", str(configuration)):
            wait_for(hook, 1)

    assert hook.events[0]["id"] == before


def test_one_that_hangs_holds_up_neither_pushes_nor_others(tmp_path: Path) -> None:
    hung, good = Hook(hangs=threading.Event()), Hook()
    with serving(hung.answer) as slow, serving(good.answer) as quick:
        tables = webhook(tmp_path, slow, "slow"), webhook(tmp_path, quick, "quick")
        with told(tmp_path, *tables) as server:
            push(server, "team/app", "1", "2", "3")
            wait_for(good, 3)
            assert len(hung.requests) == 1
            assert hung.hangs is not None
            hung.hangs.set()


def test_a_webhook_on_a_private_address_needs_leave(tmp_path: Path) -> None:
    hook = Hook()
    with (
        serving(hook.answer) as port,
        told(
            tmp_path, webhook(tmp_path, port, networks=""), f'type = "file"\npath = "{tmp_path / "events"}"'
        ) as server,
    ):
        push(server, "team/app", "1")
        for _ in until(SECONDS, "the server does not say why it delivers nothing"):
            if "which is loopback" in server.log.read_text():
                break

    assert hook.requests == []


def test_a_file_and_standard_output_get_lines_of_what_they_want(tmp_path: Path) -> None:
    events = tmp_path / "events"
    tables = (
        f'type = "file"\npath = "{events}"\nrepositories = ["team/"]',
        'type = "stdout"\nkinds = ["ECR Image Action"]',
    )
    with told(tmp_path, *tables) as server:
        push(server, "other/app", "9")
        push(server, "team/app", "1", "2")
        for _ in until(SECONDS, "not all lines came"):
            lines = events.read_text().splitlines() if events.exists() else []
            if len(lines) == 2 and server.log.read_text().count('"ECR Image Action"') == 3:
                break

    assert [json.loads(line)["detail"]["image-tag"] for line in lines] == ["1", "2"]


@pytest.mark.parametrize("secret", ["short", "whsec_no base64!"])
def test_a_secret_that_is_none_is_said_at_the_start(tmp_path: Path, secret: str) -> None:
    (tmp_path / "secret").write_text(secret)
    configuration = tmp_path / "moorage.toml"
    configuration.write_text(f"[[event_targets]]\n{webhook(tmp_path, 8080)}\n")
    program = Path(sys.executable).with_name("moorage")

    over = subprocess.run(
        [program, "serve", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--config", configuration],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert over.returncode == 2
    assert "the secret" in over.stderr
