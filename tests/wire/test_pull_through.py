"""The pull-through cache between real servers: a second Moorage and Debian's docker-registry upstream, and one of the
test's own that means no good.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Need, Run, Server, ecr_password, running
from .conftest import Images, Suite, daemon
from .images import digests
from .loopback import say, serving
from .people import Account, Caller, allow
from .upstreams import MANIFEST, Bad, Door, age, asked, cache_from, digest, docker_registry, image_of

MIB = 1 << 20
IMPORT, CREATE = "ecr:BatchImportUpstreamImage", "ecr:CreateRepository"
PULL = ("ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_numbers = count(1)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A second Moorage, which writes down what it is asked."""
    with running(tmp_path_factory.mktemp("upstream"), "--access-log") as server:
        yield server


@pytest.fixture(scope="module")
def theirs(upstream: Server) -> Door:
    return Door(upstream.host, ecr_password(upstream.client("ecr")))


@pytest.fixture(scope="module")
def bad() -> Iterator[tuple[Bad, str]]:
    bad = Bad()
    with serving(bad) as port:
        yield bad, f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def busy() -> Iterator[str]:
    """An upstream that is left alone for a while after each answer."""
    with serving(lambda request: say(request, b"{}", 429, {"Retry-After": "1"})) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def debian_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("docker-registry")) as host:
        yield host


@pytest.fixture(scope="module")
def cache(
    upstream: Server,
    theirs: Door,
    bad: tuple[Bad, str],
    busy: str,
    debian_registry: str,
    tmp_path_factory: Any,
) -> Iterator[Server]:
    """A Moorage with a rule for each: `up/`, `bad/`, `busy/` and `debian/`."""
    hosts = f"{upstream.endpoint}, {bad[1]}, {busy}, http://{debian_registry}"
    with running(tmp_path_factory.mktemp("cache"), "--upstream-hosts", hosts) as server:
        ecr = server.client("ecr")
        cache_from(server, "up", upstream)
        ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="bad", upstreamRegistryUrl=bad[1])
        ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="busy", upstreamRegistryUrl=busy)
        ecr.create_pull_through_cache_rule(
            ecrRepositoryPrefix="debian", upstreamRegistryUrl=f"http://{debian_registry}"
        )
        yield server


@pytest.fixture(scope="module")
def ours(cache: Server) -> Door:
    return Door(cache.host, ecr_password(cache.client("ecr")))


@pytest.fixture
def name(upstream: Server) -> str:
    """A repository of the upstream that no other test has."""
    name = f"team/app-{next(_numbers)}"
    upstream.client("ecr").create_repository(repositoryName=name)
    return name


def caller(cache: Server, policy: str) -> Door:
    _, user = _account(cache).user(policy)
    return Door(cache.host, ecr_password(user.client("ecr")))


def _account(cache: Server) -> Account:
    keys = dict(
        line.split(" = ", 1)
        for line in (cache.data / "credentials").read_text().splitlines()
        if " = " in line
    )
    return Account.of(Caller(cache, keys["aws_access_key_id"], keys["aws_secret_access_key"]))


# A Moorage behind a Moorage


def test_an_image_of_another_moorage_comes_whole_and_is_then_here(
    cache: Server, ours: Door, theirs: Door, upstream: Server, name: str
) -> None:
    config, layer = b"{}", os.urandom(3 * MIB + 7)
    manifest = theirs.push(name, "1", config, layer)

    head = ours.ask("HEAD", f"/v2/up/{name}/manifests/1")
    got = ours.get(f"/v2/up/{name}/manifests/1")
    blobs = [ours.get(f"/v2/up/{name}/blobs/{digest(each)}").body for each in (config, layer)]

    assert head.status == 200
    assert head.headers["docker-content-digest"] == digest(manifest)
    assert (got.status, got.body, got.headers["content-type"]) == (200, manifest, MANIFEST)
    assert blobs == [config, layer]
    before = upstream.log.read_text().count(f" /v2/{name}/")
    for _ in range(3):
        assert ours.get(f"/v2/up/{name}/manifests/1").body == manifest
        assert ours.get(f"/v2/up/{name}/manifests/{digest(manifest)}").body == manifest
        assert ours.get(f"/v2/up/{name}/blobs/{digest(layer)}").body == layer
    assert upstream.log.read_text().count(f" /v2/{name}/") == before
    described = cache.client("ecr").describe_images(repositoryName=f"up/{name}")["imageDetails"]
    assert [(each["imageDigest"], each["imageTags"]) for each in described] == [(digest(manifest), ["1"])]


