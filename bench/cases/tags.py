"""The same requests against repositories of 10, 1,000 and 100,000 tags, one image a tag.

Pages hold ten entries everywhere, so that all answers are of one size. The peer's tags are written straight into its
directory tree, in the form in which it writes them itself, and end at 10,000: each of them is a dozen files and
directories.
"""

import json
import random
import time
from collections.abc import Iterator, Sequence

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from bench.cases.small import measured
from bench.content import MANIFEST_TYPE, MIB, Manifest, manifest
from bench.lab import Lab, Sample, refuse_errors, rotated
from bench.load_clients import Request
from bench.servers import D3, MOORAGE, REGION, Running, ecr

ROUNDS = 3
CONNECTIONS = 4
PAGE = 10
PEER_MOST = 10_000
FILL_CONNECTIONS = 16


def run(lab: Lab) -> Iterator[Sample]:
    seconds = 0.5 if lab.quick else 1.5
    counts = (10, 1000, 10_000) if lab.quick else (10, 1000, 10_000, 100_000)
    with lab.serving(D3, MOORAGE) as servers:
        for server in servers:
            for count in _held(server, counts):
                lab.say(f"tags: filling {server.kind.name} with {count:,}")
                yield from _fill(lab, server, count)
        for round_ in range(lab.rounds(ROUNDS)):
            lab.say(f"tags: round {round_ + 1}")
            for count in counts:
                for server in rotated([s for s in servers if count in _held(s, counts)], round_):
                    for name, requests in _requests(server, count).items():
                        case = f"{name}, {count:,} tags"
                        yield from measured(lab, server, requests, CONNECTIONS, seconds, case, round_)


def _held(server: Running, counts: Sequence[int]) -> list[int]:
    return [count for count in counts if server.kind.ours or count <= PEER_MOST]


def _fill(lab: Lab, server: Running, count: int) -> Iterator[Sample]:
    server.create_repository(_repository(count))
    config, layer = blobs = lab.maker.blobs(2, MIB)
    refuse_errors(lab.load.put(server, _repository(count), blobs, 1))
    tagged = [(manifest(config, [layer], note=tag), tag) for tag in _tags(count)]
    by_request = tagged if server.kind.ours else tagged[:100]
    began = time.monotonic()
    lab.put_manifests(server, _repository(count), by_request, FILL_CONNECTIONS)
    rate = len(by_request) / (time.monotonic() - began)
    yield Sample(f"PUT manifest while filling {count:,}", server.kind.name, 0, "rps", rate)
    _write_links(server, _repository(count), tagged[len(by_request) :])


def _write_links(server: Running, repository: str, tagged: Sequence[tuple[Manifest, str]]) -> None:
    """What distribution's filesystem driver holds after a PUT of each manifest by tag."""
    root = server.data / "docker/registry/v2"
    manifests = root / "repositories" / repository / "_manifests"
    for made, tag in tagged:
        digest = made.digest.removeprefix("sha256:")
        blob = root / "blobs/sha256" / digest[:2] / digest
        blob.mkdir(parents=True)
        (blob / "data").write_bytes(made.content)
        links = (
            manifests / "revisions/sha256" / digest,
            manifests / "tags" / tag / "current",
            manifests / "tags" / tag / "index/sha256" / digest,
        )
        for link in links:
            link.mkdir(parents=True)
            (link / "link").write_text(made.digest)


def _requests(server: Running, count: int) -> dict[str, list[Request]]:
    accept = (("Accept", MANIFEST_TYPE),)
    tags = list(_tags(count))
    base = f"/v2/{_repository(count)}"
    sampled = random.Random(count).sample(tags, min(count, 2000))
    requests = {
        "GET manifest": [Request("GET", f"{base}/manifests/{tags[count // 2]}", accept)],
        "GET manifest, tags at random": [
            Request("GET", f"{base}/manifests/{tag}", accept) for tag in sampled
        ],
        "tags page": [Request("GET", f"{base}/tags/list?n={PAGE}")],
        "tags page in the middle": [
            Request("GET", f"{base}/tags/list?n={PAGE // 2}&last={tags[count // 2 - 1]}")
        ],
    }
    if server.kind.ours:
        requests["DescribeImages page"] = [_describe_images(server, _repository(count))]
    return requests


def _describe_images(server: Running, repository: str) -> Request:
    """A signed call; the same signature is good for all requests of a run."""
    call = AWSRequest(
        "POST",
        f"http://127.0.0.1:{server.port}/",
        data=json.dumps({"repositoryName": repository, "maxResults": PAGE}),
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeImages",
        },
    )
    SigV4Auth(ecr(server)._get_credentials(), "ecr", REGION).add_auth(call)
    headers = tuple((name, str(value)) for name, value in call.headers.items())
    return Request("POST", "/", headers, call.data.encode())


def _tags(count: int) -> Iterator[str]:
    return (f"build-{number:06d}" for number in range(count))


def _repository(count: int) -> str:
    return f"bench/tags-{count}"
