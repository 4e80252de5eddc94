"""Traces as a collector gets them: OTLP over HTTP, decoded with OpenTelemetry's own messages."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Run, Server, ecr_password, ended_inside, free_port, plain_environment, running
from .collector import Collector, Seen, collecting
from .conftest import NAME, Images, Suite, daemon
from .loopback import say

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
PUSH, PULL, REPEATED = ("1" * 32, "2" * 32, "3" * 32)
GARBAGE = (
    "garbage",
    f"00-{'0' * 32}-{'a' * 16}-01",
    f"ff-{'e' * 32}-{'a' * 16}-01",
    "x" * 5_000,
    "\xff" * 55,
)
CONTENT = os.urandom(1 << 20)


class Client:
    """Of the registry; what it asks belongs to a trace."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.password = ecr_password(server.client("ecr"))

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, trace: str = "", **headers: str
    ) -> tuple[int, bytes]:
        login = base64.b64encode(f"AWS:{self.password}".encode()).decode()
        sent = {"authorization": f"Basic {login}", "content-type": MANIFEST, **headers}
        if trace:
            sent["traceparent"] = f"00-{trace}-{'a' * 16}-01"
        connection = http.client.HTTPConnection(self.server.host, timeout=30)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def push(self, name: str, trace: str) -> str:
        """Return the digest of the layer."""
        layer = self._push_blob(name, CONTENT, trace)
        config = self._push_blob(name, b"{}", trace)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": config, "size": 2},
            "layers": [{"mediaType": LAYER, "digest": layer, "size": len(CONTENT)}],
        }
        body = json.dumps(manifest).encode()
        assert self.ask("PUT", f"/v2/{name}/manifests/1", body, trace=trace)[0] == 201
        return layer

    def _push_blob(self, name: str, content: bytes, trace: str) -> str:
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        path = f"/v2/{name}/blobs/uploads/?digest={digest}"
        assert self.ask("POST", path, content, trace=trace)[0] == 201
        return digest


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """What a collector has after a push, a pull, calls of the API and the end of the server."""
    with collecting() as collector:
        with running(tmp_path_factory.mktemp("traced"), "--otlp-endpoint", collector.url) as server:
            ecr, client = server.client("ecr"), Client(server)
            ecr.create_repository(repositoryName="team/app")
            layer = client.push("team/app", PUSH)
            assert client.ask("GET", "/v2/team/app/manifests/1", trace=PULL)[0] == 200
            assert client.ask("GET", f"/v2/team/app/blobs/{layer}", trace=PULL) == (200, CONTENT)
            for _ in range(5):
                assert client.ask("HEAD", "/v2/team/app/manifests/1")[0] == 200
            for _ in range(5):
                assert client.ask("HEAD", "/v2/team/app/manifests/1", trace=REPEATED)[0] == 200
            for header in GARBAGE:
                assert client.ask("GET", "/v2/team/app/tags/list", traceparent=header)[0] == 200
            assert client.ask("GET", "/v2/_catalog?n=SECRET", authorization="Basic U0VDUkVU")[0] in (400, 401)
            _download(server, ecr, layer)
            policy = {"rules": [{"rulePriority": 1, "selection": SELECTION, "action": {"type": "expire"}}]}
            ecr.start_lifecycle_policy_preview(
                repositoryName="team/app", lifecyclePolicyText=json.dumps(policy)
            )
            _wait(lambda: ecr.get_lifecycle_policy_preview(repositoryName="team/app")["status"] == "COMPLETE")
        yield collector


SELECTION = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1}


def _download(server: Server, ecr: Any, layer: str) -> None:
    url = ecr.get_download_url_for_layer(repositoryName="team/app", layerDigest=layer)["downloadUrl"]
    path = url.partition(server.host)[2]
    connection = http.client.HTTPConnection(server.host, timeout=30)
    connection.request("GET", path)
    assert len(connection.getresponse().read()) == len(CONTENT)
    connection.close()


def _wait(condition: Any) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


def _one(spans: list[Seen]) -> Seen:
    assert len(spans) == 1, [span.name for span in spans]
    return spans[0]


def test_they_are_posted_where_collectors_listen_and_say_who_sends_them(observed: Collector) -> None:
    assert set(observed.requests) == {"POST /v1/traces"}
    assert observed.resource["service.name"] == "moorage"


