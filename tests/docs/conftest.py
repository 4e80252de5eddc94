"""A reader's machine: a shell in a home of its own, a Docker Engine, and the server in another terminal."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..conftest import Need, free_port, lacking, plain_environment, until
from .pages import CHECKOUT, Section

PORT = "5050"
PRIVATE_PORT = "5051"
TYPED_SECONDS = 300
# What is said is compared without regard to where lines break; `…` stands for anything.
REFUSED = r"""
refused() {
    local said shown
    if said=$(eval "$1" 2>&1); then echo "not refused: $1"; exit 1; fi
    said=$(tr -s '[:space:]' ' ' <<<"$said")
    shown=$(sed 's/[][*?\\]/\\&/g; s/…/*/g' <<<"$2")
    if [[ "$said" != *$shown* ]]; then printf '%s\n' "refused: $1" "said: $said" "on the page: $2"; exit 1; fi
}
"""
STORAGE = '[storage]\ndriver = "vfs"\ngraphroot = "{0}/graph"\nrunroot = "{0}/run"\n'
ENGINES = frozenset({"buildah", "ctr", "docker", "podman"})


@dataclass(frozen=True)
class Engine:
    """A Docker Engine with the containerd that it runs."""

    socket: Path
    containerd: Path


@pytest.fixture(scope="session")
def engine(need: Need, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if os.geteuid() != 0:
        lacking("the Docker Engine needs root")
    dockerd, docker = need("dockerd"), need("docker")
    folder = tmp_path_factory.mktemp("engine")
    engine = Engine(folder / "docker.sock", folder / "exec" / "containerd" / "containerd.sock")
    command = [
        *(dockerd, "--host", f"unix://{engine.socket}", "--pidfile", str(folder / "pid")),
        *(
            "--data-root",
            str(folder / "data"),
            "--exec-root",
            str(folder / "exec"),
            "--storage-driver",
            "vfs",
        ),
        *("--iptables=false", "--ip6tables=false", "--bridge=none"),
    ]
    log = folder / "log"
    with _process(command, log, plain_environment(), folder) as process:
        for _ in until(60, f"no answer from the Docker Engine, see {log}"):
            assert process.poll() is None, log.read_text()
            asked = subprocess.run(
                [docker, "--host", f"unix://{engine.socket}", "version"], capture_output=True, check=False
            )
            if asked.returncode == 0:
                break
        yield engine


@dataclass(frozen=True)
class Reader:
    """Types a section: the server in one terminal, the rest in another."""

    folder: Path
    environment: dict[str, str]

    def type(self, section: Section) -> str:
        """What the second terminal showed; fails with it if a command fails."""
        private_port = str(free_port())
        if section.configuration:
            text = section.configuration.replace(PRIVATE_PORT, private_port)
            (self.folder / "moorage.toml").write_text(text, encoding="utf-8")
        with self._server(section.server or "moorage serve") as host:
            port = host.rpartition(":")[2]
            typed = section.script.replace(PORT, port).replace(PRIVATE_PORT, private_port)
            script = f"set -euo pipefail\n{REFUSED}\n{typed}"
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TYPED_SECONDS,
                check=False,
            )
        assert done.returncode == 0, f"{script}\nexit {done.returncode}\n{done.stdout}"
        return done.stdout

    @contextmanager
    def _server(self, block: str) -> Iterator[str]:
        command = shlex.split(_on_a_free_port(_behind_make(block)))
        log = self.folder / "server.log"
        with _process(command, log, self.environment, self.folder) as process:
            yield _address(process, log)
        assert process.returncode == 0, log.read_text()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """HOST:PORT of the server, when it says so."""
    for _ in until(30, f"no address from the server, see {log}"):
        assert process.poll() is None, log.read_text()
        if listening := re.search(r"Listening on https?://(\S+)\n", log.read_text()):
            return listening[1]
    raise AssertionError


@pytest.fixture
def reader(tmp_path: Path, request: pytest.FixtureRequest, need: Need) -> Callable[[Section], Reader]:
    """For a section: its programs are there, or the test ends."""

    def reader(section: Section) -> Reader:
        for program in section.programs:
            need(program)
        if ENGINES & set(section.programs) and os.geteuid() != 0:
            lacking("container engines need root")
        environment = plain_environment() | _home(tmp_path)
        if {"ctr", "docker"} & set(section.programs) or "moorage login" in section.script:
            engine = request.getfixturevalue("engine")
            environment |= {
                "CONTAINERD_ADDRESS": str(engine.containerd),
                "DOCKER_HOST": f"unix://{engine.socket}",
            }
        return Reader(tmp_path, environment)

    return reader


def _home(folder: Path) -> dict[str, str]:
    """The folder becomes a checkout whose virtual environment is the one that the tests run in."""
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "README.md").symlink_to(CHECKOUT / "README.md")
    home = folder / "home"
    home.mkdir()
    (folder / "storage.conf").write_text(STORAGE.format(folder))
    return {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "BUILDAH_ISOLATION": "chroot",
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{plain_environment()['PATH']}",
        "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
        "REGISTRY_AUTH_FILE": str(home / "auth.json"),
        "TMPDIR": str(folder),
    }


def _behind_make(block: str) -> str:
    """`make run` starts the server of the checkout, with its data; here it is to be the reader's."""
    if not block.startswith("make run"):
        return block
    planned = subprocess.run(
        ["make", "-n", "run"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout.splitlines()[-1]
    assert re.fullmatch(r"\S*moorage serve( --data moorage-data)?", planned), planned
    return "moorage serve"


def _on_a_free_port(command: str) -> str:
    if PORT in command:
        return command.replace(PORT, "0")
    return f"{command.strip()} --listen 127.0.0.1:0"


@contextmanager
def _process(
    command: list[str], log: Path, environment: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Ended by its own id."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)