def test_ranges_of_a_layer_that_still_comes_are_what_they_should_be(
    ours: Door, theirs: Door, name: str
) -> None:
    layer = os.urandom(8 * MIB + 3)
    theirs.push(name, "1", b"{}", layer)
    ours.get(f"/v2/up/{name}/manifests/1")
    path = f"/v2/up/{name}/blobs/{digest(layer)}"

    with ThreadPoolExecutor(4) as pool:
        parts = [(0, 9), (5 * MIB, 5 * MIB + 70_000), (8 * MIB, 8 * MIB + 2), (65_535, 65_537)]
        got = list(pool.map(lambda part: ours.get(path, Range=f"bytes={part[0]}-{part[1]}"), parts))

    for (first, last), answer in zip(parts, got, strict=True):
        assert answer.status == 206
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(layer)}"
        assert answer.body == layer[first : last + 1]


def test_fifty_clients_who_miss_one_layer_cost_one_read_upstream(
    ours: Door, theirs: Door, upstream: Server, name: str
) -> None:
    layer = os.urandom(16 * MIB)
    theirs.push(name, "1", b"{}", layer)
    ours.get(f"/v2/up/{name}/manifests/1")
    path = f"/v2/up/{name}/blobs/{digest(layer)}"

    with ThreadPoolExecutor(50) as pool:
        got = list(pool.map(lambda _: digest(ours.get(path).body), range(50)))

    assert got == [digest(layer)] * 50
    assert asked(upstream, "GET", f"/v2/{name}/blobs/{digest(layer)}") == 1


def test_fifty_clients_who_miss_one_image_cost_one_request_upstream(
    ours: Door, theirs: Door, upstream: Server, name: str
) -> None:
    manifest = theirs.push(name, "1", b"{}")

    with ThreadPoolExecutor(50) as pool:
        got = list(pool.map(lambda _: ours.get(f"/v2/up/{name}/manifests/1").body, range(50)))

    assert got == [manifest] * 50
    assert asked(upstream, "GET", f"/v2/{name}/manifests/1") == 1


def test_a_tag_that_moved_upstream_is_served_as_it_is_there_after_a_day(
    cache: Server, ours: Door, theirs: Door, name: str
) -> None:
    first = theirs.push(name, "1", b"{}", b"first")
    assert ours.get(f"/v2/up/{name}/manifests/1").body == first
    second = theirs.push(name, "1", b"{}", b"second")
    assert ours.ask("HEAD", f"/v2/up/{name}/manifests/1").headers["docker-content-digest"] == digest(first)

    age(cache)

    assert ours.get(f"/v2/up/{name}/manifests/1").body == second
    assert ours.get(f"/v2/up/{name}/manifests/{digest(first)}").body == first


def test_the_json_api_pulls_through_as_well(cache: Server, theirs: Door, name: str) -> None:
    ecr = cache.client("ecr")
    layer = os.urandom(2 * MIB)
    manifest = theirs.push(name, "1", b"{}", layer)
    missing = {"imageTag": "nothing"}

    answer = ecr.batch_get_image(repositoryName=f"up/{name}", imageIds=[{"imageTag": "1"}, missing])
    url = ecr.get_download_url_for_layer(repositoryName=f"up/{name}", layerDigest=digest(layer))[
        "downloadUrl"
    ]
    connection = http.client.HTTPConnection(cache.host, timeout=60)
    connection.request("GET", url.partition(cache.host.partition(":")[2])[2])

    assert [image["imageManifest"].encode() for image in answer["images"]] == [manifest]
    assert [(each["imageId"], each["failureCode"]) for each in answer["failures"]] == [
        (missing, "ImageNotFound")
    ]
    assert connection.getresponse().read() == layer
    connection.close()


