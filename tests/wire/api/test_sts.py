"""Temporary credentials through boto3: who gets them, for how long, and what they carry."""

from __future__ import annotations

import json
import subprocess
import sys
from configparser import ConfigParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ...conftest import Server
from ..people import Account, Caller, allow, name_of, trust


def keys_in(file: Path) -> tuple[str, str]:
    profile = ConfigParser()
    profile.read(file)
    section = profile[profile.sections()[0]]
    return section["aws_access_key_id"], section["aws_secret_access_key"]


@pytest.fixture(scope="module")
def account(server: Server) -> Account:
    return Account.of(Caller(server, *keys_in(server.data / "credentials")))


@pytest.fixture(scope="module")
def other(server: Server) -> Account:
    """Another account of the same server."""
    program = Path(sys.executable).with_name("moorage")
    command = [program, "account", "create", "--data", server.data, "--json"]
    created = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return Account.of(Caller(server, *keys_in(Path(created["credentials"]))))


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


# Who may


def test_a_user_whom_the_trust_policy_names_needs_no_policy(account: Account) -> None:
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}))

    answer = user.client("sts").assume_role(RoleArn=role, RoleSessionName="build-7")

    name = name_of(role)
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account.id}:assumed-role/{name}/build-7"
    assert answer["AssumedRoleUser"]["AssumedRoleId"].startswith("AROA")
    assert answer["AssumedRoleUser"]["AssumedRoleId"].endswith(":build-7")
    assert answer["Credentials"]["AccessKeyId"].startswith("ASIA")
    assert "PackedPolicySize" not in answer
    left = answer["Credentials"]["Expiration"] - datetime.now(UTC)
    assert 3_500 < left.total_seconds() <= 3_600
    session = Caller.of(account.root.server, answer["Credentials"])
    assert session.client("sts").get_caller_identity()["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    assert session.arn == answer["AssumedRoleUser"]["Arn"]


def test_a_trust_policy_that_names_the_account_leaves_it_to_identity_policies(account: Account) -> None:
    role = account.role(trust({"AWS": account.id}))
    _, without = account.user()
    _, allowed = account.user(allow("sts:AssumeRole", resource=role))

    code, _ = refused(without.client("sts").assume_role, RoleArn=role, RoleSessionName="ss")

    assert code == "AccessDenied"
    assert allowed.assume(role).arn.endswith("/test-session")


def test_an_identity_policy_alone_is_not_enough(account: Account) -> None:
    someone, _ = account.user()
    role = account.role(trust({"AWS": someone}))
    _, user = account.user(allow("sts:*"))

    assert refused(user.client("sts").assume_role, RoleArn=role, RoleSessionName="ss")[0] == "AccessDenied"


def test_another_account_needs_both_sides(account: Account, other: Account) -> None:
    arn, without = other.user()
    allowed_arn, allowed = other.user(allow("sts:AssumeRole"))
    role = account.role(trust({"AWS": [arn, allowed_arn]}), allow("ecr:GetAuthorizationToken"))
    closed = account.role(trust({"AWS": account.id}))

    assert refused(without.client("sts").assume_role, RoleArn=role, RoleSessionName="ss")[0] == "AccessDenied"
    assert (
        refused(allowed.client("sts").assume_role, RoleArn=closed, RoleSessionName="ss")[0] == "AccessDenied"
    )
    session = allowed.assume(role)
    assert session.client("sts").get_caller_identity()["Account"] == account.id
    assert session.client("ecr").get_authorization_token()["authorizationData"]


def test_who_is_refused_does_not_learn_whether_the_role_is_there(account: Account, other: Account) -> None:
    arn, user = other.user(allow("sts:AssumeRole"))
    role = account.role(trust({"AWS": account.id}))
    missing = f"arn:aws:iam::{account.id}:role/missing"
    elsewhere = role.replace(":role/", ":role/another/path/")

    for target in (role, missing, elsewhere):
        said = refused(
            user.client("sts").assume_role, RoleArn=target, RoleSessionName="ss", DurationSeconds=43_200
        )
        assert said == (
            "AccessDenied",
            f"User: {arn} is not authorized to perform: sts:AssumeRole on resource: {target}",
        )


def test_an_explicit_deny_wins(account: Account) -> None:
    deny = {"Effect": "Deny", "Action": "sts:*", "Resource": "*"}
    arn, user = account.user(json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    role = account.role(trust({"AWS": arn}))

    assert refused(user.client("sts").assume_role, RoleArn=role, RoleSessionName="ss")[0] == "AccessDenied"


def test_root_assumes_no_role(account: Account) -> None:
    role = account.role(trust({"AWS": account.id}))

    said = refused(account.root.client("sts").assume_role, RoleArn=role, RoleSessionName="ss")

    assert said == ("AccessDenied", "Roles may not be assumed by root accounts.")


def test_who_is_made_under_a_freed_name_is_not_trusted(account: Account) -> None:
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}))
    user.assume(role)
    account.iam.delete_access_key(UserName=name_of(arn), AccessKeyId=user.key_id)
    account.iam.delete_user(UserName=name_of(arn))
    account.iam.create_user(UserName=name_of(arn))
    key = account.iam.create_access_key(UserName=name_of(arn))["AccessKey"]
    successor = Caller(user.server, key["AccessKeyId"], key["SecretAccessKey"])

    assert successor.arn == arn
    assert (
        refused(successor.client("sts").assume_role, RoleArn=role, RoleSessionName="ss")[0] == "AccessDenied"
    )


