"""Private registries as upstream ones: of another region, of another account, and of another installation."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ..conftest import Need, Run, Server, ecr_password, running, until
from .people import Account, Caller, allow, name_of, trust

ACCOUNT, THEIRS, HOME, FAR = "123456789012", "210987654321", "us-east-1", "eu-west-1"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MIB = 1 << 20
SERVICE = {"Service": "pullthroughcache.ecr.amazonaws.com"}
PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
TOKEN = "ecr:GetAuthorizationToken"
MOORAGE = os.environ.get("MOORAGE", str(Path(sys.executable).with_name("moorage")))
LINKED_ROLE = "AWSServiceRoleForECRPullThroughCache"
_numbers = count(1)


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def url_of(account: str, region: str) -> str:
    return f"{account}.dkr.ecr.{region}.amazonaws.com"


def push(ecr: Any, name: str, tag: str, *contents: bytes) -> str:
    """An image of those layers, the first of which is its config, into a repository that may be new. Its digest."""
    with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName=name)
    for content in contents:
        upload = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
        ecr.upload_layer_part(
            repositoryName=name,
            uploadId=upload,
            partFirstByte=0,
            partLastByte=len(content) - 1,
            layerPartBlob=content,
        )
        with suppress(ecr.exceptions.LayerAlreadyExistsException):
            ecr.complete_layer_upload(repositoryName=name, uploadId=upload, layerDigests=[digest(content)])
    config, *layers = (
        {"mediaType": f"application/vnd.example.{n}", "digest": digest(each), "size": len(each)}
        for n, each in enumerate(contents)
    )
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    manifest = json.dumps(document)
    ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag=tag)
    return digest(manifest.encode())


def pull(ecr: Any, name: str, tag: str = "1") -> str:
    """The digest of what comes, or the failure."""
    try:
        said = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        return str(error.response["Error"]["Message"])
    if said["failures"]:
        return f"{said['failures'][0]['failureCode']}: {said['failures'][0]['failureReason']}"
    return digest(said["images"][0]["imageManifest"].encode())


def layer(ecr: Any, name: str, content: bytes) -> bytes:
    """What comes as the layer of that content."""
    url = ecr.get_download_url_for_layer(repositoryName=name, layerDigest=digest(content))["downloadUrl"]
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bytes(answer.read())


@dataclass(frozen=True)
class Place:
    """A registry of a server, for the root of its account."""

    account: Account
    region: str

    @property
    def ecr(self) -> Any:
        return self.account.root.client("ecr", self.region)

    @property
    def url(self) -> str:
        return url_of(self.account.id, self.region)

    def rule(self, prefix: str, url: str, **options: Any) -> Any:
        return self.ecr.create_pull_through_cache_rule(
            ecrRepositoryPrefix=prefix, upstreamRegistryUrl=url, **options
        )

    def failure(self, prefix: str) -> str | None:
        said = self.ecr.validate_pull_through_cache_rule(ecrRepositoryPrefix=prefix)
        assert said["isValid"] == ("failure" not in said)
        return said.get("failure")


def root_of(server: Server, credentials: Path) -> Caller:
    keys = dict(line.split(" = ", 1) for line in credentials.read_text().splitlines() if " = " in line)
    return Caller(server, keys["aws_access_key_id"], keys["aws_secret_access_key"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two accounts, any regions."""
    options = ("--account", ACCOUNT, "--region", HOME, "--domain", "registry.example")
    with running(tmp_path_factory.mktemp("inside"), *options) as server:
        yield server


@pytest.fixture(scope="module")
def home(server: Server) -> Place:
    return Place(Account.of(root_of(server, server.data / "credentials")), HOME)


@pytest.fixture(scope="module")
def far(home: Place) -> Place:
    return Place(home.account, FAR)


@pytest.fixture(scope="module")
def theirs(server: Server) -> Place:
    """A registry of another account."""
    command = [MOORAGE, "account", "create", "--data", server.data, "--json"]
    created = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return Place(Account.of(root_of(server, Path(created["credentials"]))), FAR)


