"""oras: artifacts, what refers to them, copies of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Need, Repository, Run, Server

REPORT = "application/vnd.example.report.v1"
THING = "application/vnd.example.thing.v1"


@pytest.fixture
def oras(need: Need, run: Run, server: Server, password: str, tmp_path: Path) -> Run:
    program = need("oras")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "thing.bin").write_bytes(bytes(range(256)) * 8192)
    (tmp_path / "files" / "report.json").write_text('{"findings": []}')
    run(
        program, "login", "--plain-http", "--username", "AWS", "--password-stdin", server.host, input=password
    )

    def oras(*words: object, **options: Any) -> str:
        return run(program, *words, cwd=tmp_path / "files", **options)

    return oras


@pytest.fixture
def thing(oras: Run, server: Server, repository: Repository) -> str:
    """An artifact that was pushed, with one referrer."""
    reference = f"{server.host}/{repository('oras/thing')}:1"
    oras("push", "--plain-http", "--artifact-type", THING, reference, "thing.bin:application/octet-stream")
    oras("attach", "--plain-http", "--artifact-type", REPORT, reference, "report.json:application/json")
    return reference


def test_login_when_the_password_is_wrong_is_refused(oras: Run, server: Server) -> None:
    said = oras(
        "login", "--plain-http", "-u", "AWS", "--password-stdin", server.host, input="wrong", fails=True
    )

    assert "unauthorized" in said


def test_pull_gives_the_file_that_was_pushed(oras: Run, thing: str, tmp_path: Path) -> None:
    oras("pull", "--plain-http", "--output", tmp_path / "pulled", thing)

    assert (tmp_path / "pulled" / "thing.bin").read_bytes() == (tmp_path / "files" / "thing.bin").read_bytes()


def test_discover_finds_what_was_attached(oras: Run, thing: str) -> None:
    found = json.loads(oras("discover", "--plain-http", "--format", "json", thing))
    other = json.loads(oras("discover", "--plain-http", "--format", "json", "--artifact-type", THING, thing))

    assert [referrer["artifactType"] for referrer in found["referrers"]] == [REPORT]
    assert not other["referrers"]
    assert oras("repo", "tags", "--plain-http", thing.rpartition(":")[0]) == "1\n"  # no fallback tag


def test_copy_carries_the_referrers(oras: Run, server: Server, repository: Repository, thing: str) -> None:
    copy = f"{server.host}/{repository('oras/copy')}:1"

    oras("cp", "--from-plain-http", "--to-plain-http", "--recursive", thing, copy)

    assert oras("resolve", "--plain-http", copy) == oras("resolve", "--plain-http", thing)
    assert REPORT in oras("discover", "--plain-http", "--format", "json", copy)


def test_blob_goes_in_and_out(oras: Run, thing: str, tmp_path: Path) -> None:
    name = thing.rpartition(":")[0]
    pushed = json.loads(oras("blob", "push", "--plain-http", "--descriptor", name, "report.json"))

    oras("blob", "fetch", "--plain-http", "--output", tmp_path / "blob", f"{name}@{pushed['digest']}")

    assert (tmp_path / "blob").read_text() == '{"findings": []}'


def test_deleted_manifest_is_gone(oras: Run, thing: str) -> None:
    digest = oras("resolve", "--plain-http", thing).strip()

    oras("manifest", "delete", "--plain-http", "--force", f"{thing.rpartition(':')[0]}@{digest}")

    assert "not found" in oras("manifest", "fetch", "--plain-http", thing, fails=True)