# Conditions


def test_the_external_id_must_be_the_one_agreed_on(account: Account) -> None:
    arn, user = account.user()
    condition = {"StringEquals": {"sts:ExternalId": "agreed-1"}}
    role = account.role(trust({"AWS": arn}, condition=condition))
    assume = user.client("sts").assume_role

    assert refused(assume, RoleArn=role, RoleSessionName="ss")[0] == "AccessDenied"
    assert refused(assume, RoleArn=role, RoleSessionName="ss", ExternalId="other")[0] == "AccessDenied"
    assert assume(RoleArn=role, RoleSessionName="ss", ExternalId="agreed-1")["Credentials"]


def test_the_name_of_the_session_can_be_asked_for(account: Account) -> None:
    arn, user = account.user()
    condition = {"StringLike": {"sts:RoleSessionName": "ci-*"}}
    role = account.role(trust({"AWS": arn}, condition=condition))

    assert refused(user.client("sts").assume_role, RoleArn=role, RoleSessionName="me")[0] == "AccessDenied"
    assert user.assume(role, "ci-7")


def test_mfa_cannot_be_pretended(account: Account) -> None:
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}))
    device = {"SerialNumber": f"arn:aws:iam::{account.id}:mfa/alice", "TokenCode": "123456"}

    said = refused(user.client("sts").assume_role, RoleArn=role, RoleSessionName="ss", **device)

    assert said[0] == "AccessDenied"
    assert said[1].startswith("MultiFactorAuthentication failed, unable to validate MFA code.  Please")
    assert refused(user.client("sts").get_session_token, **device)[0] == "AccessDenied"


# How long


def test_a_session_is_not_longer_than_the_role_allows(account: Account) -> None:
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}), MaxSessionDuration=7_200)
    assume = user.client("sts").assume_role

    said = refused(assume, RoleArn=role, RoleSessionName="ss", DurationSeconds=7_201)

    assert said == (
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )
    answer = assume(RoleArn=role, RoleSessionName="ss", DurationSeconds=7_200)
    left = answer["Credentials"]["Expiration"] - datetime.now(UTC)
    assert 7_100 < left.total_seconds() <= 7_200


@pytest.mark.parametrize("seconds", [0, 899, 43_201])
def test_durations_have_bounds(account: Account, seconds: int) -> None:
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}), MaxSessionDuration=43_200)

    said = refused(
        user.client("sts").assume_role, RoleArn=role, RoleSessionName="ss", DurationSeconds=seconds
    )

    assert said[0] == "ValidationError"


