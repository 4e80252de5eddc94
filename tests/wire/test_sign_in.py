"""The stock AWS CLI signs in as workloads do, in each of the six ways, up to the registry itself."""

from __future__ import annotations

import base64
import http.client
import json
import os
from collections.abc import Callable, Iterator, Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Need, Run, Server, lacking, running
from ..unit.access.web_identity.issuer import Signer, jwks
from .conftest import ENTER, TRIXIE
from .loopback import Certificates, certificates, say, serving
from .people import Account, Caller, allow, name_of, trust
from .provider import AUDIENCE, IdentityProvider, identity_provider

PULL = allow("ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:ListImages", "ecr:GetDownloadUrlForLayer")
SESSION = "workload"
IMDS_TOKEN, POD_TOKEN = "imds-token", "pod-token"
ROLE_PATH = "/latest/meta-data/iam/security-credentials/"


@dataclass(frozen=True)
class Place:
    server: Server
    account: Account
    provider: IdentityProvider
    user: Caller
    user_arn: str
    role: str
    """Which the user, and tokens of the provider, may assume."""

    @property
    def session_arn(self) -> str:
        return f"arn:aws:sts::{self.account.id}:assumed-role/{name_of(self.role)}/{SESSION}"

    def credentials(self) -> dict[str, str]:
        """Of a session of the role, as credential servers give them."""
        session = self.user.client("sts").assume_role(RoleArn=self.role, RoleSessionName=SESSION)[
            "Credentials"
        ]
        return {
            "AccessKeyId": session["AccessKeyId"],
            "SecretAccessKey": session["SecretAccessKey"],
            "Token": session["SessionToken"],
            "Expiration": session["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "LastUpdated": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Code": "Success",
            "Type": "AWS-HMAC",
        }


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture(scope="module")
def place(tls: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    options = ("--identity-networks", "127.0.0.1", "--identity-ca", str(tls.ca))
    with (
        identity_provider(tls) as provider,
        running(tmp_path_factory.mktemp("sign-in"), *options) as server,
    ):
        profile = ConfigParser()
        profile.read(server.data / "credentials")
        root = profile[profile.sections()[0]]
        account = Account.of(Caller(server, root["aws_access_key_id"], root["aws_secret_access_key"]))
        account.root.client("ecr").create_repository(repositoryName="team/app")
        trusted = account.iam.create_open_id_connect_provider(Url=provider.url, ClientIDList=[AUDIENCE])
        arn, user = account.user(PULL)
        statements = [
            json.loads(trust({"AWS": arn}))["Statement"][0],
            json.loads(
                trust(
                    {"Federated": trusted["OpenIDConnectProviderArn"]},
                    "sts:AssumeRoleWithWebIdentity",
                    condition={"StringEquals": {f"{provider.place}:sub": "repo:team/app"}},
                )
            )["Statement"][0],
        ]
        role = account.role(json.dumps({"Version": "2012-10-17", "Statement": statements}), PULL)
        yield Place(server, account, provider, user, arn, role)


Cli = Callable[..., str]


@pytest.fixture(params=["version 1", "version 2"])
def cli(request: pytest.FixtureRequest, place: Place, run: Run, need: Need, tmp_path: Path) -> Cli:
    """The AWS CLI, with nothing of the machine's but what a test gives it."""
    if request.param == "version 1":
        command = [need("aws")]
    else:
        if os.geteuid() != 0 or not (TRIXIE / "usr/bin/aws").exists():
            lacking("no AWS CLI of Debian 13: run `make clients`, and the tests as root")
        private = ["unshare", "--mount", "--propagation", "private"]
        command = [*private, "sh", str(ENTER), str(TRIXIE), str(tmp_path), "aws"]
    surroundings = {
        "AWS_ENDPOINT_URL": place.server.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_PAGER": "",
        "NO_PROXY": "*",
    }

    def cli(*words: str, env: Mapping[str, str], **options: Any) -> str:
        return run(*command, *words, env=surroundings | dict(env), **options).strip()

    return cli


def check(cli: Cli, place: Place, env: Mapping[str, str], arn: str) -> None:
    """They are who they should be, and the registry lets them in."""
    assert cli("sts", "get-caller-identity", "--query", "Arn", "--output", "text", env=env) == arn
    password = cli("ecr", "get-login-password", env=env)
    assert registry(place, password, "/v2/") == 200
    assert registry(place, password, "/v2/team/app/tags/list") == 200
    assert registry(place, password, "/v2/team/app/blobs/uploads/", "POST") == 403
    assert registry(place, password[:-8] + "AAAAAAA=", "/v2/") == 401


def registry(place: Place, password: str, path: str, method: str = "GET") -> int:
    connection = http.client.HTTPConnection(place.server.host, timeout=30)
    try:
        basic = base64.b64encode(f"AWS:{password}".encode()).decode()
        connection.request(method, path, headers={"Authorization": f"Basic {basic}"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_static_keys(cli: Cli, place: Place) -> None:
    env = {"AWS_ACCESS_KEY_ID": place.user.key_id, "AWS_SECRET_ACCESS_KEY": place.user.secret}

    check(cli, place, env, place.user_arn)


def test_a_profile_that_assumes_a_role(cli: Cli, place: Place, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        f"[profile workload]\nrole_arn = {place.role}\nsource_profile = base\nrole_session_name = {SESSION}\n"
        f"[profile base]\naws_access_key_id = {place.user.key_id}\naws_secret_access_key = {place.user.secret}\n"
    )

    check(
        cli,
        place,
        {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_PROFILE": "workload"},
        place.session_arn,
    )


def test_web_identity_with_keys_that_are_fetched(cli: Cli, place: Place, tmp_path: Path) -> None:
    check(cli, place, web_identity(place.provider.token(), place.role, tmp_path), place.session_arn)


def test_web_identity_with_keys_that_are_given(
    cli: Cli, place: Place, run: Run, need: Need, tmp_path: Path
) -> None:
    issuer, signer = "https://kubernetes.default.svc.cluster.local", Signer.rsa("cluster")
    (tmp_path / "keys.json").write_text(jwks(signer))
    words = ("--issuer", issuer, "--jwks", tmp_path / "keys.json", "--data", place.server.data)
    run(need("moorage"), "oidc", "trust", *words)
    federated = f"arn:aws:iam::{place.account.id}:oidc-provider/{issuer.removeprefix('https://')}"
    subject = "system:serviceaccount:ci:builder"
    condition = {"StringEquals": {f"{issuer.removeprefix('https://')}:sub": subject}}
    trusted = trust({"Federated": federated}, "sts:AssumeRoleWithWebIdentity", condition=condition)
    role = place.account.role(trusted, PULL)
    token = place.provider.token(signer, iss=issuer, sub=subject)

    arn = f"arn:aws:sts::{place.account.id}:assumed-role/{name_of(role)}/{SESSION}"
    check(cli, place, web_identity(token, role, tmp_path), arn)


def web_identity(token: str, role: str, folder: Path) -> dict[str, str]:
    """What the EKS webhook gives a pod."""
    (folder / "token").write_text(token)
    return {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "token"),
        "AWS_ROLE_ARN": role,
        "AWS_ROLE_SESSION_NAME": SESSION,
    }


def test_credentials_of_an_ecs_task(cli: Cli, place: Place) -> None:
    with credential_server(place) as port:
        env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}/task"}
        check(cli, place, env, place.session_arn)


def test_eks_pod_identity(cli: Cli, place: Place, tmp_path: Path) -> None:
    (tmp_path / "pod-token").write_text(POD_TOKEN)

    with credential_server(place) as port:
        env = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}/pod",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "pod-token"),
        }
        check(cli, place, env, place.session_arn)


def test_the_role_of_an_ec2_instance(cli: Cli, place: Place) -> None:
    with credential_server(place) as port:
        env = {
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}/",
        }
        check(cli, place, env, place.session_arn)


def credential_server(place: Place) -> Any:
    """The metadata service of an instance (IMDSv2), of a task and of a pod; each gives real credentials."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        path, command = request.path, request.command
        of_instance = request.headers.get("X-aws-ec2-metadata-token") == IMDS_TOKEN
        of_pod = request.headers.get("Authorization") == POD_TOKEN
        if (command, path) == ("PUT", "/latest/api/token"):
            say(request, IMDS_TOKEN.encode(), 200, {"x-aws-ec2-metadata-token-ttl-seconds": "60"})
        elif (path.startswith("/latest/") and not of_instance) or (path == "/pod" and not of_pod):
            say(request, b"", 401)
        elif path == ROLE_PATH:
            say(request, b"instance-role")
        elif path in ("/pod", "/task", f"{ROLE_PATH}instance-role"):
            say(request, json.dumps(place.credentials()).encode())
        else:
            say(request, b"", 404)

    return serving(answer)
