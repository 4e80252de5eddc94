"""The operators, one row a rule; and what they say of keys that are missing or have many values."""

from __future__ import annotations

from typing import Any

import pytest

from .asking import allows, denies, holds, statement

K = "x:k"
ARN = "arn:aws:lambda:us-east-1:111111111111:function:f"

OPERATORS: list[tuple[str, Any, str, bool]] = [
    ("StringEquals", "a", "a", True),
    ("StringEquals", "a", "A", False),
    ("StringEquals", ["b", "a"], "a", True),
    ("StringEquals", "*", "a", False),
    ("StringEquals", "a*", "a*", True),
    ("StringEquals", "${*}", "*", True),
    ("stringequals", "a", "a", True),
    ("StringEquals", True, "true", True),
    ("StringEquals", 10, "10", True),
    ("StringNotEquals", "a", "b", True),
    ("StringNotEquals", ["b", "a"], "a", False),
    ("StringEqualsIgnoreCase", "Aé", "aÉ", True),
    ("StringNotEqualsIgnoreCase", "A", "a", False),
    ("StringLike", "a*c", "abcc", True),
    ("StringLike", "A*", "abc", False),
    ("StringLike", "*", "", True),
    ("StringLike", "${*}", "x", False),
    ("StringLike", "?", "", False),
    ("StringLike", "a*", "a\nb", True),
    ("StringNotLike", ["x*", "y*"], "abc", True),
    ("StringNotLike", ["x*", "a*"], "abc", False),
    ("NumericEquals", "10", "10.0", True),
    ("NumericEquals", 10, "1e1", True),
    ("NumericEquals", "10", "ten", False),
    ("NumericEquals", "ten", "10", False),
    ("NumericNotEquals", "10", "11", True),
    ("NumericNotEquals", "10", "ten", False),
    ("NumericNotEquals", "ten", "10", False),
    ("NumericLessThan", "10", "9.99", True),
    ("NumericLessThan", "10", "10", False),
    ("NumericLessThanEquals", "10", "10", True),
    ("NumericGreaterThan", "-1", "0", True),
    ("NumericGreaterThanEquals", ["20", "5"], "7", True),
    ("NumericEquals", "0", "NaN", False),
    ("NumericLessThan", "0", "-Infinity", False),
    ("NumericEquals", "1", "١", False),
    ("DateLessThan", "2026-02-01T00:00:00Z", "2026-01-31T23:59:59Z", True),
    ("DateLessThan", "2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z", False),
    ("DateLessThanEquals", "2026-02-01", "2026-02-01T00:00:00Z", True),
    ("DateGreaterThan", "2026", "2026-01-01T00:00:01Z", True),
    ("DateGreaterThanEquals", "2026-02", "1769904000", True),
    ("DateEquals", "2026-02-01T01:00:00+01:00", "2026-02-01T00:00:00Z", True),
    ("DateEquals", "2026-02-01T00:00:00.500Z", "2026-02-01T00:00:00.5Z", True),
    ("DateEquals", "1769904000", "1769904000000", True),
    ("DateNotEquals", "2026-02-01", "2026-02-02", True),
    ("DateNotEquals", "2026-02-01", "soon", False),
    ("DateLessThan", "2026-02-30", "2026-01-01", False),
    ("DateLessThan", "9999-12-31T23:59:59-23:59", "2026-01-01", True),
    ("Bool", "true", "TRUE", True),
    ("Bool", False, "false", True),
    ("Bool", "false", "no", False),
    ("Bool", "yes", "true", False),
    ("BinaryEquals", "QUI=", "QUI=", True),
    ("BinaryEquals", "QUI=", "QUM=", False),
    ("BinaryEquals", "%", "%", False),
    ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
    ("IpAddress", "10.0.0.0/8", "11.1.2.3", False),
    ("IpAddress", "10.1.2.3", "10.1.2.3", True),
    ("IpAddress", "10.1.2.3/8", "10.200.0.1", True),
    ("IpAddress", "0.0.0.0/0", "::1", False),
    ("IpAddress", "::/0", "10.0.0.1", False),
    ("IpAddress", "2001:db8::/32", "2001:DB8:0::1", True),
    ("IpAddress", "10.0.0.0/8", "::ffff:10.1.2.3", True),
    ("IpAddress", "::ffff:10.0.0.0/104", "10.1.2.3", True),
    ("IpAddress", "fe80::/10", "fe80::1%eth0", False),
    ("IpAddress", "10.0.0.0/8", "010.1.2.3", False),
    ("IpAddress", "10.0.0.0/8", "10.1.2.3:443", False),
    ("IpAddress", "10.0.0.0/8", "10.1.2.3/32", False),
    ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", False),
    ("NotIpAddress", "10.0.0.0/8", "2001:db8::1", True),
    ("NotIpAddress", "10.0.0.0/8", "nowhere", False),
    ("NotIpAddress", "nowhere", "10.0.0.1", False),
    ("NotIpAddress", ["nowhere", "10.0.0.0/8"], "11.0.0.1", True),
    ("NotIpAddress", ["10.0.0.0/8", "192.0.2.0/24"], "192.0.2.7", False),
    ("ArnEquals", "arn:aws:lambda:*:111111111111:function:*", ARN, True),
    ("ArnLike", "arn:aws:lambda:*:function:*", ARN, False),
    ("ArnLike", "*", ARN, False),
    ("ArnLike", "arn:*:*:*:*:*", ARN, True),
    ("ArnLike", "arn:aws:Lambda:*:*:*", ARN, False),
    ("ArnLike", "arn:*:*:*:*:*", "no-arn", False),
    ("ArnNotLike", "arn:aws:s3:*:*:*", ARN, True),
    ("ArnNotEquals", "arn:aws:lambda:*:*:*", ARN, False),
    ("ArnNotLike", "arn:aws:s3:*:*:*", "no-arn", False),
]


