"""What the pull-through cache costs: a pull of what is cached beside one of what was pushed, a layer that many miss."""

import base64
import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import botocore.session

from bench import processes
from bench.content import MIB, Blob, manifest
from bench.images import pull
from bench.lab import LAYERS, REPOSITORY, Lab, Sample, refuse_errors
from bench.servers import MOORAGE, Running, ecr, started

THROUGH = replace(
    MOORAGE, name="moorage-through", title="the same, for what it has from an upstream registry"
)
ROUNDS = 5
PULLS = 20
READERS = 50
MISSES = 3  # rounds


def run(lab: Lab) -> Iterator[Sample]:
    with started(replace(MOORAGE, arguments=("--access-log",)), lab.work / "upstream") as upstream:
        host = f"http://127.0.0.1:{upstream.port}"
        # On demand, so that no layer is on its way before anybody asks for it.
        kind = replace(MOORAGE, arguments=("--upstream-hosts", host, "--upstream-import", "on-demand"))
        with started(kind, lab.work / "through") as server:
            upstream.create_repository(REPOSITORY)
            server.create_repository(REPOSITORY)
            _rule(server, upstream, host)
            yield from _pulls(lab, upstream, server)
            yield from _misses(lab, upstream, server)


def _pulls(lab: Lab, upstream: Running, server: Running) -> Iterator[Sample]:
    blobs = lab.maker.blobs(1 + LAYERS, MIB)
    for each in (upstream, server):
        _push(lab, each, blobs)
    places = {THROUGH.name: f"up/{REPOSITORY}", MOORAGE.name: REPOSITORY}
    for name in places.values():
        pull(server, name, blobs)
    for round_ in range(lab.rounds(ROUNDS)):
        for column, name in places.items():
            lab.say(f"pull_through: pull from {name}, round {round_ + 1}")
            took = median(pull(server, name, blobs) for _ in range(PULLS))
            yield Sample(f"pull, {LAYERS} × 1 MiB", column, round_, "ms", took)


def _misses(lab: Lab, upstream: Running, server: Running) -> Iterator[Sample]:
    """All ask for a layer that is not here yet: it is read upstream once, and nobody waits for all of it."""
    size = 64 * MIB if lab.quick else 1024 * MIB
    case = f"{READERS} readers miss one layer of {size // MIB} MiB"
    for round_ in range(min(lab.rounds(ROUNDS), MISSES)):
        lab.say(f"pull_through: {READERS} readers miss {size // MIB} MiB, round {round_ + 1}")
        [config], [layer] = lab.maker.blobs(1, MIB), lab.maker.blobs(1, size)
        _push(lab, upstream, [config, layer], f"miss-{round_}")
        _get(server, f"/v2/up/{REPOSITORY}/manifests/miss-{round_}", None)
        get = partial(_get, server, f"/v2/up/{REPOSITORY}/blobs/{layer.digest}", threading.Barrier(READERS))
        idle = processes.memory(server.pid)
        with processes.Watch(server.pid) as watch, ThreadPoolExecutor(READERS) as pool:
            times = [each.result() for each in [pool.submit(get) for _ in range(READERS)]]
        first, last = max(time[0] for time in times), max(time[1] for time in times)
        values = {
            "first byte of the last, ms": first,
            "last byte, ms": last,
            "first byte, % of the last": first / last * 100,
            "reads upstream": _reads(upstream, layer),
            "above idle MiB": watch.peak.resident - idle.resident,
        }
        for metric, value in values.items():
            yield Sample(case, THROUGH.name, round_, metric, value)


def _reads(upstream: Running, layer: Blob) -> int:
    """As its log has it."""
    return upstream.data.with_suffix(".log").read_text().count(f"GET /v2/{REPOSITORY}/blobs/{layer.digest} ")


def _rule(server: Running, upstream: Running, host: str) -> None:
    client = ecr(server)
    token = ecr(upstream).get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).decode().partition(":")[2]
    secret = _secrets(client).create_secret(
        Name="ecr-pullthroughcache/up",
        SecretString=json.dumps({"username": "AWS", "accessToken": password}),
    )
    client.create_pull_through_cache_rule(
        ecrRepositoryPrefix="up", upstreamRegistryUrl=host, credentialArn=secret["ARN"]
    )


def _secrets(client: Any) -> Any:  # botocore is untyped
    credentials = client._request_signer._credentials
    return botocore.session.Session().create_client(
        "secretsmanager",
        region_name=client.meta.region_name,
        endpoint_url=client.meta.endpoint_url,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
    )


def _push(lab: Lab, server: Running, blobs: list[Blob], tag: str = "1") -> None:
    refuse_errors(lab.load.put(server, REPOSITORY, blobs, 4))
    config, *layers = blobs
    lab.put_manifests(server, REPOSITORY, [(manifest(config, layers), tag)])


def _get(server: Running, path: str, together: threading.Barrier | None) -> tuple[float, float]:
    """Milliseconds to the first byte and to the last."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    connection.connect()
    if together is not None:
        together.wait()
    began = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": server.authorization})
    answer = connection.getresponse()
    assert answer.status == 200, (path, answer.status)
    answer.read(1)
    first = time.perf_counter() - began
    buffer = bytearray(MIB)
    while answer.readinto(buffer):
        pass
    last = time.perf_counter() - began
    connection.close()
    return first * 1_000, last * 1_000
