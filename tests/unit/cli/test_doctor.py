from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from moorage.cli import doctor
from moorage.cli.doctor import (
    BROKEN,
    OK,
    WARNING,
    check_answer,
    check_clients,
    check_environment,
    check_modes,
)
from moorage.cli.ecr import Answer, Unreachable
from moorage.config.settings import Settings
from moorage.registry.peers.peer import Peer

from .conftest import Command

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_modes_of_a_new_directory_are_good(data: Path) -> None:
    assert [finding.level for finding in check_modes(Settings(data=data))] == [OK]


@pytest.mark.parametrize("name", ["", "credentials", "root.key", "moorage.db"])
def test_modes_that_let_others_in_are_broken(data: Path, name: str) -> None:
    path = data / name
    path.chmod(path.stat().st_mode | 0o040)

    [finding] = check_modes(Settings(data=data))

    assert finding.level == BROKEN
    assert f"chmod {700 if path.is_dir() else 600} {path}" in finding.says


def test_the_key_of_a_peer_that_others_may_read_is_broken(data: Path) -> None:
    key = data.parent / "peer-key"
    key.touch(0o644)
    peer = Peer("210987654321", "eu-west-1", key)

    [finding] = check_modes(Settings(data=data, upstream_peers=(peer,)))

    assert f"chmod 600 {key}" in finding.says


@pytest.mark.parametrize(
    ("registry", "client", "level"),
    [
        ("localhost:5050", "docker", OK),
        ("127.0.0.1:5050", "oras", OK),
        ("localhost:5050", "skopeo", WARNING),
        ("registry.example:5050", "docker", WARNING),
    ],
)
def test_client_that_must_be_told_of_plain_http_is_a_warning(registry: str, client: str, level: str) -> None:
    [finding] = check_clients(registry, [client])

    assert (finding.what, finding.level) == (client, level)


def test_docker_for_another_host_is_told_what_to_write() -> None:
    [finding] = check_clients("registry.example:5050", ["docker"])

    assert '"insecure-registries": ["registry.example:5050"]' in finding.says


@pytest.mark.parametrize(("skew", "level"), [(timedelta(minutes=-14), OK), (timedelta(minutes=15), BROKEN)])
def test_clock_that_differs_too_much_is_broken(skew: timedelta, level: str) -> None:
    findings = check_answer("http://localhost:5050", Answer(401, b"", NOW + skew), NOW)

    assert [(finding.what, finding.level) for finding in findings] == [("server", OK), ("clock", level)]


def test_answer_of_something_else_is_broken() -> None:
    [finding] = check_answer("http://localhost:5050", Answer(404, b"", NOW), NOW)

    assert finding.level == BROKEN


def test_variables_that_win_are_a_warning() -> None:
    assert check_environment([]) == []
    assert [finding.level for finding in check_environment(["AWS_ACCESS_KEY_ID"])] == [WARNING]


def test_doctor_of_a_stopped_server_fails_and_names_it(
    moorage: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> Answer:
        raise Unreachable("nothing answers")

    monkeypatch.setattr(doctor, "call", unreachable)

    done = moorage("doctor", "--json")

    findings = json.loads(done.out)
    assert done.code == 1
    assert [finding["what"] for finding in findings if finding["level"] == BROKEN] == ["server"]
    assert {"root key", "credentials"} <= {
        finding["what"] for finding in findings if finding["level"] == WARNING
    }


def test_doctor_without_data_says_what_to_do(moorage: Command) -> None:
    done = moorage("doctor")

    assert done.code == 1
    assert done.out == "✗  data  there is no moorage-data: run `moorage serve`, or give --data\n"
