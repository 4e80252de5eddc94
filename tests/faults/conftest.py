"""Servers that are made to fail, and a client that pushes to them."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from ..conftest import ecr_password, plain_environment, until
from ..wire.registry.client import CONFIG_TYPE, LAYER_TYPE, Wire, basic, digest_of, manifest

MIB = 1 << 20


@dataclass
class Running:
    """A server process of a test. `started_s`: from its start to its first answer, without waiting for a core."""

    process: subprocess.Popen[bytes]
    host: str
    data: Path
    started_s: float

    @property
    def pid(self) -> int:
        return self.process.pid

    def client(self, service: str = "ecr") -> Any:
        """A boto3 client that asks once."""
        keys = dict(
            line.split(" = ", 1) for line in (self.data / "credentials").read_text().splitlines() if " = " in line
        )
        return boto3.session.Session().client(
            service,
            endpoint_url=f"http://{self.host}",
            region_name="us-east-1",
            aws_access_key_id=keys["aws_access_key_id"],
            aws_secret_access_key=keys["aws_secret_access_key"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def wire(self, password: str | None = None) -> Wire:
        return Wire(self.host, basic("AWS", password or ecr_password(self.client())))

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return rows(self.data, statement)

    def uploads(self) -> list[Path]:
        return sorted((self.data / "uploads").iterdir())

    def blobs(self) -> list[Path]:
        return sorted((self.data / "blobs").glob("??/*"))

    def stop(self, seconds: float = 60) -> int:
        """End it by SIGTERM; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = 60) -> int:
        code = self.process.wait(seconds)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def start(data: Path, *options: str, program: Sequence[str] = ("-m", "moorage")) -> Running | None:
    """Start a server on a free port and wait for its first answer; None if it died before."""
    began = time.monotonic()
    with (data.parent / f"{data.name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *program, "serve", "--data", str(data), "--listen", "127.0.0.1:0", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=plain_environment(),
        )
    running = Running(process, "", data, 0.0)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(b"Listening on http://"):
            running.host = line.decode().strip().removeprefix("Listening on http://")
            break
    try:
        if not running.host or Wire(running.host).ask("GET", "/v2/").status != 401:
            raise ConnectionError("no answer")
        elapsed = time.monotonic() - began
        # The second number: nanoseconds that the process stood in the queue for a core.
        queued = int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[1]) / 1e9
        running.started_s = elapsed - queued
    except Exception:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:  # alive, and silent: that is a failure of another kind
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
        return None
    return running


@contextmanager
def serving(data: Path, *options: str) -> Iterator[Running]:
    """A server for the block, ended by its own pid."""
    running = start(data, *options)
    assert running is not None, (data.parent / f"{data.name}.log").read_text()[-4000:]
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.wait()


def rows(data: Path, statement: str) -> list[tuple[Any, ...]]:
    """What the database holds, read beside the server."""
    with closing(sqlite3.connect(f"file:{data}/moorage.db?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(statement).fetchall()


def eventually(holds: Callable[[], bool], otherwise: str, seconds: float = 30) -> None:
    """Wait for something real."""
    for _ in until(seconds, otherwise):
        if holds():
            return


@dataclass(frozen=True)
class Image:
    """Layers, the last of which is the config, and the manifest that names them."""

    tag: str
    layers: tuple[bytes, ...]
    manifest: bytes = field(repr=False)

    @classmethod
    def random(cls, seed: object, tag: str, sizes: Sequence[int]) -> Image:
        source = random.Random(f"{seed} {tag}")
        layers = tuple(source.randbytes(size) for size in sizes)
        return cls.of(tag, layers)

    @classmethod
    def of(cls, tag: str, layers: Sequence[bytes]) -> Image:
        *contents, config = layers
        return cls(
            tag,
            tuple(layers),
            manifest(
                config=_descriptor(config, CONFIG_TYPE), layers=[_descriptor(each, LAYER_TYPE) for each in contents]
            ),
        )

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)

    def push(self, wire: Wire, name: str) -> None:
        for layer in self.layers:
            wire.push_blob(name, layer)
        answer = wire.put_manifest(name, self.tag, self.manifest)
        assert answer.status == 201, answer

    def check(self, wire: Wire, name: str) -> None:
        """It is there, byte for byte."""
        answer = wire.ask("GET", f"/v2/{name}/manifests/{self.tag}")
        assert (answer.status, answer.body) == (200, self.manifest)
        for layer in self.layers:
            answer = wire.ask("GET", f"/v2/{name}/blobs/{digest_of(layer)}")
            assert answer.status == 200, answer
            assert answer.body == layer


def _descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}