def test_every_span_hangs_in_its_trace(observed: Collector) -> None:
    known = {(span.trace, span.id) for span in observed.spans}
    outside = {"a" * 16, ""}

    assert [
        span.name
        for span in observed.spans
        if span.parent not in outside and (span.trace, span.parent) not in known
    ] == []


def test_a_push_is_one_trace(observed: Collector) -> None:
    spans = observed.of_trace(PUSH)

    requests = [span for span in spans if span.kind == 2]
    assert [span.name for span in requests] == [
        "POST /v2/{name}/blobs/uploads/",
        "POST /v2/{name}/blobs/uploads/",
        "PUT /v2/{name}/manifests/{reference}",
    ]
    assert {span.parent for span in requests} == {"a" * 16}
    assert {span.attributes["moorage.repository"] for span in requests} == {"team/app"}
    assert {span.attributes["http.response.status_code"] for span in requests} == {201}
    layer, manifest = requests[0], requests[2]
    assert {"seal", "store", "transaction"} <= set(observed.below(layer))
    assert {"authorize", "transaction"} <= set(observed.below(manifest))
    sealed = _one([span for span in observed.named("seal") if span.parent == layer.id])
    assert sealed.attributes["moorage.bytes"] == len(CONTENT)


def test_a_pull_is_one_trace(observed: Collector) -> None:
    requests = [span for span in observed.of_trace(PULL) if span.kind == 2]

    manifest, blob = requests
    assert manifest.name == "GET /v2/{name}/manifests/{reference}"
    assert "authorize" in observed.below(manifest)
    assert "send" in observed.below(blob)
    sent = _one([span for span in observed.named("send") if span.parent == blob.id])
    assert sent.attributes["moorage.bytes"] == len(CONTENT)


def test_what_is_answered_from_memory_is_traced_for_who_traces(observed: Collector) -> None:
    heads = observed.named("HEAD /v2/{name}/manifests/{reference}")

    assert len([span for span in heads if span.trace == REPEATED]) == 5
    assert len([span for span in heads if span.trace != REPEATED]) <= 1


def test_with_a_traceparent_that_is_none_a_trace_is_begun(observed: Collector) -> None:
    lists = observed.named("GET /v2/{name}/tags/list")

    assert len(lists) == len(GARBAGE)
    assert {span.parent for span in lists} == {""}
    assert len({span.trace for span in lists}) == len(GARBAGE)


def test_a_call_of_the_api_is_a_remote_procedure_call(observed: Collector) -> None:
    span = _one(observed.named("ecr CreateRepository"))

    assert span.attributes["rpc.system.name"] == "aws-api"
    assert span.attributes["rpc.method"] == "ecr/CreateRepository"
    assert span.attributes["moorage.principal_kind"] == "root"
    assert span.attributes["http.response.status_code"] == 200
    assert len(span.attributes["moorage.request_id"]) == 36


def test_a_job_is_a_trace_of_its_own_linked_to_the_call_that_began_it(observed: Collector) -> None:
    call = _one(observed.named("ecr StartLifecyclePolicyPreview"))
    job = _one([span for span in observed.spans if span.name.startswith("job ") and "preview" in span.name])

    assert job.parent == ""
    assert job.links == (call.id,)
    assert "transaction" in observed.below(job)


def test_nothing_that_is_secret_is_in_them(observed: Collector) -> None:
    everything = "\n".join(span.text for span in observed.spans)

    for secret in ("SECRET", "U0VDUkVU", "AKIA", "Basic", "Signature", "digest=sha256"):
        assert secret not in everything
    download = _one([span for span in observed.spans if "{token}" in span.name])
    assert download.attributes["url.path"].endswith("/...")


def push_and_time(server: Server, name: str = "team/app") -> float:
    client = Client(server)
    server.client("ecr").create_repository(repositoryName=name)
    began = time.monotonic()
    for _ in range(3):
        client.push(name, PUSH)
    return time.monotonic() - began


def stops_within(server: Server, seconds: float) -> None:
    began = time.monotonic()
    server.process.terminate()
    server.process.wait(30)
    assert time.monotonic() - began < seconds


def ended(folder: Path, url: str = "") -> AbstractContextManager[Server]:
    """A server that the test itself ends."""
    return ended_inside(folder, *(("--otlp-endpoint", url) if url else ()))