def test_an_upstream_that_is_gone_leaves_what_is_here(
    theirs: Door, tmp_path: Path, need: Need, run: Run
) -> None:
    """The tag is old, and its upstream was ended: manifest and layers are served as they were."""
    (tmp_path / "gone").mkdir()
    (tmp_path / "cache").mkdir()
    layer = os.urandom(2 * MIB)
    with running(tmp_path / "gone") as gone:
        gone.client("ecr").create_repository(repositoryName="app")
        manifest = Door(gone.host, ecr_password(gone.client("ecr"))).push("app", "1", b"{}", layer)
        secret = {"username": "AWS", "accessToken": ecr_password(gone.client("ecr"))}
        options = ("--upstream-hosts", gone.endpoint, "--access-log")
        context = running(tmp_path / "cache", *options)
        cache = context.__enter__()
        arn = cache.client("secretsmanager").create_secret(
            Name="ecr-pullthroughcache/gone", SecretString=json.dumps(secret)
        )["ARN"]
        cache.client("ecr").create_pull_through_cache_rule(
            ecrRepositoryPrefix="gone", upstreamRegistryUrl=gone.endpoint, credentialArn=arn
        )
        valid = cache.client("ecr").validate_pull_through_cache_rule(ecrRepositoryPrefix="gone")
        ours = Door(cache.host, ecr_password(cache.client("ecr")))
        assert ours.get("/v2/gone/app/manifests/1").body == manifest
        assert ours.get(f"/v2/gone/app/blobs/{digest(layer)}").body == layer
    try:
        age(cache)

        assert ours.get("/v2/gone/app/manifests/1").body == manifest
        assert ours.get(f"/v2/gone/app/blobs/{digest(layer)}").body == layer
        new = ours.get("/v2/gone/app/manifests/2")
        assert (new.status, new.error) == (503, "UNAVAILABLE")
        invalid = cache.client("ecr").validate_pull_through_cache_rule(ecrRepositoryPrefix="gone")
        assert (valid["isValid"], invalid["isValid"]) == (True, False)
        assert "not available" in invalid["failure"]
    finally:
        context.__exit__(None, None, None)


# Rights


def test_who_may_not_import_or_create_gets_not_found_and_the_upstream_is_not_asked(
    cache: Server, theirs: Door, upstream: Server, name: str
) -> None:
    theirs.push(name, "1", b"{}")
    path = f"/v2/up/{name}/manifests/1"
    only_pull, imports, both = (
        caller(cache, allow(*PULL, *more)) for more in ((), (IMPORT,), (IMPORT, CREATE))
    )

    refused = [only_pull.get(path), imports.get(path), caller(cache, allow(PULL[0])).get(path)]

    assert [(each.status, each.error) for each in refused] == [
        (404, "NAME_UNKNOWN"),
        (404, "NAME_UNKNOWN"),
        (403, "DENIED"),
    ]
    assert asked(upstream, "GET", f"/v2/{name}/manifests/1") == 0
    names = [each["repositoryName"] for each in cache.client("ecr").describe_repositories()["repositories"]]
    assert f"up/{name}" not in names
    assert both.get(path).status == 200
    assert only_pull.get(path).status == 200
    other = only_pull.get(f"/v2/up/{name}/manifests/2")
    assert (other.status, other.error) == (404, "MANIFEST_UNKNOWN")
    assert b"Requested image not found" in other.body


# Registries that mean no good, or cannot