@pytest.mark.parametrize(("operator", "listed", "asked", "is_true"), OPERATORS)
def test_operator_of_a_value(operator: str, listed: Any, asked: str, is_true: bool) -> None:
    assert holds({operator: {K: listed}}, {K: asked}) is is_true


@pytest.mark.parametrize(
    ("operator", "context", "is_true"),
    [
        ("StringEquals", {}, False),
        ("StringEquals", {K: ["a"]}, False),
        ("StringEquals", {K: []}, False),
        ("StringNotEquals", {}, True),
        ("StringNotEquals", {K: ["b"]}, False),
        ("StringNotEquals", {K: []}, True),
        ("StringEqualsIfExists", {}, True),
        ("StringEqualsIfExists", {K: "b"}, False),
        ("StringNotEqualsIfExists", {}, True),
        ("ForAnyValue:StringEquals", {}, False),
        ("ForAnyValue:StringEquals", {K: ["b", "a"]}, True),
        ("ForAnyValue:StringEquals", {K: "a"}, True),
        ("ForAnyValue:StringEquals", {K: ["b"]}, False),
        ("ForAnyValue:StringNotEquals", {}, False),
        ("ForAnyValue:StringNotEquals", {K: ["b", "a"]}, True),
        ("ForAnyValue:StringNotEquals", {K: ["a"]}, False),
        ("ForAllValues:StringEquals", {}, True),
        ("ForAllValues:StringEquals", {K: []}, True),
        ("ForAllValues:StringEquals", {K: ["a", "a"]}, True),
        ("ForAllValues:StringEquals", {K: ["b", "a"]}, False),
        ("ForAllValues:StringNotEquals", {K: ["b", "c"]}, True),
        ("ForAllValues:StringNotEquals", {K: ["b", "a"]}, False),
        ("ForAllValues:StringEqualsIfExists", {}, True),
        ("forallvalues:STRINGLIKEIFEXISTS", {K: ["b"]}, False),
        ("NumericNotEquals", {}, True),
        ("NotIpAddress", {}, True),
        ("ArnNotLike", {}, True),
        ("DateLessThan", {}, False),
        ("BoolIfExists", {}, True),
    ],
)
def test_operator_of_a_key_that_is_missing_or_has_many_values(
    operator: str, context: dict[str, Any], is_true: bool
) -> None:
    value = {"Num": "1", "Not": "10.0.0.0/8", "Arn": "arn:*:*:*:*:*", "Dat": "2026", "Boo": "true"}

    assert holds({operator: {K: value.get(operator[:3], "a")}}, context) is is_true


