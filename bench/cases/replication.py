"""How long an image takes from the answer to its push until it can be pulled in another region of the same server.

Both regions seal under keys of their own: every layer is opened and sealed again.
"""

import base64
import http.client
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import botocore.session

from bench.cases.small import measured, requests_of
from bench.content import MANIFEST_TYPE, MIB, manifest
from bench.lab import LAYERS, REPOSITORY, Lab, Sample, refuse_errors
from bench.servers import MOORAGE, Running, ecr

ROUNDS = 5
FAR = "eu-west-1"
IMAGES = 20
"""Pushed one after the other for the load beside which small requests are measured."""


def run(lab: Lab) -> Iterator[Sample]:
    rounds = lab.rounds(ROUNDS)
    sizes = {"one layer of 1 MiB": (1, MIB), "10 × 1 MiB": (LAYERS, MIB), "10 × 16 MiB": (LAYERS, 16 * MIB)}
    with lab.serving(MOORAGE) as servers:
        for server in servers:
            far = _far(server)
            yield from _push_without_rule(lab, server, rounds)
            _replicate(server)
            for round_ in range(rounds):
                for number, (name, (count, size)) in enumerate(sizes.items()):
                    lab.say(f"replication: {name}, round {round_ + 1}")
                    blobs = lab.maker.blobs(1 + count, size)
                    yield _visible(lab, server, far, name, blobs, f"r{round_}-{number}", round_)
                yield _visible(lab, server, far, "layers there already", blobs, f"again-{round_}", round_)
            yield from _beside(lab, server, rounds)


def _far(server: Running) -> Running:
    """The same server as a client in the other region has it: a token of that region, and its registry's name."""
    near = ecr(server)
    credentials = near._request_signer._credentials
    client = botocore.session.Session().create_client(
        "ecr",
        region_name=FAR,
        endpoint_url=f"http://127.0.0.1:{server.port}",
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
    )
    token = client.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    assert base64.b64decode(token).startswith(b"AWS:")
    return replace(server, authorization=f"Basic {token}")


def _account(client: Any) -> str:
    return str(client.describe_registry()["registryId"])


def _replicate(server: Running) -> None:
    client = ecr(server)
    to = {"region": FAR, "registryId": _account(client)}
    client.put_replication_configuration(replicationConfiguration={"rules": [{"destinations": [to]}]})


def _visible(
    lab: Lab, server: Running, far: Running, case: str, blobs: list[Any], tag: str, round_: int
) -> Sample:
    """Milliseconds from the answer to the manifest's PUT until the other region has the tag."""
    host = f"{_account(ecr(server))}.dkr.ecr.{FAR}.amazonaws.com"
    config, *layers = blobs
    refuse_errors(lab.load.put(server, REPOSITORY, blobs, 4))
    made = manifest(config, layers, note=tag)
    headers = {"Host": host, "Authorization": far.authorization, "Accept": MANIFEST_TYPE}
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.connect()
    put = {"Authorization": server.authorization, "Content-Type": MANIFEST_TYPE}
    connection.request("PUT", f"/v2/{REPOSITORY}/manifests/{tag}", made.content, put)
    answer = connection.getresponse()
    answer.read()
    began = time.perf_counter()
    assert answer.status == 201, answer.status
    while True:
        connection.request("HEAD", f"/v2/{REPOSITORY}/manifests/{tag}", headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            break
        time.sleep(0.002)
    took = (time.perf_counter() - began) * 1_000
    connection.close()
    return Sample(f"visible, {case}", MOORAGE.name, round_, "ms", took)


def _push_without_rule(lab: Lab, server: Running, rounds: int) -> Iterator[Sample]:
    for round_ in range(rounds):
        yield from _manifest_puts(lab, server, "PUT manifest, no rule", f"plain-{round_}", round_)


def _beside(lab: Lab, server: Running, rounds: int) -> Iterator[Sample]:
    """What a rule adds to a push, and what small requests take meanwhile."""
    image = lab.push_image(server, lab.maker.blobs(1 + LAYERS, MIB))
    for round_ in range(rounds):
        yield from _manifest_puts(lab, server, "PUT manifest, one rule", f"ruled-{round_}", round_)
        request = requests_of(image)["GET manifest by tag"]
        seconds = 0.5 if lab.quick else 1.5
        yield from measured(lab, server, [request], 4, seconds, "GET manifest while replicating", round_)


def _manifest_puts(lab: Lab, server: Running, case: str, tag: str, round_: int) -> Iterator[Sample]:
    config, layer = blobs = lab.maker.blobs(2, MIB)
    refuse_errors(lab.load.put(server, REPOSITORY, blobs, 1))
    tagged = [(manifest(config, [layer], note=f"{tag}-{n}"), f"{tag}-{n}") for n in range(IMAGES)]
    began = time.perf_counter()
    lab.put_manifests(server, REPOSITORY, tagged)
    yield Sample(case, MOORAGE.name, round_, "ms", (time.perf_counter() - began) * 1_000 / IMAGES)