@pytest.fixture
def prefix() -> str:
    """Of a rule that no other test has."""
    return f"cache-{next(_numbers)}"


def let_in(place: Place, name: str, principal: str, *actions: str) -> None:
    """By the policy of a repository."""
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions)}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    place.ecr.set_repository_policy(repositoryName=name, policyText=text)


def shared(theirs: Place, home: Place, name: str) -> tuple[str, str]:
    """An image that another account lets ours pull, and a role of ours that may: digest and ARN."""
    image = push(theirs.ecr, name, "1", b"{}", name.encode())
    let_in(theirs, name, home.account.id, *PULL)
    return image, home.account.role(trust(SERVICE), allow(*PULL))


# The same installation


def test_another_region_is_pulled_from_by_the_role_that_the_service_makes_itself(
    server: Server, home: Place, far: Place, prefix: str, need: Need, run: Run
) -> None:
    content = os.urandom(3 * MIB + 5)
    image = push(far.ecr, "team/app", "1", b"{}", content)
    made = home.rule(prefix, far.url)
    host, crane = f"localhost:{server.port}", need("crane")
    run(crane, "auth", "login", host, "-u", "AWS", "--password-stdin", input=ecr_password(home.ecr))

    assert home.failure(prefix) is None
    assert run(crane, "digest", f"{host}/{prefix}/team/app:1").strip() == image
    run(crane, "validate", "--remote", f"{host}/{prefix}/team/app:1")

    assert made["upstreamRegistry"] == "ecr"
    assert home.account.iam.get_role(RoleName=LINKED_ROLE)["Role"]["Path"].startswith("/aws-service-role/")
    assert layer(home.ecr, f"{prefix}/team/app", content) == content
    pulled = far.ecr.describe_images(repositoryName="team/app")["imageDetails"][0]
    assert "lastRecordedPullTime" in pulled


def test_another_account_is_pulled_from_by_a_role_that_it_lets_in(
    home: Place, theirs: Place, prefix: str
) -> None:
    image, role = shared(theirs, home, "shared/app")
    home.rule(prefix, theirs.url, customRoleArn=role)

    assert home.failure(prefix) is None
    assert pull(home.ecr, f"{prefix}/shared/app") == image
    assert layer(home.ecr, f"{prefix}/shared/app", b"shared/app") == b"shared/app"


def test_without_a_policy_of_the_other_account_nothing_comes(home: Place, theirs: Place, prefix: str) -> None:
    _, role = shared(theirs, home, "shared/closed")
    theirs.ecr.delete_repository_policy(repositoryName="shared/closed")
    home.rule(prefix, theirs.url, customRoleArn=role)

    refused = pull(home.ecr, f"{prefix}/shared/closed")
    missing = pull(home.ecr, f"{prefix}/shared/nothing")

    assert "ecr:BatchGetImage" in refused
    assert missing.replace("nothing", "closed") == refused  # nobody learns what is there


def test_a_role_that_may_not_pull_pulls_nothing(home: Place, theirs: Place, prefix: str) -> None:
    push(theirs.ecr, "shared/denied", "1", b"{}")
    let_in(theirs, "shared/denied", home.account.id, *PULL)
    home.rule(prefix, theirs.url, customRoleArn=home.account.role(trust(SERVICE), allow(TOKEN)))

    assert "ecr:BatchGetImage" in pull(home.ecr, f"{prefix}/shared/denied")


def test_a_layer_that_the_role_may_not_have_is_the_declared_error(
    home: Place, theirs: Place, prefix: str
) -> None:
    image, role = shared(theirs, home, "shared/half")
    home.rule(prefix, theirs.url, customRoleArn=role)
    let_in(theirs, "shared/half", home.account.id, PULL[0])

    assert pull(home.ecr, f"{prefix}/shared/half") == image
    with pytest.raises(home.ecr.exceptions.UnableToGetUpstreamLayerException, match=PULL[1]):
        layer(home.ecr, f"{prefix}/shared/half", b"shared/half")