def test_operator_for_any_value_if_exists_of_a_missing_key_refuses() -> None:
    condition = {"ForAnyValue:StringEqualsIfExists": {K: "a"}}

    assert not allows(statement(Condition=condition))
    assert denies(statement("Deny", Condition=condition))
    assert holds(condition, {K: ["a"]})


def test_operator_that_is_unknown_refuses() -> None:
    for name in ("StringFuzzy", "NullIfExists", "ForAnyValue:Null", "ForSomeValues:StringEquals", ""):
        condition = {name: {K: "a"}}
        assert not allows(statement(Condition=condition), context={K: "a"})
        assert denies(statement("Deny", Condition=condition), context={K: "b"})


@pytest.mark.parametrize(
    ("value", "context", "is_true"),
    [
        ("true", {}, True),
        ("true", {K: "a"}, False),
        ("TRUE", {K: []}, True),
        ("false", {}, False),
        (False, {K: ""}, True),
        (["true", "false"], {}, True),
        ("maybe", {}, False),
    ],
)
def test_null_is_about_the_key_being_there(value: Any, context: dict[str, Any], is_true: bool) -> None:
    assert holds({"Null": {K: value}}, context) is is_true


def test_conditions_of_several_operators_and_keys_must_all_be_true() -> None:
    condition = {"StringEquals": {"x:a": "1", "x:b": "2"}, "Bool": {"x:c": "true"}}
    context = {"X:A": "1", "x:B": "2", "x:c": "true"}

    assert holds(condition, context)
    for key in context:
        assert not holds(condition, {**context, key: "other"})


VARIABLES: list[tuple[str, str, str | None, bool]] = [
    ("StringEquals", "${x:v}", "a", True),
    ("StringEquals", "p/${x:v}/q", None, False),
    ("StringEquals", "${x:v, 'a'}", None, True),
    ("StringNotEquals", "${x:v}", "a", False),
    ("StringNotEquals", "${x:v}", "b", True),
    ("StringNotEquals", "${x:v}", None, True),
    ("StringNotEquals", "${x:v}", "", True),
    ("StringLike", "${x:v}", "*", False),
    ("StringLike", "${x:v}*", "", False),
    ("StringLike", "${x:v, ''}*", None, True),
    ("StringNotLike", "${x:v}", "*", True),
    ("StringEqualsIgnoreCase", "${x:v}", "A", True),
    ("ForAnyValue:StringEquals", "${x:v}", "a", True),
    ("StringEquals", "${x:v", "a", False),
]


@pytest.mark.parametrize(("operator", "listed", "value", "is_true"), VARIABLES)
def test_variable_in_a_condition(operator: str, listed: str, value: str | None, is_true: bool) -> None:
    context = {K: "a"} if value is None else {K: "a", "x:v": value}

    assert holds({operator: {K: listed}}, context) is is_true


def test_variable_in_a_condition_about_arns() -> None:
    context = {K: ARN, "x:name": "f", "x:arn": ARN}

    assert holds({"ArnEquals": {K: "arn:aws:lambda:*:*:function:${x:name}"}}, context)
    assert holds({"ArnEquals": {K: "${x:arn}"}}, context)
    assert not holds({"ArnLike": {K: "arn:aws:lambda:*:*:function:${x:name}"}}, {**context, "x:name": "*"})


def test_variable_in_a_condition_about_truth() -> None:
    assert holds({"Bool": {K: "${x:v}"}}, {K: "true", "x:v": "True"})
    assert not holds({"Bool": {K: "${x:v}"}}, {K: "true"})


@pytest.mark.parametrize("operator", ["NumericEquals", "DateEquals", "IpAddress", "BinaryEquals"])
def test_variable_where_there_are_none_is_text(operator: str) -> None:
    asked = {"NumericEquals": "1", "DateEquals": "2026", "IpAddress": "10.0.0.1", "BinaryEquals": "QUI="}[
        operator
    ]

    assert not holds({operator: {K: "${x:v}"}}, {K: asked, "x:v": asked})


def test_variable_in_a_condition_of_2008_is_text() -> None:
    tree = statement(Condition={"StringEquals": {K: "${x:v}"}})

    assert not allows(tree, version="2008-10-17", context={K: "a", "x:v": "a"})
    assert allows(tree, version="2008-10-17", context={K: "${x:v}"})
