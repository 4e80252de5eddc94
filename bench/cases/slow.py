"""Two hundred readers of one large blob at 0.5 MB/s each: what they cost in memory, and what others feel."""

import time
from collections.abc import Iterator

from bench.cases.memory import samples
from bench.cases.small import measured, requests_of
from bench.content import MIB
from bench.lab import LAYERS, REPOSITORY, Lab, Sample, refuse_errors
from bench.processes import Watch, memory
from bench.servers import D3, DEBIAN, MOORAGE_CAPPED, Kind

READERS = 200
BYTES_PER_SECOND = 500_000
CONNECTIONS = 4


def run(lab: Lab) -> Iterator[Sample]:
    for round_ in range(lab.rounds(1)):
        for kind in (D3, DEBIAN, MOORAGE_CAPPED):
            if lab.takes_part(kind):
                lab.say(f"slow: round {round_ + 1}, {kind.name}")
                yield from _measured(lab, kind, round_)


def _measured(lab: Lab, kind: Kind, round_: int) -> Iterator[Sample]:
    seconds = 10 if lab.quick else 60
    case = f"{READERS} readers at 0.5 MB/s"
    [large] = lab.maker.blobs(1, 1024 * MIB)
    with lab.serving(kind) as [server]:
        image = lab.push_image(server, lab.maker.blobs(1 + LAYERS, MIB))
        time.sleep(1)
        idle = memory(server.pid)
        refuse_errors(lab.load.put(server, REPOSITORY, [large], 1))
        with Watch(server.pid) as watch:
            path = f"/v2/{REPOSITORY}/blobs/{large.digest}"
            readers = lab.load.start_slow(server, path, READERS, BYTES_PER_SECOND, seconds)
            time.sleep(seconds * 0.4)
            requests = [*requests_of(image).values()]
            yield from measured(lab, server, requests, CONNECTIONS, seconds * 0.4, case, round_)
            read = readers.slow()
    yield from samples(case, kind, round_, watch.peak, idle)
    due = BYTES_PER_SECOND * read.seconds
    yield Sample(case, kind.name, round_, "slowest got %", 100 * read.least_bytes / due)
    yield Sample(case, kind.name, round_, "broken", read.broken)
