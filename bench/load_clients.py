"""The C load clients: built once, run as processes, their JSON turned into values."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.content import Blob
from bench.servers import Running

SOURCES = Path(__file__).resolve().parent / "load"


@dataclass(frozen=True)
class SmallResult:
    requests: int
    seconds: float
    p50_us: int
    p99_us: int
    max_us: int
    errors: int
    reconnects: int


@dataclass(frozen=True)
class BulkResult:
    jobs: int
    bytes: int
    seconds: float
    p50_us: int
    p99_us: int
    max_us: int
    errors: int

    @property
    def megabytes_per_second(self) -> float:
        return self.bytes / 1e6 / self.seconds


@dataclass(frozen=True)
class SlowResult:
    seconds: float
    least_bytes: int
    most_bytes: int
    broken: int


@dataclass(frozen=True)
class Request:
    """One prepared request. Its head gets Host, Authorization and the length of the body."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def encode(self, server: Running) -> bytes:
        headers = [("Host", f"127.0.0.1:{server.port}"), ("User-Agent", "bench"), *self.headers]
        if server.authorization and "Authorization" not in dict(headers):
            headers.append(("Authorization", server.authorization))
        if self.body or self.method in ("POST", "PUT"):
            headers.append(("Content-Length", str(len(self.body))))
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


class LoadClients:
    """The three programs in `binaries`; the files they read stand beside them."""

    def __init__(self, binaries: Path) -> None:
        self._at = binaries
        binaries.mkdir(parents=True, exist_ok=True)
        for source in SOURCES.glob("*.c"):
            subprocess.run(["gcc", "-O2", "-pthread", "-o", binaries / source.stem, source], check=True)

    def small(
        self, server: Running, requests: list[Request], connections: int, seconds: float
    ) -> SmallResult:
        """Send the requests in turn for so many seconds; 0 sends each once."""
        file = self._at / "requests"
        encoded = (request.encode(server) for request in requests)
        with file.open("wb") as output:
            output.writelines(b"%d\n%b" % (len(request), request) for request in encoded)
        return SmallResult(**_run([self._at / "small", server.port, connections, seconds, file]))

    def get(self, server: Running, paths: list[str], threads: int, *, copy: bool = False) -> BulkResult:
        return BulkResult(**_run(self._get(server, paths, threads, 0, "copy" if copy else "discard")))

    def put(
        self, server: Running, repository: str, blobs: list[Blob], threads: int, *, chunked: bool = False
    ) -> BulkResult:
        return BulkResult(**_run(self._put(server, repository, blobs, threads, 0, chunked)))

    def start_get(self, server: Running, paths: list[str], threads: int, seconds: float) -> "Started":
        return Started(self._get(server, paths, threads, seconds, "discard"))

    def start_put(
        self, server: Running, repository: str, blobs: list[Blob], threads: int, seconds: float
    ) -> "Started":
        return Started(self._put(server, repository, blobs, threads, seconds, chunked=False))

    def start_slow(
        self, server: Running, path: str, readers: int, bytes_per_second: int, seconds: float
    ) -> "Started":
        return Started(
            [self._at / "slow", server.port, readers, bytes_per_second, seconds, server.authorization, path]
        )

    def _get(
        self, server: Running, paths: list[str], threads: int, seconds: float, mode: str
    ) -> list[object]:
        jobs = self._at / "jobs"
        jobs.write_text("".join(f"{path}\n" for path in paths))
        return [self._at / "bulk", "get", server.port, threads, mode, seconds, server.authorization, jobs]

    def _put(
        self, server: Running, repository: str, blobs: list[Blob], threads: int, seconds: float, chunked: bool
    ) -> list[object]:
        jobs = self._at / "jobs"
        jobs.write_text("".join(f"{repository} {b.size} {b.digest} {b.tail}\n" for b in blobs))
        mode = "chunked" if chunked else "length"
        base = blobs[0].base
        return [
            self._at / "bulk",
            "put",
            server.port,
            threads,
            mode,
            seconds,
            server.authorization,
            jobs,
            base,
        ]


class Started:
    """A load client under way."""

    def __init__(self, command: list[object]) -> None:
        self._process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)

    def bulk(self) -> BulkResult:
        return BulkResult(**self._wait())

    def slow(self) -> SlowResult:
        return SlowResult(**self._wait())

    def _wait(self) -> dict[str, int]:
        output, _ = self._process.communicate()
        return _parse(output)


def _run(command: list[object]) -> dict[str, int]:
    return _parse(subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True).stdout)


def _parse(output: bytes) -> dict[str, int]:
    values: dict[str, int] = json.loads(output)
    return values
