"""A real server process, the stock AWS clients pointed at it, and the rule about tools that a machine lacks."""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import hypothesis
import pytest

CHECKOUT = Path(__file__).parents[1]
TOOLS = f"{Path(sys.executable).parent}:{CHECKOUT / '.cache' / 'bin'}:{os.environ['PATH']}:/usr/sbin:/sbin"
OWN_MODELS = CHECKOUT / "src" / "moorage" / "aws" / "models"
IN_CI = os.environ.get("CI") == "true"
START_SECONDS = 30
STOP_SECONDS = 30

# An example may take as long as a busy machine makes it take.
hypothesis.settings.register_profile("patient", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("patient")

Need = Callable[[str], str]
Run = Callable[..., str]
Repository = Callable[..., str]


@pytest.fixture(scope="session")
def need() -> Need:
    """The path of a program; without it the test is skipped, in continuous integration it fails."""

    def need(program: str) -> str:
        found = shutil.which(program, path=TOOLS)
        if found is None:
            lacking(f"{program} is not installed: run `make clients`")
        return str(found)

    return need


def lacking(reason: str) -> None:
    """End the test for want of something outside the project."""
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


def knowing_all_services() -> Any:
    """A session of botocore that knows the models of Amazon's services and of our own."""
    session = botocore.session.get_session()
    session.get_component("data_loader").search_paths.append(str(OWN_MODELS))
    return session


@dataclass(frozen=True)
class Server:
    """A running `moorage serve`. `host` is HOST:PORT, as clients spell it in image names."""

    host: str
    data: Path
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}"

    @property
    def port(self) -> int:
        return int(self.host.rpartition(":")[2])

    @property
    def environment(self) -> dict[str, str]:
        """What an AWS client needs to reach this server as its root."""
        return {
            "AWS_SHARED_CREDENTIALS_FILE": str(self.data / "credentials"),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def cpu_seconds(self) -> float:
        """For how long it has worked: unlike a clock, this does not tell what else runs on the machine."""
        after_name = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return sum(map(int, after_name[11:13])) / os.sysconf("SC_CLK_TCK")

    def client(self, service: str) -> Any:
        """A boto3 client of this server."""
        keys = dict(
            line.split(" = ", 1)
            for line in (self.data / "credentials").read_text().splitlines()
            if " = " in line
        )
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=keys["aws_access_key_id"],
            aws_secret_access_key=keys["aws_secret_access_key"],
        )


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Server]:
    """`moorage serve` on a free port with an empty data directory, ended by its own pid."""
    program = os.environ.get("MOORAGE", str(Path(sys.executable).with_name("moorage")))
    data, log = folder / "data", folder / "server.log"
    command = [program, "serve", "--data", str(data), "--listen", "127.0.0.1:0", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=plain_environment(),
        )
    try:
        yield Server(host=_listening(process, log), data=data, log=log, process=process)
        assert process.poll() is None, f"the server ended by itself:\n{log.read_text()[-4000:]}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        shutil.rmtree(data, ignore_errors=True)
    assert process.returncode == 0, f"SIGTERM: exit {process.returncode}\n{log.read_text()[-4000:]}"


@contextmanager
def ended_inside(folder: Path, *options: str) -> Iterator[Server]:
    """A server that the test itself ends, and whose data it may look at then."""
    try:
        with running(folder, *options) as server:
            yield server
            raise _Ended
    except _Ended:
        pass


class _Ended(Exception):
    pass


def _listening(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in until(START_SECONDS, f"no answer from the server, see {log}"):
        assert process.poll() is None, log.read_text()
        said = [line for line in log.read_text().splitlines() if "Listening on http://" in line]
        if not said:
            continue
        host = said[0].partition("Listening on http://")[2].split()[0].rstrip("/.")
        if _status(host) == 401:
            return host
    raise AssertionError


def _status(host: str) -> int:
    connection = http.client.HTTPConnection(host, timeout=5)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def until(seconds: float, otherwise: str) -> Iterator[None]:
    """Turns of a loop that waits for something real; fails with `otherwise` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.05)
    pytest.fail(otherwise)


def free_port() -> int:
    """One that stays free until it is taken: no outgoing connection gets one from below its range."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.SystemRandom().sample(range(first - 10_000, first), 1_000):
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    pytest.fail("no port is free")


def plain_environment() -> dict[str, str]:
    """The environment without what would lead a client away from loopback, or to another registry's keys."""
    foreign = ("AWS_", "CONTAINERS_", "DOCKER_", "HELM_", "OCI_", "REGISTRY_", "SSL_CERT_")
    # Servers run with compiled bytecode, as an installed package has it: their starts are timed.
    named = {"CURL_CA_BUNDLE", "PYTHONDONTWRITEBYTECODE", "REQUESTS_CA_BUNDLE", "STORAGE_DRIVER"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign) and name not in named and not name.lower().endswith("_proxy")
    }
    return kept | {"PATH": TOOLS, "NO_PROXY": "*"}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("moorage")) as server:
        yield server


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a client in a home of its own; returns what it prints, fails with all that it said."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)

    def run(
        *command: object,
        env: Mapping[str, str] | None = None,
        fails: bool = False,
        timeout: float = 300,
        **options: Any,
    ) -> str:
        return run_client(
            [str(word) for word in command],
            env=plain_environment()
            | {"HOME": str(home), "DOCKER_CONFIG": str(home / "docker")}
            | dict(env or {}),
            fails=fails,
            timeout=timeout,
            **options,
        )

    return run


def run_client(
    command: Sequence[str], env: Mapping[str, str], fails: bool = False, timeout: float = 300, **options: Any
) -> str:
    """What a command prints; of one that `fails`, what it prints and complains about."""
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=timeout, **options
    )
    everything = f"{' '.join(command)}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
    if fails:
        assert done.returncode != 0, everything
        return done.stdout + done.stderr
    if done.returncode != 0:
        pytest.fail(everything)
    return done.stdout


@pytest.fixture
def aws(server: Server, run: Run, need: Need) -> Callable[..., Any]:
    """The stock AWS CLI: returns its JSON, or its text where it is none."""
    program = need("aws")

    def aws(*words: str, env: Mapping[str, str] | None = None, **options: Any) -> Any:
        said = run(program, *words, env=server.environment | dict(env or {}), **options)
        return json.loads(said) if said.startswith(("{", "[")) else said.strip()

    return aws


@pytest.fixture(scope="session")
def ecr(server: Server) -> Any:
    return server.client("ecr")


@pytest.fixture(scope="session")
def password(ecr: Any) -> str:
    """What `aws ecr get-login-password` prints."""
    return ecr_password(ecr)


def ecr_password(ecr: Any) -> str:
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return base64.b64decode(token).decode().removeprefix("AWS:")


@pytest.fixture(scope="session")
def repository(ecr: Any) -> Repository:
    """Create a repository of a name that no other test has."""
    numbers = count(1)

    def repository(stem: str, **options: Any) -> str:
        name = f"{stem}-{next(numbers)}"
        ecr.create_repository(repositoryName=name, **options)
        return name

    return repository


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(server, Server):
        report.sections.append(("server log", server.log.read_text(errors="replace")[-6000:]))
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A skip says that the machine lacks something; the machines of continuous integration may not."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and exitstatus == 0 and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
