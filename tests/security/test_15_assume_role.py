"""A role gives no more than its trust, its own policies and the session's allow, for no longer than they allow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ..wire.api.conftest import Key
from .calling import Answer, Caller
from .places import Account, allow, assumed, deny, grant, policy, trust_policy


@pytest.fixture(scope="module")
def user(a: Account) -> Caller:
    return a.user(allow("sts:*"), name="assume-user", Tags=[{"Key": "team", "Value": "red"}])


def assume(caller: Caller, role: str, **members: Any) -> Answer:
    return caller.call("sts.AssumeRole", RoleArn=role, **{"RoleSessionName": "run-1", **members})


def test_a_session_is_no_longer_than_the_role_says(a: Account, user: Caller) -> None:
    role = a.role("assume-short", MaxSessionDuration=3_600)

    assert assume(user, role, DurationSeconds=3_600).status == 200
    assert assume(user, role, DurationSeconds=3_601).code == "ValidationError"


def test_one_session_begun_from_another_is_no_longer_than_an_hour(a: Account, user: Caller) -> None:
    first = a.role("assume-first", allow("sts:*"), MaxSessionDuration=43_200)
    second = a.role("assume-second", MaxSessionDuration=43_200)
    session = assumed(user, first, DurationSeconds=43_200)

    assert assume(session, second, DurationSeconds=3_600).status == 200
    assert assume(session, second, DurationSeconds=3_601).code == "ValidationError"


@pytest.mark.parametrize(
    ("policies", "is_assumed"), [([], True), ([allow("s3:*")], True), ([deny("*")], False)]
)
def test_inside_an_account_a_trust_by_name_is_enough_and_a_denial_stronger(
    a: Account, policies: list[Any], is_assumed: bool
) -> None:
    name = f"assume-named-{len(policies)}-{is_assumed}"
    caller = a.user(*policies, name=name)
    role = a.role(f"{name}-role", trust={"AWS": f"arn:aws:iam::{a.id}:user/{name}"})

    assert (assume(caller, role).status == 200) is is_assumed


def test_a_trust_in_the_account_needs_the_callers_own_policy(a: Account) -> None:
    role = a.role("assume-account")

    assert assume(a.user(allow("s3:*"), name="assume-without"), role).is_denied
    assert assume(a.user(allow("sts:AssumeRole", role), name="assume-with"), role).status == 200


def test_an_administrator_whom_the_trust_does_not_name_is_refused(a: Account, user: Caller) -> None:
    other = a.user(name="assume-other")
    assert other.key is not None
    role = a.role("assume-closed", trust={"AWS": f"arn:aws:iam::{a.id}:user/assume-other"})

    assert assume(a.user(allow("*"), name="assume-admin"), role).is_denied
    assert assume(other, role).status == 200


def test_across_accounts_both_must_agree(a: Account, b: Account) -> None:
    open_to_b = a.role("assume-open", trust={"AWS": b.id})
    closed = a.role("assume-shut")
    able = b.user(allow("sts:AssumeRole"), name="assume-able")
    unable = b.user(allow("s3:*"), name="assume-unable")

    assert assume(able, open_to_b).status == 200
    assert assume(unable, open_to_b).is_denied
    assert assume(able, closed).is_denied


def test_root_assumes_no_role(a: Account) -> None:
    assert assume(a.root, a.role("assume-by-root")).is_denied


def test_an_external_id_is_needed_where_the_trust_asks_for_it(a: Account, b: Account) -> None:
    condition = {"StringEquals": {"sts:ExternalId": "contract-7"}}
    role = a.role("assume-external", trust=trust_policy({"AWS": b.id}, Condition=condition))
    caller = b.user(allow("sts:*"), name="assume-external")

    assert assume(caller, role).is_denied
    assert assume(caller, role, ExternalId="contract-8").is_denied
    assert assume(caller, role, ExternalId="CONTRACT-7").is_denied
    assert assume(caller, role, ExternalId="contract-7").status == 200


TAGS = [{"Key": "team", "Value": "red"}]


def test_tags_need_a_permission_of_their_own_on_both_sides(a: Account) -> None:
    without = a.role("assume-untagged")
    text = policy(grant({"AWS": a.id}, ["sts:AssumeRole", "sts:TagSession"]))
    role = a.role("assume-tagged", trust=text)
    plain = a.user(allow("sts:AssumeRole"), name="assume-plain")
    tagging = a.user(allow(["sts:AssumeRole", "sts:TagSession"]), name="assume-tagging")

    assert assume(plain, role, Tags=TAGS).is_denied
    assert assume(tagging, without, Tags=TAGS).is_denied
    assert assume(tagging, role, Tags=TAGS).status == 200


def test_transitive_tags_go_on_and_cannot_be_changed(a: Account) -> None:
    text = policy(grant({"AWS": a.id}, ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]))
    one, two = (a.role(f"assume-chain-{n}", allow("*"), trust=text) for n in (1, 2))
    caller = a.user(allow("sts:*"), name="assume-chains")
    session = assumed(caller, one, Tags=TAGS, TransitiveTagKeys=["team"])
    blue = {"Key": "team", "Value": "blue"}

    for key in ("team", "TEAM"):
        answer = assume(session, two, Tags=[{**blue, "Key": key}])
        assert answer.status in (400, 403), key

    is_red = {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "red"}}}
    next_ = assumed(session, two, Policy=policy(allow("ecr:DescribeRepositories", **is_red)))
    assert next_.call("ecr.DescribeRepositories").status == 200


def test_a_tag_of_the_session_wins_over_that_of_the_role_and_of_no_other(a: Account) -> None:
    text = policy(grant({"AWS": a.id}, ["sts:AssumeRole", "sts:TagSession"]))
    is_red = {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "red"}}}
    blue = [{"Key": "team", "Value": "blue"}]
    role = a.role("assume-blue", allow("ecr:DescribeRepositories", **is_red), trust=text, Tags=blue)
    caller = a.user(allow("sts:*"), name="assume-red", Tags=TAGS)

    assert assumed(caller, role).call("ecr.DescribeRepositories").is_denied
    assert assumed(caller, role, Tags=TAGS).call("ecr.DescribeRepositories").status == 200


def test_a_source_identity_stays(a: Account) -> None:
    text = policy(grant({"AWS": a.id}, ["sts:AssumeRole", "sts:SetSourceIdentity"]))
    one, two = (a.role(f"assume-source-{n}", allow("*"), trust=text) for n in (1, 2))
    caller = a.user(allow("sts:*"), name="assume-sources")
    session = assumed(caller, one, SourceIdentity="alice")

    assert assume(session, two, SourceIdentity="mallory").is_denied
    assert assume(session, two).element("SourceIdentity") == "alice"
    plain = a.role("assume-source-plain", allow("*"))
    assert assume(session, plain).is_denied


@pytest.mark.parametrize(
    "members",
    [
        {"Policy": "{"},
        {"Policy": '{"Version":"2012-10-17","Statement":[{"Effect":"Allow"}]}'},
        {"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/NoSuchPolicy"}]},
        {"DurationSeconds": 899},
        {"DurationSeconds": 43_201},
        {"RoleSessionName": "a b"},
        {"RoleSessionName": "../x"},
        {"RoleSessionName": "x" * 65},
    ],
)
def test_a_request_that_cannot_be_meant_begins_nothing(
    a: Account, user: Caller, members: dict[str, Any]
) -> None:
    a.root.call("iam.CreateRole", RoleName="assume-any", AssumeRolePolicyDocument=trust_policy({"AWS": a.id}))

    answer = assume(user, f"arn:aws:iam::{a.id}:role/assume-any", **members)

    assert answer.status == 400
    assert "AccessKeyId" not in answer.body.decode()


def test_a_managed_policy_narrows_like_one_in_the_request(a: Account, user: Caller) -> None:
    role = a.role("assume-managed", allow("*"))
    arn = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
    session = assumed(user, role, PolicyArns=[{"arn": arn}])

    assert session.call("ecr.GetAuthorizationToken").status == 200
    assert session.call("ecr.DescribeRepositories").is_denied
    assert session.call("iam.ListUsers").is_denied


def test_a_session_token_narrows_nothing_and_widens_nothing(a: Account) -> None:
    """GetSessionToken: the user's own permissions; no session of a session."""
    caller = a.user(allow("ecr:DescribeRepositories"), name="assume-self")
    made = caller.need("sts.GetSessionToken")
    key = Key(made.element("AccessKeyId"), made.element("SecretAccessKey"))
    session = replace(caller, key=key, token=made.element("SessionToken"))

    assert session.call("ecr.DescribeRepositories").status == 200
    assert session.call("ecr.DescribeRegistry").is_denied
    assert session.call("sts.GetSessionToken").is_denied


def test_who_is_refused_does_not_learn_whether_the_role_is_there(a: Account, b: Account) -> None:
    a.role("assume-secret")
    for caller in (b.user(allow("*"), name="assume-curious"), a.user(name="assume-nothing")):
        answers = [assume(caller, f"arn:aws:iam::{a.id}:role/assume-{name}") for name in ("secret", "absent")]
        texts = [answer.steady[2].replace(b"secret", b"absent") for answer in answers]

        assert answers[0].is_denied
        assert texts[0] == texts[1]
