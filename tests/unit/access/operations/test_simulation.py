from __future__ import annotations

import json
from typing import Any

import pytest

from moorage.access.operations.simulation import (
    POLICIES_MAX,
    POLICY_CHARACTERS_MAX,
    RESOURCES_MAX,
    get_context_keys_for_custom_policy,
    simulate_custom_policy,
)
from moorage.aws.shapes import iam
from moorage.base.errors.identities import InvalidInput

from ...registry.memory import call_of, in_memory
from ...registry.registry import ACCOUNT, MemoryRegistry
from .calling import OTHER

USER = f"arn:aws:iam::{ACCOUNT}:user/dev"
REPOSITORY = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/app"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(effect: str = "Allow", action: str = "ecr:*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, **({} if "Principal" in more else {"Resource": "*"}), **more}


async def simulate(registry: MemoryRegistry, *policies: str, **members: Any) -> iam.SimulatePolicyResponse:
    request = iam.SimulateCustomPolicyRequest(
        policy_input_list=list(policies), **{"action_names": ["ecr:PutImage"], **members}
    )
    return await simulate_custom_policy(call_of(registry, ACCOUNT), request)


async def result(registry: MemoryRegistry, *policies: str, **members: Any) -> iam.EvaluationResult:
    (found,) = (await simulate(registry, *policies, **members)).evaluation_results or ()
    return found


@in_memory
async def test_simulating_an_action_on_everything_names_the_statement_and_its_place(
    registry: MemoryRegistry,
) -> None:
    text = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"*"}}'

    found = await result(registry, policy(statement(action="s3:*")), text)

    assert (found.eval_action_name, found.eval_resource_name, found.eval_decision) == (
        "ecr:PutImage",
        "*",
        "allowed",
    )
    assert found.matched_statements == [
        iam.Statement(
            source_policy_id="PolicyInputList.2",
            start_position=iam.Position(line=1, column=38),
            end_position=iam.Position(line=1, column=len(text)),
        )
    ]
    assert (found.resource_specific_results, found.missing_context_values) == (None, [])


@in_memory
async def test_simulating_a_denial_matches_what_denies_and_nothing_else(registry: MemoryRegistry) -> None:
    found = await result(registry, policy(statement(), statement("Deny", "ecr:Put*")))

    assert found.eval_decision == "explicitDeny"
    assert len(found.matched_statements or ()) == 1


@in_memory
async def test_simulating_what_nothing_allows_matches_nothing(registry: MemoryRegistry) -> None:
    found = await result(registry, policy(statement(action="s3:*")))

    assert (found.eval_decision, found.matched_statements) == ("implicitDeny", [])


@in_memory
async def test_simulating_several_resources_tells_each_and_the_worst(registry: MemoryRegistry) -> None:
    condition = {"StringEquals": {"aws:ResourceTag/Team": "red"}}
    text = policy(statement(Resource=REPOSITORY), statement(Condition=condition))

    found = await result(registry, text, resource_arns=[REPOSITORY, f"{REPOSITORY}-other"])

    assert (found.eval_resource_name, found.eval_decision) == ("*", "implicitDeny")
    assert [
        (one.eval_resource_name, one.eval_resource_decision) for one in found.resource_specific_results or ()
    ] == [
        (REPOSITORY, "allowed"),
        (f"{REPOSITORY}-other", "implicitDeny"),
    ]
    assert found.missing_context_values == ["aws:ResourceTag/Team"]


@pytest.mark.parametrize(
    ("kind", "values", "is_allowed"),
    [
        ("string", ["team"], False),
        ("stringList", ["team"], True),
        ("stringList", ["team", "x"], False),
        (None, ["a"], False),
    ],
)
@in_memory
async def test_simulating_with_context_keeps_values_and_lists_apart(
    registry: MemoryRegistry, kind: Any, values: list[str], is_allowed: bool
) -> None:
    condition = {"ForAllValues:StringEquals": {"aws:TagKeys": "team"}, "Null": {"aws:TagKeys": "false"}}
    single = {"StringEquals": {"aws:TagKeys": "team"}}
    entry = iam.ContextEntry(context_key_name="AWS:tagkeys", context_key_values=values, context_key_type=kind)

    listed = await result(registry, policy(statement(Condition=condition)), context_entries=[entry])
    plain = await result(registry, policy(statement(Condition=single)), context_entries=[entry])

    assert (listed.eval_decision == "allowed") is (is_allowed or (kind == "string"))
    assert (plain.eval_decision == "allowed") is (kind == "string")


@in_memory
async def test_simulating_with_a_boundary_tells_what_it_allows(registry: MemoryRegistry) -> None:
    everything = policy(statement(action="*"))
    boundary = {"permissions_boundary_policy_input_list": [policy(statement(action="s3:*"))]}

    found = await result(registry, everything, **boundary)

    assert found.eval_decision == "implicitDeny"
    assert found.permissions_boundary_decision_detail == iam.PermissionsBoundaryDecisionDetail(
        allowed_by_permissions_boundary=False
    )
    assert (await result(registry, everything)).permissions_boundary_decision_detail is None


@in_memory
async def test_simulating_with_an_organization_wants_every_level(registry: MemoryRegistry) -> None:
    everything = policy(statement(action="*"))

    def levels(*texts: str) -> dict[str, Any]:
        return {
            "ordered_organization_policy_input_list": [
                iam.OrderedOrganizationPolicyType(service_control_policy_input_list=[text]) for text in texts
            ]
        }

    one = await result(registry, everything, **levels(everything, everything))
    other = await result(registry, everything, **levels(everything, policy(statement(action="s3:*"))))

    assert (one.eval_decision, other.eval_decision) == ("allowed", "implicitDeny")
    assert other.organizations_decision_detail == iam.OrganizationsDecisionDetail(
        allowed_by_organizations=False
    )


