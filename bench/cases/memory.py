"""Memory idle, and its peak during eight large uploads, eight large downloads, and repeated smaller ones."""

import time
from collections.abc import Iterator

from bench.cases.download import large_label
from bench.content import MIB, Blob
from bench.lab import REPOSITORY, Lab, Sample, refuse_errors
from bench.processes import Memory, Watch, memory
from bench.servers import D3, DEBIAN, MOORAGE_CAPPED, Kind

ROUNDS = 2
PARALLEL = 8
HOT = 64 * MIB  # Eight of them are twice the capped memory cache.


def run(lab: Lab) -> Iterator[Sample]:
    for round_ in range(lab.rounds(ROUNDS)):
        for kind in (D3, DEBIAN, MOORAGE_CAPPED):
            if lab.takes_part(kind):
                lab.say(f"memory: round {round_ + 1}, {kind.name}")
                yield from _measured(lab, kind, round_)


def _measured(lab: Lab, kind: Kind, round_: int) -> Iterator[Sample]:
    blobs = lab.maker.blobs(PARALLEL, lab.large)
    large = large_label(lab)
    with lab.serving(kind) as [server]:
        time.sleep(1)
        idle = memory(server.pid)
        with Watch(server.pid) as uploading:
            refuse_errors(lab.load.put(server, REPOSITORY, blobs, PARALLEL))
        with Watch(server.pid) as downloading:
            refuse_errors(lab.load.get(server, _paths(blobs), PARALLEL))
        hot = lab.maker.blobs(PARALLEL, HOT)
        refuse_errors(lab.load.put(server, REPOSITORY, hot, PARALLEL))
        with Watch(server.pid) as repeating:
            refuse_errors(lab.load.get(server, _paths(hot) * 3, PARALLEL))
    yield from samples("idle", server.kind, round_, idle, idle)
    yield from samples(f"{PARALLEL} uploads of {large}", kind, round_, uploading.peak, idle)
    yield from samples(f"{PARALLEL} downloads of {large}", kind, round_, downloading.peak, idle)
    yield from samples(f"{PARALLEL} blobs of 64 MiB, three times", kind, round_, repeating.peak, idle)


def _paths(blobs: list[Blob]) -> list[str]:
    return [f"/v2/{REPOSITORY}/blobs/{blob.digest}" for blob in blobs]


def samples(case: str, kind: Kind, round_: int, peak: Memory, idle: Memory) -> Iterator[Sample]:
    yield Sample(case, kind.name, round_, "resident MiB", peak.resident)
    yield Sample(case, kind.name, round_, "above idle MiB", peak.resident - idle.resident)
    yield Sample(case, kind.name, round_, "memfd MiB", peak.memfd)
