"""Small requests while four large transfers run: does the bulk starve the rest?"""

from collections.abc import Iterator

from bench.cases.download import large_label
from bench.cases.small import measured, requests_of
from bench.content import MIB
from bench.lab import LAYERS, REPOSITORY, Image, Lab, Sample, refuse_errors, rotated
from bench.load_clients import Started
from bench.servers import D3, DEBIAN, MOORAGE, MOORAGE_COLD, Kind, Running

ROUNDS = 3
TRANSFERS = 4
CONNECTIONS = 4


def run(lab: Lab) -> Iterator[Sample]:
    image_blobs = lab.maker.blobs(1 + LAYERS, MIB)
    large = lab.maker.blobs(1, lab.large)
    with lab.serving(D3, DEBIAN, MOORAGE_COLD, MOORAGE) as servers:
        images = [lab.push_image(server, image_blobs) for server in servers]
        path = f"/v2/{REPOSITORY}/blobs/{large[0].digest}"
        for server in servers:
            refuse_errors(lab.load.put(server, REPOSITORY, large, 1))
            refuse_errors(lab.load.get(server, [path] * 3, 1))
        for round_ in range(lab.rounds(ROUNDS)):
            lab.say(f"mixed: round {round_ + 1}, downloads")
            for server in rotated(servers, round_):
                bulk = lab.load.start_get(server, [path], TRANSFERS, _seconds(lab) + 1)
                case = f"during {TRANSFERS} downloads of {large_label(lab)}"
                yield from _measured(lab, server, images[0], bulk, case, round_)
    yield from _during_uploads(lab)


def _during_uploads(lab: Lab) -> Iterator[Sample]:
    for round_ in range(lab.rounds(ROUNDS)):
        lab.say(f"mixed: round {round_ + 1}, uploads")
        for kind in (D3, DEBIAN, MOORAGE):
            if lab.takes_part(kind):
                yield from _during_uploads_to(lab, kind, round_)


def _during_uploads_to(lab: Lab, kind: Kind, round_: int) -> Iterator[Sample]:
    with lab.serving(kind) as [server]:
        image = lab.push_image(server, lab.maker.blobs(1 + LAYERS, MIB))
        blobs = lab.maker.blobs(32, lab.large)  # More than fit into the time.
        bulk = lab.load.start_put(server, REPOSITORY, blobs, TRANSFERS, _seconds(lab) + 1)
        case = f"during {TRANSFERS} uploads of {large_label(lab)}"
        yield from _measured(lab, server, image, bulk, case, round_)


def _measured(
    lab: Lab, server: Running, image: Image, bulk: Started, case: str, round_: int
) -> Iterator[Sample]:
    requests = [*requests_of(image).values()]
    found = measured(lab, server, requests, CONNECTIONS, _seconds(lab), case, round_)
    # The CPU time of the transfers cannot be told from that of the requests.
    yield from (sample for sample in found if not sample.metric.startswith("CPU"))
    moved = bulk.bulk()
    yield Sample(case, server.kind.name, round_, "bulk MB/s", moved.megabytes_per_second)
    yield Sample(case, server.kind.name, round_, "bulk errors", moved.errors)


def _seconds(lab: Lab) -> float:
    return 3 if lab.quick else 8
