"""What a team sets up in its first hour (docs/first-hour.md), seen from docker: what policies say, and nothing else.

Each test has people, a repository and an image of its own, on one server and in one Docker Engine.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ..conftest import Need, Run, Server, free_port, plain_environment, run_client, running, until
from ..unit.access.web_identity.issuer import Signer, jwks
from .conftest import Images, Suite, daemon
from .people import REGION, Account, Caller, allow, name_of, trust

MOORAGE = Path(sys.executable).with_name("moorage")
ACCOUNT, OTHER = "123456789012", "210987654321"
PROVIDER = "ci.example"
PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
UPLOAD = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
)
PASSWORD = "ecr:GetAuthorizationToken"
EXPIRED = "Your authorization token has expired. Reauthenticate and try again."
PULLED = "Digest: sha256:"
SECONDS = 2
_NUMBERS = count(1)


@dataclass(frozen=True)
class Registry:
    """A server with a way in of the office's own, beside the public one."""

    server: Server
    office: str

    @property
    def public(self) -> str:
        return self.server.host


@dataclass(frozen=True)
class Person:
    """Somebody with a docker and an AWS CLI of their own."""

    arn: str
    docker: Callable[..., str]
    aws: Callable[..., str]
    shows_text: bool
    """Of refusals: their docker repeats what the registry says, not the status alone."""

    def log_in(self, *hosts: str) -> None:
        for host in hosts:
            password = self.aws("ecr", "get-login-password").strip()
            self.docker("login", "--username", "AWS", "--password-stdin", host, input=password)

    def pull(self, image: str, **options: Any) -> str:
        """From the registry: what the engine has of it is taken away first."""
        if self.docker("images", "--quiet", image):
            self.docker("rmi", "--force", image)
        return " ".join(self.docker("pull", image, **options).split())

    def push(self, image: str, **options: Any) -> str:
        return " ".join(self.docker("push", image, **options).split())

    def shown(self, text: str) -> str:
        """What their docker shows of a refusal with this text."""
        return text if self.shows_text else "403 Forbidden"


@dataclass(frozen=True)
class Engine:
    """A Docker Engine, with what it takes to make people who use it."""

    address: str
    suite: Suite
    run: Run = field(repr=False)
    aws: str
    folder: Path

    def person(self, arn: str, environment: dict[str, str]) -> Person:
        home = self.folder / f"home-{next(_NUMBERS)}"
        home.mkdir()
        mine = {**environment, "HOME": str(home), "DOCKER_CONFIG": str(home / "docker")}

        def docker(*words: object, **options: Any) -> str:
            typed = self.suite.command("/usr/bin/docker", "--host", self.address, *words)
            return self.run(*typed, env=mine, **options)

        def aws(*words: str, **options: Any) -> str:
            return self.run(self.aws, *words, env=mine, **options)

        # Docker 20.10 shows the text; the containerd of 26 shows method, URL and status.
        return Person(arn, docker, aws, shows_text=self.suite.name == "bookworm")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("first-hour")
    office = f"127.0.0.1:{free_port()}"
    file = folder / "moorage.toml"
    file.write_text(f'account = "{ACCOUNT}"\n[[listeners]]\nname = "office"\nlisten = "{office}"\n')
    with running(folder, "--config", str(file)) as server:
        yield Registry(server, office)


