"""Actions, resources and variables: what a statement is about."""

from __future__ import annotations

from typing import Any

import pytest

from .asking import ACCOUNT, REPOSITORY, allows, denies, statement

ARN = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository"


@pytest.mark.parametrize(
    ("pattern", "is_allowed"),
    [
        ("*", True),
        ("*:*", True),
        ("ecr:PutImage", True),
        ("ECR:putimage", True),
        ("ecr:Put*", True),
        ("ecr:*Image", True),
        ("ecr:?utImage", True),
        ("ecr:PutImag?", True),
        ("ecr:Put?Image", False),
        ("ecr:Put", False),
        ("ecr-public:PutImage", False),
        ("ecr:PutImageTagMutability", False),
        ("ecr.PutImage", False),
        (" ecr:PutImage", False),
        ("ecr:PutImage ", False),
        ("ecr:PutImage\n", False),
        ("${aws:username}", False),
        (["s3:*", "ecr:PutImage"], True),
        ([], False),
    ],
)
def test_action_of_a_pattern(pattern: Any, is_allowed: bool) -> None:
    assert allows(statement(action=pattern)) is is_allowed


@pytest.mark.parametrize(
    ("listed", "is_allowed"), [("ecr:Delete*", True), (["s3:*", "ecr:put*"], False), ("*", False)]
)
def test_not_action_is_all_but_those_listed(listed: Any, is_allowed: bool) -> None:
    tree = {"Effect": "Allow", "NotAction": listed, "Resource": "*"}

    assert allows(tree) is is_allowed


@pytest.mark.parametrize(
    "listed", ["ecr:DeregisterPullTimeUpdateExclusion", "ecr:DeletePullTimeUpdateExclusion"]
)
def test_action_with_two_names_answers_to_both(listed: str) -> None:
    question = {"action": "ecr:DeregisterPullTimeUpdateExclusion", "resource": "*"}

    assert allows(statement(action=listed), **question)
    assert denies(statement("Deny", action=listed), **question)
    assert not allows({"Effect": "Allow", "NotAction": listed, "Resource": "*"}, **question)


@pytest.mark.parametrize(
    ("pattern", "is_allowed"),
    [
        ("*", True),
        (REPOSITORY, True),
        (f"{ARN}/*", True),
        (f"{ARN}/team/ap?", True),
        (f"{ARN}/*/app", True),
        (f"{ARN}/t*p", True),
        (f"{ARN}/TEAM/app", False),
        (f"{ARN}/team", False),
        (f"{ARN}/team/app/more", False),
        (f"{ARN}/team/ap??", False),
        (f"arn:aws:ecr:*:{ACCOUNT}:*", True),
        ("arn:*:ecr:*:*:repository/team/app", True),
        ("arn:aws:ecr:us-*-?:1*1:repository/team/app", True),
        ("arn:aws:ecr:*:repository/team/app", False),
        ("arn:aws:s3:::bucket", False),
        ("arn:aws:ecr", True),
        ("arn:aws:ecr:eu-*", False),
        ("arn:aws:ecr:us-east-1", True),
        ("repository/team/app", False),
        ("**", False),
        ("", False),
        (["arn:aws:s3:::b", REPOSITORY], True),
    ],
)
def test_resource_of_a_pattern(pattern: Any, is_allowed: bool) -> None:
    assert allows(statement(resource=pattern)) is is_allowed


@pytest.mark.parametrize("asked", ["*", f"{ARN}/*"])
def test_resource_of_a_repository_does_not_cover_all_of_them(asked: str) -> None:
    assert not allows(statement(resource=f"{ARN}/team/*"), resource=asked)


@pytest.mark.parametrize("pattern", ["arn:*:*:*:*:*", "**", "?", "arn:aws:ecr", f"{ARN}/*"])
def test_resource_of_an_action_without_resources_is_the_bare_star_only(pattern: str) -> None:
    question = {"action": "ecr:GetAuthorizationToken", "resource": "*"}

    assert not allows(statement(resource=pattern), **question)
    assert allows(statement(resource=[pattern, "*"]), **question)
    assert allows({"Effect": "Allow", "Action": "*", "NotResource": pattern}, **question)
    assert not allows({"Effect": "Allow", "Action": "*", "NotResource": "*"}, **question)


