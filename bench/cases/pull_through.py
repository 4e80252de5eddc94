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

from bench.content import MANIFEST_TYPE, MIB, Blob, manifest
from bench.lab import LAYERS, REPOSITORY, Lab, Sample, refuse_errors
from bench.servers import MOORAGE, Running, ecr, started

THROUGH = replace(
    MOORAGE, name="moorage-through", title="the same, for what it has from an upstream registry"
)
ROUNDS = 5
PULLS = 20
READERS = 50


def run(lab: Lab) -> Iterator[Sample]:
    with started(MOORAGE, lab.work / "upstream") as upstream:
        host = f"http://127.0.0.1:{upstream.port}"
        kind = replace(MOORAGE, arguments=("--upstream-hosts", host))
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
        _pull(server, name, blobs)
    for round_ in range(lab.rounds(ROUNDS)):
        for column, name in places.items():
            lab.say(f"pull_through: pull from {name}, round {round_ + 1}")
            took = median(_pull(server, name, blobs) for _ in range(PULLS))
            yield Sample(f"pull, {LAYERS} × 1 MiB", column, round_, "ms", took)


def _misses(lab: Lab, upstream: Running, server: Running) -> Iterator[Sample]:
    """All ask for a layer that is not here yet. The first byte, the last one, and reads upstream."""
    size = lab.large // 4
    for round_ in range(min(lab.rounds(ROUNDS), 3)):
        lab.say(f"pull_through: {READERS} readers miss {size // MIB} MiB, round {round_ + 1}")
        blobs = lab.maker.blobs(2, size)
        _push(lab, upstream, blobs, f"miss-{round_}")
        _get(server, f"/v2/up/{REPOSITORY}/manifests/miss-{round_}", None)
        path = f"/v2/up/{REPOSITORY}/blobs/{blobs[1].digest}"
        get = partial(_get, server, path, threading.Barrier(READERS))
        with ThreadPoolExecutor(READERS) as pool:
            times = [each.result() for each in [pool.submit(get) for _ in range(READERS)]]
        case = f"{READERS} readers miss one layer of {size // MIB} MiB"
        yield Sample(f"{case}, first byte of the last", THROUGH.name, round_, "ms", max(t[0] for t in times))
        yield Sample(f"{case}, last byte", THROUGH.name, round_, "ms", max(t[1] for t in times))


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


def _pull(server: Running, name: str, blobs: list[Blob]) -> float:
    """Milliseconds for the manifest by its tag and all that it names, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    headers = {"Authorization": server.authorization, "Accept": MANIFEST_TYPE}
    began = time.perf_counter()
    for path in (f"/v2/{name}/manifests/1", *(f"/v2/{name}/blobs/{blob.digest}" for blob in blobs)):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, (path, answer.status)
    took = (time.perf_counter() - began) * 1_000
    connection.close()
    return took


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
    while answer.read(MIB):
        pass
    last = time.perf_counter() - began
    connection.close()
    return first * 1_000, last * 1_000