def test_a_chained_session_has_an_hour_at_most(account: Account) -> None:
    arn, user = account.user()
    first = account.role(trust({"AWS": arn}), MaxSessionDuration=43_200)
    second = account.role(trust({"AWS": first}), MaxSessionDuration=43_200)
    session = user.assume(first, DurationSeconds=43_200)

    said = refused(
        session.client("sts").assume_role, RoleArn=second, RoleSessionName="ss", DurationSeconds=3_601
    )

    assert said == (
        "ValidationError",
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
    )
    assert session.assume(second, DurationSeconds=3_600).arn.endswith("/test-session")


# What narrows it


def test_a_session_policy_narrows_and_never_widens(account: Account) -> None:
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}), allow("ecr:DescribeRepositories", "ecr:GetAuthorizationToken"))

    whole = user.assume(role)
    narrow = user.assume(role, Policy=allow("ecr:GetAuthorizationToken", "ecr:CreateRepository"))

    whole.client("ecr").describe_repositories()
    narrow.client("ecr").get_authorization_token()
    code, text = refused(narrow.client("ecr").describe_repositories)
    assert code == "AccessDeniedException"
    assert text.endswith("because no session policy allows the ecr:DescribeRepositories action")
    code, text = refused(narrow.client("ecr").create_repository, repositoryName="sts/widened")
    assert code == "AccessDeniedException"
    assert text.endswith("because no identity-based policy allows the ecr:CreateRepository action")


def test_managed_policies_narrow_too(account: Account) -> None:
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}), allow("ecr:*"))
    read_only = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"

    session = user.assume(role, PolicyArns=[{"arn": read_only}])

    session.client("ecr").describe_repositories()
    assert refused(session.client("ecr").create_repository, repositoryName="sts/read-only")[0]
    missing = [{"arn": f"arn:aws:iam::{account.id}:policy/missing"}]
    said = refused(user.client("sts").assume_role, RoleArn=role, RoleSessionName="ss", PolicyArns=missing)
    assert said[0] == "ValidationError"


@pytest.mark.parametrize(
    "policy", ["{", "[]", '{"Version":"2012-10-17"}', '{"Statement":[{"Effect":"Maybe"}]}']
)
def test_a_session_policy_is_checked(account: Account, policy: str) -> None:
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}))

    said = refused(user.client("sts").assume_role, RoleArn=role, RoleSessionName="ss", Policy=policy)

    assert said[0] == "MalformedPolicyDocument"


def test_what_a_session_brings_has_a_size(account: Account) -> None:
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}, "sts:AssumeRole", "sts:TagSession"), allow("ecr:*"))
    policy = allow(
        "ecr:*", resource=[f"arn:aws:ecr:us-east-1:{account.id}:repository/{n:x}*" for n in range(30)]
    )

    answer = user.client("sts").assume_role(RoleArn=role, RoleSessionName="ss", Policy=policy)

    assert 1 <= answer["PackedPolicySize"] <= 100
    session = Caller.of(user.server, answer["Credentials"])
    session.client("ecr").create_repository(repositoryName="1/sts-packed")
    assert refused(session.client("ecr").create_repository, repositoryName="zz/sts-packed")[0]
    noise = [{"Key": f"k{n}", "Value": f"{n * 7_919**60:x}"[:256]} for n in range(1, 50)]
    code, text = refused(user.client("sts").assume_role, RoleArn=role, RoleSessionName="ss", Tags=noise)
    assert code == "PackedPolicyTooLarge"
    assert text.startswith("Packed policy consumes ")
    assert text.endswith("% of allotted space")


# Tags and source identity


def test_tags_need_their_own_permission_on_the_role(account: Account) -> None:
    arn, user = account.user()
    tags = [{"Key": "Team", "Value": "a"}]
    closed = account.role(trust({"AWS": arn}))
    role = account.role(trust({"AWS": arn}, "sts:AssumeRole", "sts:TagSession"))

    said = refused(user.client("sts").assume_role, RoleArn=closed, RoleSessionName="ss", Tags=tags)

    assert said == (
        "AccessDenied",
        f"User: {arn} is not authorized to perform: sts:TagSession on resource: {closed}",
    )
    assert user.assume(role, Tags=tags)