@pytest.fixture(scope="module")
def engine_address(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("docker")
    address = f"unix://{folder}/socket"
    (folder / "daemon.json").write_text('{"features": {"containerd-snapshotter": true}}')
    store = "--storage-driver=vfs" if suite.name == "bookworm" else f"--config-file={folder}/daemon.json"
    command = [
        *("dockerd", f"--host={address}", f"--data-root={folder}/data", f"--exec-root={folder}/exec", store),
        *(f"--pidfile={folder}/pid", "--bridge=none", "--ip-forward=false", "--ip6tables=false"),
        "--iptables=false",
    ]
    with daemon(suite, command, ready=["docker", "--host", address, "version"], log=folder / "log"):
        yield address


@pytest.fixture
def engine(engine_address: str, suite: Suite, run: Run, need: Need, tmp_path: Path) -> Engine:
    return Engine(engine_address, suite, run, need("aws"), tmp_path)


@pytest.fixture(scope="module")
def account(registry: Registry) -> Account:
    """Administered by a user whom the root made."""
    root = Account.of(_root(registry, "credentials"))
    arn, administrator = root.user()
    root.iam.attach_user_policy(
        UserName=name_of(arn), PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    return Account.of(administrator)


@pytest.fixture(scope="module")
def other(registry: Registry) -> Account:
    """A second account, in the hands of its root."""
    _moorage(registry, "account", "create", "--account", OTHER)
    return Account.of(_root(registry, f"credentials-{OTHER}"))


@pytest.fixture(scope="module")
def ci(registry: Registry, account: Account, tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """A CI whose keys are given in a file: it cannot be reached."""
    signer, file = Signer.rsa("first-hour"), tmp_path_factory.mktemp("ci") / "jwks"
    file.write_text(jwks(signer))
    _moorage(registry, "oidc", "trust", "--issuer", f"https://{PROVIDER}", "--jwks", str(file))
    return signer


@pytest.fixture
def person(registry: Registry, engine: Engine) -> Callable[..., Person]:
    """A new user of an account with a policy, or with the key of one that is there."""

    def person(account: Account, policy: str = "", caller: Caller | None = None) -> Person:
        if caller is None:
            _, caller = account.user(policy)
        return engine.person(caller.arn, _environment(registry, _keys(caller)))

    return person


@pytest.fixture
def admin(account: Account, person: Callable[..., Person], registry: Registry) -> Person:
    administrator = person(account, caller=account.root)
    administrator.log_in(registry.public)
    return administrator


@pytest.fixture
def image(account: Account, admin: Person, registry: Registry, images: Images) -> Callable[[str], str]:
    """A new repository in which the administrator has pushed `v1`; its name."""

    def image(stem: str) -> str:
        name = f"{stem}-{next(_NUMBERS)}"
        account.root.client("ecr").create_repository(repositoryName=name)
        there = f"{registry.public}/{name}:v1"
        admin.docker("import", "--message", name, images.rootfs, there)
        admin.push(there)
        return name

    return image


@pytest.fixture
def role(account: Account, ci: Signer) -> Callable[[str], str]:
    """The ARN of a role for jobs of the main branch, which may pull, and push `dev-…`, in one repository."""

    def role(repository: str) -> str:
        claims = {f"{PROVIDER}:aud": "sts.amazonaws.com", f"{PROVIDER}:sub": "team/web:main"}
        arn = account.role(
            trust(
                {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"},
                "sts:AssumeRoleWithWebIdentity",
                condition={"StringEquals": claims},
            ),
            allow(PASSWORD),
        )
        only_dev = {"moorage:ImageTag": "dev-*"}
        for name, document in (
            ("upload", allow(*UPLOAD, *PULL, resource=_arn(repository))),
            ("tag", allow("ecr:PutImage", resource=_arn(repository), StringLikeIfExists=only_dev)),
        ):
            account.iam.put_role_policy(RoleName=name_of(arn), PolicyName=name, PolicyDocument=document)
        return arn

    return role


@pytest.fixture
def job(registry: Registry, engine: Engine, ci: Signer, tmp_path: Path) -> Callable[[str, str], Person]:
    """A job of the CI: the AWS CLI takes the role with the token that it finds in a file."""

    def job(role: str, subject: str) -> Person:
        now, file = int(time.time()), tmp_path / f"token-{next(_NUMBERS)}"
        issued = {"iss": f"https://{PROVIDER}", "aud": "sts.amazonaws.com", "iat": now, "exp": now + 600}
        file.write_text(ci.token({**issued, "sub": subject}))
        taken = {
            "AWS_ROLE_ARN": role,
            "AWS_ROLE_SESSION_NAME": "job-1",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(file),
        }
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name_of(role)}/job-1"
        return engine.person(arn, _environment(registry, taken))

    return job


def test_job_of_the_ci_pushes_its_tags_to_its_repository_and_nothing_else(
    account: Account,
    registry: Registry,
    image: Callable[[str], str],
    role: Callable[[str], str],
    job: Callable[[str, str], Person],
) -> None:
    web, keys = image("team/web"), image("vault/keys")
    worker = job(role(web), "team/web:main")
    worker.log_in(registry.public)
    worker.docker("tag", f"{registry.public}/{web}:v1", f"{registry.public}/{web}:dev-1")
    worker.docker("tag", f"{registry.public}/{web}:v1", f"{registry.public}/{web}:v2")

    pushed = worker.push(f"{registry.public}/{web}:dev-1")
    wrong_tag = worker.push(f"{registry.public}/{web}:v2", fails=True)
    wrong_repository = worker.push(f"{registry.public}/{keys}:v1", fails=True)

    assert "dev-1: digest: sha256:" in pushed
    assert _refusal(worker, "ecr:PutImage", web, "because no identity-based policy allows") in wrong_tag
    assert worker.shown(f"on resource: {_arn(keys)} because no identity-based policy") in wrong_repository
    tags = account.root.client("ecr").list_images(repositoryName=web)["imageIds"]
    assert sorted(each["imageTag"] for each in tags) == ["dev-1", "v1"]


def test_job_of_another_branch_does_not_get_the_role(
    account: Account, role: Callable[[str], str], job: Callable[[str, str], Person]
) -> None:
    said = job(role("team/web"), "team/web:feature").aws("sts", "get-caller-identity", fails=True)

    assert "(AccessDenied) when calling the AssumeRoleWithWebIdentity operation: Not authorized to" in said


def test_who_is_in_the_group_pulls_and_does_not_push(
    account: Account, registry: Registry, image: Callable[[str], str], person: Callable[..., Person]
) -> None:
    web, group = image("team/web"), f"developers-{next(_NUMBERS)}"
    pulling = account.iam.create_policy(
        PolicyName=group, PolicyDocument=allow(*PULL, UPLOAD[0], resource=_arn("team/*"))
    )["Policy"]["Arn"]
    account.iam.create_group(GroupName=group)
    account.iam.attach_group_policy(GroupName=group, PolicyArn=pulling)
    dana = person(account, allow(PASSWORD))
    account.iam.add_user_to_group(GroupName=group, UserName=name_of(dana.arn))
    dana.log_in(registry.public)

    pulled = dana.pull(f"{registry.public}/{web}:v1")
    dana.docker("tag", f"{registry.public}/{web}:v1", f"{registry.public}/{web}:v2")
    pushed = dana.push(f"{registry.public}/{web}:v2", fails=True)
    account.iam.remove_user_from_group(GroupName=group, UserName=name_of(dana.arn))
    left = dana.pull(f"{registry.public}/{web}:v1", fails=True)

    assert PULLED in pulled
    assert _refusal(dana, "ecr:PutImage", web, "because no identity-based policy allows") in pushed
    assert _refusal(dana, "ecr:BatchGetImage", web, "because no identity-based policy allows") in left


def test_another_account_pulls_while_both_accounts_agree(
    account: Account,
    other: Account,
    registry: Registry,
    image: Callable[[str], str],
    person: Callable[..., Person],
) -> None:
    web, ecr = image("team/web"), account.root.client("ecr")
    there = f"{registry.public}/{web}:v1"
    pat, paul = person(other, allow(PASSWORD, *PULL)), person(other, allow(PASSWORD))
    pat.log_in(registry.public)
    paul.log_in(registry.public)
    share = _of_repository("Allow", {"AWS": f"arn:aws:iam::{OTHER}:root"})

    before = pat.pull(there, fails=True)
    ecr.set_repository_policy(repositoryName=web, policyText=share)
    shared, without_leave = pat.pull(there), paul.pull(there, fails=True)
    ecr.delete_repository_policy(repositoryName=web)
    after = pat.pull(there, fails=True)

    not_shared = _refusal(pat, "ecr:BatchGetImage", web, "because no resource-based policy allows")
    assert not_shared in before
    assert PULLED in shared
    assert _refusal(paul, "ecr:BatchGetImage", web, "because no identity-based policy") in without_leave
    assert not_shared in after


def test_repository_of_the_office_is_pulled_through_its_endpoint_and_not_past_it(
    account: Account,
    registry: Registry,
    image: Callable[[str], str],
    admin: Person,
    person: Callable[..., Person],
) -> None:
    keys, ec2 = image("vault/keys"), account.root.client("ec2")
    outside, inside = f"{registry.public}/{keys}:v1", f"{registry.office}/{keys}:v1"
    dana = person(account, allow(PASSWORD, *PULL))
    office = ec2.create_vpc_endpoint(
        VpcEndpointType="Interface",
        VpcId="vpc-office",
        SubnetIds=["office"],
        ServiceName=f"com.amazonaws.{REGION}.ecr.dkr",
    )["VpcEndpoint"]["VpcEndpointId"]
    dana.log_in(registry.public, registry.office)

    before = dana.pull(outside)
    only_there = _of_repository("Deny", "*", StringNotEquals={"aws:SourceVpce": office})
    account.root.client("ecr").set_repository_policy(repositoryName=keys, policyText=only_there)
    past, through = [who.pull(outside, fails=True) for who in (dana, admin)], dana.pull(inside)
    ec2.delete_vpc_endpoints(VpcEndpointIds=[office])
    gone = dana.pull(inside, fails=True)

    denial = "with an explicit deny in a resource-based policy"
    assert PULLED in before
    assert _refusal(dana, "ecr:BatchGetImage", keys, denial) in past[0]
    assert _refusal(admin, "ecr:BatchGetImage", keys, denial) in past[1]
    assert PULLED in through
    assert dana.shown("The private endpoint does not carry ecr.dkr") in gone


def test_password_of_a_key_that_is_switched_off_is_refused_at_the_next_pull(
    account: Account, registry: Registry, image: Callable[[str], str], person: Callable[..., Person]
) -> None:
    there = f"{registry.public}/{image('team/web')}:v1"
    arn, old = account.user(allow(PASSWORD, *PULL))
    dana = person(account, caller=old)
    dana.log_in(registry.public)
    before = dana.pull(there)
    made = account.iam.create_access_key(UserName=name_of(arn))["AccessKey"]
    new = Caller(registry.server, made["AccessKeyId"], made["SecretAccessKey"])
    again = person(account, caller=new)
    again.log_in(registry.public)

    account.iam.update_access_key(UserName=name_of(arn), AccessKeyId=old.key_id, Status="Inactive")
    refused = dana.pull(there, fails=True)
    account.iam.delete_access_key(UserName=name_of(arn), AccessKeyId=old.key_id)

    assert PULLED in before
    assert dana.shown(EXPIRED) in refused
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        old.client("sts").get_caller_identity()
    assert PULLED in again.pull(there)


def test_what_a_role_was_given_is_taken_back_and_its_next_job_pulls(
    registry: Registry,
    image: Callable[[str], str],
    role: Callable[[str], str],
    job: Callable[[str, str], Person],
) -> None:
    web = image("team/web")
    there, taken = f"{registry.public}/{web}:v1", role(web)
    leaked = job(taken, "team/web:main")
    leaked.log_in(registry.public)
    before = leaked.pull(there)

    _moorage(registry, "revoke", "--role", name_of(taken))

    for _ in until(SECONDS, "the password still works"):  # other processes learn of it in half a second
        if "Pulled" not in (said := _said(leaked, there)):
            break
    assert PULLED in before
    assert leaked.shown(EXPIRED) in said
    following = job(taken, "team/web:main")
    following.log_in(registry.public)
    assert PULLED in following.pull(there)


def _said(person: Person, image: str) -> str:
    """Of a pull that may be refused or not."""
    try:
        return f"Pulled: {person.pull(image)}"
    except pytest.fail.Exception as refusal:
        return str(refusal)


def _arn(repository: str) -> str:
    return f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"


def _refusal(who: Person, action: str, repository: str, because: str) -> str:
    refused = f"User: {who.arn} is not authorized to perform: {action} on resource: {_arn(repository)}"
    return who.shown(f"{refused} {because}")


def _of_repository(effect: str, principal: Any, **condition: Any) -> str:
    """A policy of a repository, about pulls."""
    statement: dict[str, Any] = {"Effect": effect, "Principal": principal, "Action": list(PULL)}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _root(registry: Registry, file: str) -> Caller:
    lines = (registry.server.data / file).read_text().splitlines()
    keys = dict(line.split(" = ", 1) for line in lines if " = " in line)
    return Caller(registry.server, keys["aws_access_key_id"], keys["aws_secret_access_key"])


def _keys(caller: Caller) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": caller.key_id, "AWS_SECRET_ACCESS_KEY": caller.secret}


def _environment(registry: Registry, credentials: dict[str, str]) -> dict[str, str]:
    """Of an AWS CLI that has these credentials, and finds no others."""
    return {**registry.server.environment, "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", **credentials}


def _moorage(registry: Registry, *words: str) -> None:
    run_client([str(MOORAGE), *words, "--data", str(registry.server.data)], env=plain_environment())
