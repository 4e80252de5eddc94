"""What may be stored: one row a rule. And what somebody sends to make the reader work, fail or misread."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from moorage.access.policies.compile import compile_policy
from moorage.access.policies.document import MalformedPolicy, names_only, parse
from moorage.access.policies.syntax import CHARACTERS_MAX, STATEMENTS_MAX, VALUES_MAX, Kind

from .asking import ACCOUNT, OTHER_ACCOUNT, REPOSITORY, named, statement, text_of

ROLE = f"arn:aws:iam::{ACCOUNT}:role/build/ci"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"


def condition(operator: str, value: Any, key: str = "x:k") -> dict[str, Any]:
    return statement(Condition={operator: {key: value}})


def principal(value: Any) -> dict[str, Any]:
    return named(value)


ACCEPTED: list[tuple[Kind, dict[str, Any]]] = [
    ("identity", statement()),
    ("identity", statement(Sid="Push1")),
    ("identity", {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:ecr:*:*:repository/x"}),
    ("identity", statement(action="*:*", resource="arn:aws:ecr")),
    ("identity", statement(resource="arn:aws:ecr:*:*:repository/${aws:PrincipalTag/my team, 'none'}/${*}")),
    ("identity", condition("ForAllValues:StringLikeIfExists", ["a*", "${aws:username}"])),
    ("identity", condition("NumericLessThan", 10.5)),
    ("identity", condition("bool", True)),
    ("identity", condition("Null", [True, "false"])),
    ("identity", condition("DateGreaterThan", "2026-01-01T00:00:00Z")),
    ("identity", condition("IpAddress", ["10.0.0.0/8", "2001:db8::/32"])),
    ("identity", condition("ArnLike", ["arn:aws:iam::*:role/*", "${aws:PrincipalArn}"])),
    ("scp", statement("Deny")),
    ("rcp", named("*", "Deny", Resource="*")),
    ("rcp", named({"AWS": "*"}, "Deny", Resource="*")),
    ("repository", named("*", Sid="Pull for all")),
    ("repository", named({"AWS": [ACCOUNT, ROLE, "*"]}, Resource=REPOSITORY)),
    ("repository", {"Effect": "Deny", "NotPrincipal": {"AWS": ROLE}, "Action": "ecr:*"}),
    ("repository", named({"Service": ["lambda.amazonaws.com"]})),
    ("registry", named({"AWS": OTHER_ACCOUNT}, Resource="arn:aws:ecr:us-east-1:111111111111:repository/*")),
    ("endpoint", named("*", action="*", Resource="*")),
    ("key", named({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, action="kms:*", Resource="*")),
    ("trust", named({"AWS": "AROAAAAAAAAAAAAAAAAAA"}, action="sts:AssumeRole")),
    ("trust", named({"Federated": PROVIDER}, action=["sts:AssumeRoleWithWebIdentity", "sts:TagSession"])),
    ("trust", named({"Federated": "accounts.google.com"}, action="sts:AssumeRoleWithWebIdentity")),
    ("trust", named({"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/run@1"}, action="sts:AssumeRole")),
]


@pytest.mark.parametrize(("kind", "tree"), ACCEPTED)
def test_parse_accepts(kind: Kind, tree: dict[str, Any]) -> None:
    assert len(parse(text_of(tree), kind).statements) == 1
    compile_policy(text_of(tree), kind)


VENDOR = "Actions/Conditions must be prefaced by a vendor"
REFUSED: list[tuple[Kind, dict[str, Any], str]] = [
    ("identity", named("*", Resource="*"), "should not specify a principal"),
    ("identity", {"Effect": "Allow", "Action": "*"}, "must contain resources"),
    ("identity", statement(resource=[]), "must contain resources"),
    ("identity", {"Effect": "Allow", "Resource": "*"}, "must contain actions"),
    ("identity", statement(action=[]), "must contain actions"),
    ("identity", statement(NotAction="s3:*"), "Action or NotAction"),
    ("identity", statement(NotResource="*"), "Resource or NotResource"),
    ("identity", statement(effect="allow"), "Effect"),
    ("identity", statement(effect=["Allow"]), "Effect"),
    ("identity", statement(Sid="with space"), "alpha-numeric"),
    ("identity", statement(Sid="line\n"), "alpha-numeric"),
    ("identity", statement(Sid=1), "Sid must be a string"),
    ("identity", statement(Extra=1), "Unknown element Extra"),
    ("identity", statement(action="PutImage"), VENDOR),
    ("identity", statement(action="ecr:"), VENDOR),
    ("identity", statement(action="e*:PutImage"), VENDOR),
    ("identity", statement(action="*:PutImage"), VENDOR),
    ("identity", statement(action=" ecr:PutImage"), VENDOR),
    ("identity", statement(action="ecr:Put Image"), VENDOR),
    ("identity", statement(action="ecr:${aws:username}"), VENDOR),
    ("identity", statement(action=5), "Action must be a string"),
    ("identity", statement(action=[["ecr:*"]]), "Action must be a string"),
    ("identity", statement(resource={"a": 1}), "Resource must be a string"),
    ("identity", statement(resource="repository/x"), "must be in ARN format"),
    ("identity", statement(resource=""), "must be in ARN format"),
    ("identity", statement(resource="**"), "must be in ARN format"),
    ("identity", statement(resource="arn:aws"), "must be in ARN format"),
    ("identity", statement(resource="arn:was:ecr:*:*:*"), "Partition"),
    ("identity", statement(resource="arn:aws:*:*:*:*"), "vendor must be fully qualified"),
    ("identity", statement(resource="arn:aws:ec?:*:*:*"), "vendor must be fully qualified"),
    ("identity", statement(resource="arn:aws:ecr:${x:y}:*:*"), "after the fifth colon"),
    ("identity", statement(resource="arn:aws:ecr:*:*:${}"), "Invalid variable"),
    ("identity", statement(resource="arn:aws:ecr:*:*:${${a:b}}"), "Invalid variable"),
    ("identity", statement(resource="arn:aws:ecr:*:*:${a:b"), "Invalid variable"),
    ("identity", condition("StringEquals", "${a:b, c}"), "Invalid variable"),
    ("identity", condition("StringFuzzy", "a"), "Invalid Condition type : StringFuzzy."),
    ("identity", condition("NullIfExists", "true"), "Invalid Condition type"),
    ("identity", condition("ForAnyValue:Null", "true"), "Invalid Condition type"),
    ("identity", condition("StringEquals", "a", key="k"), VENDOR),
    ("identity", condition("StringEquals", "a", key=":k"), VENDOR),
    ("identity", condition("StringEquals", "a", key="x:"), VENDOR),
    ("identity", condition("StringEquals", []), "must have values"),
    ("identity", condition("StringEquals", None), "must be a string, a number or a boolean"),
    ("identity", condition("StringEquals", [["a"]]), "must be a string, a number or a boolean"),
    ("identity", condition("NumericEquals", "ten"), "Invalid value ten"),
    ("identity", condition("NumericEquals", "${x:y}"), "Invalid value"),
    ("identity", condition("DateEquals", "soon"), "Invalid value"),
    ("identity", condition("IpAddress", "10.0.0.0/33"), "Invalid value"),
    ("identity", condition("IpAddress", "*"), "Invalid value"),
    ("identity", condition("Bool", "yes"), "Invalid value"),
    ("identity", condition("Null", "maybe"), "Invalid value"),
    ("identity", condition("ArnLike", "*"), "Invalid value"),
    ("identity", condition("BinaryEquals", "%"), "Invalid value"),
    ("identity", statement(Condition=[]), "Condition must be an object"),
    ("identity", statement(Condition={"StringEquals": "a"}), "Condition must be an object"),
    ("scp", named("*", Resource="*"), "should not specify a principal"),
    ("rcp", named({"AWS": ACCOUNT}, "Deny", Resource="*"), 'Principal must be "*"'),
    ("rcp", statement("Deny"), 'Principal must be "*"'),
    ("repository", {"Effect": "Allow", "Action": "ecr:*"}, "Missing required field Principal"),
    ("repository", {"Effect": "Allow", "NotPrincipal": "*", "Action": "ecr:*"}, "NotPrincipal is for Deny"),
    ("repository", named("*", NotPrincipal="*"), "Principal or NotPrincipal"),
    ("repository", named({}), "Invalid principal"),
    ("repository", named({"AWS": []}), "Invalid principal"),
    ("repository", named({"Aws": "*"}), "Unknown element Aws"),
    ("repository", named(ACCOUNT), "Principal must be an object"),
    ("repository", named({"AWS": "arn:aws:iam::*:root"}), "Invalid principal"),
    ("repository", named({"AWS": f"arn:aws:iam::{ACCOUNT}:user/*"}), "Invalid principal"),
    ("repository", named({"AWS": f"arn:aws:iam::{ACCOUNT}:user/dev-?"}), "Invalid principal"),
    ("repository", named({"AWS": f"arn:aws:iam::{ACCOUNT}:user/"}), "Invalid principal"),
    ("repository", named({"AWS": "12345"}), "Invalid principal"),
    ("repository", named({"AWS": f"{ACCOUNT}:root"}), "Invalid principal"),
    ("repository", named({"AWS": f"arn:aws:iam::{ACCOUNT}"}), "Invalid principal"),
    ("repository", named({"AWS": ""}), "Invalid principal"),
    ("repository", named({"Service": "*"}), "Invalid principal"),
    ("repository", named({"Federated": "*"}), "Invalid principal"),
    ("registry", named("*"), "must contain resources"),
    ("endpoint", named("*"), "must contain resources"),
    ("key", named("*"), "must contain resources"),
    ("trust", named("*", action="sts:AssumeRole", Resource="*"), "prohibited field Resource"),
    ("trust", named("*", action="ecr:*"), "STS AssumeRole"),
    ("trust", named("*", action="*"), "STS AssumeRole"),
    ("trust", {"Effect": "Allow", "Action": "sts:AssumeRole"}, "Missing required field Principal"),
    ("trust", {"Effect": "Deny", "NotPrincipal": "*", "Action": "sts:AssumeRole"}, "NotPrincipal"),
]


@pytest.mark.parametrize(("kind", "tree", "reason"), REFUSED)
def test_parse_refuses(kind: Kind, tree: dict[str, Any], reason: str) -> None:
    with pytest.raises(MalformedPolicy) as refused:
        parse(text_of(tree), kind)

    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Syntax errors"),
        ("{", "Syntax errors"),
        ("{'Version': 1}", "Syntax errors"),
        ("[]", "policy must be an object"),
        ('"a"', "policy must be an object"),
        ("{}", "Missing required field Statement"),
        ('{"Statement": []}', "Missing required field Statement"),
        ('{"Statement": "a"}', "Statement must be an object"),
        ('{"Version": "2012-10-18", "Statement": []}', "valid version"),
        ('{"Version": ["2012-10-17"], "Statement": []}', "valid version"),
        ('{"Version": "2012-10-17", "Version": "2008-10-17", "Statement": []}', "twice"),
        ('{"statement": []}', "Unknown element statement"),
        ('{"Statement": [], "Statement": []}', "twice"),
        (
            '{"Id": "x", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}',
            "Unknown element Id",
        ),
        ('{"Id": 1, "Statement": []}', "Id must be a string"),
        ('{"Statement": {"Effect": "Deny", "Effect": "Allow", "Action": "*", "Resource": "*"}}', "twice"),
        ('{"Statement": {"Effect": "Deny", "\\u0045ffect": "Allow"}}', "twice"),
        ('{"Statement": [{"Effect": NaN}]}', "NaN is no number"),
        ('{"Statement": [{"Effect": -Infinity}]}', "-Infinity is no number"),
        ('{"Statement": "\u0100"}', "characters"),
        ('{"Statement": "\\u0100"}', "characters"),
        ('{"Statement": "\\ud800"}', "characters"),
        ('{"Statement": "\\u0000"}', "characters"),
        ('{"Statement": {"\\ud83d\\ude00": 1}}', "characters"),
        ('{"Statement": "\x00"}', "characters"),
        ('{"Statement": "\ud800"}', "characters"),
        ('\ufeff{"Statement": []}', "characters"),
        ('{"Statement": [' + "9" * 100_000 + "]}", "too long"),
        ('{"Statement": [1e' + "9" * 100 + "]}", "too long"),
        ("[" * 100_000, "Syntax errors"),
        ("[" * 50_000 + "]" * 50_000, "Syntax errors"),
        ('{"a":' * 20_000, "Syntax errors"),
        ('{"Statement": ' + "[" * 11 + "]" * 11 + "}", "levels deep"),
        ("{" + " " * CHARACTERS_MAX + "}", "at most"),
        ("x" * 1_000_000, "at most"),
    ],
)
def test_parse_of_what_is_no_policy_is_refused(text: str, reason: str) -> None:
    with pytest.raises(MalformedPolicy) as refused:
        parse(text, "identity")

    assert reason in str(refused.value)
    with pytest.raises(MalformedPolicy):
        parse(text + " ", "repository")


def test_parse_of_too_many_statements_or_values_is_refused() -> None:
    short = {"Effect": "Deny", "Action": "a:b", "Resource": "*"}
    limits = [
        ([short] * (STATEMENTS_MAX + 1), "statements"),
        ([{**short, "Action": ["*"] * (VALUES_MAX + 1)}], "values"),
    ]

    for statements, what in limits:
        with pytest.raises(MalformedPolicy, match=what):
            parse(json.dumps({"Statement": statements}), "identity")


def test_parse_of_equal_sids_is_refused_and_of_empty_ones_not() -> None:
    with pytest.raises(MalformedPolicy, match="unique"):
        parse(text_of(statement(Sid="A"), statement(Sid="A")), "identity")
    with pytest.raises(MalformedPolicy, match="unique"):
        parse(text_of(named("*", Sid="a b"), named("*", Sid="a b")), "repository")

    assert parse(text_of(statement(Sid=""), statement(Sid="")), "identity")


def test_parse_of_numbers_keeps_them_as_they_are_written() -> None:
    text = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": %s}}'
    document = parse(text % '{"StringEquals": {"x:k": [10.0, 1E5, -0, true, "10.0"]}}', "identity")

    assert document.statements[0].conditions[0].values == ("10.0", "1E5", "-0", "true", "10.0")


def test_parse_of_a_number_where_a_name_belongs_is_refused() -> None:
    with pytest.raises(MalformedPolicy):
        parse(
            '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": 12, "Resource": "*"}}',
            "identity",
        )


def test_parse_of_a_huge_policy_takes_no_time() -> None:
    values = ["a*" * 5 + str(number) for number in range(VALUES_MAX - 10)]
    text = text_of(condition("StringLike", values), version="2012-10-17")
    wild = text_of(statement(resource="arn:aws:ecr:*:*:" + "*a" * 60_000))
    assert len(text) > CHARACTERS_MAX
    started = time.process_time()

    with pytest.raises(MalformedPolicy):
        parse(text, "identity")
    parse(text_of(condition("StringLike", values[:6_000])), "identity")
    parse(wild, "identity")
    for nested in ("${" * 50_000, "${a:b}" * 15_000, "${a" * 30_000):
        with pytest.raises(MalformedPolicy):
            parse(text_of(condition("StringEquals", nested + "${")), "identity")
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("resource", "is_own"),
    [
        (None, True),
        ("*", True),
        (REPOSITORY, True),
        (f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/team/*", True),
        (["*", REPOSITORY], True),
        (f"{REPOSITORY}-other", False),
        ([REPOSITORY, f"{REPOSITORY}-other"], False),
        ("arn:aws:s3:::bucket", False),
    ],
)
def test_names_only_of_resources_of_a_repository_policy(resource: Any, is_own: bool) -> None:
    tree = named("*") if resource is None else named("*", Resource=resource)

    assert names_only(parse(text_of(tree), "repository"), REPOSITORY) is is_own


def test_names_only_of_not_resource_is_never_true() -> None:
    assert not names_only(parse(text_of(named("*", NotResource="*")), "repository"), REPOSITORY)


def test_compile_of_what_is_stored_is_lenient_about_all_but_the_shape() -> None:
    for tree in (
        condition("StringFuzzy", "a"),
        statement(action="nothing"),
        statement(Sid="a b"),
        statement(resource="x"),
    ):
        assert compile_policy(text_of(tree), "identity").statements
    with pytest.raises(MalformedPolicy):
        compile_policy("{", "identity")


def test_compile_of_the_same_text_is_remembered() -> None:
    text = text_of(statement())

    assert compile_policy(text, "identity", source="a") is compile_policy(text, "identity", source="a")
    assert compile_policy(text, "identity", source="b").source == "b"


def test_compile_tells_size_and_keys() -> None:
    text = text_of(
        statement(resource="arn:aws:ecr:*:*:${aws:userid}", Condition={"Null": {"aws:ResourceTag/A": "true"}})
    )
    compiled = compile_policy(text, "identity", source="arn:x")

    assert (compiled.source, compiled.kind, compiled.size) == ("arn:x", "identity", len(text))
    assert compiled.reads == {"aws:userid", "aws:resourcetag/a"}


def test_candidates_of_any_number_of_actions_are_bounded() -> None:
    compiled = compile_policy(text_of(statement(action="ecr:*")), "identity")

    for number in range(2_000):
        assert len(compiled.candidates(f"ecr:A{number}").allows.about("*")) == 1
        assert not compiled.candidates(f"s3:A{number}").allows.about("*")
    assert len(compiled._candidates) <= 512
