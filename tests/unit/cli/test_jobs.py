"""Jobs are listed and retried beside the server."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from moorage.base.clock import HOUR, system_clock

from .conftest import Command


@pytest.fixture
def jobs(data: Path) -> Path:
    """One waits, one has failed, one runs."""
    now = system_clock()
    rows = [
        (1, "events.deliver", "hook", now + HOUR, 2, None, None, None, "RemoteFailed: no", 0, 0, ""),
        (2, "replicate", "team/app", 1 << 62, 20, None, None, now, "the peer\x1b[2J is gone", 0, 0, ""),
        (3, "lifecycle", "team/app", 1 << 62, 1, "a-process", now + HOUR, None, "", 3, 10, "images"),
    ]
    with closing(sqlite3.connect(data / "moorage.db", isolation_level=None)) as db:
        db.executemany(
            "INSERT INTO jobs (id, kind, subject, due, attempts, lease, leased_until, failed, error, done, total, note)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    return data


def test_jobs_are_listed_with_their_state_and_progress(moorage: Command, jobs: Path) -> None:
    done = moorage("jobs", "--data", str(jobs))

    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0].split()[:4] == ["ID", "JOB", "SUBJECT", "STATE"]
    assert [line.split()[3] for line in lines[1:]] == ["waiting", "failed", "running"]
    assert "3 of 10 images" in lines[3]
    assert "\x1b" not in lines[2]


def test_jobs_are_listed_as_json(moorage: Command, jobs: Path) -> None:
    waiting, failed, running = json.loads(moorage("jobs", "--data", str(jobs), "--json").out)

    assert (waiting["state"], waiting["attempts"], waiting["error"]) == ("waiting", 2, "RemoteFailed: no")
    assert (failed["state"], failed["due"]) == ("failed", None)
    assert (running["done"], running["total"], running["note"]) == (3, 10, "images")


def test_what_was_given_up_is_tried_again_and_what_runs_is_left_alone(moorage: Command, jobs: Path) -> None:
    assert moorage("jobs", "retry", "2", "--data", str(jobs)).code == 0
    states = {
        each["id"]: each["state"] for each in json.loads(moorage("jobs", "--data", str(jobs), "--json").out)
    }
    assert states[2] == "waiting"

    for id_ in ("3", "99"):
        done = moorage("jobs", "retry", id_, "--data", str(jobs))
        assert (done.code, f"there is no job {id_}" in done.err) == (1, True)


def test_the_record_of_an_empty_registry_is_empty_and_fits(moorage: Command, data: Path) -> None:
    assert json.loads(moorage("audit", "--data", str(data), "--json").out) == []
    checked = json.loads(moorage("audit", "verify", "--data", str(data), "--json").out)
    assert (checked["valid"], checked["records"]) == (True, 0)
    assert moorage("audit", "verify", "--data", str(data), "--head", "0f" * 32).code == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("audit", "--since", "yesterday"), "--since is 'yesterday'"),
        (("audit", "verify", "--head", "x"), "--head is 'x'"),
    ],
)
def test_what_is_wrong_is_one_line(moorage: Command, data: Path, words: tuple[str, ...], says: str) -> None:
    done = moorage(*words, "--data", str(data))

    assert (done.code, says in done.err) == (2, True)