@in_memory
async def test_simulating_with_a_resource_policy_needs_a_caller_and_knows_accounts(
    registry: MemoryRegistry,
) -> None:
    granted = policy(statement(Principal={"AWS": USER}))
    foreign = REPOSITORY.replace(ACCOUNT, OTHER)
    question = {"resource_policy": granted, "caller_arn": USER}
    nothing, everything = policy(statement(action="s3:*")), policy(statement(action="*"))

    at_home = await result(registry, nothing, **question, resource_arns=[REPOSITORY])
    abroad = await result(registry, nothing, **question, resource_arns=[foreign])
    both = await result(registry, everything, **question, resource_arns=[foreign])
    owned = await result(registry, nothing, **question, resource_owner=f"arn:aws:iam::{OTHER}:root")

    assert at_home.eval_decision == "allowed"
    assert [one.source_policy_id for one in at_home.matched_statements or ()] == ["ResourcePolicy"]
    assert (abroad.eval_decision, both.eval_decision, owned.eval_decision) == (
        "implicitDeny",
        "allowed",
        "implicitDeny",
    )
    with pytest.raises(InvalidInput):
        await result(registry, nothing, resource_policy=granted)


@in_memory
async def test_simulating_a_role_stands_for_its_sessions(registry: MemoryRegistry) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/build/ci"
    granted = policy(statement(Principal={"AWS": role}))

    found = await result(registry, policy(statement(action="s3:*")), resource_policy=granted, caller_arn=role)

    assert found.eval_decision == "allowed"


@in_memory
async def test_simulating_without_a_resource_policy_is_about_the_caller_s_side(
    registry: MemoryRegistry,
) -> None:
    found = await result(registry, policy(statement()), resource_arns=[REPOSITORY.replace(ACCOUNT, OTHER)])

    assert found.eval_decision == "allowed"


@pytest.mark.parametrize(
    "members",
    [
        {"action_names": ["ecr:*"]},
        {"action_names": ["PutImage"]},
        {"caller_arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/run"},
        {"caller_arn": f"arn:aws:iam::{ACCOUNT}:root"},
        {"resource_owner": ACCOUNT},
        {"resource_arns": ["*"] * (RESOURCES_MAX + 1)},
        {"context_entries": [iam.ContextEntry(context_key_name="x:abc", context_key_values=["a", "b"])]},
        {"context_entries": [iam.ContextEntry(context_key_name="x:abc", context_key_values=["a"])] * 2},
        {"context_entries": [iam.ContextEntry(context_key_values=["a"])]},
        {"permissions_boundary_policy_input_list": [policy(statement())] * 2},
        {"policy_input_list": ["{}"]},
        {"policy_input_list": [policy(statement())] * (POLICIES_MAX + 1)},
        {"policy_input_list": [policy(statement(Resource="arn:aws:ecr:*:*:" + "x" * POLICY_CHARACTERS_MAX))]},
        {"resource_policy": "{}", "caller_arn": USER},
    ],
)
@in_memory
async def test_simulating_what_cannot_be_is_refused(
    registry: MemoryRegistry, members: dict[str, Any]
) -> None:
    request = {"policy_input_list": [policy(statement())], "action_names": ["ecr:PutImage"], **members}

    with pytest.raises(InvalidInput):
        await simulate_custom_policy(call_of(registry, ACCOUNT), iam.SimulateCustomPolicyRequest(**request))


@in_memory
async def test_simulating_many_actions_is_answered_page_by_page(registry: MemoryRegistry) -> None:
    actions = [f"ecr:A{number}" for number in range(5)]
    call = call_of(registry, ACCOUNT)
    seen: list[str] = []
    marker = None
    for _ in range(3):
        request = iam.SimulateCustomPolicyRequest(
            policy_input_list=[policy(statement())], action_names=actions, max_items=2, marker=marker
        )
        page = await simulate_custom_policy(call, request)
        seen += [one.eval_action_name for one in page.evaluation_results or ()]
        marker = page.marker
        assert page.is_truncated is (marker is not None)

    assert (seen, marker) == (actions, None)


@in_memory
async def test_simulating_on_many_resources_answers_fewer_actions_at_once(registry: MemoryRegistry) -> None:
    page = await simulate(
        registry,
        policy(statement()),
        action_names=["ecr:A", "ecr:B"],
        resource_arns=[REPOSITORY] * RESOURCES_MAX,
    )

    assert (len(page.evaluation_results or ()), page.is_truncated) == (1, True)


@in_memory
async def test_context_keys_are_those_of_all_policies_as_written(registry: MemoryRegistry) -> None:
    texts = [
        policy(statement(Condition={"StringLike": {"aws:ResourceTag/Team": "${aws:PrincipalTag/Team}"}})),
        policy(
            statement(
                Resource="arn:aws:ecr:*:*:repository/${aws:username}",
                Condition={"Bool": {"aws:resourcetag/team": "true"}},
            )
        ),
    ]
    request = iam.GetContextKeysForCustomPolicyRequest(policy_input_list=texts)

    found = await get_context_keys_for_custom_policy(call_of(registry, ACCOUNT), request)

    assert found.context_key_names == ["aws:ResourceTag/Team", "aws:PrincipalTag/Team", "aws:username"]


@in_memory
async def test_context_keys_of_what_is_no_policy_are_refused(registry: MemoryRegistry) -> None:
    with pytest.raises(InvalidInput):
        await get_context_keys_for_custom_policy(
            call_of(registry, ACCOUNT), iam.GetContextKeysForCustomPolicyRequest(policy_input_list=["{"])
        )