def test_a_role_that_is_deleted_pulls_no_more_and_what_is_here_stays(
    home: Place, theirs: Place, prefix: str
) -> None:
    image, role = shared(theirs, home, "shared/kept")
    shared(theirs, home, "shared/late")
    home.rule(prefix, theirs.url, customRoleArn=role)
    assert pull(home.ecr, f"{prefix}/shared/kept") == image

    home.account.iam.delete_role_policy(RoleName=name_of(role), PolicyName="own")
    home.account.iam.delete_role(RoleName=name_of(role))

    assert "does not exist" in pull(home.ecr, f"{prefix}/shared/late")
    assert "does not exist" in str(home.failure(prefix))
    assert pull(home.ecr, f"{prefix}/shared/kept") == image


@pytest.mark.parametrize(
    ("condition", "is_used"),
    [
        ({"StringEquals": {"aws:SourceAccount": ACCOUNT}}, True),
        ({"StringEquals": {"aws:SourceAccount": THEIRS}}, False),
        ({"ArnLike": {"aws:SourceArn": f"arn:aws:ecr:{HOME}:{ACCOUNT}:repository/cache-*"}}, True),
        ({"ArnLike": {"aws:SourceArn": f"arn:aws:ecr:{FAR}:{ACCOUNT}:*"}}, False),
        ({"StringEquals": {"sts:ExternalId": ACCOUNT}}, False),
    ],
)
def test_a_role_says_for_whom_the_service_may_use_it(
    home: Place, theirs: Place, prefix: str, condition: dict[str, Any], is_used: bool
) -> None:
    image, _ = shared(theirs, home, f"shared/{prefix}")
    role = home.account.role(trust(SERVICE, condition=condition), allow(*PULL))
    home.rule(prefix, theirs.url, customRoleArn=role)

    assert (pull(home.ecr, f"{prefix}/shared/{prefix}") == image) is is_used
    assert (home.failure(prefix) is None) is is_used


def test_a_role_for_others_is_not_the_service_s_to_use(home: Place, theirs: Place, prefix: str) -> None:
    shared(theirs, home, "shared/other")
    for trusted in ({"AWS": home.account.id}, {"Service": "ecr.amazonaws.com"}):
        role = home.account.role(trust(trusted), allow(*PULL))
        home.rule(f"{prefix}-{len(str(trusted))}", theirs.url, customRoleArn=role)

        said = pull(home.ecr, f"{prefix}-{len(str(trusted))}/shared/other")

        assert "does not trust pullthroughcache.ecr.amazonaws.com" in said


def test_a_registry_may_be_named_as_this_installation_calls_it(home: Place, far: Place, prefix: str) -> None:
    image = push(far.ecr, "named/app", "1", b"{}")

    made = home.rule(prefix, f"{ACCOUNT}.{FAR}.registry.example")

    assert made["upstreamRegistry"] == "ecr"
    assert pull(home.ecr, f"{prefix}/named/app") == image


def test_caches_of_caches_bring_an_image_all_the_way(home: Place, far: Place, prefix: str) -> None:
    farther = Place(home.account, "ap-south-1")
    content = os.urandom(4 * MIB)
    image = push(farther.ecr, "deep/app", "1", b"{}", content)
    far.rule(prefix, farther.url)
    rights = (*PULL, "ecr:BatchImportUpstreamImage", "ecr:CreateRepository")
    role = home.account.role(trust(SERVICE), allow(*rights))
    home.rule(prefix, far.url, upstreamRepositoryPrefix=prefix, customRoleArn=role)

    assert pull(home.ecr, f"{prefix}/deep/app") == image
    assert layer(home.ecr, f"{prefix}/deep/app", content) == content
    assert far.ecr.describe_images(repositoryName=f"{prefix}/deep/app")["imageDetails"]