def said(server: Server, text: str) -> int:
    return server.log.read_text().count(text)


def test_a_collector_that_is_down_is_told_once_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    with ended(tmp_path, f"http://127.0.0.1:{free_port()}") as server:
        assert push_and_time(server) < 10
        _wait(lambda: said(server, "traces cannot be sent to"))
        assert push_and_time(server, "team/other") < 10
        stops_within(server, 5)
    assert said(server, "traces cannot be sent to") == 1
    assert said(server, "Traceback") == 0


def test_a_collector_that_fails_is_told_once_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    refusing = collecting(lambda request: say(request, b"no", 500))
    with refusing as collector, ended(tmp_path, collector.url) as server:
        assert push_and_time(server) < 10
        _wait(lambda: len(collector.requests) > 2)
        stops_within(server, 5)
    assert said(server, "traces cannot be sent to") == 1
    assert said(server, "500") >= 1


def test_a_collector_that_hangs_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")

    is_over = threading.Event()

    def hang(request: BaseHTTPRequestHandler) -> None:
        is_over.wait(60)

    with collecting(hang) as collector, ended(tmp_path, collector.url) as server:
        assert push_and_time(server) < 10
        stops_within(server, 5)
        is_over.set()


def test_the_variables_of_opentelemetry_are_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "registry-of-dana")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=home")
        with ended(tmp_path) as server:
            server.client("ecr").create_repository(repositoryName="team/app")
            server.process.terminate()
            server.process.wait(30)

    assert collector.resource["service.name"] == "registry-of-dana"
    assert collector.resource["deployment.environment"] == "home"
    assert collector.named("ecr CreateRepository")


def test_what_the_sampler_leaves_out_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    with collecting() as collector, ended(tmp_path, collector.url) as server:
        client = Client(server)
        server.client("ecr").create_repository(repositoryName="team/app")
        assert client.ask("GET", "/v2/team/app/tags/list")[0] == 200
        assert client.ask("GET", "/v2/team/app/tags/list", trace=PULL)[0] == 200
        stops_within(server, 5)

    assert {span.trace for span in collector.spans} == {PULL}


