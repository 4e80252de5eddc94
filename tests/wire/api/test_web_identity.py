"""AssumeRoleWithWebIdentity at a server that asks a provider on loopback for its keys."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from ...conftest import Server, running
from ...unit.access.web_identity.issuer import Signer, claims, compact, jwks
from ..loopback import Certificates, certificates
from ..people import Account, Caller, allow, name_of, trust
from ..provider import AUDIENCE, IdentityProvider, identity_provider

ACTION = "sts:AssumeRoleWithWebIdentity"


@dataclass(frozen=True)
class Place:
    """A server, the provider that its account trusts, and a role for tokens of `repo:team/app`."""

    server: Server
    account: Account
    provider: IdentityProvider
    arn: str
    role: str

    def trust(self, *actions: str, **conditions: str) -> str:
        """A trust policy; conditions are claims."""
        names = {f"{self.provider.place}:{name}": value for name, value in conditions.items()}
        condition = {"StringEquals": names} if names else None
        return trust({"Federated": self.arn}, ACTION, *actions, condition=condition)

    def sign_in(self, token: str, role: str | None = None, **options: Any) -> Any:
        """What STS answers to somebody who has no keys."""
        client = boto3.client(
            "sts",
            endpoint_url=self.server.endpoint,
            region_name="us-east-1",
            config=Config(
                signature_version=UNSIGNED, retries={"total_max_attempts": 1}, parameter_validation=False
            ),
        )
        return client.assume_role_with_web_identity(
            RoleArn=role or self.role, RoleSessionName="ci-7", WebIdentityToken=token, **options
        )

    def refusal(self, token: str, role: str | None = None, **options: Any) -> tuple[int, str, str]:
        with pytest.raises(ClientError) as error:
            self.sign_in(token, role, **options)
        response = error.value.response
        status = response["ResponseMetadata"]["HTTPStatusCode"]
        return status, response["Error"]["Code"], response["Error"]["Message"]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture(scope="module")
def place(tls: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    options = ("--identity-networks", "127.0.0.1/32", "--identity-ca", str(tls.ca))
    with (
        identity_provider(tls) as provider,
        running(tmp_path_factory.mktemp("web-identity"), *options) as server,
    ):
        account = Account.of(_root(server))
        arn = account.iam.create_open_id_connect_provider(Url=provider.url, ClientIDList=[AUDIENCE])
        made = Place(server, account, provider, arn["OpenIDConnectProviderArn"], "")
        role = account.role(made.trust(sub="repo:team/app", aud=AUDIENCE), allow("ecr:*"))
        yield Place(server, account, provider, made.arn, role)


def _root(server: Server) -> Caller:
    profile = ConfigParser()
    profile.read(server.data / "credentials")
    section = profile[profile.sections()[0]]
    return Caller(server, section["aws_access_key_id"], section["aws_secret_access_key"])


def test_a_token_of_a_trusted_provider_begins_a_session(place: Place) -> None:
    answer = place.sign_in(place.provider.token())

    name = name_of(place.role)
    assert answer["SubjectFromWebIdentityToken"] == "repo:team/app"
    assert answer["Audience"] == AUDIENCE
    assert (
        answer["Provider"]
        == place.arn
        == f"arn:aws:iam::{place.account.id}:oidc-provider/{place.provider.place}"
    )
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{place.account.id}:assumed-role/{name}/ci-7"
    session = Caller.of(place.server, answer["Credentials"])
    assert session.arn == answer["AssumedRoleUser"]["Arn"]
    session.client("ecr").create_repository(repositoryName="web/identity")


def test_elliptic_keys_do_too(place: Place) -> None:
    signer = Signer.ec(id_="two")
    token = place.provider.token(signer, "ES256")

    assert place.refusal(token)[1] == "InvalidIdentityToken"
    asked = len(place.provider.asked)
    for n in range(20):
        unknown = Signer(f"unknown-{n}", signer.private)
        assert place.refusal(place.provider.token(unknown, "ES256"))[1] == "InvalidIdentityToken"
    assert len(place.provider.asked) == asked  # at most once in half a minute


def test_the_conditions_of_the_trust_policy_decide(place: Place) -> None:
    said = place.refusal(place.provider.token(sub="repo:team/other"))

    assert said == (403, "AccessDenied", f"Not authorized to perform {ACTION}")


def test_a_wildcard_in_a_subject_is_no_pattern_in_equals(place: Place) -> None:
    assert place.refusal(place.provider.token(sub="repo:team/*"))[1] == "AccessDenied"
    assert place.refusal(place.provider.token(sub="*"))[1] == "AccessDenied"


def test_a_role_that_is_not_there_is_refused_as_one_that_does_not_trust(place: Place) -> None:
    closed = place.account.role(trust({"AWS": place.account.id}))
    token = place.provider.token()

    assert place.refusal(token, closed) == place.refusal(token, closed + "x")


@pytest.mark.parametrize(
    ("changes", "status", "code", "text"),
    [
        ({"aud": "other"}, 400, "InvalidIdentityToken", "Incorrect token audience"),
        (
            {"exp": 1_700_000_000, "iat": 1_699_999_000},
            400,
            "ExpiredTokenException",
            "Token expired: current",
        ),
        ({"iat": 4_000_000_000, "exp": 4_000_000_600}, 400, "InvalidIdentityToken", "in the future"),
        ({"nbf": 4_000_000_000}, 400, "InvalidIdentityToken", "in the future"),
        ({"sub": None}, 403, "IDPRejectedClaim", "no subject"),
        (
            {"iss": "https://other.example"},
            400,
            "InvalidIdentityToken",
            "No OpenIDConnect provider found in your account for https://other.example",
        ),
    ],
)
def test_bad_claims_are_refused_in_known_words(
    place: Place, changes: dict[str, Any], status: int, code: str, text: str
) -> None:
    said = place.refusal(place.provider.token(**changes))

    assert said[:2] == (status, code)
    assert text in said[2]


def test_forged_tokens_are_refused(place: Place) -> None:
    good = place.provider.token()
    unsigned = good.rpartition(".")[0]
    none = compact({"alg": "none"}, claims(iss=place.provider.url))

    other = place.provider.token(Signer.rsa("one"))

    for forged in (none, f"{unsigned}.", good[:-4] + "AAAA", other, "a.b.c", "x" * 30_000):
        assert place.refusal(forged)[1] in ("InvalidIdentityToken", "ValidationError")


def test_who_sends_bad_tokens_has_to_wait(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("throttled"), "--login-failures", "3") as server:
        account = Account.of(_root(server))
        stranger = Place(server, account, IdentityProvider(), "", f"arn:aws:iam::{account.id}:role/some")

        said = [stranger.refusal("a.b.c") for _ in range(4)]

    assert [code for _, code, _ in said[:3]] == ["InvalidIdentityToken"] * 3
    assert said[3][1:] == ("Throttling", "Rate exceeded")


def test_an_account_trusts_its_own_providers_only(place: Place) -> None:
    program = Path(sys.executable).with_name("moorage")
    command = [program, "account", "create", "--data", place.server.data, "--account", "210987654321"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)

    said = place.refusal(place.provider.token(), "arn:aws:iam::210987654321:role/some")

    assert said[2] == f"No OpenIDConnect provider found in your account for {place.provider.url}"


def test_tags_and_source_identity_of_a_token_go_into_the_session(place: Place) -> None:
    carried = {
        "https://aws.amazon.com/tags": {"principal_tags": {"Team": ["a"]}, "transitive_tag_keys": ["Team"]},
        "https://aws.amazon.com/source_identity": "alice",
    }
    policy = allow(
        "ecr:CreateRepository", StringEquals={"aws:PrincipalTag/Team": "a", "aws:SourceIdentity": "alice"}
    )
    role = place.account.role(place.trust("sts:TagSession", "sts:SetSourceIdentity"), policy)
    closed = place.account.role(place.trust(), policy)
    token = place.provider.token(**carried)

    answer = place.sign_in(token, role)

    assert answer["SourceIdentity"] == "alice"
    Caller.of(place.server, answer["Credentials"]).client("ecr").create_repository(
        repositoryName="web/tagged"
    )
    assert place.refusal(token, closed) == (403, "AccessDenied", "Not authorized to perform sts:TagSession")


def test_a_session_is_narrowed_and_has_its_length(place: Place) -> None:
    token = place.provider.token()

    answer = place.sign_in(token, Policy=allow("ecr:GetAuthorizationToken"), DurationSeconds=900)
    session = Caller.of(place.server, answer["Credentials"])

    session.client("ecr").get_authorization_token()
    with pytest.raises(ClientError, match="no session policy allows"):
        session.client("ecr").describe_repositories()
    assert place.refusal(token, DurationSeconds=7_200)[1] == "ValidationError"


def test_keys_may_be_given_instead_of_fetched(place: Place, tmp_path: Path) -> None:
    signer = Signer.ec("P-384", "inline")
    (tmp_path / "keys.json").write_text(jwks(signer))
    program = Path(sys.executable).with_name("moorage")
    issuer = "https://kubernetes.default.svc.cluster.local"
    command = [
        program,
        "oidc",
        "trust",
        "--issuer",
        issuer,
        "--data",
        place.server.data,
        "--jwks",
        tmp_path / "keys.json",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    arn = f"arn:aws:iam::{place.account.id}:oidc-provider/{issuer.removeprefix('https://')}"
    role = place.account.role(trust({"Federated": arn}, ACTION))

    answer = place.sign_in(place.provider.token(signer, "ES384", iss=issuer), role)

    assert answer["Provider"] == arn


def test_a_provider_where_nobody_may_go_is_not_asked(
    place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked = len(place.provider.asked)
    with running(tmp_path_factory.mktemp("closed")) as server:
        account = Account.of(_root(server))
        arn = account.iam.create_open_id_connect_provider(Url=place.provider.url, ClientIDList=[AUDIENCE])
        federated = {"Federated": arn["OpenIDConnectProviderArn"]}
        closed = Place(server, account, place.provider, "", account.role(trust(federated, ACTION)))

        status, code, text = closed.refusal(place.provider.token())

    assert (status, code) == (400, "InvalidIdentityToken")
    assert text.startswith("Couldn't retrieve verification key from your identity provider,  please")
    assert len(place.provider.asked) == asked
