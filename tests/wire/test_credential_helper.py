"""Credential helpers: ours for any registry, and the stock one of Amazon ECR for ECR's own names."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Need, Repository, Run, Server, lacking, running
from .conftest import Images, Suite, daemon
from .loopback import certificates
from .people import allow, trust
from .provider import AUDIENCE, identity_provider

HELPER = Path(sys.executable).with_name("docker-credential-moorage")
ACCOUNT, REGION = "123456789012", "us-east-1"
ECR_HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ECR_ADDRESS = "127.0.0.77"
WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
FAST_SECONDS = 0.15


@pytest.fixture
def helped(server: Server, tmp_path: Path) -> dict[str, str]:
    """The environment of clients that ask the helper about the server's registry."""
    folder = tmp_path / "docker"
    folder.mkdir()
    config = folder / "config.json"
    config.write_text(json.dumps({"credHelpers": {server.host: "moorage"}}))
    return {
        "DOCKER_CONFIG": str(folder),
        "MOORAGE_DATA": str(server.data),
        "REGISTRY_AUTH_FILE": str(config),
    }


def test_helper_speaks_dockers_protocol(server: Server, run: Run, helped: dict[str, str]) -> None:
    answer = json.loads(run(HELPER, "get", env=helped, input=f"http://{server.host}"))
    listed = json.loads(run(HELPER, "list", env=helped))
    run(HELPER, "erase", env=helped, input=server.host)

    assert answer["ServerURL"] == f"http://{server.host}"
    assert (answer["Username"], len(answer["Secret"]) > 100) == ("AWS", True)
    assert listed == {server.host: "AWS"}
    assert json.loads(run(HELPER, "list", env=helped)) == {}


def test_helper_without_credentials_says_what_clients_compare(run: Run, tmp_path: Path) -> None:
    said = run(HELPER, "get", input="localhost:1", fails=True, cwd=tmp_path)

    assert said == "credentials not found in native keychain\n"


