"""The registries measured: how each is started, asked for a token, and described."""

import base64
import configparser
import contextlib
import crypt
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import botocore.session

from bench import processes

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
DISTRIBUTION = "github.com/distribution/distribution/v3/cmd/registry"
DISTRIBUTION_VERSION = "v3.1.2"
MEMORY_CACHE_CAPPED = 256 << 20

REGION = "us-east-1"
PEER_PASSWORD = "bench"
PEER_CONFIGURATION = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {data}}}
  cache: {{blobdescriptor: inmemory}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "127.0.0.1:{port}", secret: bench}}
"""
HTPASSWD = "auth: {{htpasswd: {{realm: bench, path: {path}}}}}\n"


@dataclass(frozen=True)
class Kind:
    """A registry with one configuration. `name` is its column; `program` must exist for it to take part."""

    name: str
    title: str
    durability: str
    program: Path
    arguments: tuple[str, ...] = ()

    @property
    def ours(self) -> bool:
        return self.name.startswith("moorage")


_D3 = CACHE / "bin" / "registry"
_DEBIAN = Path("/usr/bin/docker-registry")
_MOORAGE = Path(sys.executable).parent / "moorage"
# Seen by strace; the first makes 15 such calls for one blob of 64 MiB.
_D3_DURABILITY = "plaintext; fsync of files and directories before each answer"
_DEBIAN_DURABILITY = "plaintext; fsync of files, not of directories"
_OUR_DURABILITY = "AES-256-GCM at rest; fsync of file and directory, row committed (fsync), then the answer"

D3 = Kind("d3", f"distribution {DISTRIBUTION_VERSION}, no authentication", _D3_DURABILITY, _D3)
D3_HTPASSWD = Kind(
    "d3-htpasswd", f"distribution {DISTRIBUTION_VERSION}, htpasswd (bcrypt cost 5)", _D3_DURABILITY, _D3
)
DEBIAN = Kind("debian", "Debian 12's docker-registry 2.8.2, no authentication", _DEBIAN_DURABILITY, _DEBIAN)
MOORAGE = Kind("moorage", "Moorage, one worker, with a token", _OUR_DURABILITY, _MOORAGE)
MOORAGE_COLD = Kind(
    "moorage-cold", "the same, memory cache off", _OUR_DURABILITY, _MOORAGE, ("--memory-cache", "0")
)
MOORAGE_CAPPED = Kind(
    "moorage-capped",
    "the same, memory cache capped at 256 MiB",
    _OUR_DURABILITY,
    _MOORAGE,
    ("--memory-cache", str(MEMORY_CACHE_CAPPED)),
)
KINDS = (D3, D3_HTPASSWD, DEBIAN, MOORAGE, MOORAGE_COLD, MOORAGE_CAPPED)


@dataclass(frozen=True)
class Running:
    """A started server. `authorization` is the value of the header, empty where none is wanted."""

    kind: Kind
    pid: int
    port: int
    data: Path
    first_answer: float
    first_answer_cpu: float
    authorization: str = ""

    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self.pid)

    def create_repository(self, name: str) -> None:
        if self.kind.ours:
            ecr(self).create_repository(repositoryName=name)


def _environment() -> dict[str, str]:
    """With compiled bytecode, as an installed package has it, whatever this shell says."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"OTEL_TRACES_EXPORTER": "none"}


@contextlib.contextmanager
def started(kind: Kind, data: Path) -> Iterator[Running]:
    """Start it on `data` (made where missing), wait for the first answer, and end it by its pid afterwards.

    `first_answer` counts the seconds from the start of the process to the first HTTP answer to `GET /v2/`,
    `first_answer_cpu` the CPU seconds of the server until then.
    """
    data.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    log = data.with_suffix(".log")
    command = _command(kind, data, port)
    with log.open("w") as output:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=output, env=_environment())
    try:
        _wait(process, port, log)
        took = time.monotonic() - began
        running = Running(kind, process.pid, port, data, took, processes.cpu_seconds(process.pid))
        yield replace(running, authorization=_authorization(running))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ecr(server: Running) -> Any:  # botocore is untyped.
    """An ECR client with the credentials that the server wrote into its data directory."""
    profiles = configparser.ConfigParser()
    profiles.read(server.data / "credentials")
    profile = profiles[profiles.sections()[0]]
    return botocore.session.Session().create_client(
        "ecr",
        region_name=profile.get("region", REGION),
        endpoint_url=f"http://127.0.0.1:{server.port}",
        aws_access_key_id=profile["aws_access_key_id"],
        aws_secret_access_key=profile["aws_secret_access_key"],
    )


def _authorization(server: Running) -> str:
    if server.kind.ours:
        answer = ecr(server).get_authorization_token()
        return "Basic " + str(answer["authorizationData"][0]["authorizationToken"])
    if server.kind is D3_HTPASSWD:
        return "Basic " + base64.b64encode(f"bench:{PEER_PASSWORD}".encode()).decode()
    return ""


def _command(kind: Kind, data: Path, port: int) -> list[str]:
    if kind.ours:
        listen = f"127.0.0.1:{port}"
        return [str(kind.program), "serve", "--data", str(data), "--listen", listen, *kind.arguments]
    configuration = data.with_name(f"{data.name}-{kind.name}.yml")
    text = PEER_CONFIGURATION.format(data=data, port=port)
    if kind is D3_HTPASSWD:
        users = configuration.with_suffix(".htpasswd")
        hashed = crypt.crypt(PEER_PASSWORD, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=1 << 5))
        users.write_text(f"bench:{hashed.replace('$2b$', '$2y$')}\n")
        text += HTPASSWD.format(path=users)
    configuration.write_text(text)
    return [str(kind.program), "serve", str(configuration)]


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/v2/")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.002)
        finally:
            connection.close()
    process.kill()
    raise RuntimeError(f"{process.args!r} did not answer:\n{log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
