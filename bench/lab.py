"""The place where a run happens: a work directory, load clients, peers, and the servers under test."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import servers
from bench.content import MANIFEST_TYPE, MIB, Blob, BlobMaker, Manifest, manifest
from bench.load_clients import BulkResult, LoadClients, Request, SmallResult
from bench.servers import Kind, Running

REPOSITORY = "bench/app"
LAYERS = 10


@dataclass(frozen=True)
class Sample:
    """One number: `metric` of `case` on `server` in one round. Rounds pair the servers."""

    case: str
    server: str
    round: int
    metric: str
    value: float


@dataclass(frozen=True)
class Image:
    """An image in REPOSITORY of a server."""

    manifest: Manifest
    layers: list[Blob]


@dataclass
class Lab:
    work: Path
    quick: bool
    asked_rounds: int | None
    load: LoadClients
    maker: BlobMaker
    chosen: frozenset[str] | None = None
    notes: list[str] = field(default_factory=list)

    def rounds(self, usual: int) -> int:
        return self.asked_rounds or (min(2, usual) if self.quick else usual)

    @property
    def large(self) -> int:
        """Bytes of the large blob: 1 GiB, or 256 MiB in a quick run."""
        return (256 if self.quick else 1024) * MIB

    def say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def machine(self) -> str:
        model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
        gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
        load = " ".join(f"{value:.1f}" for value in os.getloadavg())
        kernel = os.uname().release
        return (
            f"{os.cpu_count()} CPUs ({model.partition(': ')[2]}), {gib:.0f} GiB, Linux {kernel}, "
            f"load average afterwards {load}; clients and servers share the CPUs"
        )

    def descriptions(self) -> list[str]:
        kinds = (kind for kind in servers.KINDS if self.takes_part(kind))
        return [*(f"`{kind.name}`: {kind.title}; {kind.durability}" for kind in kinds), *self.notes]

    def takes_part(self, kind: Kind) -> bool:
        return kind.program.exists() and (self.chosen is None or kind.name in self.chosen)

    @contextlib.contextmanager
    def serving(self, *kinds: Kind) -> Iterator[list[Running]]:
        """Those of `kinds` that are present, each on a new data directory that goes away afterwards."""
        place = Path(tempfile.mkdtemp(dir=self.work))
        try:
            with contextlib.ExitStack() as stack:
                yield [self._start(stack, kind, place) for kind in kinds if self.takes_part(kind)]
        finally:
            shutil.rmtree(place)

    def _start(self, stack: contextlib.ExitStack, kind: Kind, place: Path) -> Running:
        # The htpasswd registry reads what its sibling wrote.
        data = place / (servers.D3.name if kind is servers.D3_HTPASSWD else kind.name)
        server = stack.enter_context(servers.started(kind, data))
        if kind is not servers.D3_HTPASSWD:
            server.create_repository(REPOSITORY)
        return server

    def push_image(self, server: Running, blobs: list[Blob]) -> Image:
        """Push the first blob as config, the rest as layers, and tag the image `latest`."""
        config, *layers = blobs
        refuse_errors(self.load.put(server, REPOSITORY, blobs, 1))
        made = manifest(config, layers)
        self.put_manifests(server, REPOSITORY, [(made, "latest")])
        return Image(made, layers)

    def put_manifests(
        self, server: Running, repository: str, tagged: Sequence[tuple[Manifest, str]], connections: int = 1
    ) -> SmallResult:
        headers = (("Content-Type", MANIFEST_TYPE),)
        requests = [
            Request("PUT", f"/v2/{repository}/manifests/{tag}", headers, made.content) for made, tag in tagged
        ]
        result = self.load.small(server, requests, connections, 0)
        refuse_errors(result)
        return result


@contextlib.contextmanager
def open_lab(*, quick: bool, rounds: int | None, chosen: frozenset[str] | None) -> Iterator[Lab]:
    servers.CACHE.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=servers.CACHE))
    try:
        lab = Lab(work, quick, rounds, LoadClients(work / "load"), BlobMaker(work / "base"), chosen)
        _build_distribution(lab)
        absent = (kind for kind in servers.KINDS if not kind.program.exists())
        lab.notes += [f"`{kind.name}`: no {kind.program.name} on this machine" for kind in absent]
        lab.notes.append("zot not measured: the Go module proxy serves no version of zotregistry.dev/zot/v2")
        yield lab
    finally:
        shutil.rmtree(work)


def refuse_errors(result: SmallResult | BulkResult) -> None:
    """For what must succeed before anything is measured."""
    if result.errors:
        raise RuntimeError(f"filling failed: {result}")


def _build_distribution(lab: Lab) -> None:
    if servers.D3.program.exists():
        return
    module = f"{servers.DISTRIBUTION}@{servers.DISTRIBUTION_VERSION}"
    lab.say(f"building {module} (once, some minutes)")
    environment = {**os.environ, "GOBIN": str(servers.D3.program.parent)}
    if subprocess.run(["go", "install", module], env=environment, cwd=lab.work, check=False).returncode:
        lab.notes.append(f"{module} did not build")


def rotated(servers_: Sequence[Running], by: int) -> list[Running]:
    """The servers in another order each round, so that none always goes first."""
    by %= max(1, len(servers_))
    return [*servers_[by:], *servers_[:by]]
