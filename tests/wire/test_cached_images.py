"""What the pull-through cache brought is like any other image: whole, replicated, signed, expired, deleted."""

from __future__ import annotations

import configparser
import json
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ..conftest import Need, Run, Server, ecr_password, running, until
from .conftest import Images, Suite, daemon
from .images import digests
from .loopback import say, serving
from .upstreams import (
    MANIFEST,
    MIB,
    Bad,
    Door,
    age,
    asked,
    cache_from,
    digest,
    docker_registry,
    image_of,
)

HOME, FAR, ACCOUNT = "us-east-1", "eu-west-1", "123456789012"
INDEX = "application/vnd.oci.image.index.v1+json"
REPORT = "application/vnd.example.report.v1"
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
def debian_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("docker-registry")) as host:
        yield host


@pytest.fixture(scope="module")
def bad() -> Iterator[tuple[Bad, str]]:
    bad = Bad()
    with serving(bad) as port:
        yield bad, f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def cache(
    upstream: Server, debian_registry: str, bad: tuple[Bad, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A Moorage with rules `up/`, `debian/` and `bad/`; `moved/` of `up/moved` is replicated to the far region."""
    hosts = f"{upstream.endpoint}, http://{debian_registry}, {bad[1]}"
    folder = tmp_path_factory.mktemp("cache")
    with running(folder, "--account", ACCOUNT, "--region", HOME, "--upstream-hosts", hosts) as server:
        ecr = server.client("ecr")
        cache_from(server, "up", upstream)
        for prefix, url in (("debian", f"http://{debian_registry}"), ("bad", bad[1])):
            ecr.create_pull_through_cache_rule(ecrRepositoryPrefix=prefix, upstreamRegistryUrl=url)
        rule = {
            "destinations": [{"region": FAR, "registryId": ACCOUNT}],
            "repositoryFilters": [{"filter": "up/far", "filterType": "PREFIX_MATCH"}],
        }
        ecr.put_replication_configuration(replicationConfiguration={"rules": [rule]})
        yield server


@pytest.fixture(scope="module")
def ours(cache: Server) -> Door:
    return Door(cache.host, ecr_password(cache.client("ecr")))


@pytest.fixture(scope="module")
def ecr(cache: Server) -> Any:
    return cache.client("ecr")


@pytest.fixture
def repository(upstream: Server) -> Callable[[str], str]:
    """Create a repository upstream that no other test has."""

    def repository(stem: str) -> str:
        name = f"{stem}/app-{next(_numbers)}"
        upstream.client("ecr").create_repository(repositoryName=name)
        return name

    return repository


class Imports:
    """The jobs of a cache that bring the rest of images, as `moorage jobs` shows them."""

    def __init__(self, cache: Server, run: Run) -> None:
        self._cache, self._run = cache, run

    def moorage(self, *words: str) -> Any:
        program = os.environ.get("MOORAGE", str(Path(sys.executable).with_name("moorage")))
        return json.loads(self._run(program, *words, "--data", self._cache.data, "--json"))

    def of(self, name: str) -> list[dict[str, Any]]:
        with sqlite3.connect(self._cache.data / "moorage.db", timeout=10) as database:
            ((id_,),) = database.execute("SELECT id FROM repositories WHERE name = ?", (name,))
        database.close()
        listed = self.moorage("jobs")
        return [job for job in listed if job["kind"] == "import" and job["subject"].startswith(f"{id_}/")]

    def wait(self, name: str) -> None:
        for _ in until(30, f"the import of {name} does not end"):
            if not self.of(name):
                return


@pytest.fixture
def imports(cache: Server, run: Run) -> Imports:
    return Imports(cache, run)


def push_index(door: Door, name: str, tag: str, *platforms: tuple[bytes, ...]) -> bytes:
    """An index of images of those layers; the first of each is its config. The images have no tags."""
    children = []
    for contents in platforms:
        image = image_of(*contents)
        door.push(name, digest(image), *contents)
        children.append({"mediaType": MANIFEST, "digest": digest(image), "size": len(image)})
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).encode()
    assert door.ask("PUT", f"/v2/{name}/manifests/{tag}", index, Content_Type=INDEX).status == 201
    return index


# Whole, in the background


def test_an_index_comes_with_all_its_platforms_and_each_layer_once(
    ours: Door,
    theirs: Door,
    upstream: Server,
    ecr: Any,
    imports: Imports,
    repository: Callable[[str], str],
) -> None:
    name = repository("whole")
    platforms = [(b'{"n": %d}' % n, os.urandom(2 * MIB)) for n in range(4)]
    push_index(theirs, name, "1", *platforms)

    index = ours.get(f"/v2/up/{name}/manifests/1")
    assert (
        ours.get(f"/v2/up/{name}/blobs/{digest(platforms[0][1])}").status == 404
    )  # its image did not come yet
    assert ours.get(f"/v2/up/{name}/manifests/{digest(image_of(*platforms[0]))}").status == 200
    assert ours.get(f"/v2/up/{name}/blobs/{digest(platforms[0][1])}").body == platforms[0][1]
    imports.wait(f"up/{name}")

    lines = upstream.log.read_text().count(f" /v2/{name}/")
    for contents in platforms:
        assert ours.get(f"/v2/up/{name}/manifests/{digest(image_of(*contents))}").body == image_of(*contents)
        for content in contents:
            assert ours.get(f"/v2/up/{name}/blobs/{digest(content)}").body == content
            assert asked(upstream, "GET", f"/v2/{name}/blobs/{digest(content)}") == 1
    assert upstream.log.read_text().count(f" /v2/{name}/") == lines
    described = ecr.describe_images(repositoryName=f"up/{name}", imageIds=[{"imageTag": "1"}])["imageDetails"]
    assert described[0]["imageDigest"] == digest(index.body)
    assert described[0]["imageSizeInBytes"] == sum(len(each) for each in platforms[0])


def test_crane_pulls_all_of_an_index_though_its_upstream_has_gone(
    need: Need, run: Run, images: Images, tmp_path: Path
) -> None:
    crane = need("crane")
    for folder in ("gone", "cache"):
        (tmp_path / folder).mkdir()
    with running(tmp_path / "gone") as gone:
        gone.client("ecr").create_repository(repositoryName="multi")
        context = running(tmp_path / "cache", "--upstream-hosts", gone.endpoint)
        cache = context.__enter__()
        cache_from(cache, "up", gone)
        for server in (gone, cache):
            password = ecr_password(server.client("ecr"))
            run(crane, "auth", "login", server.host, "-u", "AWS", "--password-stdin", input=password)
        run(
            crane,
            "push",
            "--index",
            images.layout.alone(tmp_path / "multi", images.multi),
            f"{gone.host}/multi:1",
        )
        there = f"{cache.host}/up/multi:1"
        assert run(crane, "digest", there).strip() == images.multi.digest
        Imports(cache, run).wait("up/multi")
    try:
        run(crane, "validate", "--remote", there)
        run(crane, "pull", "--format", "oci", there, tmp_path / "back")
        assert images.multi.digest in digests(tmp_path / "back")
    finally:
        context.__exit__(None, None, None)


def test_a_client_gets_its_layers_before_those_that_nobody_waits_for(
    ours: Door, bad: tuple[Bad, str], imports: Imports
) -> None:
    upstream, _ = bad
    wanted, other = os.urandom(4 * MIB), os.urandom(MIB)
    manifest = image_of(b"{}", wanted, other)
    order: list[str] = []
    go_on = threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        if "/manifests/" in request.path:
            return say(request, manifest, headers={"Content-Type": MANIFEST})
        asked_for = request.path.rpartition("/")[2]
        order.append(asked_for)
        content = {digest(each): each for each in (b"{}", wanted, other)}[asked_for]
        if content is wanted:
            request.send_response(200)
            request.send_header("Content-Length", str(len(wanted)))
            request.end_headers()
            request.wfile.write(wanted[:MIB])
            request.wfile.flush()
            assert go_on.wait(30)
            request.wfile.write(wanted[MIB:])
            return None
        return say(request, content)

    upstream.answer = answer
    assert ours.get("/v2/bad/first/manifests/1").status == 200
    with ours.reading(f"/v2/bad/first/blobs/{digest(wanted)}") as reading:
        first = reading.read(1_000)
        for _ in until(10, "the import does not begin"):
            if [job["state"] for job in imports.of("bad/first")] == ["running"]:
                break
        assert order == [digest(wanted)]
        go_on.set()
        assert first + reading.read() == wanted
    imports.wait("bad/first")

    assert sorted(order) == sorted(map(digest, (b"{}", wanted, other)))


def test_an_import_that_fails_is_seen_and_tried_again(
    ours: Door, bad: tuple[Bad, str], imports: Imports
) -> None:
    upstream, _ = bad
    layer = os.urandom(MIB)
    manifest = image_of(b"{}", layer)

    def fail(request: BaseHTTPRequestHandler) -> None:
        if "/manifests/" in request.path:
            return say(request, manifest, headers={"Content-Type": MANIFEST})
        return say(request, b"", 500)

    upstream.answer = fail
    assert ours.get("/v2/bad/failing/manifests/1").status == 200
    for _ in until(10, "the failure is not shown"):
        (job,) = imports.of("bad/failing")
        if job["error"]:
            break
    assert "it answers 500" in job["error"]

    upstream.has(manifest, {digest(b"{}"): b"{}", digest(layer): layer})
    imports.wait("bad/failing")
    upstream.answer = fail

    assert ours.get(f"/v2/bad/failing/blobs/{digest(layer)}").body == layer


def test_an_upstream_that_asks_to_wait_is_not_asked_again_before(
    ours: Door, bad: tuple[Bad, str], imports: Imports
) -> None:
    upstream, _ = bad
    manifest = image_of(b"{}", os.urandom(MIB))

    def answer(request: BaseHTTPRequestHandler) -> None:
        if "/manifests/" in request.path:
            return say(request, manifest, headers={"Content-Type": MANIFEST})
        return say(request, b"", 429, {"Retry-After": "1"})

    upstream.answer = answer
    assert ours.get("/v2/bad/limited/manifests/1").status == 200
    for _ in until(10, "the import is not postponed"):
        (job,) = imports.of("bad/limited")
        if job["state"] == "waiting" and upstream.asked and "/blobs/" in upstream.asked[-1]:
            break

    assert job["attempts"] == 0
    upstream.answer = lambda request: say(request, b"", 500)
    for _ in until(5, "the registry stays closed"):  # a second is over soon
        if ours.get("/v2/bad/limited/manifests/2").status == 503:
            break


def test_on_demand_only_what_is_asked_for_comes(
    theirs: Door, upstream: Server, repository: Callable[[str], str], tmp_path: Path, run: Run
) -> None:
    name = repository("demand")
    layers = (b"{}", os.urandom(MIB), os.urandom(MIB))
    theirs.push(name, "1", *layers)
    options = ("--upstream-hosts", upstream.endpoint, "--upstream-import", "on-demand")
    with running(tmp_path, *options) as cache:
        cache_from(cache, "up", upstream)
        ours = Door(cache.host, ecr_password(cache.client("ecr")))

        assert ours.get(f"/v2/up/{name}/manifests/1").status == 200
        assert ours.get(f"/v2/up/{name}/blobs/{digest(layers[1])}").body == layers[1]

        assert Imports(cache, run).moorage("jobs") == []
        checked = cache.client("ecr").batch_check_layer_availability(
            repositoryName=f"up/{name}", layerDigests=[digest(each) for each in layers]
        )["layers"]
        assert [each["layerAvailability"] for each in checked] == ["UNAVAILABLE", "AVAILABLE", "UNAVAILABLE"]


# Replicated


def test_a_cached_image_is_replicated_when_it_is_whole_and_again_when_its_tag_moves(
    cache: Server, ours: Door, theirs: Door, repository: Callable[[str], str]
) -> None:
    name = repository("far")
    first = push_index(theirs, name, "1", (b"{}", os.urandom(MIB)), (b'{"n": 2}', os.urandom(MIB)))
    far = far_client(cache)

    def wait_for(manifest: bytes) -> None:
        for _ in until(30, "it is not in the far region"):
            try:
                found = far.describe_images(repositoryName=f"up/{name}", imageIds=[{"imageTag": "1"}])
            except (far.exceptions.RepositoryNotFoundException, far.exceptions.ImageNotFoundException):
                continue
            if found["imageDetails"][0]["imageDigest"] == digest(manifest):
                return

    assert ours.get(f"/v2/up/{name}/manifests/1").body == first
    wait_for(first)
    for child in json.loads(first)["manifests"]:
        (image,) = far.batch_get_image(
            repositoryName=f"up/{name}", imageIds=[{"imageDigest": child["digest"]}]
        )["images"]
        manifest = json.loads(image["imageManifest"])
        blobs = [blob["digest"] for blob in (manifest["config"], *manifest["layers"])]
        said = far.batch_check_layer_availability(repositoryName=f"up/{name}", layerDigests=blobs)["layers"]
        assert {each["layerAvailability"] for each in said} == {"AVAILABLE"}

    second = theirs.push(name, "1", b"{}", os.urandom(MIB))
    age(cache)
    assert ours.get(f"/v2/up/{name}/manifests/1").body == second
    wait_for(second)


def far_client(cache: Server) -> Any:
    """Of the registry of the far region."""
    profile = configparser.ConfigParser()
    profile.read(cache.data / "credentials")
    section = profile[profile.sections()[0]]
    return boto3.client(
        "ecr",
        region_name=FAR,
        endpoint_url=cache.endpoint,
        aws_access_key_id=section["aws_access_key_id"],
        aws_secret_access_key=section["aws_secret_access_key"],
    )


# Who refers to it


@pytest.fixture
def oras(need: Need, run: Run, cache: Server, upstream: Server, tmp_path: Path) -> Run:
    """Signed in to both."""
    program = need("oras")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "thing.bin").write_bytes(os.urandom(2 * MIB))
    (tmp_path / "files" / "report.json").write_text('{"findings": []}')
    for server in (cache, upstream):
        password = ecr_password(server.client("ecr"))
        signing_in = ("login", "--plain-http", "--username", "AWS", "--password-stdin", server.host)
        run(program, *signing_in, input=password)
    return lambda *words, **options: run(program, *words, cwd=tmp_path / "files", **options)


@pytest.mark.parametrize("maker", ["moorage", "debian"])
def test_oras_finds_what_refers_to_an_image_through_the_cache_and_pulls_it(
    oras: Run,
    cache: Server,
    upstream: Server,
    debian_registry: str,
    repository: Callable[[str], str],
    tmp_path: Path,
    maker: str,
) -> None:
    """Debian's docker-registry has no referrers API: there oras leaves an index under the fallback tag."""
    name = repository("signed")
    there, here = {
        "moorage": (f"{upstream.host}/{name}", f"{cache.host}/up/{name}"),
        "debian": (f"{debian_registry}/{name}", f"{cache.host}/debian/{name}"),
    }[maker]
    oras("push", "--plain-http", f"{there}:1", "thing.bin:application/octet-stream")
    oras("attach", "--plain-http", "--artifact-type", REPORT, f"{there}:1", "report.json:application/json")

    oras("pull", "--plain-http", "--output", tmp_path / "thing", f"{here}:1")
    found = json.loads(oras("discover", "--plain-http", "--format", "json", f"{here}:1"))
    (report,) = found["referrers"]
    oras("pull", "--plain-http", "--output", tmp_path / "report", f"{here}@{report['digest']}")
    oras("cp", "--from-plain-http", "--recursive", f"{here}:1", "--to-oci-layout", f"{tmp_path}/copy:1")

    assert report["artifactType"] == REPORT
    assert (tmp_path / "report" / "report.json").read_text() == '{"findings": []}'
    assert report["digest"] in digests(tmp_path / "copy")
    ecr = cache.client("ecr")
    subject = {"imageDigest": oras("resolve", "--plain-http", f"{here}:1").strip()}
    listed = ecr.list_image_referrers(
        repositoryName=here.partition("/")[2], subjectId=subject, filter={"artifactTypes": [REPORT]}
    )["referrers"]
    assert [each["digest"] for each in listed] == [report["digest"]]


def test_a_signature_under_the_tag_that_cosign_gives_it_comes_as_a_tag_does(
    ours: Door, theirs: Door, repository: Callable[[str], str]
) -> None:
    name = repository("cosign")
    image = theirs.push(name, "1", b"{}", b"layer")
    tag = digest(image).replace(":", "-") + ".sig"
    assert ours.get(f"/v2/up/{name}/manifests/1").status == 200
    signature = theirs.push(name, tag, b'{"signature": 1}', b"signature")

    assert ours.get(f"/v2/up/{name}/manifests/{tag}").body == signature
    assert ours.get(f"/v2/up/{name}/blobs/{digest(b'signature')}").body == b"signature"


def test_referrers_are_asked_for_once_and_an_upstream_that_fails_is_an_error_of_the_api(
    ours: Door, ecr: Any, bad: tuple[Bad, str]
) -> None:
    upstream, _ = bad
    manifest = image_of(b"{}")
    upstream.has(manifest, {digest(b"{}"): b"{}"})
    path, subject = f"/v2/bad/listed/referrers/{digest(manifest)}", {"imageDigest": digest(manifest)}
    assert ours.get("/v2/bad/listed/manifests/1").status == 200
    upstream.answer = lambda request: say(request, b"", 500)
    upstream.asked.clear()

    answers = [ours.get(path) for _ in range(3)]
    with pytest.raises(ClientError) as refused:
        ecr.list_image_referrers(repositoryName="bad/listed", subjectId=subject)

    assert [(each.status, json.loads(each.body)["manifests"]) for each in answers] == [(200, [])] * 3
    assert refused.value.response["Error"]["Code"] == "UnableToListUpstreamImageReferrersException"
    assert len([line for line in upstream.asked if "/referrers/" in line]) == 1


# Expired, deleted, pulled


def test_an_image_that_was_deleted_or_expired_comes_again_at_the_next_pull(
    ours: Door, theirs: Door, ecr: Any, imports: Imports, repository: Callable[[str], str]
) -> None:
    name = repository("expired")
    pushed = {tag: theirs.push(name, tag, b"{}", tag.encode()) for tag in ("old", "new")}
    for tag, manifest in pushed.items():
        assert ours.get(f"/v2/up/{name}/manifests/{tag}").body == manifest
    imports.wait(f"up/{name}")

    ecr.batch_delete_image(repositoryName=f"up/{name}", imageIds=[{"imageTag": "new"}])
    assert ours.get(f"/v2/up/{name}/manifests/new").body == pushed["new"]
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}
    rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    ecr.put_lifecycle_policy(repositoryName=f"up/{name}", lifecyclePolicyText=json.dumps({"rules": [rule]}))
    imports.moorage("lifecycle", "run", f"up/{name}")
    listed = ecr.list_images(repositoryName=f"up/{name}")["imageIds"]
    assert [each["imageTag"] for each in listed] == ["new"]
    ecr.delete_lifecycle_policy(repositoryName=f"up/{name}")

    assert ours.get(f"/v2/up/{name}/manifests/old").body == pushed["old"]
    assert ours.get(f"/v2/up/{name}/blobs/{digest(b'old')}").body == b"old"


def test_a_pull_of_a_cached_image_is_a_pull(
    ours: Door, theirs: Door, ecr: Any, repository: Callable[[str], str]
) -> None:
    name = repository("pulled")
    theirs.push(name, "1", b"{}")

    assert ours.get(f"/v2/up/{name}/manifests/1").status == 200

    (image,) = ecr.describe_images(repositoryName=f"up/{name}")["imageDetails"]
    assert image["lastRecordedPullTime"] >= image["imagePushedAt"]


def test_docker_runs_an_image_whose_upstream_has_gone(
    suite: Suite, run: Run, images: Images, need: Need, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The manifest was asked for; the layers came by themselves."""
    folder = tmp_path_factory.mktemp("d")
    (folder / "cache").mkdir()
    (folder / "registry").mkdir()
    with docker_registry(folder / "registry") as host:
        source = f"oci:{images.layout.folder}:busybox"
        run(need("skopeo"), "copy", "--dest-tls-verify=false", source, f"docker://{host}/library/busybox:1")
        context = running(folder / "cache", "--upstream-hosts", f"http://{host}")
        cache = context.__enter__()
        ecr = cache.client("ecr")
        ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="debian", upstreamRegistryUrl=f"http://{host}")
        assert Door(cache.host, ecr_password(ecr)).get("/v2/debian/library/busybox/manifests/1").status == 200
        Imports(cache, run).wait("debian/library/busybox")
    store = "--storage-driver=overlay2" if suite.name == "bookworm" else f"--config-file={folder}/daemon.json"
    (folder / "daemon.json").write_text('{"features": {"containerd-snapshotter": true}}')
    address = f"unix://{folder}/socket"
    command = [
        *("dockerd", f"--host={address}", f"--data-root={folder}/data", f"--exec-root={folder}/exec"),
        *(f"--pidfile={folder}/pid", store),
        *("--bridge=none", "--ip-forward=false", "--ip6tables=false", "--iptables=false"),
    ]
    try:
        with daemon(suite, command, ready=["docker", "--host", address, "version"], log=folder / "log"):

            def docker(*words: object, **options: object) -> str:
                return run(*suite.command("/usr/bin/docker", "--host", address, *words), **options)

            docker("login", "-u", "AWS", "--password-stdin", cache.host, input=ecr_password(ecr))
            said = docker("run", "--rm", "--network=none", f"{cache.host}/debian/library/busybox:1")
            assert said == "hello from the registry\n"
    finally:
        context.__exit__(None, None, None)