def test_tags_of_a_session_decide(account: Account) -> None:
    arn, user = account.user()
    policy = allow(
        "ecr:CreateRepository",
        resource=f"arn:aws:ecr:us-east-1:{account.id}:repository/${{aws:PrincipalTag/Team}}/*",
    )
    role = account.role(
        trust({"AWS": arn}, "sts:AssumeRole", "sts:TagSession"),
        policy,
        Tags=[{"Key": "team", "Value": "of-the-role"}],
    )
    session = user.assume(role, Tags=[{"Key": "Team", "Value": "sts-team-a"}])

    session.client("ecr").create_repository(repositoryName="sts-team-a/app")

    assert refused(session.client("ecr").create_repository, repositoryName="of-the-role/app")[0]
    wild = user.assume(role, Tags=[{"Key": "Team", "Value": "sts-team-a/.."}])
    assert refused(wild.client("ecr").create_repository, repositoryName="sts-team-b/app")[0]


def test_transitive_tags_go_on_and_cannot_be_changed(account: Account) -> None:
    arn, user = account.user()
    both = ("sts:AssumeRole", "sts:TagSession")
    first = account.role(trust({"AWS": arn}, *both))
    second = account.role(
        trust({"AWS": first}, *both),
        allow("ecr:CreateRepository", resource="*", StringEquals={"aws:PrincipalTag/Team": "a"}),
    )
    untagged = account.role(trust({"AWS": first}))
    session = user.assume(first, Tags=[{"Key": "Team", "Value": "a"}], TransitiveTagKeys=["Team"])
    assume = session.client("sts").assume_role

    for key in ("Team", "team"):
        code, text = refused(assume, RoleArn=second, RoleSessionName="ss", Tags=[{"Key": key, "Value": "b"}])
        assert code == "InvalidParameterValue"
        assert "conflicts with a transitive tag key from the calling session" in text
    assert refused(assume, RoleArn=untagged, RoleSessionName="ss")[0] == "AccessDenied"
    session.assume(second).client("ecr").create_repository(repositoryName="sts/transitive")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"Tags": [{"Key": "Team", "Value": "a"}, {"Key": "team", "Value": "b"}]},
            "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
        ),
        (
            {"TransitiveTagKeys": ["Team"]},
            "The specified transitive tag key must be included in the requested tags.",
        ),
    ],
)
def test_tags_that_make_no_sense_are_refused(account: Account, options: Any, text: str) -> None:
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}, "sts:AssumeRole", "sts:TagSession"))

    said = refused(user.client("sts").assume_role, RoleArn=role, RoleSessionName="ss", **options)

    assert said == ("InvalidParameterValue", text)


def test_a_source_identity_stays(account: Account) -> None:
    arn, user = account.user()
    both = ("sts:AssumeRole", "sts:SetSourceIdentity")
    first = account.role(trust({"AWS": arn}, *both))
    second = account.role(
        trust({"AWS": first}, *both),
        allow("ecr:GetAuthorizationToken", StringEquals={"aws:SourceIdentity": "alice"}),
    )
    closed = account.role(trust({"AWS": [arn, first]}))
    answer = user.client("sts").assume_role(RoleArn=first, RoleSessionName="ss", SourceIdentity="alice")
    session = Caller.of(user.server, answer["Credentials"])
    assume = session.client("sts").assume_role

    assert answer["SourceIdentity"] == "alice"
    code, text = refused(
        user.client("sts").assume_role, RoleArn=closed, RoleSessionName="ss", SourceIdentity="alice"
    )
    assert (code, "sts:SetSourceIdentity" in text) == ("AccessDenied", True)
    assert refused(assume, RoleArn=closed, RoleSessionName="ss")[0] == "AccessDenied"
    said = refused(assume, RoleArn=second, RoleSessionName="ss", SourceIdentity="bob")
    assert said[0] == "AccessDenied"
    session.assume(second).client("ecr").get_authorization_token()
    assert assume(RoleArn=second, RoleSessionName="ss")["SourceIdentity"] == "alice"


# The end


def test_sessions_of_a_role_that_was_made_again_are_dead(account: Account) -> None:
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}))
    session = user.assume(role)
    account.iam.delete_role(RoleName=name_of(role))
    account.iam.create_role(RoleName=name_of(role), AssumeRolePolicyDocument=trust({"AWS": arn}))

    assert refused(session.client("sts").get_caller_identity)[0] == "InvalidClientTokenId"
    assert user.assume(role).arn.endswith("/test-session")


