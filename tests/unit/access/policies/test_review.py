from __future__ import annotations

import json
from typing import Any

import pytest

from moorage.access.policies.explain import Position
from moorage.access.policies.review import kind_of, review
from moorage.access.policies.syntax import Kind


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=1)


def allow(action: Any = "ecr:PutImage", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": "arn:aws:ecr:*:*:repository/app", **more}


def warnings(statement: dict[str, Any], kind: Kind = "identity") -> list[str]:
    remarks = review(policy(statement), kind)
    assert not any(remark.is_problem for remark in remarks)
    return [remark.text for remark in remarks]


def test_a_sound_policy_has_no_remarks() -> None:
    assert warnings(allow(["ecr:PutImage", "ecr:Batch*", "ecr-public:PutImage", "iam:PassRole"])) == []


def test_broken_json_is_found_by_line_and_column() -> None:
    (remark,) = review('{"Version": "2012-10-17",\n "Statement": [}', "identity")

    assert (remark.is_problem, remark.at) == (True, Position(2, 16))
    assert remark.text.startswith("Syntax errors in policy.")


def test_the_statement_that_cannot_be_stored_is_found() -> None:
    wrong = allow(Condition={"StringMatches": {"aws:SourceIp": "10.0.0.1"}})
    text = policy(allow(), wrong)

    (remark,) = review(text, "identity")

    assert remark.text == "Invalid Condition type : StringMatches."
    assert remark.at is not None
    assert text.splitlines()[remark.at.line - 1].strip() == "{"
    assert text.splitlines()[: remark.at.line].count("  {") == 2


def test_what_is_wrong_with_the_whole_is_blamed_on_no_statement() -> None:
    (remark,) = review('{"Version": "2020-01-01", "Statement": []}', "identity")

    assert (remark.is_problem, remark.at) == (True, None)


@pytest.mark.parametrize(
    ("action", "warning"),
    [
        ("ecr:PutImages", "ecr:PutImages: there is no such action"),
        ("ecr:Push*", "ecr:Push*: there is no such action"),
        ("s3:GetObject", "s3:GetObject: nothing here is called by a service s3"),
        ("ECR:putimage", None),
        ("ecr:*", None),
        ("ecr:ListImageReferrers", "ecr:ListImageReferrers: there is no such action"),
        ("ecr:CreatePullTimeUpdateExclusion", None),
    ],
)
def test_actions_that_do_not_exist_are_told(action: str, warning: str | None) -> None:
    assert warnings(allow(action)) == ([warning] if warning else [])


@pytest.mark.parametrize(
    ("key", "warning"),
    [
        ("aws:SourceIP", None),
        ("aws:PrincipalTag/Team", None),
        ("aws:SourceArn", None),
        ("moorage:ImageTag", None),
        ("token.actions.example:sub", None),
        ("aws:SourceIpAddress", "aws:SourceIpAddress: an unknown condition key"),
        ("aws:MultiFactorAuthAge", "aws:MultiFactorAuthAge: no request here has this key"),
    ],
)
def test_condition_keys_that_do_nothing_are_told(key: str, warning: str | None) -> None:
    assert warnings(allow(Condition={"StringEquals": {key: "x"}})) == ([warning] if warning else [])


@pytest.mark.parametrize(
    ("statement", "kind", "warning"),
    [
        (allow("*", Resource="*"), "identity", "every action on every resource is allowed"),
        (
            {"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"},
            "repository",
            "everyone of every account is allowed",
        ),
        (
            {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
            "identity",
            "Allow with NotAction allows all other actions",
        ),
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, "scp", "nothing is allowed"),
    ],
)
def test_more_than_was_meant_is_told(statement: dict[str, Any], kind: Kind, warning: str) -> None:
    assert [text for text in warnings(statement, kind) if text.startswith(warning)]


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        (allow(), "identity"),
        ({"Effect": "Allow", "Principal": "*", "Action": "ecr:PutImage"}, "repository"),
        ({"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}, "trust"),
    ],
)
def test_kind_is_guessed_from_principals_and_actions(statement: dict[str, Any], kind: Kind) -> None:
    assert kind_of(policy(statement)) == kind
    assert kind_of("{") == "identity"
