"""`kill -9` while an image of an upstream registry is brought in the background: the next process goes on."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from ..wire.loopback import say
from ..wire.loopback import serving as upstream_of
from ..wire.registry.client import OCI_MANIFEST
from .conftest import MIB, digest_of, eventually, serving

NAME = "far/app"


def test_an_import_that_is_killed_ends_after_the_restart_and_fetches_no_layer_again(tmp_path: Path) -> None:
    layers = [b"{}", os.urandom(MIB), os.urandom(3 * MIB)]
    large = digest_of(layers[-1])
    blobs = {digest_of(layer): layer for layer in layers}
    manifest = _image(layers)
    asked: Counter[str] = Counter()
    is_open = threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        if "/manifests/" in request.path:
            return say(request, manifest, headers={"Content-Type": OCI_MANIFEST})
        digest = request.path.rpartition("/")[2]
        asked[digest] += 1
        if digest != large or is_open.is_set():
            return say(request, blobs[digest])
        request.send_response(200)
        request.send_header("Content-Length", str(len(layers[-1])))
        request.end_headers()
        request.wfile.write(layers[-1][: 2 * MIB])  # the rest never comes
        request.wfile.flush()
        is_open.wait(60)
        return None

    with upstream_of(answer) as port:
        url = f"http://127.0.0.1:{port}"
        with serving(tmp_path / "data", "--upstream-hosts", url) as server:
            server.client().create_pull_through_cache_rule(ecrRepositoryPrefix="far", upstreamRegistryUrl=url)
            assert server.wire().ask("GET", f"/v2/{NAME}/manifests/1").status == 200
            eventually(lambda: len(server.rows("SELECT 1 FROM blobs")) == 2, "two layers do not come")
            eventually(lambda: asked[large] == 1, "the large layer is not asked for")
            server.process.kill()
        is_open.set()

        with serving(tmp_path / "data", "--upstream-hosts", url) as server:
            eventually(lambda: not server.rows("SELECT 1 FROM jobs"), "the import does not end", 60)
            wire = server.wire()
            for digest, layer in blobs.items():
                assert wire.ask("GET", f"/v2/{NAME}/blobs/{digest}").body == layer
            eventually(lambda: not server.uploads(), "what the dead process left is still there")
            assert server.stop() == 0

    assert asked == {digest: 2 if digest == large else 1 for digest in blobs}


def _image(layers: list[bytes]) -> bytes:
    config, *rest = (
        {"mediaType": f"application/vnd.example.{number}", "digest": digest_of(layer), "size": len(layer)}
        for number, layer in enumerate(layers)
    )
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": rest}
    return json.dumps(document).encode()
