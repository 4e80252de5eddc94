"""The registry's wire, asked with nothing in between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from ...conftest import Repository, Server, ecr_password, plain_environment, running
from .client import Wire, basic


@pytest.fixture(scope="session")
def session_wire(server: Server, password: str) -> Iterator[Wire]:
    wire = Wire(server.host, basic("AWS", password))
    yield wire
    wire.close()


@pytest.fixture
def wire(session_wire: Wire, server: Server) -> Wire:
    """The registry as its root sees it."""
    return session_wire


@pytest.fixture
def nobody(server: Server) -> Iterator[Wire]:
    """The registry as a caller without credentials sees it."""
    wire = Wire(server.host)
    yield wire
    wire.close()


@pytest.fixture(scope="session")
def foreign(server: Server) -> Iterator[Wire]:
    """The default registry as the root of another account sees it."""
    program = str(Path(sys.executable).with_name("moorage"))
    said = subprocess.run(
        [program, "account", "create", "--data", str(server.data), "--json"],
        capture_output=True,
        env=plain_environment(),
        check=True,
    ).stdout
    made = json.loads(said)
    wire = Wire(server.host, basic("AWS", ecr_password(client_of(server, Path(made["credentials"])))))
    yield wire
    wire.close()


def client_of(server: Server, credentials: Path, region: str = "us-east-1") -> object:
    """A boto3 client of `ecr`, with the keys of a credentials file."""
    keys = dict(line.split(" = ", 1) for line in credentials.read_text().splitlines() if " = " in line)
    return boto3.client(
        "ecr",
        endpoint_url=server.endpoint,
        region_name=region,
        aws_access_key_id=keys["aws_access_key_id"],
        aws_secret_access_key=keys["aws_secret_access_key"],
    )


@pytest.fixture
def name(repository: Repository, request: pytest.FixtureRequest) -> str:
    """A repository of the test's own."""
    stem = request.node.name.partition("[")[0].removeprefix("test_").strip("_").replace("_", "-")
    return repository(f"wire/{stem[:80].strip('-')}")


@pytest.fixture(scope="session")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A server with the switches the other way: strict immutability, missing references allowed, short passwords."""
    folder = tmp_path_factory.mktemp("lenient")
    with running(folder, "--strict-immutable", "--allow-missing-references") as server:
        ecr = server.client("ecr")
        ecr.create_repository(repositoryName="sparse")
        ecr.create_repository(repositoryName="immutable", imageTagMutability="IMMUTABLE")
        wire = Wire(server.host, basic("AWS", ecr_password(ecr)))
        yield wire
        wire.close()


@pytest.fixture(scope="session")
def account(ecr: object) -> str:
    """The id of the registry."""
    return str(ecr.describe_registry()["registryId"])  # type: ignore[attr-defined]


Fresh = Callable[[str], str]