def test_two_caches_of_each_other_give_what_either_has_and_do_not_wait_for_each_other(
    home: Place, far: Place, prefix: str
) -> None:
    home.rule(prefix, far.url, upstreamRepositoryPrefix=prefix)
    far.rule(prefix, home.url, upstreamRepositoryPrefix=prefix)
    image = push(far.ecr, f"{prefix}/app", "1", b"{}", b"of both")

    assert pull(home.ecr, f"{prefix}/app") == image
    assert layer(home.ecr, f"{prefix}/app", b"of both") == b"of both"
    assert "not found" in pull(home.ecr, f"{prefix}/app", "nothing").lower()
    assert "not found" in pull(far.ecr, f"{prefix}/app", "nothing").lower()


def test_what_cannot_be_an_upstream_registry_is_refused_when_the_rule_is_made(
    home: Place, theirs: Place, prefix: str
) -> None:
    foreign = theirs.account.role(trust(SERVICE))
    _, user = home.account.user(allow("ecr:CreatePullThroughCacheRule"))
    role = home.account.role(trust(SERVICE))
    secret = f"arn:aws:secretsmanager:{HOME}:{ACCOUNT}:secret:ecr-pullthroughcache/x-abcdef"
    exceptions = home.ecr.exceptions

    with pytest.raises(exceptions.ValidationException, match="itself"):
        home.rule(prefix, home.url)
    with pytest.raises(exceptions.ValidationException, match="itself"):
        home.rule(prefix, f"localhost:{home.account.root.server.port}")
    with pytest.raises(exceptions.UnsupportedUpstreamRegistryException, match="another account"):
        home.rule(prefix, theirs.url)
    with pytest.raises(exceptions.ValidationException, match="of the account of the registry"):
        home.rule(prefix, theirs.url, customRoleArn=foreign)
    with pytest.raises(exceptions.ValidationException, match="no secret"):
        home.rule(prefix, theirs.url, customRoleArn=role, credentialArn=secret)
    with pytest.raises(ClientError, match="iam:PassRole"):
        user.client("ecr").create_pull_through_cache_rule(
            ecrRepositoryPrefix=prefix, upstreamRegistryUrl=theirs.url, customRoleArn=role
        )
    with pytest.raises(exceptions.PullThroughCacheRuleNotFoundException):
        home.ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=[prefix])


def test_a_registry_of_nobody_known_is_kept_as_a_rule_that_is_not_valid(home: Place, prefix: str) -> None:
    role = home.account.role(trust(SERVICE), allow(*PULL))
    home.rule(prefix, url_of("999999999999", HOME), customRoleArn=role)

    assert "upstream_peers" in str(home.failure(prefix))
    assert "upstream_peers" in pull(home.ecr, f"{prefix}/app")


def test_the_roles_of_the_service_are_made_when_they_are_first_needed(theirs: Place, prefix: str) -> None:
    names = {"AWSServiceRoleForECRPullThroughCache", "AWSServiceRoleForECRTemplate"}
    assert not names & {each["RoleName"] for each in theirs.account.iam.list_roles()["Roles"]}
    _, user = theirs.account.user(allow("ecr:*"))

    ecr = user.client("ecr")
    ecr.create_pull_through_cache_rule(ecrRepositoryPrefix=prefix, upstreamRegistryUrl="quay.io")
    ecr.create_repository_creation_template(prefix=prefix, appliedFor=["REPLICATION"])

    assert names <= {each["RoleName"] for each in theirs.account.iam.list_roles()["Roles"]}


# Another installation, over HTTPS


