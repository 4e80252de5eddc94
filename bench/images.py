"""Whole images over one connection, as a client pushes and pulls them, timed."""

import hashlib
import http.client
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.content import MANIFEST_TYPE, Blob, manifest
from bench.servers import Running

LAYERS, LAYER_BYTES = 3, 64 << 10


def pull(server: Running, name: str, blobs: list[Blob]) -> float:
    """Milliseconds for the manifest by its tag and all that it names."""
    paths = [f"/v2/{name}/manifests/1", *(f"/v2/{name}/blobs/{blob.digest}" for blob in blobs)]
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    began = time.perf_counter()
    for path in paths:
        _ask(connection, server, "GET", path, 200)
    took = (time.perf_counter() - began) * 1_000
    connection.close()
    return took


def push(server: Running, name: str) -> float:
    """Milliseconds for an image that is not there: asked for, each layer in one request, the manifest with a tag."""
    contents = [os.urandom(LAYER_BYTES) for _ in range(1 + LAYERS)]
    digests = [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in contents]
    config, *layers = (Blob(Path(), LAYER_BYTES, "", digest) for digest in digests)
    made = manifest(config, layers)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    began = time.perf_counter()
    for digest, content in zip(digests, contents, strict=True):
        _ask(connection, server, "HEAD", f"/v2/{name}/blobs/{digest}", 404)
        _ask(connection, server, "POST", f"/v2/{name}/blobs/uploads/?digest={digest}", 201, content)
    _ask(connection, server, "PUT", f"/v2/{name}/manifests/pushed", 201, made.content)
    took = (time.perf_counter() - began) * 1_000
    connection.close()
    return took


def at_once(clients: int, count: int, once: Callable[[], float]) -> list[float]:
    """The milliseconds of `count` images, so many clients at a time, sorted."""
    with ThreadPoolExecutor(clients) as pool:
        return sorted(pool.map(lambda _: once(), range(count)))


def percentile(times: list[float], share: float) -> float:
    """Of sorted times."""
    return times[min(int(len(times) * share), len(times) - 1)]


def _ask(
    connection: http.client.HTTPConnection,
    server: Running,
    method: str,
    path: str,
    expected: int,
    body: bytes | None = None,
) -> None:
    headers = {"Authorization": server.authorization, "Accept": MANIFEST_TYPE}
    if body is not None:
        headers["Content-Type"] = MANIFEST_TYPE
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status != expected:
        raise RuntimeError(f"{method} {path}: {answer.status}")
