"""Upstream registries for tests of the pull-through cache, and the raw pulls and pushes of those."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from ..conftest import Server, ecr_password, free_port, lacking, plain_environment, until
from .loopback import say

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MIB = 1 << 20
DOCKER_REGISTRY = Path("/usr/bin/docker-registry")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["errors"][0]["code"])


class Door:
    """`/v2/` of a server, for who has the password."""

    def __init__(self, host: str, password: str) -> None:
        self.host = host
        self._authorization = "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Authorization": self._authorization, **sent})
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    @contextmanager
    def reading(self, path: str) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request("GET", path, headers={"Authorization": self._authorization})
            yield connection.getresponse()
        finally:
            connection.close()

    def push(self, name: str, tag: str, *contents: bytes) -> bytes:
        """An image of those layers, the first of which is its config. Returns its manifest."""
        for content in contents:
            pushed = self.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest(content)}", content)
            assert pushed.status == 201, pushed
        manifest = image_of(*contents)
        pushed = self.ask("PUT", f"/v2/{name}/manifests/{tag}", manifest, Content_Type=MANIFEST)
        assert pushed.status == 201, pushed
        return manifest


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def image_of(*contents: bytes) -> bytes:
    config, *layers = (
        {"mediaType": f"application/vnd.example.{n}", "digest": digest(each), "size": len(each)}
        for n, each in enumerate(contents)
    )
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    return json.dumps(document).encode()


class Bad:
    """An upstream registry whose answers the test gives."""

    def __init__(self) -> None:
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda request: say(request, b"", 500)
        self.asked: list[str] = []

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(f"{request.command} {request.path}")
        self.answer(request)

    def has(self, manifest: bytes, blobs: dict[str, bytes]) -> None:
        def answer(request: BaseHTTPRequestHandler) -> None:
            if "/manifests/" in request.path:
                return say(request, manifest, headers={"Content-Type": MANIFEST})
            return say(request, blobs[request.path.rpartition("/")[2]])

        self.answer = answer


@contextmanager
def docker_registry(folder: Path) -> Iterator[str]:
    """HOST:PORT of Debian's."""
    if not DOCKER_REGISTRY.exists():
        lacking("docker-registry is not installed: run `make clients`")
    host = f"127.0.0.1:{free_port()}"
    configuration = folder / "config.yml"
    configuration.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: '{host}'}}\n"
    )
    environment = plain_environment() | {"OTEL_TRACES_EXPORTER": "none"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [DOCKER_REGISTRY, "serve", configuration], stdout=log, stderr=log, env=environment
        )
    try:
        for _ in until(20, f"docker-registry does not answer, see {folder}/log"):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", int(host.partition(":")[2]))) == 0:
                    break
        yield host
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def cache_from(cache: Server, prefix: str, upstream: Server) -> None:
    """A pull through cache rule for another Moorage, as its root."""
    login = {"username": "AWS", "accessToken": ecr_password(upstream.client("ecr"))}
    secret = cache.client("secretsmanager").create_secret(
        Name=f"ecr-pullthroughcache/{prefix}", SecretString=json.dumps(login)
    )
    cache.client("ecr").create_pull_through_cache_rule(
        ecrRepositoryPrefix=prefix, upstreamRegistryUrl=upstream.endpoint, credentialArn=secret["ARN"]
    )


def asked(upstream: Server, method: str, path: str) -> int:
    """How often the upstream answered that."""
    return len(re.findall(rf" {method} {re.escape(path)} 2\d\d ", upstream.log.read_text()))


def age(cache: Server) -> None:
    """Make every cached tag old enough to be looked up again."""
    with sqlite3.connect(cache.data / "moorage.db", timeout=10) as database:
        database.execute("UPDATE upstream_tags SET validated = 1")
    database.close()