def test_a_token_is_good_for_its_own_key_only(account: Account) -> None:
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}))
    one, two = user.assume(role), user.assume(role)
    server = user.server

    for key_id, secret, token in [
        (one.key_id, one.secret, two.token),
        (one.key_id, one.secret, None),
        (two.key_id, one.secret, one.token),
        (user.key_id, user.secret, one.token),
        (one.key_id, one.secret, str(one.token)[:-2]),
    ]:
        said = refused(Caller(server, key_id, secret, token).client("sts").get_caller_identity)
        assert said[0] == "InvalidClientTokenId"
    wrong = Caller(server, one.key_id, two.secret, one.token)
    assert refused(wrong.client("sts").get_caller_identity)[0] == "SignatureDoesNotMatch"


# Others


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("nothing-valid-in-here", "nothing-valid-in-here is invalid"),
        ("arn:aws:iam::123456789012:user/alice", "arn:aws:iam::123456789012:user/alice is invalid"),
    ],
)
def test_what_is_no_role_is_invalid(account: Account, role: str, text: str) -> None:
    _, user = account.user()

    assert refused(user.client("sts").assume_role, RoleArn=role, RoleSessionName="ss") == (
        "ValidationError",
        text,
    )


def test_the_name_of_a_session_has_its_characters(account: Account) -> None:
    _, user = account.user()
    arn = f"arn:aws:iam::{account.id}:role/some"

    code, text = refused(user.client("sts").assume_role, RoleArn=arn, RoleSessionName="Session1:2")

    assert code == "ValidationError"
    assert "Value 'Session1:2' at 'roleSessionName' failed to satisfy constraint" in text


def test_get_session_token_is_the_user_for_a_while(account: Account) -> None:
    arn, user = account.user(allow("ecr:GetAuthorizationToken"))

    answer = user.client("sts").get_session_token(DurationSeconds=900)
    session = Caller.of(user.server, answer["Credentials"])

    assert session.arn == arn
    session.client("ecr").get_authorization_token()
    said = refused(session.client("sts").get_session_token)
    assert said == ("AccessDenied", "Cannot call GetSessionToken with session credentials")
    role = account.role(trust({"AWS": arn}))
    assert session.assume(role).arn.endswith("/test-session")


def test_a_session_of_a_user_does_not_work_on_iam(account: Account) -> None:
    """A key that was stolen for a while does not become one for good (STS API reference, GetSessionToken)."""
    _, user = account.user(allow("iam:*"))
    own = user.client("iam").get_user()["User"]["UserName"]
    session = Caller.of(user.server, user.client("sts").get_session_token()["Credentials"])

    said = refused(session.client("iam").create_access_key, UserName=own)

    assert said == ("InvalidClientTokenId", "The security token included in the request is invalid")


def test_get_session_token_of_root_lasts_an_hour_and_assumes_no_role(account: Account) -> None:
    answer = account.root.client("sts").get_session_token(DurationSeconds=7_200)
    session = Caller.of(account.root.server, answer["Credentials"])

    left = answer["Credentials"]["Expiration"] - datetime.now(UTC)
    assert left.total_seconds() <= 3_600
    role = account.role(trust({"AWS": account.id}))
    said = refused(session.client("sts").assume_role, RoleArn=role, RoleSessionName="ss")
    assert said[1] == "Roles may not be assumed by root accounts."


def test_get_access_key_info_tells_the_account(account: Account, other: Account) -> None:
    _, user = account.user(allow("sts:GetAccessKeyInfo"))
    _, without = account.user()
    foreign = other.root.key_id

    assert user.client("sts").get_access_key_info(AccessKeyId=foreign)["Account"] == other.id
    assert refused(without.client("sts").get_access_key_info, AccessKeyId=foreign)[0] == "AccessDenied"
    unknown = "AKIAIOSFODNN7EXAMPLE"
    assert refused(user.client("sts").get_access_key_info, AccessKeyId=unknown)[0] == "ValidationError"