def test_fifty_who_miss_one_layer_have_its_first_bytes_before_the_upstream_goes_on(
    ours: Door, bad: tuple[Bad, str]
) -> None:
    upstream, _ = bad
    layer, everybody_has_begun = os.urandom(8 * MIB), threading.Event()
    manifest = image_of(b"{}", layer)

    def answer(request: BaseHTTPRequestHandler) -> None:
        if "/manifests/" in request.path:
            return say(request, manifest, headers={"Content-Type": MANIFEST})
        request.send_response(200)
        request.send_header("Content-Length", str(len(layer)))
        request.end_headers()
        request.wfile.write(layer[: 4 * MIB])
        request.wfile.flush()
        assert everybody_has_begun.wait(30)
        request.wfile.write(layer[4 * MIB :])
        return None

    upstream.answer = answer
    assert ours.get("/v2/bad/slow/manifests/1").status == 200
    begun = threading.Barrier(50, action=everybody_has_begun.set)

    def read(_: int) -> str:
        with ours.reading(f"/v2/bad/slow/blobs/{digest(layer)}") as answer:
            first = answer.read(MIB)
            begun.wait(30)
            return digest(first + answer.read())

    with ThreadPoolExecutor(50) as pool:
        got = list(pool.map(read, range(50)))

    assert got == [digest(layer)] * 50
    assert [each for each in upstream.asked if digest(layer) in each] == [
        f"GET /v2/slow/blobs/{digest(layer)}"
    ]


def test_a_layer_that_is_another_one_is_never_whole(cache: Server, ours: Door, bad: tuple[Bad, str]) -> None:
    upstream, _ = bad
    layer = os.urandom(4 * MIB)
    manifest = image_of(b"{}", layer)
    upstream.has(manifest, {digest(layer): layer[:-1] + bytes([layer[-1] ^ 1])})
    path = f"/v2/bad/lying/blobs/{digest(layer)}"
    ours.get("/v2/bad/lying/manifests/1")

    with ours.reading(path) as answer, pytest.raises(http.client.IncompleteRead) as broken:
        answer.read()

    assert len(broken.value.partial) < len(layer)
    upstream.has(manifest, {digest(layer): layer})
    assert ours.get(path).body == layer


def test_a_layer_of_another_length_is_no_answer(ours: Door, bad: tuple[Bad, str]) -> None:
    upstream, _ = bad
    layer = os.urandom(4 * MIB)
    upstream.has(image_of(b"{}", layer), {digest(layer): layer[: 2 * MIB]})
    ours.get("/v2/bad/short/manifests/1")

    answer = ours.get(f"/v2/bad/short/blobs/{digest(layer)}")

    assert (answer.status, answer.error) == (503, "UNAVAILABLE")


@pytest.mark.parametrize(
    ("status", "expected", "code", "failure"),
    [
        (401, 403, "DENIED", "UpstreamAccessDenied"),
        (403, 403, "DENIED", "UpstreamAccessDenied"),
        (404, 404, "MANIFEST_UNKNOWN", "ImageNotFound"),
        (500, 503, "UNAVAILABLE", "UpstreamUnavailable"),
    ],
)
def test_what_the_upstream_refuses_is_told_as_ecr_tells_it(
    cache: Server, ours: Door, bad: tuple[Bad, str], status: int, expected: int, code: str, failure: str
) -> None:
    upstream, _ = bad
    ecr = cache.client("ecr")
    name = f"bad/refusing-{status}"
    ecr.create_repository(repositoryName=name)
    upstream.answer = lambda request: say(request, b"{}", status)

    answer = ours.get(f"/v2/{name}/manifests/1")
    failures = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "2"}])["failures"]

    assert (answer.status, answer.error) == (expected, code)
    assert [each["failureCode"] for each in failures] == [failure]
    if status in (401, 403):
        assert b"The authentication to the upstream registry failed. Verify that the creden" in answer.body


def test_an_upstream_that_has_too_much_to_do_is_told_with_its_time(cache: Server, ours: Door) -> None:
    ecr = cache.client("ecr")
    ecr.create_repository(repositoryName="busy/app")

    answer = ours.get("/v2/busy/app/manifests/1")
    failures = ecr.batch_get_image(repositoryName="busy/app", imageIds=[{"imageTag": "2"}])["failures"]

    assert (answer.status, answer.error) == (429, "TOOMANYREQUESTS")
    assert answer.headers["retry-after"] == "1"
    assert [each["failureCode"] for each in failures] == ["UpstreamTooManyRequests"]