@dataclass(frozen=True)
class Two:
    here: Place
    there: Place
    credentials: Path

    def role(self, *, external_id: str = ACCOUNT) -> str:
        """A role there that the operator's key may assume for one account, and that may pull."""
        condition = {"StringEquals": {"sts:ExternalId": external_id}}
        user = f"arn:aws:iam::{THEIRS}:user/puller"
        return self.there.account.role(
            trust({"AWS": user}, condition=condition), allow(TOKEN, *PULL, "ecr:BatchImportUpstreamImage")
        )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    here, there = (tmp_path_factory.mktemp(name) for name in ("here", "there"))
    options = ("--account", THEIRS, "--region", FAR, "--listen-tls", "127.0.0.1:0")
    with running(there, *options) as second:
        theirs = Place(Account.of(root_of(second, second.data / "credentials")), FAR)
        [port] = re.findall(r"Listening on https://127\.0\.0\.1:([0-9]+)\n", second.log.read_text())
        key = here / "key"
        _write_key(theirs, key, "puller")
        user = _write_key(theirs, here / "reader", "reader")
        reader = theirs.account.role(trust({"AWS": user}), allow(TOKEN, *PULL))
        (here / "moorage.toml").write_text(
            f"""
            account = "{ACCOUNT}"
            region = "{HOME}"
            [[upstream_peers]]
            account = "{THEIRS}"
            region = "{FAR}"
            url = "https://localhost:{port}"
            ca_file = "{second.data}/ca/ca.pem"
            networks = "127.0.0.0/8"
            credentials = "key"
            [[upstream_peers]]
            account = "{ACCOUNT}"
            region = "{FAR}"
            url = "{second.endpoint}"
            networks = "127.0.0.0/8"
            credentials = "reader"
            role_arn = "{reader}"
            """
        )
        with running(here, "--config", str(here / "moorage.toml")) as first:
            ours = Place(Account.of(root_of(first, first.data / "credentials")), HOME)
            yield Two(ours, theirs, key)


def _write_key(place: Place, file: Path, name: str) -> str:
    """Of a user there who may do nothing but assume roles: the ARN."""
    iam = place.account.iam
    user = iam.create_user(UserName=name)["User"]["Arn"]
    iam.put_user_policy(UserName=name, PolicyName="assume", PolicyDocument=allow("sts:AssumeRole"))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    file.write_text(
        f"[a]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"
    )
    file.chmod(0o600)
    return str(user)


def test_an_image_comes_from_another_installation_as_a_role_assumed_there(two: Two, prefix: str) -> None:
    content = os.urandom(3 * MIB)
    image = push(two.there.ecr, "team/app", "1", b"{}", content)
    role = two.role()
    two.here.rule(prefix, two.there.url, customRoleArn=role)

    assert two.here.failure(prefix) is None
    assert pull(two.here.ecr, f"{prefix}/team/app") == image
    assert layer(two.here.ecr, f"{prefix}/team/app", content) == content
    used = two.there.account.iam.get_role(RoleName=name_of(role))["Role"]
    assert used["RoleName"] == name_of(role)


def test_a_peer_goes_before_an_account_of_ours_and_may_have_a_role_for_all_rules(
    two: Two, prefix: str, need: Need, run: Run
) -> None:
    """Of the same account, so that the rule needs none; over HTTP in a network of one's own."""
    image = push(two.there.ecr, "team/common", "1", b"{}", os.urandom(2 * MIB))
    two.here.rule(prefix, url_of(ACCOUNT, FAR))
    place = f"docker://{two.here.account.root.server.host}/{prefix}/team/common:1"
    skopeo, credentials = need("skopeo"), f"AWS:{ecr_password(two.here.ecr)}"

    run(
        *(skopeo, "copy", "--src-tls-verify=false", "--src-creds", credentials),
        *(place, f"dir:{two.credentials.parent}/copied"),
    )

    assert two.here.failure(prefix) is None
    assert digest((two.credentials.parent / "copied" / "manifest.json").read_bytes()) == image


def test_a_role_there_that_is_for_another_account_is_not_assumed_for_ours(two: Two, prefix: str) -> None:
    push(two.there.ecr, "team/deputy", "1", b"{}")
    two.here.rule(prefix, two.there.url, customRoleArn=two.role(external_id="999999999999"))

    said = pull(two.here.ecr, f"{prefix}/team/deputy")

    assert "does not let this installation act as the role" in said
    assert "act as the role" in str(two.here.failure(prefix))
    assert "puller" not in said  # whose key it is, is the operator's business