def test_a_protocol_that_is_not_spoken_is_an_error_at_the_start(tmp_path: Path, run: Run) -> None:
    said = run(
        "moorage", "serve", "--data", tmp_path / "data", "--listen", "127.0.0.1:0",
        "--otlp-endpoint", "http://127.0.0.1:4317",
        env={"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, fails=True,
    )  # fmt: skip

    assert "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'" in said
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def docker_traces(
    suite: Suite, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    """What a collector has after `docker push` and `docker pull`."""
    folder = tmp_path_factory.mktemp("docker")
    with collecting() as collector:
        with running(folder, "--otlp-endpoint", collector.url) as server:
            server.client("ecr").create_repository(repositoryName="busybox")
            _push_and_pull(suite, images, folder, f"{NAME}:{server.port}", ecr_password(server.client("ecr")))
        yield collector
    shutil.rmtree(folder, ignore_errors=True)


def _push_and_pull(suite: Suite, images: Images, folder: Path, registry: str, password: str) -> None:
    address = f"unix://{folder}/socket"
    (folder / "daemon.json").write_text('{"features": {"containerd-snapshotter": true}}')
    command = [
        "dockerd",
        f"--host={address}",
        f"--data-root={folder}/engine",
        f"--exec-root={folder}/exec",
        f"--pidfile={folder}/pid",
        f"--insecure-registry={registry}",
        "--storage-driver=overlay2" if suite.name == "bookworm" else f"--config-file={folder}/daemon.json",
        *("--bridge=none", "--ip-forward=false", "--ip6tables=false", "--iptables=false"),
    ]
    with daemon(suite, command, ready=["docker", "--host", address, "version"], log=folder / "log"):
        reference = f"{registry}/busybox:1"
        _docker(suite, folder, address, PUSH, "import", images.rootfs, reference)
        login = ("login", "--username", "AWS", "--password-stdin", registry)
        _docker(suite, folder, address, "", *login, input=password)
        _docker(suite, folder, address, PUSH, "push", reference)
        _docker(suite, folder, address, PULL, "rmi", "--force", reference)
        _docker(suite, folder, address, PULL, "pull", reference)


def _docker(suite: Suite, folder: Path, address: str, trace: str, *words: object, **options: Any) -> None:
    """In a trace: the command hands it to the engine, and a new engine to the registry."""
    configuration = folder / "config" / "config.json"
    configuration.parent.mkdir(exist_ok=True)
    known = json.loads(configuration.read_text()) if configuration.exists() else {}
    known["HttpHeaders"] = {"traceparent": f"00-{trace}-{'a' * 16}-01"} if trace else {}
    configuration.write_text(json.dumps(known))
    subprocess.run(
        suite.command("/usr/bin/docker", "--host", address, *words),
        env=plain_environment() | {"DOCKER_CONFIG": str(configuration.parent), "HOME": str(folder)},
        check=True,
        capture_output=True,
        text=True,
        **options,
    )


def test_docker_push_and_pull_are_one_trace_each_where_docker_says_which(
    suite: Suite, docker_traces: Collector
) -> None:
    if suite.name == "bookworm":
        assert docker_traces.of_trace(PUSH) == []  # docker 20.10 tells nobody
        return
    pushed, pulled = (
        [span.name for span in docker_traces.of_trace(trace) if span.kind == 2] for trace in (PUSH, PULL)
    )
    assert pushed.count("PUT /v2/{name}/blobs/uploads/{id}") == 2
    assert pushed[-1] == "PUT /v2/{name}/manifests/{reference}"
    assert pulled.count("GET /v2/{name}/blobs/{digest}") == 2
    assert pulled.count("GET /v2/{name}/manifests/{reference}") == 1


def test_each_request_of_docker_hangs_together(docker_traces: Collector) -> None:
    spans = docker_traces.spans
    [manifest] = docker_traces.named("PUT /v2/{name}/manifests/{reference}")
    layers = docker_traces.named("PUT /v2/{name}/blobs/uploads/{id}")
    sent = docker_traces.named("GET /v2/{name}/blobs/{digest}")

    assert {"authorize", "transaction"} <= set(docker_traces.below(manifest))
    assert all("store" in docker_traces.below(span) for span in layers)
    assert all("send" in docker_traces.below(span) for span in sent)
    requests = {span.id for span in spans if span.kind == 2}
    assert {span.parent for span in spans if span.name in ("seal", "store", "send")} <= requests


def test_a_replication_is_one_trace_across_both_installations(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    here, there = (tmp_path_factory.mktemp(name) for name in ("here", "there"))
    with collecting() as collector:
        to_collector = ("--otlp-endpoint", collector.url)
        with running(there, "--account", "210987654321", *to_collector) as second:
            (here / "moorage.toml").write_text(
                f"""
account = "123456789012"
[[replication_peers]]
account = "210987654321"
region = "us-east-1"
url = "{second.endpoint}"
networks = "127.0.0.0/8"
credentials = "{second.data / "credentials"}"
"""
            )
            with running(here, "--config", str(here / "moorage.toml"), *to_collector) as first:
                rule = {"destinations": [{"region": "us-east-1", "registryId": "210987654321"}]}
                first.client("ecr").put_replication_configuration(replicationConfiguration={"rules": [rule]})
                first.client("ecr").create_repository(repositoryName="team/app")
                Client(first).push("team/app", PUSH)
                _wait(lambda: _has_arrived(second))

    job = next(span for span in collector.named("job replicate") if not span.is_error)
    there_of_it = [span for span in collector.of_trace(job.trace) if span.kind == 2]
    pushed = [span for span in there_of_it if "manifests" in span.name and _made(span)]
    asked = {span.id: (span.kind, span.name, span.parent) for span in collector.spans}
    assert {asked[span.parent] for span in pushed} == {(3, "PUT", job.id)}
    assert "ecr CreateRepository" in {span.name for span in there_of_it}


def _made(span: Seen) -> bool:
    return span.name.startswith("PUT") and span.attributes["http.response.status_code"] == 201


def _has_arrived(server: Server) -> bool:
    ecr = server.client("ecr")
    try:
        return bool(ecr.describe_images(repositoryName="team/app", imageIds=[{"imageTag": "1"}]))
    except (ecr.exceptions.RepositoryNotFoundException, ecr.exceptions.ImageNotFoundException):
        return False