def test_helper_when_the_server_refuses_gives_its_words(server: Server, run: Run, tmp_path: Path) -> None:
    wrong = {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN000000000", "AWS_SECRET_ACCESS_KEY": "secret"}

    said = run(HELPER, "get", env=wrong, input=server.host, fails=True, cwd=tmp_path)

    assert "UnrecognizedClientException" in said
    assert "secret" not in said


def test_kept_password_comes_fast(server: Server, run: Run, helped: dict[str, str]) -> None:
    run(HELPER, "get", env=helped, input=server.host)

    def work() -> float:
        """Of its processor: what else runs on the machine is not measured."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(HELPER, "get", env=helped, input=server.host)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(work() for _ in range(7)) < FAST_SECONDS


def test_crane_needs_no_login(
    need: Need,
    run: Run,
    server: Server,
    helped: dict[str, str],
    repository: Repository,
    images: Images,
    tmp_path: Path,
) -> None:
    name = f"{server.host}/{repository('helper/crane')}:1"
    crane = need("crane")

    run(crane, "push", images.layout.alone(tmp_path / "one", images.busybox), name, env=helped)

    assert run(crane, "digest", name, env=helped).strip() == images.busybox.digest


def test_skopeo_needs_no_login(
    need: Need,
    run: Run,
    server: Server,
    helped: dict[str, str],
    repository: Repository,
    images: Images,
    tmp_path: Path,
) -> None:
    name = f"docker://{server.host}/{repository('helper/skopeo')}:1"
    skopeo = need("skopeo")
    layout = images.layout.alone(tmp_path / "one", images.busybox)

    run(skopeo, "copy", "--dest-tls-verify=false", f"oci:{layout}", name, env=helped)

    found = json.loads(run(skopeo, "inspect", "--tls-verify=false", name, env=helped))
    assert found["Digest"] == images.busybox.digest


@pytest.fixture
def engine(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Docker Engine of this machine's Debian, where the helper is."""
    folder = tmp_path_factory.mktemp("helped")
    address = f"unix://{folder}/socket"
    command = [
        *("dockerd", f"--host={address}", f"--data-root={folder}/data", f"--exec-root={folder}/exec"),
        *(f"--pidfile={folder}/pid", "--storage-driver=vfs", "--bridge=none", "--ip-forward=false"),
        *("--ip6tables=false", "--iptables=false"),
    ]
    with daemon(suite, command, ready=["docker", "--host", address, "version"], log=folder / "log"):
        yield address


@pytest.mark.parametrize("suite", ["bookworm"], indirect=True)
def test_docker_needs_no_login(
    suite: Suite,
    engine: str,
    run: Run,
    server: Server,
    helped: dict[str, str],
    repository: Repository,
    images: Images,
) -> None:
    name = f"{server.host}/{repository('helper/docker')}:1"
    docker = ("docker", "--host", engine)
    run(*docker, "import", images.rootfs, name, env=helped)

    run(*docker, "push", name, env=helped)
    run(*docker, "rmi", "--force", name, env=helped)

    assert "Downloaded newer image" in run(*docker, "pull", name, env=helped)


@pytest.mark.parametrize("suite", ["bookworm"], indirect=True)
def test_podman_needs_no_login(
    client: Run, server: Server, registry: str, repository: Repository, images: Images, tmp_path: Path
) -> None:
    name = f"{registry}/{repository('helper/podman')}:1"
    auth = tmp_path / "helped.json"
    auth.write_text(json.dumps({"credHelpers": {registry: "moorage"}}))
    environment = {"REGISTRY_AUTH_FILE": str(auth), "MOORAGE_DATA": str(server.data)}
    client("podman", "import", images.rootfs, name, env=environment)

    client("podman", "push", name, env=environment)
    client("podman", "rmi", "--force", name, env=environment)

    client("podman", "pull", name, env=environment)


def test_helper_exchanges_the_token_of_a_service_account(run: Run, tmp_path: Path) -> None:
    tls = certificates(tmp_path, "127.0.0.1")
    options = ("--identity-networks", "127.0.0.1/32", "--identity-ca", str(tls.ca))
    with identity_provider(tls) as provider, running(tmp_path, *options) as server:
        iam = server.client("iam")
        made = iam.create_open_id_connect_provider(Url=provider.url, ClientIDList=[AUDIENCE])
        trusted = trust(
            {"Federated": made["OpenIDConnectProviderArn"]}, "sts:AssumeRoleWithWebIdentity", condition=None
        )
        role = iam.create_role(RoleName="pod", AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
        iam.put_role_policy(
            RoleName="pod", PolicyName="pull", PolicyDocument=allow("ecr:GetAuthorizationToken")
        )
        token = tmp_path / "token"
        token.write_text(provider.token())
        pod = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": role}

        answer = json.loads(run(HELPER, "get", env=pod, input=server.host, cwd=tmp_path))
        iam.delete_role_policy(RoleName="pod", PolicyName="pull")
        uncached = {**pod, "MOORAGE_DISABLE_CACHE": "1"}
        refused = run(HELPER, "get", env=uncached, input=server.host, cwd=tmp_path, fails=True)

    assert answer["Username"] == "AWS"
    assert "not authorized to perform: ecr:GetAuthorizationToken" in refused


@dataclass(frozen=True)
class Ecr:
    """A server on ECR's names, and what a client of it needs. `enter` makes this machine resolve them to it."""

    server: Server
    environment: dict[str, str]
    enter: Callable[..., list[object]]


@pytest.fixture
def on_ecrs_names(need: Need, tmp_path: Path) -> Iterator[Ecr]:
    if os.geteuid() != 0:
        lacking("port 443 and names of our own need root")
    hosts = tmp_path / "hosts"
    names = f"{ECR_HOST} api.ecr.{REGION}.amazonaws.com"
    hosts.write_text(f"{Path('/etc/hosts').read_text()}\n{ECR_ADDRESS} {names}\n")

    def enter(*command: object) -> list[object]:
        return [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            WITH_HOSTS,
            "sh",
            hosts,
            *command,
        ]

    config = tmp_path / "docker"
    config.mkdir()
    (config / "config.json").write_text(json.dumps({"credHelpers": {ECR_HOST: "ecr-login"}}))
    with running(tmp_path, "--account", ACCOUNT, "--listen-tls", f"{ECR_ADDRESS}:443") as server:
        environment = {
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": str(server.data / "credentials"),
            "DOCKER_CONFIG": str(config),
            "REGISTRY_AUTH_FILE": str(config / "config.json"),
            "SSL_CERT_FILE": str(server.data / "ca" / "ca.pem"),
        }
        yield Ecr(server, environment, enter)


def test_stock_ecr_helper_gets_a_password_and_crane_uses_it(
    need: Need, run: Run, on_ecrs_names: Ecr, images: Images, tmp_path: Path
) -> None:
    ecr, name = on_ecrs_names, f"{ECR_HOST}/stock/crane:1"
    helper, crane = need("docker-credential-ecr-login"), need("crane")
    ecr.server.client("ecr").create_repository(repositoryName="stock/crane")

    answer = json.loads(run(*ecr.enter(helper, "get"), env=ecr.environment, input=ECR_HOST))
    layout = images.layout.alone(tmp_path / "one", images.busybox)
    run(*ecr.enter(crane, "push", layout, name), env=ecr.environment)

    assert (answer["ServerURL"], answer["Username"]) == (ECR_HOST, "AWS")
    assert run(*ecr.enter(crane, "digest", name), env=ecr.environment).strip() == images.busybox.digest


def test_our_helper_works_on_ecrs_names_too(run: Run, on_ecrs_names: Ecr) -> None:
    environment = {**on_ecrs_names.environment, "MOORAGE_DISABLE_CACHE": "1"}

    answer: dict[str, Any] = json.loads(
        run(*on_ecrs_names.enter(HELPER, "get"), env=environment, input=ECR_HOST)
    )

    assert answer["Username"] == "AWS"
