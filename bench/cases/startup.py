"""From the start of the process to the first HTTP answer, on an empty data directory and on its own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.lab import Lab, Sample
from bench.servers import D3, DEBIAN, MOORAGE, started

ROUNDS = 7


def run(lab: Lab) -> Iterator[Sample]:
    for round_ in range(lab.rounds(ROUNDS)):
        lab.say(f"startup: round {round_ + 1}")
        for kind in (D3, DEBIAN, MOORAGE):
            if not lab.takes_part(kind):
                continue
            place = Path(tempfile.mkdtemp(dir=lab.work))
            for case in ("first start", "restart"):
                with started(kind, place / "data") as server:
                    yield Sample(case, kind.name, round_, "seconds", server.first_answer)
                    yield Sample(case, kind.name, round_, "CPU s", server.first_answer_cpu)
            shutil.rmtree(place)
