"""Small requests over keep-alive connections: where a registry spends its days."""

from collections.abc import Iterator

from bench.content import MANIFEST_TYPE, MIB
from bench.lab import LAYERS, REPOSITORY, Image, Lab, Sample, rotated
from bench.load_clients import Request
from bench.servers import D3, D3_HTPASSWD, DEBIAN, MOORAGE, Running

ROUNDS = 5


def run(lab: Lab) -> Iterator[Sample]:
    seconds = 0.5 if lab.quick else 1.5
    blobs = lab.maker.blobs(1 + LAYERS, MIB)
    with lab.serving(D3, D3_HTPASSWD, DEBIAN, MOORAGE) as servers:
        images = [lab.push_image(server, blobs) for server in servers if server.kind is not D3_HTPASSWD]
        requests = requests_of(images[0])
        for server in servers:
            lab.load.small(server, [*requests.values()], 4, 1)  # Warm.
        for round_ in range(lab.rounds(ROUNDS)):
            for connections in (1, 16, 64):
                lab.say(f"small: round {round_ + 1}, {connections} connections")
                for name, request in requests.items():
                    for server in rotated(servers, round_):
                        case = f"{name}, c={connections}"
                        yield from measured(lab, server, [request], connections, seconds, case, round_)


def requests_of(image: Image) -> dict[str, Request]:
    accept = (("Accept", MANIFEST_TYPE),)
    manifests = f"/v2/{REPOSITORY}/manifests"
    return {
        "ping": Request("GET", "/v2/"),
        "GET manifest by tag": Request("GET", f"{manifests}/latest", accept),
        "GET manifest by digest": Request("GET", f"{manifests}/{image.manifest.digest}", accept),
        "HEAD manifest by tag": Request("HEAD", f"{manifests}/latest", accept),
        "HEAD manifest by digest": Request("HEAD", f"{manifests}/{image.manifest.digest}", accept),
        "HEAD blob": Request("HEAD", f"/v2/{REPOSITORY}/blobs/{image.layers[0].digest}"),
    }


def measured(
    lab: Lab,
    server: Running,
    requests: list[Request],
    connections: int,
    seconds: float,
    case: str,
    round_: int,
) -> Iterator[Sample]:
    """The samples of one run of the small client."""
    cpu = server.cpu_seconds()
    result = lab.load.small(server, requests, connections, seconds)
    cpu = server.cpu_seconds() - cpu
    metrics = {
        "rps": result.requests / result.seconds,
        "p50 ms": result.p50_us / 1000,
        "p99 ms": result.p99_us / 1000,
        "CPU µs/request": cpu * 1e6 / max(1, result.requests),
        "errors": result.errors,
    }
    for metric, value in metrics.items():
        yield Sample(case, server.kind.name, round_, metric, value)