def test_resource_with_colons_in_its_name_is_the_rest() -> None:
    resource = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:a:b"

    assert allows(
        statement(action="*", resource=f"arn:aws:secretsmanager:*:{ACCOUNT}:secret:*"), resource=resource
    )
    assert not allows(
        statement(action="*", resource=f"arn:aws:secretsmanager:*:{ACCOUNT}:secret"), resource=resource
    )


@pytest.mark.parametrize(
    ("listed", "is_allowed"), [(f"{ARN}/other/*", True), (f"{ARN}/team/*", False), ("*", False)]
)
def test_not_resource_is_all_but_those_listed(listed: str, is_allowed: bool) -> None:
    assert allows({"Effect": "Allow", "Action": "*", "NotResource": listed}) is is_allowed


VARIABLES: list[tuple[str, dict[str, Any], bool]] = [
    ("${aws:username}", {"aws:username": "team/app"}, True),
    ("${AWS:UserName}", {"aws:username": "team/app"}, True),
    ("${aws:PrincipalTag/Team}/*", {"aws:principaltag/team": "team"}, True),
    ("${aws:username}", {"aws:username": "team/*"}, False),
    ("${aws:username}", {"aws:username": "team/ap?"}, False),
    ("${aws:username}", {"aws:username": "*"}, False),
    ("${aws:username}*", {"aws:username": ""}, False),
    ("${aws:username}*", {}, False),
    ("${aws:username}*", {"aws:username": ["team/app"]}, False),
    ("${aws:username, 'team'}/app", {}, True),
    ("${aws:username,'team'}/app", {}, True),
    ("${aws:username, 'team'}/app", {"aws:username": ""}, True),
    ("${aws:username, 'team'}/app", {"aws:username": "red"}, False),
    ("${aws:username, '*'}", {}, False),
    ("${aws:username}", {"aws:username": "${aws:userid}", "aws:userid": "team/app"}, False),
    ("${${aws:username}}", {"aws:username": "aws:userid", "aws:userid": "team/app"}, False),
    ("${}*", {}, False),
    ("${*", {}, False),
    ("${aws:username", {"aws:username": "team/app"}, False),
    ("${*}", {}, False),
    ("team/ap${?}", {}, False),
    ("$*", {}, False),
]


@pytest.mark.parametrize(("name", "context", "is_allowed"), VARIABLES)
def test_variable_in_a_resource(name: str, context: dict[str, Any], is_allowed: bool) -> None:
    assert allows(statement(resource=f"{ARN}/{name}"), context=context) is is_allowed


@pytest.mark.parametrize(
    ("pattern", "name"), [("${*}", "*"), ("${?}a", "?a"), ("${$}{x}", "${x}"), ("*", "${x}")]
)
def test_variable_of_a_character_is_the_character(pattern: str, name: str) -> None:
    assert allows(statement(resource=f"{ARN}/{pattern}"), resource=f"{ARN}/{name}")


def test_variable_in_a_policy_of_2008_is_text() -> None:
    tree = statement(resource=f"{ARN}/${{aws:username}}")
    context = {"aws:username": "team/app"}

    assert not allows(tree, version="2008-10-17", context=context)
    assert allows(tree, version="2008-10-17", context=context, resource=f"{ARN}/${{aws:username}}")


def test_variable_before_the_fifth_colon_is_text() -> None:
    assert not allows(
        statement(resource="arn:aws:ecr:us-east-1:${aws:principalaccount}:repository/team/app"),
        context={"aws:principalaccount": ACCOUNT},
    )
    assert not allows(
        statement(resource="arn:aws:ecr:${x:y}:repository/team/app"), context={"x:y": f"us-east-1:{ACCOUNT}"}
    )


def test_variable_without_value_in_not_resource_refuses() -> None:
    listed = [f"{ARN}/red/${{aws:username}}", f"{ARN}/blue/*"]

    assert not allows({"Effect": "Allow", "Action": "*", "NotResource": listed})
    assert allows({"Effect": "Allow", "Action": "*", "NotResource": listed}, context={"aws:username": "u"})
    assert denies({"Effect": "Deny", "Action": "*", "NotResource": listed})
    assert not denies({"Effect": "Deny", "Action": "*", "NotResource": listed}, resource=f"{ARN}/blue/x")
