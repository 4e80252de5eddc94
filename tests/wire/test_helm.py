"""helm: charts in a registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Need, Repository, Run, Server

Helm = Callable[..., str]


@pytest.fixture
def helm(need: Need, run: Run, tmp_path: Path) -> Helm:
    program = need("helm")

    def helm(*words: object, **options: Any) -> str:
        return run(program, *words, cwd=tmp_path, **options)

    return helm


@pytest.fixture
def login(server: Server) -> list[str]:
    return ["registry", "login", "--plain-http", "--username", "AWS", "--password-stdin", server.host]


def test_login_when_the_password_is_wrong_is_refused(helm: Helm, login: list[str]) -> None:
    said = helm(*login, input="wrong", fails=True)

    assert "401" in said


def test_pulled_chart_is_the_pushed_chart(
    helm: Helm, login: list[str], password: str, server: Server, repository: Repository, tmp_path: Path
) -> None:
    folder, _, chart = repository("helm/chart").rpartition("/")
    there = f"oci://{server.host}/{folder}"
    helm("create", chart)
    helm("package", "--version", "1.2.3+build.4", chart)
    helm(*login, input=password)

    (tmp_path / "pulled").mkdir()
    helm("push", "--plain-http", f"{chart}-1.2.3+build.4.tgz", there)
    helm("pull", "--plain-http", "--destination", "pulled", "--version", "1.2.3+build.4", f"{there}/{chart}")
    shown = helm("show", "chart", "--plain-http", "--version", "1.2.3+build.4", f"{there}/{chart}")

    archives = tmp_path / f"{chart}-1.2.3+build.4.tgz", next((tmp_path / "pulled").iterdir())
    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert f"name: {chart}" in shown


def test_newest_version_is_found_among_the_tags(
    helm: Helm, login: list[str], password: str, server: Server, repository: Repository
) -> None:
    folder, _, chart = repository("helm/versions").rpartition("/")
    there = f"oci://{server.host}/{folder}"
    helm("create", chart)
    helm(*login, input=password)
    for version in ("0.1.0", "0.2.0", "0.10.0"):
        helm("package", "--version", version, chart)
        helm("push", "--plain-http", f"{chart}-{version}.tgz", there)

    assert "version: 0.10.0" in helm("show", "chart", "--plain-http", f"{there}/{chart}")
    assert "version: 0.2.0" in helm(
        "show", "chart", "--plain-http", "--version", "<0.10.0", f"{there}/{chart}"
    )
