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
