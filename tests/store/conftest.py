"""The stores that the suites run over."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import pytest


@pytest.fixture(scope="session")
def lacking() -> Callable[[str], NoReturn]:
    """Skip for a reason; a machine may lack something, continuous integration may not."""

    def lacking(reason: str) -> NoReturn:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    return lacking


@pytest.fixture(scope="session")
def postgres_server(lacking: Callable[[str], NoReturn]) -> Iterator[Path]:
    """The socket folder of a PostgreSQL of our own, as an unprivileged user: it refuses root."""
    programs = _postgres_programs() or lacking("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="moorage-pg-", dir="/tmp"))
    as_user = _unprivileged(folder)
    data = str(folder / "data")
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    try:
        _call([programs / "initdb", "-D", data, "-A", "trust", "-U", "moorage", "--no-sync"], as_user)
        _call([programs / "pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start"], as_user)
        yield folder
    finally:
        # It ends the process whose id stands in the data folder.
        subprocess.run(
            [programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], capture_output=True, **as_user
        )
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def database_names() -> Iterator[str]:
    return (f"test_{number}" for number in count())


@pytest.fixture
def postgres_url(postgres_server: Path, database_names: Iterator[str]) -> str:
    """An empty database."""
    import psycopg

    name = next(database_names)
    with psycopg.connect(
        f"postgresql://moorage@/postgres?host={postgres_server}", autocommit=True
    ) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"postgresql://moorage@/{name}?host={postgres_server}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/moorage.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


def _postgres_programs() -> Path | None:
    """The folder of initdb and pg_ctl. Debian keeps it off the path."""
    folders = [
        *os.get_exec_path(),
        *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)),
    ]
    return next((Path(folder) for folder in folders if (Path(folder) / "initdb").exists()), None)


def _unprivileged(folder: Path) -> dict[str, Any]:
    """Arguments for `subprocess`; the folder is given to that user."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        subprocess.run(["useradd", "-r", "postgres"], check=True)
        user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": folder}


def _call(command: list[Any], as_user: dict[str, Any]) -> None:
    # Not through pipes: the server keeps what pg_ctl has open.
    with tempfile.TemporaryFile() as output:
        if subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **as_user
        ).returncode:
            output.seek(0)
            pytest.fail(f"{command[0]}: {output.read().decode()}")