def test_a_registry_that_nobody_opted_into_is_not_connected_to(cache: Server, ours: Door) -> None:
    reached: list[str] = []
    with serving(lambda request: reached.append(request.path)) as port:
        for number, url in enumerate((f"http://127.0.0.1:{port}", f"http://localhost:{port}")):
            cache.client("ecr").create_pull_through_cache_rule(
                ecrRepositoryPrefix=f"private{number}", upstreamRegistryUrl=url
            )
            answer = ours.get(f"/v2/private{number}/app/manifests/1")
            assert (answer.status, answer.error) == (503, "UNAVAILABLE")

    assert not reached


# Real clients, and a registry of another make


def test_crane_pulls_an_index_and_all_of_it_through(
    need: Need,
    run: Run,
    cache: Server,
    theirs: Door,
    upstream: Server,
    name: str,
    images: Images,
    tmp_path: Path,
) -> None:
    crane = need("crane")
    for server in (upstream, cache):
        password = ecr_password(server.client("ecr"))
        run(crane, "auth", "login", server.host, "-u", "AWS", "--password-stdin", input=password)
    layout = images.layout.alone(tmp_path / "multi", images.multi)
    run(crane, "push", "--index", layout, f"{upstream.host}/{name}:multi")

    there = f"{cache.host}/up/{name}:multi"
    assert run(crane, "digest", there).strip() == images.multi.digest
    run(crane, "pull", "--format", "oci", there, tmp_path / "back")
    run(crane, "validate", "--remote", there)

    assert images.multi.digest in digests(tmp_path / "back")


def test_skopeo_copies_through_from_debian_s_docker_registry(
    need: Need, run: Run, cache: Server, debian_registry: str, images: Images, tmp_path: Path
) -> None:
    skopeo = need("skopeo")
    options = ("--src-tls-verify=false", "--dest-tls-verify=false")
    layout = f"oci:{images.layout.folder}:whiteouts"
    run(skopeo, "copy", *options, layout, f"docker://{debian_registry}/library/whiteouts:1")
    signed_in = ("--authfile", tmp_path / "auth.json")
    password = ecr_password(cache.client("ecr"))
    run(
        *(skopeo, "login", "--tls-verify=false", *signed_in, "-u", "AWS", "--password-stdin", cache.host),
        input=password,
    )

    there = f"docker://{cache.host}/debian/library/whiteouts:1"
    run(skopeo, "copy", *options, *signed_in, there, f"oci:{tmp_path}/back:1")

    assert digests(tmp_path / "back") <= digests(images.layout.folder)
    assert images.whiteouts.digest in digests(tmp_path / "back")


def test_docker_pulls_and_runs_through(
    suite: Suite,
    run: Run,
    cache: Server,
    debian_registry: str,
    images: Images,
    need: Need,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    source = f"oci:{images.layout.folder}:busybox"
    name = f"library/busybox-{suite.name}"
    run(need("skopeo"), "copy", "--dest-tls-verify=false", source, f"docker://{debian_registry}/{name}:1")
    folder = tmp_path_factory.mktemp("d")
    (folder / "daemon.json").write_text('{"features": {"containerd-snapshotter": true}}')
    store = "--storage-driver=overlay2" if suite.name == "bookworm" else f"--config-file={folder}/daemon.json"
    address = f"unix://{folder}/socket"
    command = [
        *("dockerd", f"--host={address}", f"--data-root={folder}/data", f"--exec-root={folder}/exec"),
        *(f"--pidfile={folder}/pid", store),
        *("--bridge=none", "--ip-forward=false", "--ip6tables=false", "--iptables=false"),
    ]

    def docker(*words: object, **options: object) -> str:
        return run(*suite.command("/usr/bin/docker", "--host", address, *words), **options)

    with daemon(suite, command, ready=["docker", "--host", address, "version"], log=folder / "log"):
        docker("login", "-u", "AWS", "--password-stdin", cache.host, input=ecr_password(cache.client("ecr")))
        there = f"{cache.host}/debian/{name}:1"
        docker("pull", there)
        assert docker("run", "--rm", "--network=none", there) == "hello from the registry\n"
