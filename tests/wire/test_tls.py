"""HTTPS with real clients: versions, names, resumption, new certificates while serving, and private listeners."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ..conftest import Need, Run, Server, ecr_password, running, until
from .conftest import NAME, Images, Suite, daemon
from .images import CONFIG, LAYER, digests

ECR_NAME = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
MOORAGE = os.environ.get("MOORAGE", str(Path(sys.executable).with_name("moorage")))
VPCE = "vpce-0123456789abcdef0"
BLOB_BYTES = 24 << 20
PART_BYTES = 10_000_000


@dataclass(frozen=True)
class Secure:
    """A server with HTTPS, by a certificate that it made itself."""

    server: Server
    port: int

    @property
    def ca(self) -> Path:
        return self.server.data / "ca" / "ca.pem"

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.host}"

    @property
    def ecr(self) -> Any:
        return self.client("ecr")

    def client(self, service: str, url: str | None = None) -> Any:
        text = (self.server.data / "credentials").read_text()
        keys = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)
        return boto3.client(
            service,
            endpoint_url=url or self.url,
            verify=str(self.ca),
            region_name="us-east-1",
            aws_access_key_id=keys["aws_access_key_id"],
            aws_secret_access_key=keys["aws_secret_access_key"],
            config=Config(proxies={}),
        )

    def private_port(self, name: str) -> int:
        said = self.server.log.read_text()
        found = re.search(rf"Listening on 127\.0\.0\.1:([0-9]+) as {name}\n", said)
        assert found, said
        return int(found[1])


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """With a private listener of each kind."""
    folder = tmp_path_factory.mktemp("tls")
    data = folder / "data"
    (folder / "moorage.toml").write_text(
        f"""
        hostname = "{NAME}"
        [[listeners]]
        name = "users"
        unix = "{folder}/users"
        allow_uids = [{os.geteuid()}]
        [[listeners]]
        name = "strangers"
        unix = "{folder}/strangers"
        allow_uids = [{os.geteuid() + 1}]
        [[listeners]]
        name = "clients"
        listen = "127.0.0.1:0"
        tls = true
        client_ca = "{data}/ca/ca.pem"
        [[listeners]]
        name = "balanced"
        listen = "127.0.0.1:0"
        proxy_protocol = true
        trusted_proxies = ["127.0.0.1"]
        [[endpoints]]
        name = "users"
        listener = "users"
        services = ["ecr.dkr"]
        network = "vpc-lan"
        [[endpoints]]
        name = "clients"
        listener = "clients"
        services = ["ecr.dkr"]
        network = "vpc-lan"
        identity = "spiffe://{NAME}/builder"
        [[endpoints]]
        name = "balanced"
        listener = "balanced"
        services = ["ecr.dkr"]
        network = "vpc-lan"
        id = "{VPCE}"
        [aliases]
        "team.example" = "210987654321/eu-west-1"
        """
    )
    options = ("--listen-tls", "127.0.0.1:0", "--config", str(folder / "moorage.toml"), "--access-log")
    with running(folder, *options) as server:
        [port] = re.findall(r"Listening on https://127\.0\.0\.1:([0-9]+)\n", server.log.read_text())
        yield Secure(server, int(port))


@pytest.fixture
def curl(run: Run, need: Need, secure: Secure) -> Callable[..., str]:
    """curl that trusts the authority alone; prints the body and, last, the status."""
    program = need("curl")

    def curl(*words: object, **options: Any) -> str:
        trust = ("--cacert", secure.ca, "--noproxy", "*")
        return run(
            program, "--silent", "--show-error", "--write-out", "\n%{http_code}", *trust, *words, **options
        )

    return curl


@pytest.fixture
def s_client(run: Run, need: Need, secure: Secure) -> Callable[..., str]:
    program = need("openssl")

    def s_client(*words: object, **options: Any) -> str:
        where = ("-connect", f"127.0.0.1:{secure.port}", "-CAfile", secure.ca)
        return run(program, "s_client", *where, *words, **options)

    return s_client


@pytest.fixture(scope="module")
def blob(secure: Secure) -> tuple[str, str]:
    """A large layer of an image: the path of its URL, and a password."""
    ecr, name = secure.ecr, "tls/blob"
    ecr.create_repository(repositoryName=name)
    content, config = os.urandom(BLOB_BYTES), b"{}"
    layer = _upload(ecr, name, content)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": CONFIG, "digest": _upload(ecr, name, config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": layer, "size": len(content)}],
    }
    ecr.put_image(repositoryName=name, imageManifest=json.dumps(manifest), imageTag="1")
    return f"/v2/{name}/blobs/{layer}", ecr_password(ecr)


def _upload(ecr: Any, name: str, content: bytes) -> str:
    upload = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    for start in range(0, len(content), PART_BYTES):
        part = content[start : start + PART_BYTES]
        stop = start + len(part) - 1
        ecr.upload_layer_part(
            repositoryName=name, uploadId=upload, partFirstByte=start, partLastByte=stop, layerPartBlob=part
        )
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    ecr.complete_layer_upload(repositoryName=name, uploadId=upload, layerDigests=[digest])
    return digest


# TLS itself


@pytest.mark.parametrize(("option", "version"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_version_that_is_good_is_spoken(s_client: Callable[..., str], option: str, version: str) -> None:
    said = s_client(option, "-verify_return_error", input="")

    assert f"New, {version}, Cipher is " in said
    assert "Verify return code: 0 (ok)" in said


@pytest.mark.parametrize("option", ["-tls1", "-tls1_1"])
def test_version_that_is_old_is_refused(s_client: Callable[..., str], option: str) -> None:
    said = s_client(option, "-cipher", "DEFAULT:@SECLEVEL=0", fails=True)

    assert "alert protocol version" in said


@pytest.mark.parametrize("cipher", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-SHA"])
def test_cipher_that_is_weak_is_refused(s_client: Callable[..., str], cipher: str) -> None:
    said = s_client("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0", fails=True)

    assert "handshake failure" in said


def test_http_1_1_is_agreed_on_with_a_client_that_offers_more(s_client: Callable[..., str]) -> None:
    assert "ALPN protocol: http/1.1" in s_client("-alpn", "h2,http/1.1", input="")


def test_renegotiation_is_refused(secure: Secure, need: Need) -> None:
    command = [need("openssl"), "s_client", "-connect", f"127.0.0.1:{secure.port}", "-tls1_2"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    while "Extended master secret" not in process.stdout.readline():
        pass
    process.stdin.write("R\n")
    process.stdin.flush()

    said, _ = process.communicate(timeout=30)

    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said


@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
def test_session_is_resumed(s_client: Callable[..., str], tmp_path: Path, option: str) -> None:
    request = "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    words = (option, "-servername", "localhost", "-ign_eof")
    s_client(*words, "-sess_out", tmp_path / "session", input=request)

    said = s_client(*words, "-sess_in", tmp_path / "session", input=request)

    assert "Reused, TLS" in said


def test_certificate_is_good_for_ecr_names_and_answers_have_them(
    secure: Secure, curl: Callable[..., str]
) -> None:
    where = f"{ECR_NAME}:{secure.port}"

    said = curl("--resolve", f"{where}:127.0.0.1", "--head", f"https://{where}/v2/")

    assert f'www-authenticate: Basic realm="https://{where}/"' in said.lower().replace("basic", "Basic")
    assert said.endswith("401")


def test_tls_on_the_plain_port_is_told_so(secure: Secure, curl: Callable[..., str]) -> None:
    assert curl(f"http://{secure.host}/v2/").splitlines() == [
        '{"errors":[{"code":"UNSUPPORTED","message":"This port speaks TLS, not plain HTTP"}]}',
        "400",
    ]


# What answers say


def test_registry_that_is_asked_over_tls_names_itself_so(secure: Secure) -> None:
    ecr = secure.ecr

    token = ecr.get_authorization_token()["authorizationData"][0]
    made = ecr.create_repository(repositoryName="tls/named")["repository"]

    assert token["proxyEndpoint"] == f"https://{NAME}:{secure.port}"
    assert made["repositoryUri"] == f"{NAME}:{secure.port}/tls/named"
    assert (
        secure.server.client("ecr").get_authorization_token()["authorizationData"][0]["proxyEndpoint"]
        == f"http://{NAME}:{secure.server.port}"
    )


def test_download_url_of_a_caller_over_tls_is_over_tls(
    secure: Secure, curl: Callable[..., str], blob: tuple[str, str], tmp_path: Path
) -> None:
    digest = blob[0].rpartition("/")[2]
    url = secure.ecr.get_download_url_for_layer(repositoryName="tls/blob", layerDigest=digest)["downloadUrl"]

    assert url.startswith(secure.url)
    assert curl("--output", tmp_path / "layer", url).strip() == "200"
    assert f"sha256:{hashlib.sha256((tmp_path / 'layer').read_bytes()).hexdigest()}" == digest


# Clients


def test_image_of_crane_comes_back_over_tls(
    secure: Secure, run: Run, need: Need, images: Images, tmp_path: Path
) -> None:
    program, trusting = need("crane"), {"SSL_CERT_FILE": str(secure.ca)}
    there = f"{secure.host}/{_repository(secure, 'crane')}:1"
    password = ecr_password(secure.ecr)
    run(program, "auth", "login", secure.host, "-u", "AWS", "--password-stdin", input=password)

    run(program, "push", images.layout.alone(tmp_path / "one", images.whiteouts), there, env=trusting)
    run(program, "pull", "--format", "oci", there, tmp_path / "back", env=trusting)

    assert images.whiteouts.digest in digests(tmp_path / "back")
    assert "certificate" in run(program, "digest", there, fails=True)


def test_image_of_skopeo_comes_back_over_tls(
    secure: Secure, client: Run, images: Images, tmp_path: Path
) -> None:
    there = f"docker://{NAME}:{secure.port}/{_repository(secure, 'skopeo')}:1"
    trusting = tmp_path / "trusting"
    trusting.mkdir()
    shutil.copy(secure.ca, trusting / "ca.crt")
    login = ("skopeo", "login", "--cert-dir", trusting, "--username", "AWS", "--password-stdin")
    client(*login, f"{NAME}:{secure.port}", input=ecr_password(secure.ecr))

    client("skopeo", "copy", "--dest-cert-dir", trusting, f"oci:{images.layout.folder}:whiteouts", there)
    client("skopeo", "copy", "--src-cert-dir", trusting, there, f"oci:{tmp_path / 'back'}:1")

    assert images.whiteouts.digest in digests(tmp_path / "back")
    assert "certificate" in client("skopeo", "inspect", there, fails=True)


def test_image_of_docker_comes_back_over_tls(
    secure: Secure, suite: Suite, run: Run, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("docker")
    there = f"{NAME}:{secure.port}/{_repository(secure, 'docker')}:1"
    engine = f"unix://{folder}/socket"
    command = [
        *("env", f"SSL_CERT_FILE={secure.ca}", "dockerd", f"--host={engine}", f"--data-root={folder}/data"),
        *(f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", "--storage-driver=vfs", "--bridge=none"),
        *("--ip-forward=false", "--ip6tables=false", "--iptables=false"),
    ]

    def docker(*words: object, **options: Any) -> str:
        return run(*suite.command("/usr/bin/docker", "--host", engine, *words), **options)

    with daemon(suite, command, ready=["docker", "--host", engine, "version"], log=folder / "log"):
        docker(
            "login", "-u", "AWS", "--password-stdin", f"{NAME}:{secure.port}", input=ecr_password(secure.ecr)
        )
        docker("import", images.rootfs, there)
        pushed = docker("push", there)
        docker("rmi", there)
        pulled = docker("pull", there)

    shutil.rmtree(folder, ignore_errors=True)
    digest = re.search(r"sha256:[0-9a-f]{64}", pushed.rpartition("digest: ")[2])
    assert digest is not None
    assert digest[0] in pulled


# New certificates


def test_new_certificate_is_served_at_a_signal_and_a_running_transfer_goes_on(
    secure: Secure, run: Run, blob: tuple[str, str], tmp_path: Path
) -> None:
    path, password = blob
    context = ssl.create_default_context(cafile=str(secure.ca))
    before = _serial(secure)
    with _connected(secure, context) as reading:
        reading.sendall(_request(path, password))
        received = bytearray(reading.recv(1_000))
        run(MOORAGE, "certs", "issue", "--data", secure.server.data, "--host", NAME, "--host", "localhost")
        os.kill(secure.server.process.pid, signal.SIGHUP)

        for _ in until(5, "the new certificate is not served"):
            if _serial(secure) != before:
                break

        while len(received) < BLOB_BYTES:
            piece = reading.recv(1 << 20)
            assert piece
            received += piece
        body = bytes(received).partition(b"\r\n\r\n")[2]
        while len(body) < BLOB_BYTES:
            body += reading.recv(1 << 20)
        assert path.endswith(hashlib.sha256(body).hexdigest())


def test_broken_certificate_is_told_of_and_not_served(secure: Secure) -> None:
    before = _serial(secure)
    file = secure.server.data / "certs" / "server.pem"
    good = file.read_bytes()
    file.write_bytes(b"rubbish")
    os.kill(secure.server.process.pid, signal.SIGHUP)

    for _ in until(5, "nothing was said of the broken certificate"):
        if "certificate not taken" in secure.server.log.read_text():
            break

    assert _serial(secure) == before
    file.write_bytes(good)


# Private listeners


def test_socket_file_serves_the_users_that_may(secure: Secure, curl: Callable[..., str]) -> None:
    folder = secure.server.data.parent

    assert curl("--unix-socket", folder / "users", "http://localhost/v2/").endswith("401")
    curl("--unix-socket", folder / "strangers", "http://localhost/v2/", fails=True)


def test_client_certificate_is_asked_for(secure: Secure, curl: Callable[..., str], run: Run) -> None:
    run(MOORAGE, "certs", "client", "builder", "--hostname", NAME, "--data", secure.server.data)
    clients = secure.server.data / "clients"
    url = f"https://localhost:{secure.private_port('clients')}/v2/"

    shown = curl("--cert", clients / "builder.pem", "--key", clients / "builder.key", url)

    assert shown.endswith("401")
    assert "certificate required" in curl(url, fails=True)


def test_proxy_names_the_client(secure: Secure, curl: Callable[..., str]) -> None:
    url = f"http://localhost:{secure.private_port('balanced')}/v2/"
    endpoint = struct.pack("!BH", 0xEA, 1 + len(VPCE)) + b"\x01" + VPCE.encode()
    addresses = bytes([192, 0, 2, 77, 10, 0, 0, 1, 1, 2, 1, 187])
    fixed = struct.pack("!BBH", 0x21, 0x11, len(addresses + endpoint))
    header = b"\r\n\r\n\x00\r\nQUIT\n" + fixed + addresses + endpoint
    with socket.create_connection(("127.0.0.1", secure.private_port("balanced"))) as connection:
        connection.sendall(header + b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n")
        answer = connection.recv(10_000)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert "192.0.2.77 GET /v2/" in secure.server.log.read_text()
    assert "198.51.100.1" not in secure.server.log.read_text()
    assert curl(url).endswith("400")
    assert curl("--haproxy-protocol", url).endswith("400")  # version 1
    assert curl("--haproxy-protocol", f"http://{secure.server.host}/v2/").endswith("400")


def _repository(secure: Secure, name: str) -> str:
    name = f"tls/{name}-{os.urandom(4).hex()}"
    secure.ecr.create_repository(repositoryName=name)
    return name


def _connected(secure: Secure, context: ssl.SSLContext) -> ssl.SSLSocket:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # so that the transfer runs on
    raw.settimeout(60)
    raw.connect(("127.0.0.1", secure.port))
    return context.wrap_socket(raw, server_hostname="localhost")


def _serial(secure: Secure) -> bytes:
    """Of the certificate that a new connection gets."""
    with _connected(secure, ssl.create_default_context(cafile=str(secure.ca))) as connection:
        found = connection.getpeercert(binary_form=True)
    assert found is not None
    return hashlib.sha256(found).digest()


def _request(path: str, password: str) -> bytes:
    basic = base64.b64encode(f"AWS:{password}".encode()).decode()
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {basic}\r\n\r\n".encode()
