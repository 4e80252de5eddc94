"""What Prometheus reads of a running server."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from ..conftest import Server, ecr_password, free_port, running

MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def listen() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, listen: str) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("metrics"), "--metrics-listen", listen) as server:
        yield server


def metrics(listen: str) -> dict[str, float]:
    with urlopen(f"http://{listen}/metrics") as answer:
        text = answer.read().decode()
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r'moorage_[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? [0-9.e+-]+', line) for line in lines)
    assert len(set(lines)) == len(lines)
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def status(server: Server, method: str, path: str, password: str, body: bytes | None = None) -> int:
    """Asked without `Connection: close`, which is never answered from memory."""
    login = base64.b64encode(f"AWS:{password}".encode()).decode()
    connection = http.client.HTTPConnection(server.host, timeout=30)
    try:
        connection.request(
            method, path, body, {"authorization": f"Basic {login}", "content-type": MEDIA_TYPE}
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def push(server: Server, name: str, password: str) -> None:
    server.client("ecr").create_repository(repositoryName=name)
    digest = "sha256:" + hashlib.sha256(b"{}").hexdigest()
    assert status(server, "POST", f"/v2/{name}/blobs/uploads/?digest={digest}", password, b"{}") == 201
    described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 2}
    manifest = {"schemaVersion": 2, "mediaType": MEDIA_TYPE, "config": described, "layers": []}
    assert status(server, "PUT", f"/v2/{name}/manifests/1", password, json.dumps(manifest).encode()) == 201


def test_pulls_are_counted_by_repository_also_from_memory(measured: Server, listen: str) -> None:
    password = ecr_password(measured.client("ecr"))
    push(measured, "team/app", password)
    for _ in range(5):
        assert status(measured, "GET", "/v2/team/app/manifests/1", password) == 200
    assert status(measured, "HEAD", "/v2/team/app/manifests/1", password) == 200
    assert status(measured, "GET", "/v2/team/app/manifests/none", password) == 404

    found = metrics(listen)

    (pulls,) = [
        value for name, value in found.items() if "pull_count" in name and 'repository="team/app"' in name
    ]
    assert pulls == 5
    assert found['moorage_requests_total{route="GET manifest",status="200"}'] == 5
    assert found['moorage_requests_total{route="GET manifest",status="404"}'] == 1
    assert found["moorage_kept_answers_total"] >= 3


def test_requests_are_counted_by_what_they_are_and_how_long_they_took(measured: Server, listen: str) -> None:
    before = metrics(listen).get('moorage_requests_total{route="ecr:DescribeRepositories",status="200"}', 0)
    for _ in range(3):
        measured.client("ecr").describe_repositories()

    found = metrics(listen)

    labels = 'route="ecr:DescribeRepositories",status="200"'
    assert found[f"moorage_requests_total{{{labels}}}"] == before + 3
    assert found[f'moorage_request_seconds_bucket{{{labels},le="+Inf"}}'] == before + 3
    assert found[f"moorage_request_seconds_count{{{labels}}}"] == before + 3
    assert found["moorage_sent_bytes_total"] > 0
    assert found["moorage_received_bytes_total"] > 0


def test_what_waits_and_how_old_keys_are_is_shown(measured: Server, listen: str) -> None:
    found = metrics(listen)

    assert "moorage_outbox_lag_seconds" in found
    ages = [value for name, value in found.items() if name.startswith("moorage_access_key_age_seconds")]
    assert len(ages) == 1
    assert 0 <= ages[0] < 3_600


def test_failed_logins_are_counted(measured: Server, listen: str) -> None:
    before = metrics(listen)["moorage_failed_logins_total"]
    assert status(measured, "GET", "/v2/", "wrong") == 401

    assert metrics(listen)["moorage_failed_logins_total"] == before + 1


def test_there_is_nothing_else_there_and_nothing_of_it_elsewhere(measured: Server, listen: str) -> None:
    for url, code in ((f"http://{listen}/", 404), (f"{measured.endpoint}/metrics", 404)):
        with pytest.raises(HTTPError) as caught:
            urlopen(url)
        assert caught.value.code == code
    with pytest.raises(HTTPError) as caught:
        urlopen(Request(f"http://{listen}/metrics", b"", method="POST"))
    assert caught.value.code == 405


def test_a_stranger_who_says_nothing_or_too_much_holds_nobody_up(measured: Server, listen: str) -> None:
    host, _, port = listen.partition(":")
    with socket.create_connection((host, int(port))), socket.create_connection((host, int(port))) as long:
        long.sendall(b"GET /metrics HTTP/1.1\r\nx: " + b"x" * 100_000)
        assert metrics(listen)


def test_a_name_cannot_forge_a_line(measured: Server, listen: str) -> None:
    password = ecr_password(measured.client("ecr"))
    status(measured, "GET", "/v2/x%22%7D%201%0Amoorage_forged/manifests/1", password)
    status(measured, "FORGED", "/v2/team/app/manifests/1", password)

    assert not any("forged" in name.lower() for name in metrics(listen))


def test_the_log_of_the_server_stays_quiet(measured: Server) -> None:
    assert "Traceback" not in Path(measured.log).read_text()
