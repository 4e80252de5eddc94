"""The clients of two Debian releases, and the images that they carry."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..conftest import CHECKOUT, Need, Run, Server, lacking, plain_environment, until
from .images import Descriptor, Layer, Layout, busybox, whiteouts

NAME = "registry.test"  # docker and others make an exception of localhost and 127.0.0.1
ENTER = Path(__file__).with_name("enter.sh")
TRIXIE = CHECKOUT / ".cache" / "trixie"

LOGIN = ("skopeo", "login", "--tls-verify=false", "--username", "AWS", "--password-stdin")
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""


@dataclass(frozen=True)
class Suite:
    """Where clients come from: this machine's Debian, or the tree of a newer one. `folder` is seen in both."""

    name: str
    root: Path
    folder: Path

    def command(self, *words: object) -> list[str]:
        private = ["unshare", "--mount", "--propagation", "private"]
        return [*private, "sh", str(ENTER), str(self.root), str(self.folder), *map(str, words)]


@pytest.fixture(scope="session", params=["bookworm", "trixie"])
def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Suite:
    if os.geteuid() != 0:
        lacking("container engines need root")
    root = Path("/") if request.param == "bookworm" else TRIXIE
    if not (root / "usr/bin/skopeo").exists():
        lacking(f"no clients of {request.param}: run `make clients`")
    return Suite(name=request.param, root=root, folder=tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def registry(server: Server) -> str:
    """The server by a name that no client takes for this machine."""
    return f"{NAME}:{server.port}"


@pytest.fixture
def client(
    suite: Suite, registry: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, run: Run
) -> Iterator[Run]:
    """Run a client of the suite: its home, storage, registries and credentials are the test's own."""
    store = tmp_path_factory.mktemp(
        "c"
    )  # a short path: with a long one podman 4 waits 20 s for every container
    (tmp_path / "containers.conf").write_text(CONTAINERS_CONF)
    settings = tmp_path / "home" / ".config" / "containers"
    settings.mkdir(parents=True)
    (settings / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    (tmp_path / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{store}/graph"\nrunroot = "{store}/run"\n'
    )
    environment = {
        "BUILDAH_ISOLATION": "chroot",
        "CONTAINERS_CONF": str(tmp_path / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(tmp_path / "storage.conf"),
        "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
        "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"),
    }

    def client(*words: object, env: dict[str, str] | None = None, **options: object) -> str:
        return run(*suite.command(*words), env=environment | (env or {}), **options)

    yield client
    shutil.rmtree(store, ignore_errors=True)


@pytest.fixture
def signed_in(client: Run, registry: str, password: str) -> Run:
    """`client` after `skopeo login`, whose credentials podman and buildah share."""
    client(*LOGIN, registry, input=password)
    return client


@contextmanager
def daemon(suite: Suite, command: Sequence[object], ready: Sequence[object], log: Path) -> Iterator[None]:
    """A daemon of the suite, from when it answers `ready` until it is ended by its own pid."""
    environment = plain_environment()
    with log.open("wb") as output:
        process = subprocess.Popen(
            suite.command(*command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    try:
        for _ in until(60, f"{command[0]} never answered, see {log}"):
            assert process.poll() is None, log.read_text()[-4000:]
            asked = subprocess.run(suite.command(*ready), capture_output=True, env=environment, timeout=60)
            if asked.returncode == 0:
                break
        yield
    finally:
        process.terminate()
        process.wait(60)


@dataclass(frozen=True)
class Images:
    """What is in the session's layout, and its root file system as a plain tar."""

    layout: Layout
    rootfs: Path
    busybox: Descriptor
    whiteouts: Descriptor
    multi: Descriptor
    artifact: Descriptor
    report: Descriptor


@pytest.fixture(scope="session")
def images(need: Need, tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Tags of the layout: busybox, multi (an index of three platforms) and whiteouts. Without a tag: an artifact, and
    a report whose subject is busybox."""
    folder = tmp_path_factory.mktemp("images")
    layout = Layout(folder / "layout")
    root = busybox(need("busybox"))
    (folder / "busybox.tar").write_bytes(root)
    layer = layout.layer(root)
    image = layout.tag("busybox", layout.image([layer], command=["/bin/echo", "hello from the registry"]))
    platforms = [image, layout.image([layer], "arm64"), layout.image([layer], "arm", "v7")]
    below, above = whiteouts()
    layers = [layer, layout.layer(below), layout.layer(above)]
    return Images(
        layout=layout,
        rootfs=folder / "busybox.tar",
        busybox=image,
        whiteouts=layout.tag("whiteouts", layout.image(layers)),
        multi=layout.tag("multi", layout.index(platforms)),
        artifact=layout.artifact(b"an artifact"),
        report=layout.artifact(b"a report on busybox", subject=image),
    )


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Layout, Descriptor]]:
    """A layout with one image, a whole Debian 12."""
    archive = CHECKOUT / ".cache" / "debian.tar.gz"
    if not archive.exists():
        lacking("no root file system of Debian: run `make clients`")
    yield from _single(tmp_path_factory.mktemp("debian"), lambda layout: layout.compressed_layer(archive))


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Layout, Descriptor]]:
    """A layout with one image, whose layer is 1 GiB that does not compress."""
    yield from _single(tmp_path_factory.mktemp("large"), lambda layout: layout.large_layer(1 << 30))


def _single(folder: Path, layer: Callable[[Layout], Layer]) -> Iterator[tuple[Layout, Descriptor]]:
    layout = Layout(folder / "layout")
    yield layout, layout.tag("1", layout.image([layer(layout)]))
    shutil.rmtree(folder)


@pytest.fixture
def crane(need: Need, run: Run, server: Server, password: str) -> Run:
    """crane, signed in."""
    program = need("crane")
    run(program, "auth", "login", server.host, "--username", "AWS", "--password-stdin", input=password)

    def crane(*words: object, **options: object) -> str:
        return run(program, *words, **options).strip()

    return crane
