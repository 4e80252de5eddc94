"""Blob uploads: POST, PATCH, PUT ?digest=.

Every blob is new, every server starts empty, every answer is durable.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from bench.cases.download import bulk_samples, large_label
from bench.content import MIB, Blob
from bench.lab import REPOSITORY, Lab, Sample, refuse_errors
from bench.servers import D3, DEBIAN, MOORAGE, Kind

ROUNDS = 3


@dataclass(frozen=True)
class Case:
    name: str
    size: int
    threads: int
    jobs: int
    chunked: bool = False


def run(lab: Lab) -> Iterator[Sample]:
    large = large_label(lab)
    cases = [
        Case("1 MiB ×1", MIB, 1, 64),
        Case("1 MiB ×8", MIB, 8, 256),
        Case("64 MiB ×1", 64 * MIB, 1, 4),
        Case("64 MiB ×8", 64 * MIB, 8, 16),
        Case("64 MiB ×1, chunked", 64 * MIB, 1, 4, chunked=True),
        Case("64 MiB ×8, chunked", 64 * MIB, 8, 16, chunked=True),
        Case(f"{large} ×1", lab.large, 1, 1),
        Case(f"{large} ×8", lab.large, 8, 8),
    ]
    kinds = [kind for kind in (D3, DEBIAN, MOORAGE) if lab.takes_part(kind)]
    for round_ in range(lab.rounds(ROUNDS)):
        for case in cases:
            lab.say(f"upload: round {round_ + 1}, {case.name}")
            blobs = lab.maker.blobs(case.jobs, case.size)
            first = round_ % len(kinds)
            for kind in (*kinds[first:], *kinds[:first]):
                yield from _measured(lab, kind, case, blobs, round_)


def _measured(lab: Lab, kind: Kind, case: Case, blobs: list[Blob], round_: int) -> Iterator[Sample]:
    with lab.serving(kind) as [server]:
        refuse_errors(lab.load.put(server, REPOSITORY, lab.maker.blobs(4, MIB), 2))  # Warm.
        os.sync()  # What others left to be written is not this server's work.
        cpu = server.cpu_seconds()
        result = lab.load.put(server, REPOSITORY, blobs, case.threads, chunked=case.chunked)
        cpu = server.cpu_seconds() - cpu
        yield from bulk_samples(case.name, server, round_, result, cpu)
