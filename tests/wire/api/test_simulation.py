"""IAM's policy simulator through boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Api

READ = {
    "Effect": "Allow",
    "Action": "ecr:BatchGet*",
    "Resource": "arn:aws:ecr:*:*:repository/${aws:username}/*",
}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=1)


def test_a_simulation_tells_decision_statement_and_missing_keys(root: Api) -> None:
    (found,) = root.iam.simulate_custom_policy(
        PolicyInputList=[policy(READ)],
        ActionNames=["ecr:BatchGetImage"],
        ResourceArns=["arn:aws:ecr:us-east-1:123456789012:repository/dev/app"],
        ContextEntries=[
            {"ContextKeyName": "aws:username", "ContextKeyValues": ["dev"], "ContextKeyType": "string"}
        ],
    )["EvaluationResults"]

    assert (found["EvalActionName"], found["EvalDecision"]) == ("ecr:BatchGetImage", "allowed")
    (statement,) = found["MatchedStatements"]
    assert statement["SourcePolicyId"] == "PolicyInputList.1"
    assert (statement["StartPosition"]["Line"], statement["EndPosition"]["Line"]) == (4, 8)
    assert found["MissingContextValues"] == []
    assert found["ResourceSpecificResults"][0]["EvalResourceDecision"] == "allowed"


def test_a_simulation_is_paged_as_boto3_pages(root: Api) -> None:
    pages = root.iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[policy(READ)],
        ActionNames=[f"ecr:A{number}" for number in range(5)],
        PaginationConfig={"PageSize": 2},
    )

    found = [[each["EvalActionName"] for each in page["EvaluationResults"]] for page in pages]

    assert found == [["ecr:A0", "ecr:A1"], ["ecr:A2", "ecr:A3"], ["ecr:A4"]]


def test_context_keys_of_policies_are_named(root: Api) -> None:
    found = root.iam.get_context_keys_for_custom_policy(PolicyInputList=[policy(READ)])

    assert found["ContextKeyNames"] == ["aws:username"]


def test_a_simulation_of_what_is_no_policy_is_refused(root: Api) -> None:
    with pytest.raises(root.iam.exceptions.InvalidInputException, match="Invalid Condition type"):
        root.iam.simulate_custom_policy(
            PolicyInputList=[policy({**READ, "Condition": {"StringFuzzy": {"aws:username": "a"}}})],
            ActionNames=["ecr:BatchGetImage"],
        )


def test_simulating_a_principal_asks_what_is_stored_about_it(root: Any) -> None:
    """Its own policies, its groups', its boundary, and those that come with the request."""
    iam = root.client("iam")
    allow = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"%s","Resource":"*"}]}'
    bound = iam.create_policy(PolicyName="simulated-bound", PolicyDocument=allow % "ecr:*")["Policy"]["Arn"]
    arn = iam.create_user(UserName="simulated", Path="/team/", PermissionsBoundary=bound)["User"]["Arn"]
    iam.create_group(GroupName="simulated")
    iam.put_group_policy(GroupName="simulated", PolicyName="pull", PolicyDocument=allow % "ecr:BatchGetImage")
    iam.put_user_policy(UserName="simulated", PolicyName="list", PolicyDocument=allow % "s3:ListBuckets")
    iam.add_user_to_group(GroupName="simulated", UserName="simulated")
    actions = ["ecr:BatchGetImage", "ecr:PutImage", "s3:ListBuckets"]

    def decisions(**more: Any) -> list[str]:
        answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=actions, **more)
        return [result["EvalDecision"] for result in answer["EvaluationResults"]]

    assert decisions() == ["allowed", "implicitDeny", "implicitDeny"]
    assert decisions(PolicyInputList=[allow % "ecr:PutImage"]) == ["allowed", "allowed", "implicitDeny"]
    assert decisions(PermissionsBoundaryPolicyInputList=[allow % "s3:*"]) == [
        "implicitDeny",
        "implicitDeny",
        "allowed",
    ]
    group = iam.get_group(GroupName="simulated")["Group"]["Arn"]
    answer = iam.simulate_principal_policy(PolicySourceArn=group, ActionNames=actions[:1])
    [result] = answer["EvaluationResults"]
    assert result["EvalDecision"] == "allowed"
    assert [one["SourcePolicyId"] for one in result["MatchedStatements"]] == ["group/simulated/pull"]


def test_context_keys_of_a_principal_are_those_its_policies_read(root: Any) -> None:
    iam = root.client("iam")
    arn = iam.create_user(UserName="keys-read")["User"]["Arn"]
    text = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*",'
        '"Condition":{"StringEquals":{"aws:SourceVpce":"vpce-1"}}}]}'
    )
    iam.put_user_policy(UserName="keys-read", PolicyName="p", PolicyDocument=text)

    named = iam.get_context_keys_for_principal_policy(PolicySourceArn=arn)["ContextKeyNames"]

    assert named == ["aws:SourceVpce"]
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_context_keys_for_principal_policy(PolicySourceArn=arn + "-never")
