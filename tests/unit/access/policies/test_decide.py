"""Who must agree: the layers, and the table of requests inside one account."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from moorage.access.policies.compile import Policy
from moorage.access.policies.decide import Asked, Caller, Decision, Layer, PolicySet, decide
from moorage.access.policies.denial import because

from .asking import (
    ACCOUNT,
    ANONYMOUS,
    FEDERATED,
    FOREIGN_USER,
    OTHER_ACCOUNT,
    REPOSITORY,
    ROOT,
    SERVICE,
    SESSION,
    USER,
    ask,
    named,
    policy,
    statement,
)

ALL = policy(statement(action="*"))
OTHER = policy(statement(action="s3:*"))
NONE = policy(statement("Deny", action="s3:*"))
ACCOUNT_ROOT = f"arn:aws:iam::{ACCOUNT}:root"
USER_ARN = f"arn:aws:iam::{ACCOUNT}:user/dev-1"


def repository(principal: Any, **more: Any) -> tuple[Policy, ...]:
    return (policy(named(principal, **more), kind="repository"),)


# Who is granted it by the repository's policy, and whether that lifts the lack of identity policies, the boundary's
# silence and the session policy's silence (Amazon's guide, "Policy evaluation logic").
TABLE: list[tuple[str, Caller, Any, bool, bool, bool]] = [
    ("user", USER, {"AWS": USER.arn}, True, True, True),
    ("session", SESSION, {"AWS": SESSION.arn}, True, True, True),
    ("federated session", FEDERATED, {"AWS": FEDERATED.arn}, True, True, True),
    ("role of the session", SESSION, {"AWS": SESSION.role_arn}, True, False, False),
    ("user of the session", FEDERATED, {"AWS": USER_ARN}, True, False, False),
    ("user by its id", USER, {"AWS": USER.unique_id}, True, True, True),
    ("role of the session by its id", SESSION, {"AWS": SESSION.unique_id}, True, False, False),
    ("everyone", USER, "*", True, True, True),
    ("everyone, as AWS", SESSION, {"AWS": "*"}, True, True, True),
    ("everyone in a list", SESSION, {"AWS": [OTHER_ACCOUNT, "*"]}, True, True, True),
    ("account of the user", USER, {"AWS": ACCOUNT}, False, False, False),
    ("account of the session", SESSION, {"AWS": ACCOUNT_ROOT}, False, False, False),
    ("someone else", USER, {"AWS": f"{USER.arn}0"}, False, False, False),
]


@pytest.mark.parametrize(("what", "caller", "principal", "identity", "boundary", "session"), TABLE)
def test_decide_of_a_grant_inside_the_account_lifts_what_the_table_says(
    what: str, caller: Caller, principal: Any, identity: bool, boundary: bool, session: bool
) -> None:
    granted = repository(principal)

    assert ask(PolicySet(resource=granted), caller).allowed is identity
    assert ask(PolicySet(resource=granted, boundary=(OTHER,)), caller).allowed is boundary
    assert ask(PolicySet(resource=granted, session=(OTHER,)), caller).allowed is session


def test_decide_of_identity_policies_wants_boundary_and_session_policy_too() -> None:
    assert ask(PolicySet(identity=(ALL,)), SESSION).allowed
    assert ask(PolicySet(identity=(ALL,), boundary=(ALL,), session=(OTHER, ALL)), SESSION).allowed
    assert ask(PolicySet(identity=(ALL,), boundary=(OTHER,), session=(ALL,)), SESSION).layer == "boundary"
    assert ask(PolicySet(identity=(ALL,), boundary=(ALL,), session=(OTHER,)), SESSION).layer == "session"
    assert ask(PolicySet(identity=(ALL,), boundary=()), SESSION).layer == "boundary"
    assert ask(PolicySet(identity=(ALL,), session=()), SESSION).layer == "session"
    assert ask(PolicySet(boundary=(ALL,), session=(ALL,)), SESSION).layer == "identity"


def test_decide_of_a_federated_session_without_session_policy_has_only_what_resources_grant() -> None:
    assert not ask(PolicySet(identity=(ALL,)), FEDERATED).allowed
    assert ask(PolicySet(identity=(ALL,), session=(ALL,)), FEDERATED).allowed
    assert ask(PolicySet(identity=(ALL,), resource=repository({"AWS": FEDERATED.arn})), FEDERATED).allowed


@pytest.mark.parametrize(
    "principal", [FOREIGN_USER.arn, OTHER_ACCOUNT, f"arn:aws:iam::{OTHER_ACCOUNT}:root", "*", [ACCOUNT, "*"]]
)
def test_decide_across_accounts_wants_both_sides(principal: Any) -> None:
    granted = repository({"AWS": principal})

    assert ask(PolicySet(identity=(ALL,), resource=granted), FOREIGN_USER).allowed
    assert ask(PolicySet(resource=granted), FOREIGN_USER).layer == "identity"
    assert ask(PolicySet(identity=(ALL,)), FOREIGN_USER).layer == "resource"
    assert ask(PolicySet(), FOREIGN_USER).layer == "resource"
    assert not ask(PolicySet(identity=(ALL,), resource=granted, boundary=(OTHER,)), FOREIGN_USER).allowed
    assert not ask(PolicySet(identity=(ALL,), resource=granted, session=(OTHER,)), FOREIGN_USER).allowed
    assert not ask(PolicySet(identity=(ALL,), resource=granted, scps=((OTHER,),)), FOREIGN_USER).allowed


def test_decide_across_accounts_of_a_role_or_session_does_not_lift_the_caller_s_side() -> None:
    foreign = replace(
        SESSION,
        account=OTHER_ACCOUNT,
        arn=f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/node/i-1",
        role_arn=f"arn:aws:iam::{OTHER_ACCOUNT}:role/node",
    )
    for principal in (foreign.arn, foreign.role_arn):
        assert not ask(PolicySet(resource=repository({"AWS": principal})), foreign).allowed
        assert ask(PolicySet(identity=(ALL,), resource=repository({"AWS": principal})), foreign).allowed


def test_decide_of_root_needs_no_policy_at_home_and_a_grant_abroad() -> None:
    stranger = Caller("root", OTHER_ACCOUNT, f"arn:aws:iam::{OTHER_ACCOUNT}:root")

    assert ask(PolicySet(), ROOT).allowed
    assert not ask(PolicySet(), stranger).allowed
    assert ask(PolicySet(resource=repository({"AWS": OTHER_ACCOUNT})), stranger).allowed
    assert not ask(PolicySet(resource=repository({"AWS": FOREIGN_USER.arn})), stranger).allowed


def test_decide_of_root_is_bound_by_what_binds_the_account() -> None:
    denying = policy(statement("Deny"))

    assert not ask(PolicySet(scps=((ALL,), (denying, ALL))), ROOT).allowed
    assert not ask(PolicySet(scps=((ALL,), (OTHER,))), ROOT).allowed
    assert not ask(PolicySet(rcps=(repository("*", effect="Deny"),)), ROOT).allowed
    assert not ask(PolicySet(resource=repository({"AWS": ACCOUNT}, effect="Deny")), ROOT).allowed
    assert not ask(PolicySet(endpoint=repository("*", action="s3:*")), ROOT).allowed
    assert not ask(PolicySet(session=(OTHER,)), ROOT).allowed


def test_decide_of_service_control_policies_wants_every_level() -> None:
    identity = (ALL,)

    assert ask(PolicySet(identity, scps=((ALL,), (OTHER, ALL)))).allowed
    assert ask(PolicySet(identity, scps=((ALL,), (OTHER,)))).layer == "scp"
    assert ask(PolicySet(identity, scps=((ALL,), ()))).layer == "scp"
    assert not ask(PolicySet(scps=((ALL,),))).allowed
    assert not ask(PolicySet(resource=repository("*"), scps=((OTHER,),))).allowed


def test_decide_of_organization_policies_leaves_service_linked_roles_alone() -> None:
    linked = replace(
        SESSION,
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/replication.ecr.amazonaws.com/AWSServiceRole",
    )
    policies = PolicySet((ALL,), scps=((OTHER,),), rcps=(repository("*", effect="Deny"),))

    assert ask(policies, linked).allowed
    assert not ask(policies, SESSION).allowed


@pytest.mark.parametrize("caller", [USER, FOREIGN_USER, ROOT, ANONYMOUS, SERVICE])
def test_decide_of_resource_control_policies_denies_everyone(caller: Caller) -> None:
    open_to_all = PolicySet((ALL,), resource=repository({"AWS": "*", "Service": SERVICE.service}))
    controlled = replace(open_to_all, rcps=(repository("*", effect="Deny"),))

    assert ask(open_to_all, caller).allowed
    decision = ask(controlled, caller)
    assert (decision.allowed, decision.explicit, decision.layer) == (False, True, "rcp")


def test_decide_of_resource_control_policies_that_allow_grants_nothing() -> None:
    assert not ask(PolicySet(rcps=(repository("*"),))).allowed


def test_decide_of_an_endpoint_is_one_more_gate() -> None:
    assert ask(PolicySet((ALL,), endpoint=repository("*"))).allowed
    assert ask(PolicySet((ALL,), endpoint=repository({"AWS": ACCOUNT}))).allowed
    assert not ask(PolicySet((ALL,), endpoint=repository({"AWS": OTHER_ACCOUNT}))).allowed
    assert ask(PolicySet((ALL,), endpoint=repository("*", action="s3:*"))).layer == "endpoint"
    assert ask(PolicySet((ALL,), endpoint=())).layer == "endpoint"
    assert not ask(PolicySet(endpoint=repository("*"))).allowed


def test_decide_of_a_service_is_what_resource_policies_grant() -> None:
    granted = repository(
        {"Service": "lambda.amazonaws.com"}, Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    )

    assert ask(PolicySet(resource=granted), SERVICE, context={"aws:SourceAccount": ACCOUNT}).allowed
    assert not ask(PolicySet(resource=granted), SERVICE, context={"aws:SourceAccount": OTHER_ACCOUNT}).allowed
    assert not ask(PolicySet(resource=granted), SERVICE).allowed
    assert not ask(PolicySet(resource=repository({"AWS": ACCOUNT})), SERVICE).allowed
    assert not ask(PolicySet((ALL,)), SERVICE).allowed
    assert ask(
        PolicySet(resource=repository({"Service": "lambda.amazonaws.com"}), scps=((OTHER,),)), SERVICE
    ).allowed


def test_decide_of_the_anonymous_is_what_everyone_is_granted() -> None:
    assert ask(PolicySet(resource=repository("*")), ANONYMOUS).allowed
    for principal in (
        {"AWS": ACCOUNT},
        {"Service": "lambda.amazonaws.com"},
        {"AWS": ""},
        {"Service": ""},
        {"Federated": ""},
    ):
        assert not ask(PolicySet(resource=repository(principal)), ANONYMOUS).allowed
    assert not ask(PolicySet((ALL,)), ANONYMOUS).allowed
    assert not ask(PolicySet(), ANONYMOUS).allowed


@pytest.mark.parametrize(
    ("listed", "caller", "is_denied"),
    [
        ({"AWS": [USER.arn, ACCOUNT]}, USER, False),
        ({"AWS": [USER.arn]}, USER, True),
        ({"AWS": [ACCOUNT]}, USER, True),
        ({"AWS": [USER.unique_id, ACCOUNT]}, USER, False),
        ({"AWS": [SESSION.arn, SESSION.role_arn, ACCOUNT]}, SESSION, False),
        ({"AWS": [SESSION.role_arn, ACCOUNT]}, SESSION, True),
        ({"AWS": [SESSION.arn, ACCOUNT]}, SESSION, True),
        ({"AWS": [ACCOUNT]}, ROOT, False),
        ({"AWS": [USER.arn, ACCOUNT]}, replace(USER, has_boundary=True), True),
        ({"AWS": [USER.arn, ACCOUNT]}, FOREIGN_USER, True),
        ({"AWS": [USER.arn, ACCOUNT]}, ANONYMOUS, True),
        ({"AWS": [USER.arn, ACCOUNT]}, SERVICE, True),
        ({"Service": [SERVICE.service]}, SERVICE, False),
        ({"AWS": ["*"]}, USER, False),
    ],
)
def test_decide_of_not_principal_denies_all_but_those_listed_in_each_form(
    listed: Any, caller: Caller, is_denied: bool
) -> None:
    tree = {"Effect": "Deny", "NotPrincipal": listed, "Action": "*"}

    decision = ask(PolicySet((ALL,), resource=(policy(tree, kind="repository"),)), caller)

    assert decision.explicit is is_denied


def test_decide_of_not_principal_that_allows_allows_nobody() -> None:
    tree = {"Effect": "Allow", "NotPrincipal": {"AWS": OTHER_ACCOUNT}, "Action": "*"}

    assert not ask(PolicySet(resource=(policy(tree, kind="repository"),))).allowed


def test_decide_of_a_stored_resource_policy_without_principal_means_nobody() -> None:
    tree = {"Effect": "Allow", "Action": "*"}

    assert not ask(PolicySet(resource=(policy(tree, kind="repository"),))).allowed


# Trust and key policies: who is named, whether that is enough, and whether identity policies make it so.
TRUST: list[tuple[Any, Caller, bool, bool]] = [
    ({"AWS": USER.arn}, USER, True, True),
    ({"AWS": USER.unique_id}, USER, True, True),
    ({"AWS": SESSION.arn}, SESSION, True, True),
    ({"AWS": SESSION.role_arn}, SESSION, True, True),
    ({"AWS": SESSION.unique_id}, SESSION, True, True),
    ({"AWS": ACCOUNT}, USER, False, True),
    ({"AWS": ACCOUNT}, SESSION, False, True),
    ({"AWS": ACCOUNT}, ROOT, True, True),
    ({"AWS": USER.arn}, ROOT, False, False),
    ({"AWS": USER.arn}, SESSION, False, False),
    ({"AWS": OTHER_ACCOUNT}, USER, False, False),
    ({"AWS": OTHER_ACCOUNT}, FOREIGN_USER, False, True),
    ({"AWS": FOREIGN_USER.arn}, FOREIGN_USER, False, True),
    ({"Service": "lambda.amazonaws.com"}, SERVICE, True, True),
]


@pytest.mark.parametrize(("principal", "caller", "alone", "with_identity"), TRUST)
@pytest.mark.parametrize("kind", ["trust", "key"])
def test_decide_where_the_resource_must_allow(
    kind: Any, principal: Any, caller: Caller, alone: bool, with_identity: bool
) -> None:
    trusting = (policy({"Effect": "Allow", "Action": "*", "Principal": principal}, kind=kind),)

    assert ask(PolicySet(resource=trusting, resource_must_allow=True), caller).allowed is alone
    assert (
        ask(PolicySet((ALL,), resource=trusting, resource_must_allow=True), caller).allowed is with_identity
    )


def test_decide_of_web_identities_is_what_the_trust_policy_grants() -> None:
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    caller = Caller("federated", "", provider, provider=provider)
    condition = {"StringLike": {"token.actions.githubusercontent.com:sub": "repo:octo/app:*"}}
    trusting = (policy(named({"Federated": provider}, action="sts:*", Condition=condition), kind="trust"),)
    policies = PolicySet((ALL,), resource=trusting, resource_must_allow=True)
    question = {"caller": caller, "action": "sts:AssumeRoleWithWebIdentity"}
    subject = "token.actions.githubusercontent.com:sub"

    assert ask(policies, **question, context={subject: "repo:octo/app:ref:refs/heads/main"}).allowed
    assert ask(policies, **question, context={subject: "repo:evil/app:x"}).layer == "trust"
    assert not ask(PolicySet((ALL,), resource_must_allow=True), **question).allowed


def test_decide_of_get_caller_identity_cannot_be_denied() -> None:
    denying = policy(statement("Deny", action="*"))

    assert ask(
        PolicySet((denying,), scps=((denying,),)), action="sts:GetCallerIdentity", resource="*"
    ).allowed
    assert not ask(PolicySet((denying,)), action="sts:GetSessionToken", resource="*").allowed


def denying(kind: Any, name: str) -> tuple[Policy, ...]:
    tree = {"Sid": name, "Effect": "Deny", "Action": "*", "Resource": "*"}
    if kind not in ("identity", "scp"):
        tree["Principal"] = "*"
    return (policy(tree, kind=kind, source=f"arn:{name}"),)


DENIALS: list[tuple[Layer, PolicySet, str]] = [
    ("scp", PolicySet(scps=(denying("scp", "scp"),)), "a service control policy"),
    ("rcp", PolicySet(rcps=(denying("rcp", "rcp"),)), "a resource control policy"),
    ("endpoint", PolicySet(endpoint=denying("endpoint", "endpoint")), "a VPC endpoint policy"),
    ("resource", PolicySet(resource=denying("repository", "resource")), "a resource-based policy"),
    ("identity", PolicySet(identity=denying("identity", "identity")), "an identity-based policy"),
    ("boundary", PolicySet(boundary=denying("identity", "boundary")), "a permissions boundary"),
    ("session", PolicySet(session=denying("identity", "session")), "a session policy"),
]


@pytest.mark.parametrize(("layer", "policies", "words"), DENIALS)
def test_decide_of_an_explicit_deny_names_layer_policy_and_statement(
    layer: Layer, policies: PolicySet, words: str
) -> None:
    decision = ask(policies, SESSION)

    assert decision == Decision(False, True, layer, f"arn:{layer}", layer)
    assert because(decision, "ecr:PutImage") == f"with an explicit deny in {words}"
    assert (
        because(decision, "ecr:PutImage", names_source=True)
        == f"with an explicit deny in {words}: arn:{layer}"
    )


@pytest.mark.parametrize("first", range(len(DENIALS)))
def test_decide_of_several_denies_names_the_first_in_order(first: int) -> None:
    together = PolicySet()
    for layer, policies, _ in DENIALS[first:]:
        name = {"scp": "scps", "rcp": "rcps"}.get(layer, layer)
        together = replace(together, **{name: getattr(policies, name)})

    assert ask(together, SESSION).layer == DENIALS[first][0]


@pytest.mark.parametrize(
    ("policies", "caller", "words"),
    [
        (PolicySet(), USER, "identity-based policy"),
        (PolicySet(), FOREIGN_USER, "resource-based policy"),
        (PolicySet(), ANONYMOUS, "resource-based policy"),
        (PolicySet((ALL,), boundary=()), USER, "permissions boundary"),
        (PolicySet((ALL,), session=()), USER, "session policy"),
        (PolicySet((ALL,), scps=((),)), USER, "service control policy"),
        (PolicySet((ALL,), endpoint=()), USER, "VPC endpoint policy"),
    ],
)
def test_because_of_an_implicit_deny(policies: PolicySet, caller: Caller, words: str) -> None:
    assert (
        because(ask(policies, caller), "ecr:PutImage") == f"because no {words} allows the ecr:PutImage action"
    )


def test_because_of_a_trust_policy() -> None:
    trusting = policy(named({"AWS": OTHER_ACCOUNT}, action="sts:AssumeRole"), kind="trust")
    denying = policy(named("*", "Deny", action="sts:AssumeRole"), kind="trust")
    question = {"action": "sts:AssumeRole", "resource": f"arn:aws:iam::{ACCOUNT}:role/r"}

    refused = ask(PolicySet((ALL,), resource=(trusting,), resource_must_allow=True), **question)
    denied = ask(PolicySet((ALL,), resource=(denying,), resource_must_allow=True), **question)

    assert (
        because(refused, "sts:AssumeRole") == "because no role trust policy allows the sts:AssumeRole action"
    )
    assert because(denied, "sts:AssumeRole") == "with an explicit deny in the role trust policy"


def test_decide_of_a_permission_names_what_allows() -> None:
    mine = policy(statement(Sid="Mine"), source="arn:mine")
    theirs = policy(named({"AWS": USER.arn}, Sid="Their own"), kind="repository", source="theirs")

    assert ask(PolicySet((mine,))) == Decision(True, False, "identity", "arn:mine", "Mine")
    assert ask(PolicySet((mine,), resource=(theirs,))) == Decision(
        True, False, "resource", "theirs", "Their own"
    )


def test_reads_of_a_set_are_the_keys_of_all_its_policies() -> None:
    tagged = policy(statement(Condition={"StringLike": {"aws:ResourceTag/Team": "${aws:PrincipalTag/Team}"}}))
    home = policy(statement(resource="arn:aws:ecr:*:*:repository/${aws:username, 'x'}/*"))
    timed = policy(named("*", Condition={"DateLessThan": {"aws:CurrentTime": "2030"}}), kind="repository")

    reads = PolicySet((tagged,), boundary=(home,), resource=(timed,)).reads

    assert reads == {"aws:resourcetag/team", "aws:principaltag/team", "aws:username", "aws:currenttime"}


def test_decide_is_about_the_account_that_is_said_for_a_resource_without_one() -> None:
    asked = Asked(USER, "ecr:GetAuthorizationToken", "*", OTHER_ACCOUNT, {})

    assert not decide(asked, PolicySet((ALL,))).allowed
    assert decide(replace(asked, resource_account=ACCOUNT), PolicySet((ALL,))).allowed


def test_decide_of_a_grant_for_another_repository_is_none() -> None:
    granted = repository({"AWS": USER.arn}, Resource=f"{REPOSITORY}-other")

    assert not ask(PolicySet(resource=granted)).allowed
