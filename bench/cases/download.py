"""Blob downloads. The page cache is warm for every server; `moorage-cold` keeps nothing opened in memory.

`moorage` is hot: every blob was read three times before, so that it is in the memory cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.content import MIB, Blob
from bench.lab import REPOSITORY, Lab, Sample, refuse_errors, rotated
from bench.load_clients import BulkResult
from bench.servers import D3, DEBIAN, MOORAGE, MOORAGE_COLD, Running

ROUNDS = 3
GIB = 1 << 30


@dataclass(frozen=True)
class Size:
    """`distinct` blobs of `size` bytes; `alone` and `parallel` are the jobs of one reader and of eight."""

    label: str
    size: int
    distinct: int
    alone: int
    parallel: int


def run(lab: Lab) -> Iterator[Sample]:
    sizes = [
        Size("1 MiB", MIB, 32, 256, 1024),
        Size("64 MiB", 64 * MIB, 8, 8, 32),
        Size("large", lab.large, 1, 2, 8),
    ]
    content = {size: lab.maker.blobs(size.distinct, size.size) for size in sizes}
    with lab.serving(D3, DEBIAN, MOORAGE_COLD, MOORAGE) as servers:
        for server in servers:
            lab.say(f"download: filling {server.kind.name}")
            _fill(lab, server, [blob for blobs in content.values() for blob in blobs])
        for round_ in range(lab.rounds(ROUNDS)):
            for size, blobs in content.items():
                lab.say(f"download: round {round_ + 1}, {size.label}")
                for threads, copy in ((1, False), (8, False), (1, True)):
                    for server in rotated(servers, round_):
                        yield from _measured(lab, server, size, blobs, threads, copy, round_)


def _fill(lab: Lab, server: Running, blobs: list[Blob]) -> None:
    refuse_errors(lab.load.put(server, REPOSITORY, blobs, 2))
    for _ in range(3):
        refuse_errors(lab.load.get(server, _paths(blobs), 1))


def _measured(
    lab: Lab, server: Running, size: Size, blobs: list[Blob], threads: int, copy: bool, round_: int
) -> Iterator[Sample]:
    jobs = size.alone if threads == 1 else size.parallel
    paths = [path for _, path in zip(range(jobs), _paths(blobs) * jobs, strict=False)]
    cpu = server.cpu_seconds()
    result = lab.load.get(server, paths, threads, copy=copy)
    cpu = server.cpu_seconds() - cpu
    label = size.label if size.label != "large" else large_label(lab)
    case = f"{label} ×{threads}{', copying client' if copy else ''}"
    yield from bulk_samples(case, server, round_, result, cpu)


def bulk_samples(case: str, server: Running, round_: int, result: BulkResult, cpu: float) -> Iterator[Sample]:
    metrics = {
        "MB/s": result.megabytes_per_second,
        "p50 ms": result.p50_us / 1000,
        "max ms": result.max_us / 1000,
        "CPU s/GiB": cpu * GIB / max(1, result.bytes),
        "errors": result.errors,
    }
    for metric, value in metrics.items():
        yield Sample(case, server.kind.name, round_, metric, value)


def large_label(lab: Lab) -> str:
    return f"{lab.large // MIB} MiB" if lab.large < GIB else "1 GiB"


def _paths(blobs: list[Blob]) -> list[str]:
    return [f"/v2/{REPOSITORY}/blobs/{blob.digest}" for blob in blobs]