def test_what_the_role_may_not_there_is_access_denied(two: Two, prefix: str) -> None:
    push(two.there.ecr, "team/locked", "1", b"{}")
    role = two.role()
    deny = {"Effect": "Deny", "Principal": "*", "Action": "ecr:BatchGetImage"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    two.there.ecr.set_repository_policy(repositoryName="team/locked", policyText=text)
    two.here.rule(prefix, two.there.url, customRoleArn=role)

    assert pull(two.here.ecr, f"{prefix}/team/locked").endswith(
        f"does not let the role {role} pull the image"
    )


def test_a_password_that_was_ended_there_is_asked_for_again(two: Two, prefix: str) -> None:
    first = push(two.there.ecr, "team/again", "1", b"{}", b"one")
    second = push(two.there.ecr, "team/again", "2", b"{}", b"two")
    role = two.role()
    two.here.rule(prefix, two.there.url, customRoleArn=role)
    assert pull(two.here.ecr, f"{prefix}/team/again", "1") == first

    data = two.there.account.root.server.data
    command = [MOORAGE, "revoke", "--data", data, "--role", name_of(role)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)

    for _ in until(5, "the password is not asked for again"):
        if pull(two.here.ecr, f"{prefix}/team/again", "2") == second:
            break


def test_only_accounts_that_the_operator_named_may_pull_from_a_peer(two: Two, prefix: str) -> None:
    server = two.here.account.root.server
    command = [MOORAGE, "account", "create", "--data", server.data, "--json"]
    created = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    other = Place(Account.of(root_of(server, Path(created["credentials"]))), HOME)
    push(two.there.ecr, "team/ours", "1", b"{}")
    other.rule(prefix, two.there.url, customRoleArn=two.role(external_id=other.account.id))

    assert "none of those that may pull" in pull(other.ecr, f"{prefix}/team/ours")


def test_a_role_of_another_installation_is_passed_by_who_may_pass_roles(two: Two, prefix: str) -> None:
    create = "ecr:CreatePullThroughCacheRule"
    _, without = two.here.account.user(allow(create))
    _, with_it = two.here.account.user(allow(create, "iam:PassRole"))
    rule = {
        "ecrRepositoryPrefix": prefix,
        "upstreamRegistryUrl": two.there.url,
        "customRoleArn": two.role(),
    }

    with pytest.raises(ClientError, match="iam:PassRole"):
        without.client("ecr").create_pull_through_cache_rule(**rule)
    with_it.client("ecr").create_pull_through_cache_rule(**rule)


def test_without_the_key_the_upstream_is_not_to_be_had_and_what_is_here_stays(two: Two, prefix: str) -> None:
    image = push(two.there.ecr, "team/keyless", "1", b"{}")
    second = push(two.there.ecr, "team/keyless", "2", b"{}", b"two")
    two.here.rule(prefix, two.there.url, customRoleArn=two.role())
    assert pull(two.here.ecr, f"{prefix}/team/keyless", "1") == image
    two.here.ecr.update_pull_through_cache_rule(ecrRepositoryPrefix=prefix, customRoleArn=two.role())
    kept = two.credentials.read_text()

    two.credentials.unlink()
    try:
        said = pull(two.here.ecr, f"{prefix}/team/keyless", "2")
        assert pull(two.here.ecr, f"{prefix}/team/keyless", "1") == image
    finally:
        two.credentials.write_text(kept)

    assert "the log of this registry says why" in said
    assert str(two.credentials) not in said
    assert f"{two.credentials} has no access key" in two.here.account.root.server.log.read_text()
    for _ in until(15, "the key that is there again is not read"):
        if pull(two.here.ecr, f"{prefix}/team/keyless", "2") == second:
            break
